//! From ticks of the processor's clock to percentiles.

use ephapse::event::Timestamp;
use ephapse_plot::Times;
use serde::{Deserialize, Serialize};

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

    /// Ticks of so many milliseconds.
    pub(crate) fn ticks(self, ms: u64) -> u64 {
        (ms as f64 * 1e9 / self.ps_per_tick) as u64
    }
}

/// One-way times: half of each of these round trips, in ticks.
pub(crate) fn one_way(round_trips: &[u32], rate: TickRate) -> Times {
    let mut times = Times::new();
    for &ticks in round_trips {
        times.record_ps((f64::from(ticks) * rate.ps_per_tick / 2.0) as u64);
    }
    times
}

/// Nanoseconds, one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    /// Half of all are below.
    pub(crate) p50: f64,
    /// All but one percent.
    pub(crate) p99: f64,
    /// All but one in a thousand.
    pub(crate) p999: f64,
    /// The worst.
    pub(crate) max: f64,
}

impl Percentiles {
    /// Of these times.
    pub(crate) fn of(times: &Times) -> Percentiles {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| times.quantile_ns(quantile));
        Percentiles { p50, p99, p999, max: times.max_ns() }
    }
}

/// The one in the middle, or the mean of the two; `None` of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([]), None);
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn half_a_round_trip() {
        let rate = TickRate { ps_per_tick: 500.0 };
        let ticks: Vec<u32> = (1..=1000).collect(); // 0.25 to 250 ns one way
        let Percentiles { p50, p99, max, .. } = Percentiles::of(&one_way(&ticks, rate));
        assert!((p50 - 125.0).abs() < 0.3 && (p99 - 247.5).abs() < 0.5, "{p50} {p99}");
        assert!((max - 250.0).abs() < 0.5, "{max}");
    }
}
