//! The rates of the last minute, for graphs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How far back graphs go.
const SPAN: Duration = Duration::from_secs(60);

/// From the lowest to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Rates by name.
#[derive(Debug, Default)]
pub(crate) struct History {
    series: HashMap<String, VecDeque<(Instant, f64)>>,
}

impl History {
    /// Adds what is seen now, and forgets what is older than a minute or has gone.
    pub(crate) fn add(&mut self, at: Instant, rates: impl IntoIterator<Item = (String, f64)>) {
        let mut seen = HashSet::new();
        for (name, rate) in rates {
            let series = self.series.entry(name.clone()).or_default();
            series.push_back((at, rate));
            seen.insert(name);
        }
        self.series.retain(|name, series| {
            while series.front().is_some_and(|(then, _)| at.saturating_duration_since(*then) > SPAN)
            {
                series.pop_front();
            }
            seen.contains(name)
        });
    }

    /// The highest rate in each of `width` parts of the last minute, oldest first; `None` where
    /// nothing was seen.
    pub(crate) fn parts(&self, name: &str, now: Instant, width: usize) -> Vec<Option<f64>> {
        let mut parts = vec![None; width];
        for (then, rate) in self.series.get(name).into_iter().flatten() {
            let age = now.saturating_duration_since(*then).as_secs_f64() / SPAN.as_secs_f64();
            let from_end = (age * width as f64) as usize;
            if let Some(at) = width.checked_sub(from_end + 1) {
                parts[at] = Some(parts[at].unwrap_or(0.0_f64).max(*rate));
            }
        }
        // Looks that are farther apart than a part is wide leave gaps: what was seen last holds.
        let mut last = None;
        for part in &mut parts {
            *part = part.or(last);
            last = *part;
        }
        parts
    }

    /// The same as a line of bars, the highest of which is as high as the line.
    pub(crate) fn line(&self, name: &str, now: Instant, width: usize) -> String {
        let parts = self.parts(name, now, width);
        let most = parts.iter().flatten().fold(0.0_f64, |most, rate| most.max(*rate));
        let bar = |part: Option<f64>| match part {
            None => ' ',
            Some(rate) if rate <= 0.0 || most <= 0.0 => BARS[0],
            Some(rate) => {
                let level = (rate / most * (BARS.len() - 1) as f64).ceil() as usize;
                BARS[level.min(BARS.len() - 1)]
            }
        };
        parts.into_iter().map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_kept() {
        let start = Instant::now();
        let mut history = History::default();
        for second in 0..=70_u32 {
            let rate = f64::from(second);
            let at = start + Duration::from_secs(second.into());
            history.add(at, [("a".to_owned(), rate), ("b".to_owned(), 0.0)]);
        }
        let now = start + Duration::from_secs(70);
        let parts = history.parts("a", now, 6);
        assert_eq!(parts.iter().flatten().count(), 6);
        assert_eq!(parts[5], Some(70.0));
        assert_eq!(history.line("a", now, 6).chars().last(), Some('█'));
        assert_eq!(history.line("b", now, 3), "▁▁▁");
        assert_eq!(history.line("c", now, 3), "   ");
        history.add(now, [("b".to_owned(), 1.0)]);
        assert_eq!(history.line("a", now, 3), "   ", "who has gone is forgotten");
    }

    #[test]
    fn gaps_between_looks_are_filled() {
        let start = Instant::now();
        let mut history = History::default();
        history.add(start, [("a".to_owned(), 7.0)]);
        let parts = history.parts("a", start + Duration::from_secs(30), 4);
        assert_eq!(parts, [None, Some(7.0), Some(7.0), Some(7.0)]);
    }
}
