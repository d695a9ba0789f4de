//! From series to lines: percentiles, and the course of time.

use crate::{Axis, Interval, Line, Panel, Scale, Series, Times, Unit};

/// Marks side by side that a picture has room for.
const COLUMNS: f64 = 90.0;

/// The share of all that is drawn as fast as the slowest of them.
const FASTEST: f64 = 0.001;

/// What the times are of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// At the beginning of a title.
    pub(crate) title: &'static str,
    /// Beside the axis.
    pub(crate) label: &'static str,
}

impl Kind {
    fn axis(self) -> Axis {
        Axis { label: self.label, scale: Scale::Log, unit: Unit::Nanoseconds }
    }
}

/// How long which share of all takes at most.
pub(crate) fn percentiles(kind: Kind, series: &[Series]) -> Panel {
    let line = |(number, one): (usize, &Series)| {
        let count = one.times.count() as f64;
        let mut seen = 0.0;
        let mut path = Vec::new();
        // What is faster than nearly all would stretch the axis, and nobody asks for it.
        let least = one.times.quantile_ns(FASTEST);
        for (ns, times) in one.times.each_ns().map(|(ns, times)| (ns.max(least), times)) {
            // A step: from the share of those below to the share of those not above.
            path.push((seen / count, ns));
            seen += times as f64;
            path.push((seen / count, ns));
        }
        // 1/(1-1) is infinite: the longest is drawn up to half of one time.
        if let Some(last) = path.last_mut() {
            last.0 = 1.0 - 0.5 / count;
        }
        // Where 1/(1-share) is a power of ten, as far as there are so many.
        let shares = (1..12).map(|nines| 1.0 - 0.1f64.powi(nines));
        let shares = [0.5].into_iter().chain(shares);
        let shares = shares.take_while(|share| (1.0 - share) * count >= 1.0 - 1e-6);
        let marks = shares.map(|share| (share, one.times.quantile_ns(share))).collect();
        Line { series: number, path, marks }
    };
    Panel {
        title: format!("{} by percentile", kind.title),
        x: Axis { label: "percentile", scale: Scale::Percentile, unit: Unit::Plain },
        y: kind.axis(),
        lines: series.iter().enumerate().map(line).collect(),
    }
}

/// What was usual, and what was worst, when; `None` if that is not known.
pub(crate) fn over_time(kind: Kind, series: &[Series]) -> Option<Panel> {
    if series.iter().all(|one| one.intervals.len() < 2) {
        return None;
    }
    let ends = series.iter().flat_map(|one| &one.intervals).map(|part| part.start + part.length);
    let column = ends.max().unwrap_or_default().as_secs_f64() / COLUMNS;
    let lines = series.iter().enumerate().flat_map(|(number, one)| course(number, one, column));
    let lines = lines.collect();
    Some(Panel {
        title: "Over time: median (line) and worst (marks) of each interval".to_owned(),
        x: Axis { label: "time since the start", scale: Scale::Linear, unit: Unit::Seconds },
        y: kind.axis(),
        lines,
    })
}

/// The lines of one series, one for each time without a pause, with a point for each column.
fn course(number: usize, series: &Series, column: f64) -> Vec<Line> {
    let middle = |part: &Interval| (part.start + part.length / 2).as_secs_f64();
    let place = |part: &Interval| (middle(part) / column) as i64;
    let mut lines = Vec::new();
    let mut ended = None;
    for parts in series.intervals.chunk_by(|one, next| place(one) == place(next)) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { continue };
        // A pause is longer than a column, and than what is measured after it.
        let is_pause =
            |end: f64| first.start.as_secs_f64() - end > column.max(first.length.as_secs_f64());
        if ended.is_none_or(is_pause) {
            lines.push(Line { series: number, path: Vec::new(), marks: Vec::new() });
        }
        ended = Some(end_of(last));
        let mut times = Times::new();
        parts.iter().for_each(|part| times.add(&part.times));
        let at = (middle(first) + middle(last)) / 2.0;
        if let (1.., Some(line)) = (times.count(), lines.last_mut()) {
            line.path.push((at, times.quantile_ns(0.5)));
            line.marks.push((at, times.max_ns()));
        }
    }
    // A median between two pauses is seen too.
    for line in &mut lines {
        if let [(at, ns)] = line.path[..] {
            line.path = vec![((at - column / 2.0).max(0.0), ns), (at + column / 2.0, ns)];
        }
    }
    lines
}

fn end_of(part: &Interval) -> f64 {
    (part.start + part.length).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn interval(start_ms: u64, ns: f64) -> Interval {
        let mut times = Times::new();
        times.record_ns(ns);
        let (start, length) = (Duration::from_millis(start_ms), Duration::from_millis(10));
        Interval { start, length, times }
    }

    #[test]
    fn pauses_interrupt_the_line_and_lone_medians_are_seen() {
        let parts = vec![interval(0, 10.0), interval(10, 30.0), interval(800, 50.0)];
        let lines = course(0, &Series::of_intervals("x", parts), 0.01);
        let paths: Vec<usize> = lines.iter().map(|line| line.path.len()).collect();
        let marks: Vec<usize> = lines.iter().map(|line| line.marks.len()).collect();
        assert_eq!((paths, marks), (vec![2, 2], vec![2, 1]));
        assert!(lines[1].path.iter().all(|point| (point.1 - 50.0).abs() < 0.1), "{lines:?}");
    }

    #[test]
    fn a_step_of_the_curve_is_where_its_share_is() {
        let mut times = Times::new();
        (1..=10).for_each(|ns| times.record_ns(f64::from(ns) * 100.0));
        let kind = Kind { title: "", label: "" };
        let panel = percentiles(kind, &[Series::new("x", times)]);
        let line = &panel.lines[0];
        assert_eq!(line.path.len(), 20);
        assert!((line.path[8].0 - 0.4).abs() < 1e-9 && (line.path[8].1 - 500.0).abs() < 1.0);
        assert!((line.path[19].0 - 0.95).abs() < 1e-9, "{:?}", line.path);
        // p50 and p90; there is no tenth of one for p99.
        assert_eq!(line.marks.len(), 2, "{:?}", line.marks);
        assert!((line.marks[0].1 - 500.0).abs() < 1.0, "{:?}", line.marks);
    }
}
