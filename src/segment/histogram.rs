//! How long things took: a row of a table of counters that has buckets, and what others read of it.

use super::table::{Counter, Rows, SHARED, TIMES};
use crate::limits::HISTOGRAM_BUCKETS;
use core::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// The first bucket is for what takes less than 2 to the power of this, in nanoseconds.
const FIRST: u32 = 4;

/// Where a time is counted.
fn bucket_of(ns: u64) -> usize {
    let Some(power) = ns.max(1).ilog2().checked_sub(FIRST) else { return 0 };
    let quarter = ns >> (power + FIRST - 2) & 3;
    (1 + 4 * power as usize + quarter as usize).min(HISTOGRAM_BUCKETS - 1)
}

/// The shortest time, in nanoseconds, that is counted behind this bucket.
fn end_of(bucket: usize) -> u64 {
    (4 + bucket as u64 % 4) << (bucket / 4 + FIRST as usize - 2)
}

/// The writer's side: belongs to one thread at a time. Dropping it takes it out of the table.
#[derive(Debug)]
pub struct Times(Counter);

impl Times {
    /// With a label that others see with `.latency` behind it.
    pub(super) fn new(rows: &Arc<Rows>, label: &str) -> Self {
        let counter = rows.counter(&format!("{label}{TIMES}"));
        // Relaxed: it was 0. So that the first time that is counted need not wait for its page.
        rows.table().bucket(counter.row, 0).store(0, Ordering::Relaxed);
        Self(counter)
    }

    /// Counts a time that stands for so many.
    pub fn record(&self, ns: u64, weight: u64) {
        let Counter { row, rows, .. } = &self.0;
        if *row != SHARED {
            let bucket = rows.table().bucket(*row, bucket_of(ns));
            // Relaxed: whoever reads it learns a number, and nothing else.
            bucket.store(bucket.load(Ordering::Relaxed).wrapping_add(weight), Ordering::Relaxed);
        }
    }
}

impl Drop for Times {
    fn drop(&mut self) {
        let Counter { row, rows, .. } = &self.0;
        if *row == SHARED || !rows.is_ours() {
            return;
        }
        // For the next one that has the row.
        for bucket in 0..HISTOGRAM_BUCKETS {
            // Relaxed: as above. What has not been touched stays so.
            let bucket = rows.table().bucket(*row, bucket);
            if bucket.load(Ordering::Relaxed) != 0 {
                bucket.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// How often something took how long, so far: four buckets for each doubling, from 16 ns to a
/// minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; HISTOGRAM_BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; HISTOGRAM_BUCKETS] }
    }
}

impl Histogram {
    pub(super) fn of(counts: [u64; HISTOGRAM_BUCKETS]) -> Self {
        Self { counts }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The time that this part of them did not exceed, such as 0.99 for the 99th percentile: up to a
    /// fifth too long. `None` if there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * part.clamp(0.0, 1.0)).ceil().max(1.0);
        let mut below = 0.0;
        self.buckets()
            .find(|(_, count)| {
                below += *count as f64;
                below >= wanted
            })
            .map(|(end, _)| end)
    }

    /// What has come since an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(&self, other: &Self, how: fn(u64, u64) -> u64) -> Self {
        Self { counts: core::array::from_fn(|at| how(self.counts[at], other.counts[at])) }
    }

    /// Each bucket: the time that all in it are below, and how many are in it. The last one has what
    /// took longer, too.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let ends = (0..HISTOGRAM_BUCKETS).map(|bucket| Duration::from_nanos(end_of(bucket)));
        ends.zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another() {
        assert_eq!((bucket_of(0), bucket_of(15), bucket_of(16)), (0, 0, 1));
        assert_eq!(bucket_of(u64::MAX), HISTOGRAM_BUCKETS - 1);
        assert_eq!(end_of(0), 16);
        for bucket in 0..HISTOGRAM_BUCKETS - 1 {
            let end = end_of(bucket);
            assert_eq!((bucket_of(end - 1), bucket_of(end)), (bucket, bucket + 1), "{end}");
            assert!(end_of(bucket + 1) <= end + end / 4);
        }
        assert!(Duration::from_nanos(end_of(HISTOGRAM_BUCKETS - 2)) > Duration::from_secs(50));
    }

    #[test]
    fn quantiles_are_those_of_the_buckets() {
        let mut counts = [0; HISTOGRAM_BUCKETS];
        assert_eq!(Histogram::of(counts).quantile(0.5), None);
        counts[bucket_of(100)] = 90;
        counts[bucket_of(1_000)] = 9;
        counts[bucket_of(1_000_000)] = 1;
        let histogram = Histogram::of(counts);
        assert_eq!(histogram.count(), 100);
        let ns = |part| histogram.quantile(part).unwrap().as_nanos() as u64;
        assert_eq!([ns(0.0), ns(0.5), ns(0.9)], [112; 3]);
        assert_eq!([ns(0.91), ns(0.99)], [1_024; 2]);
        assert_eq!([ns(0.991), ns(1.0)], [1_048_576; 2]);
        let mut more = counts;
        more[bucket_of(100)] += 5;
        let since = Histogram::of(more).since(&histogram);
        assert_eq!((since.count(), since.quantile(1.0)), (5, histogram.quantile(0.5)));
        assert_eq!(since.and(&histogram), Histogram::of(more));
    }
}
