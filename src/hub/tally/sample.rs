//! Which events are timed.

use crate::event::Timestamp;
use crate::segment::Times;

/// Of so many events that a reader has not slept for, one is looked at more closely.
const SAMPLE: u64 = 128;

/// Which events are looked at more closely, and for how many each of them stands: all that a reader
/// has slept for, and of the others one of many.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Those for which one that was looked at has stood.
    represented: u64,
}

impl Sample {
    /// For how many events the `count`th stands, if it is to be looked at.
    #[inline(always)]
    pub(super) fn weight(&mut self, count: u64, slept: bool) -> Option<u64> {
        let events = count.saturating_sub(self.represented);
        let weight = if slept { 1 } else { events };
        if !slept && events < SAMPLE {
            return None;
        }
        self.represented += weight;
        Some(weight)
    }
}

/// An event with this timestamp, 0 for none, has been received now; it stands for so many.
#[cold]
pub(super) fn time(latency: &Times, sent: u64, weight: u64) {
    if let Some(ns) = Timestamp::from_ticks(sent).and_then(Timestamp::quick_age_ns) {
        latency.record(ns, weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_stood_for_once() {
        let (mut sample, mut sum) = (Sample::default(), 0);
        for count in 1..=1000_u64 {
            let slept = count.is_multiple_of(7);
            let weight = sample.weight(count, slept);
            assert!(!slept || weight == Some(1));
            sum += weight.unwrap_or(0);
            assert!(sum <= count && count - sum < SAMPLE, "{count}: {sum}");
        }
    }
}
