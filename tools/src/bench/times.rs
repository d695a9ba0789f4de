//! From ticks to percentiles.

use anyhow::{Context, Result};
use ephapse::event::Timestamp;
use hdrhistogram::Histogram;
use serde::Serialize;

/// An hour, in picoseconds: whatever takes longer counts as that.
const LONGEST_PS: u64 = 3_600_000_000_000_000;

/// Three digits.
const DIGITS: u8 = 3;

/// What a tick of the clock is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickRate {
    ps_per_tick: f64,
}

impl TickRate {
    /// Worked out from the time since `start`, which should be some milliseconds ago.
    pub(crate) fn since(start: Timestamp) -> TickRate {
        let now = Timestamp::now();
        let ticks = now.ticks().saturating_sub(start.ticks()).max(1);
        TickRate { ps_per_tick: now.since(start) as f64 * 1e3 / ticks as f64 }
    }

    /// Nanoseconds from one count of the clock to a later one.
    pub(crate) fn ns_between(self, from: u64, to: u64) -> u64 {
        (to.saturating_sub(from) as f64 * self.ps_per_tick / 1e3) as u64
    }

    /// One way, in picoseconds: half of a round trip in ticks.
    fn one_way_ps(self, ticks: u64) -> u64 {
        (ticks as f64 * self.ps_per_tick / 2.0) as u64
    }
}

/// One-way times.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    histogram: Histogram<u64>,
}

impl Times {
    /// None yet.
    pub(crate) fn new() -> Result<Times> {
        let histogram = Histogram::new_with_bounds(1, LONGEST_PS, DIGITS);
        Ok(Times { histogram: histogram.context("cannot make a histogram")? })
    }

    /// Of round trips in ticks.
    pub(crate) fn of(round_trips: &[u64], rate: TickRate) -> Result<Times> {
        let mut times = Times::new()?;
        for &ticks in round_trips {
            times.histogram.saturating_record(rate.one_way_ps(ticks).max(1));
        }
        Ok(times)
    }

    /// Adds all of the others'.
    pub(crate) fn add(&mut self, others: &Times) -> Result<()> {
        self.histogram.add(&others.histogram).context("cannot add histograms")
    }

    /// Nanoseconds below which so many percent are.
    pub(crate) fn percentile_ns(&self, percent: f64) -> f64 {
        to_ns(self.histogram.value_at_percentile(percent))
    }

    /// All that is told of the result.
    pub(crate) fn all(&self) -> Percentiles {
        Percentiles {
            p50: self.percentile_ns(50.0),
            p90: self.percentile_ns(90.0),
            p99: self.percentile_ns(99.0),
            p999: self.percentile_ns(99.9),
            max: to_ns(self.histogram.max()),
        }
    }

    /// All that is told of a round, and of the floor.
    pub(crate) fn middle_and_tail(&self) -> MiddleAndTail {
        MiddleAndTail { p50: self.percentile_ns(50.0), p99: self.percentile_ns(99.0) }
    }
}

/// To a tenth of a nanosecond, which is what the clock can tell.
fn to_ns(ps: u64) -> f64 {
    (ps as f64 / 100.0).round() / 10.0
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Percentiles {
    /// Half of all are below.
    pub(crate) p50: f64,
    /// Nine tenths.
    pub(crate) p90: f64,
    /// All but one percent.
    pub(crate) p99: f64,
    /// All but one in a thousand.
    pub(crate) p999: f64,
    /// The worst.
    pub(crate) max: f64,
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct MiddleAndTail {
    /// Half of all are below.
    pub(crate) p50: f64,
    /// All but one percent.
    pub(crate) p99: f64,
}

/// What is told of few times, each of which counts: nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    /// Half of all are not above it.
    pub(crate) p50: u64,
    /// All but one percent.
    pub(crate) p99: u64,
    /// The worst.
    pub(crate) max: u64,
}

impl Spread {
    /// Of all of these; zeros of none.
    pub(crate) fn of(ns: &[u64]) -> Spread {
        let mut sorted = ns.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or(0)
        };
        Spread { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// The one in the middle, or the mean of the two; 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([]), 0.0);
        assert_eq!(median([3.0]), 3.0);
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[test]
    fn spreads() {
        let spread = |p50, p99, max| Spread { p50, p99, max };
        assert_eq!(Spread::of(&[]), spread(0, 0, 0));
        assert_eq!(Spread::of(&[7]), spread(7, 7, 7));
        assert_eq!(Spread::of(&[3, 1, 2]), spread(2, 3, 3));
        let many: Vec<u64> = (1..=1000).rev().collect();
        assert_eq!(Spread::of(&many), spread(500, 990, 1000));
    }

    #[test]
    fn half_a_round_trip_in_tenths_of_nanoseconds() {
        let rate = TickRate { ps_per_tick: 500.0 };
        let ticks: Vec<u64> = (1..=1000).collect(); // 0.25 to 250 ns one way
        let times = Times::of(&ticks, rate).unwrap().all();
        assert!((times.p50 - 125.0).abs() < 0.3, "{times:?}");
        assert!((times.p99 - 247.5).abs() < 0.5, "{times:?}");
        assert!((times.max - 250.0).abs() < 0.5, "{times:?}");
    }
}
