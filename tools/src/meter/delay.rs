//! How long events are under way.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Gauge, Sample};
use crate::ui::format::nanoseconds;

/// Digits that are kept.
const DIGITS: u8 = 3;

/// Times from the timestamp to the receipt.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    times: Histogram<u64>,
    /// Events that carry no timestamp.
    unstamped: u64,
}

impl Default for Delay {
    fn default() -> Delay {
        // It grows with what it is given.
        let times = Histogram::new(DIGITS).expect("a number of digits that it allows");
        Delay { times, unstamped: 0 }
    }
}

/// What they amount to.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    delay_min_ns: Option<u64>,
    delay_p50_ns: Option<u64>,
    delay_p99_ns: Option<u64>,
    delay_max_ns: Option<u64>,
    unstamped: u64,
}

impl Gauge for Delay {
    const NAME: &'static str = "delay";
    const COLUMNS: &'static [&'static str] = &["min", "p50", "p99", "max", "unstamped"];
    type Figures = Figures;

    fn add(&mut self, sample: &Sample) {
        match sample.age_ns {
            // It refuses nothing when it may grow.
            Some(age) => drop(self.times.record(age)),
            None => self.unstamped += 1,
        }
    }

    fn figures(&self, _span: Duration) -> Figures {
        let some = |ns: u64| (!self.times.is_empty()).then_some(ns);
        Figures {
            delay_min_ns: some(self.times.min()),
            delay_p50_ns: some(self.times.value_at_quantile(0.5)),
            delay_p99_ns: some(self.times.value_at_quantile(0.99)),
            delay_max_ns: some(self.times.max()),
            unstamped: self.unstamped,
        }
    }

    fn cells(figures: &Figures) -> Vec<String> {
        let Figures { delay_min_ns, delay_p50_ns, delay_p99_ns, delay_max_ns, .. } = *figures;
        let times = [delay_min_ns, delay_p50_ns, delay_p99_ns, delay_max_ns];
        let times = times.map(|time| time.map(nanoseconds).unwrap_or_default());
        times.into_iter().chain([figures.unstamped.to_string()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_recorded_delays() {
        let mut delay = Delay::default();
        assert_eq!(delay.figures(Duration::ZERO).delay_p50_ns, None);
        for age in (1..=1_000).map(|age| Some(age * 1_000)).chain([None]) {
            delay.add(&Sample { came_ns: 0, age_ns: age, bytes: 0 });
        }
        let figures = delay.figures(Duration::ZERO);
        assert_eq!((figures.unstamped, figures.delay_p50_ns.map(|ns| ns / 1_000)), (1, Some(500)));
        // To three digits.
        let off = |ns: Option<u64>, expect: u64| ns.is_some_and(|ns| ns.abs_diff(expect) <= 1_000);
        assert!(off(figures.delay_min_ns, 1_000) && off(figures.delay_p99_ns, 990_000));
        assert!(off(figures.delay_max_ns, 1_000_000), "{figures:?}");
    }
}
