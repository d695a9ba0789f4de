//! The figures that thresholds are about.

use std::collections::BTreeMap;

use ephapse::counters::ProcessState;
use serde::{Serialize, Serializer};

use super::threshold::Threshold;
use crate::ui::format;
use crate::watch::model::{Count, HubRow, Model, state_name};
use crate::watch::sight::Sights;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    PerSecond,
    Bytes,
    Seconds,
}

impl Unit {
    /// For people.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Unit::Count => format::count(value as u64),
            Unit::PerSecond => format::rate(value),
            Unit::Bytes => format::bytes(value as u64),
            Unit::Seconds => format::nanoseconds((value * 1e9) as u64),
        }
    }

    /// As Nagios wants it behind a figure.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Unit::Count | Unit::PerSecond => "",
            Unit::Bytes => "B",
            Unit::Seconds => "s",
        }
    }
}

/// A figure that there can be.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// There is a rate of it, too.
    pub(super) grows: bool,
}

const fn grows(name: &'static str, unit: Unit) -> Figure {
    Figure { name, unit, grows: true }
}

const fn stands(name: &'static str, unit: Unit) -> Figure {
    Figure { name, unit, grows: false }
}

/// All of them.
pub(super) const FIGURES: [Figure; 19] = [
    stands("hubs", Unit::Count),
    stands("links", Unit::Count),
    stands("subscriptions", Unit::Count),
    grows("sent", Unit::Count),
    grows("sent.bytes", Unit::Bytes),
    grows("received", Unit::Count),
    grows("received.bytes", Unit::Bytes),
    grows("missed", Unit::Count),
    grows("overtaken", Unit::Count),
    grows("full", Unit::Count),
    grows("woken", Unit::Count),
    grows("unwanted", Unit::Count),
    stands("behind", Unit::Bytes),
    stands("latency.p50", Unit::Seconds),
    stands("latency.p99", Unit::Seconds),
    stands("faults", Unit::Count),
    stands("refusals", Unit::Count),
    stands("troubles", Unit::Count),
    stands("answer", Unit::Seconds),
];

/// Which of them Nagios is given.
const PERFORMANCE: [&str; 9] = [
    "hubs",
    "links",
    "subscriptions",
    "sent",
    "received",
    "missed",
    "overtaken",
    "behind",
    "answer",
];

/// What they are.
#[derive(Debug, Default)]
pub(super) struct Values(BTreeMap<String, (f64, Unit)>);

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, (value, _))| (name, value)))
    }
}

/// The hubs that were asked for and are not there.
pub(super) fn missing<'a>(sights: &Sights, wanted: &'a [String]) -> Vec<&'a str> {
    let there = |name: &String| sights.now.hubs.iter().any(|hub| hub.name == *name);
    wanted.iter().filter(|name| !there(name)).map(String::as_str).collect()
}

/// What has become of the supervisor's process, unless it runs.
pub(super) fn not_running(sights: &Sights) -> Option<&'static str> {
    let state = sights.now.supervisor.as_ref().ok()?.process;
    (state != ProcessState::Running).then(|| state_name(state))
}

impl Values {
    /// Of all hubs, or of those of these names.
    pub(super) fn of(sights: &Sights, names: &[String]) -> Values {
        let model = sights.model();
        let hubs: Vec<&HubRow> =
            model.hubs.iter().filter(|hub| names.is_empty() || names.contains(&hub.hub)).collect();
        let mut values = Values::default();
        values.add("hubs", hubs.len() as f64, Unit::Count);
        let sum = |get: fn(&HubRow) -> u64| hubs.iter().map(|hub| get(hub) as f64).sum::<f64>();
        values.add("links", sum(|hub| hub.links), Unit::Count);
        values.add("subscriptions", sum(|hub| hub.subscriptions), Unit::Count);
        let most = hubs.iter().map(|hub| hub.behind_bytes).max().unwrap_or(0);
        values.add("behind", most as f64, Unit::Bytes);
        type Get = fn(&HubRow) -> Count;
        let counts: [(&str, Unit, Get); 9] = [
            ("sent", Unit::Count, |hub| hub.sent),
            ("sent.bytes", Unit::Bytes, |hub| hub.sent_bytes),
            ("received", Unit::Count, |hub| hub.received),
            ("received.bytes", Unit::Bytes, |hub| hub.received_bytes),
            ("missed", Unit::Count, |hub| hub.missed),
            ("overtaken", Unit::Count, |hub| hub.overtaken),
            ("full", Unit::Count, |hub| hub.full),
            ("woken", Unit::Count, |hub| hub.woken),
            ("unwanted", Unit::Count, |hub| hub.unwanted),
        ];
        for (name, unit, get) in counts {
            values.add(name, hubs.iter().map(|hub| get(hub).total as f64).sum(), unit);
            if model.seconds.is_some() {
                let rate = hubs.iter().map(|hub| get(hub).rate()).sum();
                values.add(&format!("{name}/s"), rate, Unit::PerSecond);
            }
        }
        values.add_others(&model, names, sights);
        values
    }

    fn add_others(&mut self, model: &Model, names: &[String], sights: &Sights) {
        let wanted = |name: &String| names.is_empty() || names.contains(name);
        let latencies =
            || model.links.iter().filter(|link| wanted(&link.to)).filter_map(|link| link.latency);
        if latencies().next().is_some() {
            let [p50, p99] =
                [latencies().map(|l| l.p50_ns).max(), latencies().map(|l| l.p99_ns).max()];
            self.add("latency.p50", p50.unwrap_or(0) as f64 / 1e9, Unit::Seconds);
            self.add("latency.p99", p99.unwrap_or(0) as f64 / 1e9, Unit::Seconds);
        }
        if let Ok(flight) = &sights.now.supervisor {
            for name in ["faults", "refusals"] {
                self.add(name, flight.get(name).unwrap_or(0) as f64, Unit::Count);
            }
            self.add("troubles", flight.troubles.len() as f64, Unit::Count);
        }
    }

    pub(super) fn add(&mut self, name: &str, value: f64, unit: Unit) {
        // The sum of nothing is -0.
        self.0.insert(name.to_owned(), (value + 0.0, unit));
    }

    /// What a threshold is about; nothing if there is nothing to say, such as the latency where
    /// nothing was received.
    pub(super) fn get(&self, threshold: &Threshold) -> Option<f64> {
        self.0.get(&threshold.figure).map(|(value, _)| *value)
    }

    /// When all is well.
    pub(super) fn summary(&self) -> String {
        let value = |name: &str| self.0.get(name).map_or(0.0, |(value, _)| *value) as u64;
        let [hubs, links, subscriptions] = ["hubs", "links", "subscriptions"].map(value);
        let received = format::count(value("received"));
        format!(
            "{hubs} hubs, {links} ends of links, {subscriptions} subscriptions, {received} events received"
        )
    }

    /// `'label'=value[unit];[warn];[crit]` for each.
    pub(super) fn performance(&self, warn: &[Threshold], crit: &[Threshold]) -> String {
        let asked = |name: &str| warn.iter().chain(crit).any(|threshold| threshold.figure == name);
        let shown =
            self.0.iter().filter(|(name, _)| PERFORMANCE.contains(&name.as_str()) || asked(name));
        let texts = shown.map(|(name, (value, unit))| {
            let range = |thresholds: &[Threshold]| {
                let found = thresholds.iter().find(|threshold| threshold.figure == *name);
                found.map(Threshold::range).unwrap_or_default()
            };
            let (warn, crit) = (range(warn), range(crit));
            // Nagios has a unit of its own for what only grows.
            let counted =
                *unit == Unit::Count && FIGURES.iter().any(|it| it.name == *name && it.grows);
            let unit = if counted { "c" } else { unit.suffix() };
            let text = format!("'{name}'={value}{unit};{warn};{crit}");
            text.trim_end_matches(';').to_owned()
        });
        texts.collect::<Vec<_>>().join(" ")
    }
}
