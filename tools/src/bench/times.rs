//! From ticks to percentiles.

use std::time::Duration;

use ephapse::event::Timestamp;
use ephapse_plot::{Interval, Times};
use serde::Serialize;

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

    /// As the library knows it.
    pub(crate) fn now() -> TickRate {
        // Far enough apart for three digits more than anybody needs.
        const SPAN: Duration = Duration::from_secs(3600);
        let now = Timestamp::now();
        let ticks = Timestamp::after(SPAN).ticks().saturating_sub(now.ticks()).max(1);
        TickRate { ps_per_tick: SPAN.as_nanos() as f64 * 1e3 / ticks as f64 }
    }

    /// Nanoseconds from one count of the clock to a later one.
    pub(crate) fn ns_between(self, from: u64, to: u64) -> u64 {
        (to.saturating_sub(from) as f64 * self.ps_per_tick / 1e3) as u64
    }

    /// Picoseconds of so many ticks.
    pub(crate) fn ps(self, ticks: u64) -> u64 {
        (ticks as f64 * self.ps_per_tick) as u64
    }

    /// Nanoseconds of so many ticks.
    pub(crate) fn ns_of(self, ticks: f64) -> f64 {
        ticks * self.ps_per_tick / 1e3
    }

    /// Ticks of so many nanoseconds.
    pub(crate) fn ticks(self, ns: f64) -> f64 {
        ns * 1e3 / self.ps_per_tick
    }

    /// One way, in picoseconds: half of a round trip in ticks.
    fn one_way_ps(self, ticks: u64) -> u64 {
        (ticks as f64 * self.ps_per_tick / 2.0) as u64
    }
}

/// Half of each round trip, given in ticks, as intervals: `parts` of them, the first of which began
/// so long after the run. What follows another began where that ended.
pub(crate) fn one_way(
    round_trips: &[u64],
    rate: TickRate,
    begun: Duration,
    parts: usize,
) -> Vec<Interval> {
    let mut start = begun;
    let slices = round_trips.chunks(round_trips.len().div_ceil(parts).max(1));
    let interval = |slice: &[u64]| {
        let mut times = Times::new();
        slice.iter().for_each(|ticks| times.record_ps(rate.one_way_ps(*ticks)));
        let length = Duration::from_nanos(rate.ns_between(0, slice.iter().sum()));
        let interval = Interval { start, length, times };
        start += length;
        interval
    };
    slices.map(interval).collect()
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Percentiles {
    /// The shortest.
    pub(crate) min: f64,
    /// The sum, divided by their number.
    pub(crate) mean: f64,
    /// Half of all are not above it.
    pub(crate) p50: f64,
    /// Nine tenths.
    pub(crate) p90: f64,
    /// All but one percent.
    pub(crate) p99: f64,
    /// All but one in a thousand.
    pub(crate) p999: f64,
    /// All but one in ten thousand.
    pub(crate) p9999: f64,
    /// The worst.
    pub(crate) max: f64,
}

impl Percentiles {
    /// Of all of these.
    pub(crate) fn of(times: &Times) -> Percentiles {
        Percentiles {
            min: times.min_ns(),
            mean: times.mean_ns(),
            p50: times.quantile_ns(0.5),
            p90: times.quantile_ns(0.9),
            p99: times.quantile_ns(0.99),
            p999: times.quantile_ns(0.999),
            p9999: times.quantile_ns(0.9999),
            max: times.max_ns(),
        }
    }
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct MiddleAndTail {
    /// Half of all are below.
    pub(crate) p50: f64,
    /// All but one percent.
    pub(crate) p99: f64,
}

impl MiddleAndTail {
    /// Of all of these.
    pub(crate) fn of(times: &Times) -> MiddleAndTail {
        MiddleAndTail { p50: times.quantile_ns(0.5), p99: times.quantile_ns(0.99) }
    }
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
    use ephapse_plot::Series;

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
        let intervals = one_way(&ticks, rate, Duration::from_secs(3), 4);
        let starts: Vec<u64> = intervals.iter().map(|i| i.start.as_nanos() as u64).collect();
        // 250, 500 and 750 of the first thousand ticks, each a half of a nanosecond.
        assert_eq!(starts, [0, 15_687, 62_625, 140_812].map(|ns| 3_000_000_000 + ns));
        let times = Percentiles::of(&Series::of_intervals("", intervals).times);
        assert!((times.p50 - 125.0).abs() < 0.3, "{times:?}");
        assert!((times.p99 - 247.5).abs() < 0.5, "{times:?}");
        assert!((times.max - 250.0).abs() < 0.5, "{times:?}");
    }
}
