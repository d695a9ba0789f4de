//! What one look has shown, as JSON: every counter by its label.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ephapse::counters::{Flight, Histogram, HubCounters};
use serde::Serialize;

use super::model::{by_label, state_name};
use super::sight::Sight;

/// Hubs and supervisor.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    hubs: Vec<Hub<'a>>,
    supervisor: Option<Supervisor<'a>>,
}

#[derive(Serialize)]
struct Hub<'a> {
    name: &'a str,
    id: u64,
    pid: u32,
    domain: &'a str,
    since: String,
    counters: BTreeMap<&'a str, u64>,
    latencies: BTreeMap<&'a str, Times>,
}

/// How long events were on their way, in nanoseconds.
#[derive(Serialize)]
struct Times {
    count: u64,
    p50_ns: u64,
    p90_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
}

#[derive(Serialize)]
struct Supervisor<'a> {
    pid: u32,
    state: &'static str,
    epoch: u64,
    since: String,
    counters: BTreeMap<&'a str, u64>,
    errors: Vec<Trouble<'a>>,
}

#[derive(Serialize)]
struct Trouble<'a> {
    at: String,
    text: &'a str,
}

/// A moment, for people and programs.
pub(crate) fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

impl<'a> Report<'a> {
    pub(crate) fn of(sight: &'a Sight) -> Report<'a> {
        Report {
            hubs: sight.hubs.iter().map(Hub::of).collect(),
            supervisor: sight.supervisor.as_ref().ok().map(Supervisor::of),
        }
    }
}

impl<'a> Hub<'a> {
    fn of(hub: &'a HubCounters) -> Hub<'a> {
        Hub {
            name: &hub.name,
            id: hub.id,
            pid: hub.pid,
            domain: &hub.domain,
            since: time(hub.since),
            counters: by_label(hub),
            latencies: hub
                .latencies
                .iter()
                .map(|(label, it)| (label.as_str(), Times::of(it)))
                .collect(),
        }
    }
}

impl Times {
    fn of(histogram: &Histogram) -> Times {
        let ns = |part| histogram.quantile(part).map_or(0, |time| time.as_nanos() as u64);
        Times {
            count: histogram.count(),
            p50_ns: ns(0.5),
            p90_ns: ns(0.9),
            p99_ns: ns(0.99),
            p999_ns: ns(0.999),
        }
    }
}

impl<'a> Supervisor<'a> {
    fn of(flight: &'a Flight) -> Supervisor<'a> {
        let counters = flight.counters.iter();
        let errors = flight.troubles.iter();
        Supervisor {
            pid: flight.pid,
            state: state_name(flight.process),
            epoch: flight.epoch,
            since: time(flight.since),
            counters: counters.map(|(label, value)| (label.as_str(), *value)).collect(),
            errors: errors.map(|it| Trouble { at: time(it.at), text: &it.text }).collect(),
        }
    }
}
