//! How long events were on their way, as their receivers have counted it.

use std::time::Duration;

use ephapse::counters::{Histogram, HubCounters};
use serde::Serialize;

use super::model::Way;

/// What a histogram says in short. Nanoseconds, as exact as its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Latency {
    /// Events that were timed, or that those stand for.
    pub(crate) samples: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
}

impl Latency {
    /// Nothing if there are no samples.
    pub(crate) fn of(histogram: &Histogram) -> Option<Latency> {
        let ns = |part| Some(nanoseconds(histogram.quantile(part)?));
        Some(Latency { samples: histogram.count(), p50_ns: ns(0.5)?, p99_ns: ns(0.99)? })
    }
}

/// From whom, by which ways, how long: since the earlier look, or since the hub joined. What was sent
/// directly over a link, and what was published over it, are counted together.
pub(crate) fn of(hub: &HubCounters, earlier: Option<&HubCounters>) -> Vec<(String, Way, Latency)> {
    let mut found = Vec::new();
    for (from, way, histogram) in histograms(hub) {
        let before = earlier.and_then(|earlier| {
            histograms(earlier).find(|(peer, known, _)| (*peer, *known) == (from, way))
        });
        let latency = match before {
            Some((_, _, before)) => Latency::of(&histogram.since(before)),
            None => Latency::of(histogram),
        };
        let Some(latency) = latency else { continue };
        found.push((from.to_owned(), way, latency));
    }
    found
}

/// All that one histogram has counted, for those who work out percentiles themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets {
    /// Sum of all, in nanoseconds, as exact as the buckets.
    pub(crate) sum_ns: f64,
    /// The upper end of each bucket in nanoseconds, and how many are in it.
    pub(crate) counts: Vec<(f64, u64)>,
}

/// Buckets of a histogram for each doubling; one is enough for who looks from far away.
const PER_DOUBLING: usize = 4;

impl Buckets {
    fn of(histogram: &Histogram) -> Buckets {
        let mut buckets = Buckets::default();
        let (mut start, mut counted) = (0.0, 0);
        for (at, (end, count)) in histogram.buckets().enumerate() {
            let end = nanoseconds(end) as f64;
            buckets.sum_ns += count as f64 * (start + end) / 2.0;
            counted += count;
            if at % PER_DOUBLING == 0 {
                buckets.counts.push((end, counted));
                counted = 0;
            }
            start = end;
        }
        if counted > 0 {
            buckets.counts.push((start, counted));
        }
        buckets
    }
}

/// From whom, by which way, and all that has been counted since the hub joined.
pub(crate) fn buckets(hub: &HubCounters) -> Vec<(String, Way, Buckets)> {
    histograms(hub).map(|(from, way, it)| (from.to_owned(), way, Buckets::of(it))).collect()
}

/// `link.PEER.latency` and `broadcast.PEER.latency`.
fn histograms(hub: &HubCounters) -> impl Iterator<Item = (&str, Way, &Histogram)> {
    hub.latencies.iter().filter_map(|(label, histogram)| {
        let (way, rest) = label.split_once('.')?;
        let way = match way {
            "link" => Way::Link,
            "broadcast" => Way::Broadcast,
            _ => return None,
        };
        Some((rest.strip_suffix(".latency")?, way, histogram))
    })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
