//! The text that plotters of HdrHistogram read: four columns, in nanoseconds.

use std::fmt::Write;

use crate::Times;
use crate::times::exact_ns;

/// Lines between two halvings of what is left above.
const TICKS_PER_HALF: u32 = 5;

/// The text, with these lines as comments at its end.
pub fn write(times: &Times, comments: &[String]) -> String {
    let histogram = times.histogram();
    let (count, mut text) = (histogram.len(), String::new());
    // Writing into a text cannot fail.
    let _ = writeln!(
        text,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut seen = 0;
    for value in histogram.iter_quantiles(TICKS_PER_HALF) {
        seen += value.count_since_last_iteration();
        let ns = exact_ns(value.value_iterated_to().min(histogram.max()));
        let share = value.quantile_iterated_to();
        let _ = write!(text, "{ns:>12.3} {share:>14.12} {seen:>10}");
        let _ = match share < 1.0 {
            true => writeln!(text, " {:>14.2}", 1.0 / (1.0 - share)),
            false => writeln!(text),
        };
    }
    let _ = writeln!(
        text,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n\
         #[Max     = {:>12.3}, Total count    = {count:>12}]\n\
         #[Buckets = {:>12}, SubBuckets     = {:>12}]",
        histogram.mean() / 1e3,
        histogram.stdev() / 1e3,
        exact_ns(histogram.max()),
        histogram.buckets(),
        2048,
    );
    for comment in comments.iter().flat_map(|comment| comment.lines()) {
        let _ = writeln!(text, "# {comment}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_histogram() {
        let mut times = Times::new();
        (1..=1000).for_each(|ns| times.record_ns(f64::from(ns)));
        let text = write(&times, &["made\nby a test".to_owned()]);
        let mut rows = Vec::new();
        for line in text.lines().skip(2).take_while(|line| !line.starts_with('#')) {
            let row: Vec<f64> = line.split_whitespace().map(|cell| cell.parse().unwrap()).collect();
            rows.push(row);
        }
        for row in &rows[..rows.len() - 1] {
            let [ns, share, seen, inverse] = row[..] else { panic!("{row:?}") };
            assert!(seen >= share * 1000.0 - 1e-6 && (inverse - 1.0 / (1.0 - share)).abs() < 0.01);
            assert!((ns - seen).abs() <= ns / 500.0, "{row:?}");
        }
        let last = &rows[rows.len() - 1];
        assert_eq!((last.len(), last[1], last[2]), (3, 1.0, 1000.0), "{last:?}");
        assert!(text.ends_with("# made\n# by a test\n"), "{text}");
    }

    #[test]
    fn the_text_is_as_it_was() {
        let mut times = Times::new();
        for step in 0..1000 {
            // From 60 ns to 60 µs, most of them short.
            times.record_ns(60.0 * 10f64.powf(3.0 * (f64::from(step) / 999.0).powi(8)));
        }
        let text = write(&times, &["made up".to_owned()]);
        let expected = include_str!("../tests/expected/made-up.hgrm");
        assert!(text == expected, "it is now:\n{text}");
    }
}
