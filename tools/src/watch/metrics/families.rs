//! Which metrics there are. Their names are an interface: dashboards and alerts know them.

use std::collections::HashSet;
use std::time::UNIX_EPOCH;

use ephapse::counters::{Flight, HubCounters, ProcessState};
use prometheus_client::registry::Unit;

use super::text::{Family, Labels, Value};
use crate::watch::latency;
use crate::watch::model::{HubRow, LinkRow, Model, Publication, Way};
use crate::watch::sight::Sight;

/// What is counted of a hub.
type HubCounter = (&'static str, Option<Unit>, &'static str, fn(&HubRow) -> u64);

const HUB_COUNTERS: [HubCounter; 11] = [
    ("ephapse_hub_events_sent", None, "Events published that somebody wanted", |hub| {
        hub.sent.total
    }),
    ("ephapse_hub_sent", Some(Unit::Bytes), "Bytes of their payloads", |hub| hub.sent_bytes.total),
    ("ephapse_hub_events_received", None, "Events that subscriptions have received", |hub| {
        hub.received.total
    }),
    ("ephapse_hub_received", Some(Unit::Bytes), "Bytes of their payloads", |hub| {
        hub.received_bytes.total
    }),
    ("ephapse_hub_direct_events_sent", None, "Events sent directly over links", |hub| {
        hub.direct_sent.total
    }),
    ("ephapse_hub_direct_events_received", None, "Events received directly over links", |hub| {
        hub.direct_received.total
    }),
    ("ephapse_hub_events_missed", None, "Events that subscriptions have missed", |hub| {
        hub.missed.total
    }),
    ("ephapse_hub_events_unwanted", None, "Events published that nobody wanted", |hub| {
        hub.unwanted.total
    }),
    ("ephapse_hub_sends_full", None, "Calls to send that found no room", |hub| hub.full.total),
    ("ephapse_hub_wakeups", None, "Sleeping subscriptions that were woken", |hub| hub.woken.total),
    ("ephapse_hub_overtaken", None, "Subscriptions that stood still and were overtaken", |hub| {
        hub.overtaken.total
    }),
];

/// All metrics of what is seen.
pub(super) fn of(sight: &Sight) -> Vec<Family> {
    let mut model = Model::of(sight, None);
    // Two of one name can be there for a moment; two series of one name spoil the whole scrape.
    let mut known = HashSet::new();
    model.hubs.sort_by_key(|hub| std::cmp::Reverse(hub.id));
    model.hubs.retain(|hub| known.insert(hub.hub.clone()));
    model.hubs.sort_by(|a, b| a.hub.cmp(&b.hub));
    let hubs: Vec<&HubCounters> = (model.hubs.iter())
        .filter_map(|row| sight.hubs.iter().find(|hub| (hub.id, hub.pid) == (row.id, row.pid)))
        .collect();
    let mut families = vec![build()];
    families.extend(supervisor(sight.supervisor.as_ref().ok()));
    families.extend(of_hubs(&model.hubs, &hubs));
    families.extend(of_publications(&model.publications));
    families.extend(of_links(&model.links));
    families.push(latencies(&hubs));
    families
}

fn family(
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    series: impl IntoIterator<Item = (Labels, Value)>,
) -> Family {
    Family { name, help, unit, series: series.into_iter().collect() }
}

fn build() -> Family {
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    family("ephapse_build", None, "Who has written this", [(vec![], Value::Info(version))])
}

fn supervisor(flight: Option<&Flight>) -> Vec<Family> {
    let up = flight.is_some_and(|flight| flight.process == ProcessState::Running);
    let up = Value::Gauge(f64::from(u8::from(up)));
    let help = "1 if the supervisor's process runs; it may hang";
    let mut families = vec![family("ephapse_supervisor_up", None, help, [(vec![], up)])];
    let Some(flight) = flight else { return families };
    let gauges = [
        ("hubs", "ephapse_supervisor_hubs", "Hubs that have joined"),
        ("links", "ephapse_supervisor_links", "Links between them"),
        ("subjects", "ephapse_supervisor_subjects", "Subjects that are known"),
        ("subscriptions", "ephapse_supervisor_subscriptions", "Subscriptions of all hubs"),
        ("edges", "ephapse_supervisor_edges", "Subscriptions and the hubs that they read"),
        ("epoch", "ephapse_supervisor_epoch", "Number of the supervisor's run"),
    ];
    for (label, name, help) in gauges {
        let value = flight.get(label).map(|value| (vec![], Value::Gauge(value as f64)));
        families.push(family(name, None, help, value));
    }
    let counters = [
        ("joins", "ephapse_supervisor_joins", "Hubs that have joined so far"),
        ("leaves", "ephapse_supervisor_leaves", "Hubs that have left so far"),
        ("messages", "ephapse_supervisor_messages", "Messages from hubs"),
        ("refusals", "ephapse_supervisor_refusals", "Hubs and requests that were turned away"),
        ("faults", "ephapse_supervisor_faults", "What was wrong with hubs, or with it"),
    ];
    for (label, name, help) in counters {
        let value = flight.get(label).map(|value| (vec![], Value::Counter(value)));
        families.push(family(name, None, help, value));
    }
    families
}

fn of_hubs(rows: &[HubRow], hubs: &[&HubCounters]) -> Vec<Family> {
    let labels = |row: &HubRow| vec![("hub", row.hub.clone())];
    let mut families = Vec::new();
    for (name, unit, help, get) in HUB_COUNTERS {
        let series = rows.iter().map(|row| (labels(row), Value::Counter(get(row))));
        families.push(family(name, unit, help, series));
    }
    let gauge = |name, unit, help, get: fn(&HubRow) -> u64| {
        let series = rows.iter().map(|row| (labels(row), Value::Gauge(get(row) as f64)));
        family(name, unit, help, series)
    };
    families.push(gauge("ephapse_hub_subscriptions", None, "Subscriptions that it has", |hub| {
        hub.subscriptions
    }));
    families.push(gauge("ephapse_hub_links", None, "Links that it has", |hub| hub.links));
    let help = "Bytes that the slowest of its readers has not read";
    families.push(gauge("ephapse_hub_behind", Some(Unit::Bytes), help, |hub| hub.behind_bytes));
    let started = hubs.iter().map(|hub| {
        let since = hub.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        (vec![("hub", hub.name.clone())], Value::Gauge(since))
    });
    families.push(family(
        "ephapse_hub_start_time",
        Some(Unit::Seconds),
        "When it joined, since 1970",
        started,
    ));
    let info = rows.iter().map(|row| {
        let known = vec![("id", row.id.to_string()), ("pid", row.pid.to_string())];
        (labels(row), Value::Info(known))
    });
    families.push(family("ephapse_hub", None, "The number and process of a hub", info));
    families
}

fn of_publications(publications: &[Publication]) -> Vec<Family> {
    let labels =
        |one: &Publication| vec![("hub", one.hub.clone()), ("subject", one.subject.clone())];
    let events = publications.iter().map(|one| (labels(one), Value::Counter(one.sent.total)));
    let bytes = publications.iter().map(|one| (labels(one), Value::Counter(one.sent_bytes.total)));
    vec![
        family(
            "ephapse_subject_events_sent",
            None,
            "Events that a hub has published on a subject",
            events,
        ),
        family("ephapse_subject_sent", Some(Unit::Bytes), "Bytes of their payloads", bytes),
    ]
}

fn of_links(links: &[LinkRow]) -> Vec<Family> {
    let ends = |row: &LinkRow| vec![("from", row.from.clone()), ("to", row.to.clone())];
    let with_way = |row: &LinkRow| [ends(row), vec![("way", row.way.name().to_owned())]].concat();
    let counter = |get: fn(&LinkRow) -> Option<u64>, labels: &dyn Fn(&LinkRow) -> Labels| {
        let found = links.iter().filter_map(|row| Some((labels(row), Value::Counter(get(row)?))));
        found.collect::<Vec<_>>()
    };
    let gauge = |get: fn(&LinkRow) -> Option<u64>, labels: &dyn Fn(&LinkRow) -> Labels| {
        let found =
            links.iter().filter_map(|row| Some((labels(row), Value::Gauge(get(row)? as f64))));
        found.collect::<Vec<_>>()
    };
    let sent = counter(|row| Some(row.sent?.total), &ends);
    let sent_bytes = counter(|row| Some(row.sent_bytes?.total), &ends);
    let received = counter(|row| Some(row.received?.total), &ends);
    let written = counter(|row| Some(row.written_bytes?.total), &with_way);
    let read = counter(|row| Some(row.read_bytes?.total), &with_way);
    let behind = gauge(|row| row.behind_events, &ends);
    let behind_bytes = gauge(|row| row.behind_bytes, &with_way);
    let suspended = gauge(|row| (row.way == Way::Lane).then_some(u64::from(row.suspended)), &ends);
    let bytes = Some(Unit::Bytes);
    vec![
        family("ephapse_link_events_sent", None, "Events sent directly over a link", sent),
        family("ephapse_link_sent", bytes.clone(), "Bytes of their payloads", sent_bytes),
        family(
            "ephapse_link_events_received",
            None,
            "Events received directly over a link",
            received,
        ),
        family(
            "ephapse_link_events_behind",
            None,
            "Events sent directly that have not been received",
            behind,
        ),
        family(
            "ephapse_ring_written",
            bytes.clone(),
            "Bytes of a ring of published events that were written",
            written,
        ),
        family(
            "ephapse_ring_read",
            bytes.clone(),
            "Of these, how many the slowest reader there has read",
            read,
        ),
        family(
            "ephapse_ring_behind",
            bytes,
            "Bytes that the slowest reader there has not read",
            behind_bytes,
        ),
        family(
            "ephapse_lane_suspended",
            None,
            "1 if what is published goes by broadcast because the lane stands still",
            suspended,
        ),
    ]
}

fn latencies(hubs: &[&HubCounters]) -> Family {
    let series = hubs.iter().flat_map(|hub| {
        latency::buckets(hub).into_iter().map(|(from, way, buckets)| {
            let way = way.name().to_owned();
            let labels = vec![("from", from), ("to", hub.name.clone()), ("way", way)];
            (labels, Value::Histogram(buckets))
        })
    });
    let help = "Time from sending to receiving, of a sample of events; the sum is worked out from the buckets";
    family("ephapse_event_latency", Some(Unit::Seconds), help, series)
}
