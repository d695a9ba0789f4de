//! How often events come, and how evenly.

use std::time::Duration;

use serde::Serialize;

use super::{Gauge, Sample};
use crate::ui::format::{nanoseconds, rate};

/// The gaps between events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    /// When the last event was sent; `None` if what came after it was missed.
    last_ns: Option<i64>,
    gaps: u64,
    min_ns: u64,
    max_ns: u64,
    mean_ns: f64,
    /// Sum of squared differences from the mean (Welford's way, which keeps its precision).
    squares: f64,
}

/// What they amount to; nothing without a gap.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    gaps: u64,
    rate_hz: Option<f64>,
    gap_min_ns: Option<u64>,
    gap_mean_ns: Option<u64>,
    gap_max_ns: Option<u64>,
    jitter_ns: Option<u64>,
}

impl Gauge for Rate {
    const NAME: &'static str = "hz";
    const COLUMNS: &'static [&'static str] = &["rate", "gap min", "mean", "max", "jitter"];
    type Figures = Figures;

    fn add(&mut self, sample: &Sample) {
        let sent_ns = sample.sent_ns();
        if let Some(last) = self.last_ns.replace(sent_ns) {
            let gap = u64::try_from(sent_ns - last).unwrap_or(0);
            self.min_ns = if self.gaps == 0 { gap } else { self.min_ns.min(gap) };
            self.max_ns = self.max_ns.max(gap);
            self.gaps += 1;
            let off = gap as f64 - self.mean_ns;
            self.mean_ns += off / self.gaps as f64;
            self.squares += off * (gap as f64 - self.mean_ns);
        }
    }

    fn missed(&mut self) {
        self.last_ns = None;
    }

    fn next(&self) -> Rate {
        Rate { last_ns: self.last_ns, ..Rate::default() }
    }

    fn figures(&self, _span: Duration) -> Figures {
        let some = |ns: u64| (self.gaps > 0).then_some(ns);
        let jitter = (self.squares / self.gaps.max(1) as f64).sqrt();
        Figures {
            gaps: self.gaps,
            rate_hz: (self.mean_ns > 0.0).then(|| 1e9 / self.mean_ns),
            gap_min_ns: some(self.min_ns),
            gap_mean_ns: some(self.mean_ns as u64),
            gap_max_ns: some(self.max_ns),
            jitter_ns: some(jitter as u64),
        }
    }

    fn cells(figures: &Figures) -> Vec<String> {
        let Figures { gap_min_ns, gap_mean_ns, gap_max_ns, jitter_ns, .. } = *figures;
        let gaps = [gap_min_ns, gap_mean_ns, gap_max_ns, jitter_ns].map(|gap| gap.map(nanoseconds));
        [figures.rate_hz.map(rate)].into_iter().chain(gaps).map(Option::unwrap_or_default).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(rate: &mut Rate, times_ns: &[i64]) {
        for &came_ns in times_ns {
            rate.add(&Sample { came_ns: came_ns + 7, age_ns: Some(7), bytes: 0 });
        }
    }

    #[test]
    fn gaps_from_recorded_times() {
        let mut rate = Rate::default();
        assert_eq!(rate.figures(Duration::ZERO), Figures::default());
        sent(&mut rate, &[-1_000, 0, 1_000, 3_000, 3_000]);
        let figures = rate.figures(Duration::ZERO);
        let expect = Figures {
            gaps: 4,
            rate_hz: Some(1e6),
            gap_min_ns: Some(0),
            gap_mean_ns: Some(1_000),
            gap_max_ns: Some(2_000),
            jitter_ns: Some(707),
        };
        assert_eq!(figures, expect);
        let cells = ["1.00 M/s", "0 ns", "1.00 µs", "2.00 µs", "707 ns"];
        assert_eq!(Rate::cells(&figures), cells);
    }

    #[test]
    fn a_gap_belongs_to_the_interval_in_which_it_ends() {
        let mut rate = Rate::default();
        sent(&mut rate, &[0, 10]);
        let mut rate = rate.next();
        sent(&mut rate, &[30]);
        assert_eq!(rate.figures(Duration::ZERO).gap_mean_ns, Some(20));
    }

    #[test]
    fn what_was_missed_is_no_gap() {
        let mut rate = Rate::default();
        sent(&mut rate, &[0, 10]);
        rate.missed();
        sent(&mut rate, &[1_000, 1_010]);
        let figures = rate.figures(Duration::ZERO);
        assert_eq!((figures.gaps, figures.gap_max_ns), (2, Some(10)));
    }

    #[test]
    fn without_timestamps_it_is_when_they_came() {
        let sample = |came_ns| Sample { came_ns, age_ns: None, bytes: 0 };
        let mut rate = Rate::default();
        rate.add(&sample(5));
        rate.add(&sample(25));
        assert_eq!(rate.figures(Duration::ZERO).gap_min_ns, Some(20));
    }
}
