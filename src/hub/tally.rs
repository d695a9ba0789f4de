//! What a hub counts, for itself and for tools; see [`counters`](crate::counters) for what each
//! counter means.

mod sample;

use self::sample::{Sample, time};
use super::Hub;
use super::bus::Path;
use super::receive::RecvError;
use crate::counters::{Histogram, by_label, with_sums};
use crate::domain::Domain;
use crate::limits::COUNTER_LABEL_MAX;
use crate::segment::{Counter, Counters, Owner, SegmentError, Times};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes at the end of a name that stay when it is shortened: names often differ there.
const END: usize = 10;

/// `subject.NAME.sent`, with a name that is too long shortened in its middle. (Names are ASCII.)
fn label(before: &str, name: &str, after: &str) -> String {
    let room = COUNTER_LABEL_MAX - before.len() - after.len();
    match (name.get(..room - END - 1), name.get(name.len().saturating_sub(END)..)) {
        (Some(start), Some(end)) if name.len() > room => format!("{before}{start}~{end}{after}"),
        _ => format!("{before}{name}{after}"),
    }
}

/// The counters of a hub.
#[derive(Debug)]
pub(crate) struct Tally {
    pub table: Counters,
    /// Of subscriptions that are over.
    received: Arc<Received>,
    /// Set by the control thread.
    pub subscriptions: Counter,
    pub links: Counter,
    /// Over links that are closed.
    links_sent: Arc<Counter>,
    links_received: Arc<Counter>,
    woken: Arc<Counter>,
    /// Types of which nothing could be said.
    undescribed: Counter,
}

/// What is counted where events are sent: the outbox's.
#[derive(Debug)]
pub(crate) struct Given {
    table: Counters,
    sent: Counter,
    bytes: Counter,
    links: Counter,
    broadcast: Counter,
    pub nobody: Counter,
    pub full: Counter,
    /// Counted by several threads.
    pub woken: Arc<Counter>,
    pub overtaken: Counter,
    pub position: Counter,
}

/// Events that have been received, or missed.
#[derive(Debug)]
struct Received {
    events: Counter,
    bytes: Counter,
    missed: Counter,
}

/// What is counted where events are received: a subscription's. It stays when that is over.
#[derive(Debug)]
pub(crate) struct Taken {
    own: Received,
    all: Arc<Received>,
    table: Counters,
    number: u32,
    sample: Sample,
}

/// What has been sent directly over one link. The number of events stays when that is closed.
#[derive(Debug)]
pub(crate) struct LinkTally {
    sent: Counter,
    bytes: Counter,
    all: Arc<Counter>,
    woken: Arc<Counter>,
    table: Counters,
}

/// What has been received directly over one link. It stays in the same way.
#[derive(Debug)]
pub(crate) struct InletTally {
    received: Counter,
    sample: Sample,
    latency: Times,
    all: Arc<Counter>,
    table: Counters,
}

/// What has been published on one subject.
#[derive(Debug)]
pub(crate) struct SubjectTally {
    sent: Counter,
    bytes: Counter,
}

/// How far the rings of a hub have been read, and how long its events were on their way.
#[derive(Debug)]
pub(crate) struct SourceTally {
    pub broadcast: PortTally,
    pub lane: PortTally,
}

/// The same for one of them.
#[derive(Debug)]
pub(crate) struct PortTally {
    position: Counter,
    /// What it says.
    noted: u64,
    latency: Times,
}

/// What is counted of the ring to one hub.
#[derive(Debug)]
pub(crate) struct LaneTally {
    pub position: Counter,
    pub suspended: Counter,
}

impl Tally {
    /// The counters of a hub that has joined, and of its outbox.
    pub(super) fn new(domain: &Domain, name: &str, id: u64) -> Result<(Self, Given), SegmentError> {
        let owner = Owner {
            name: name.to_owned(),
            id,
            pid: std::process::id(),
            domain: domain.text(),
            since: SystemTime::now(),
            started: 0,
        };
        let table = Counters::create(&owner)?;
        let counter = |label| table.counter(label);
        let given = Given {
            sent: counter("sent"),
            bytes: counter("sent.bytes"),
            links: counter("sent.links"),
            broadcast: counter("sent.broadcast"),
            nobody: counter("sent.nobody"),
            full: counter("full"),
            woken: Arc::new(counter("woken")),
            overtaken: counter("overtaken"),
            position: counter("broadcast.position"),
            table: table.clone(),
        };
        let received = Arc::new(Received::new(&table, ""));
        let (subscriptions, links) = (counter("subscriptions"), counter("links"));
        let [links_sent, links_received] =
            ["links.sent", "links.received"].map(|label| Arc::new(counter(label)));
        let woken = Arc::clone(&given.woken);
        let undescribed = counter("schemas.dropped");
        let tally = Self {
            table,
            received,
            subscriptions,
            links,
            links_sent,
            links_received,
            woken,
            undescribed,
        };
        Ok((tally, given))
    }

    /// Says what events of a schema are, once.
    pub(super) fn describe(&self, id: u64, name: &str, version: u32, layout: &str) {
        if !self.table.describe(id, name, version, layout) {
            self.undescribed.add_with_others(1);
        }
    }

    /// The counters of a subscription.
    pub(super) fn subscription(&self, number: u32) -> Taken {
        let own = Received::new(&self.table, &format!("sub.{number}."));
        Taken {
            own,
            all: Arc::clone(&self.received),
            table: self.table.clone(),
            number,
            sample: Sample::default(),
        }
    }

    /// The counters of a link's sending half.
    pub(super) fn link(&self, peer: &str) -> LinkTally {
        LinkTally {
            sent: self.table.counter(&label("link.", peer, ".sent")),
            bytes: self.table.counter(&label("link.", peer, ".sent.bytes")),
            all: Arc::clone(&self.links_sent),
            woken: Arc::clone(&self.woken),
            table: self.table.clone(),
        }
    }

    /// The counters of its receiving half.
    pub(super) fn inlet(&self, peer: &str) -> InletTally {
        InletTally {
            received: self.table.counter(&label("link.", peer, ".received")),
            sample: Sample::default(),
            latency: self.table.times(&label("link.", peer, "")),
            all: Arc::clone(&self.links_received),
            table: self.table.clone(),
        }
    }
}

impl Given {
    /// An event has been sent; it is the hub's `sequence`th.
    #[inline(always)]
    pub(super) fn event(&self, sequence: u64, path: Path, bytes: usize) {
        self.sent.set(sequence);
        self.bytes.add(bytes as u64);
        let by = if path == Path::Links { &self.links } else { &self.broadcast };
        by.add(1);
    }

    /// The counters of a subject.
    pub(super) fn subject(&self, name: &str) -> SubjectTally {
        SubjectTally {
            sent: self.table.counter(&label("subject.", name, ".sent")),
            bytes: self.table.counter(&label("subject.", name, ".sent.bytes")),
        }
    }

    /// The counters of the ring to a hub.
    pub(super) fn lane(&self, peer: &str) -> LaneTally {
        LaneTally {
            position: self.table.counter(&label("lane.", peer, ".position")),
            suspended: self.table.counter(&label("lane.", peer, ".suspended")),
        }
    }
}

impl Received {
    fn new(table: &Counters, before: &str) -> Self {
        let counter = |label| table.counter(&format!("{before}{label}"));
        let (events, bytes) = (counter("received"), counter("received.bytes"));
        Self { events, bytes, missed: counter("missed") }
    }
}

impl Taken {
    /// An event has been received; whether it is one that is looked at more closely, for so many.
    #[inline(always)]
    pub(super) fn event(&mut self, bytes: usize, slept: bool) -> Option<u64> {
        self.own.bytes.add(bytes as u64);
        self.sample.weight(self.own.events.add(1), slept)
    }

    /// The counters of a hub that the subscription hears.
    pub(super) fn source(&self, peer: &str) -> SourceTally {
        let before = format!("sub.{}.", self.number);
        let port = |what: &str, way: &str| PortTally {
            noted: 0,
            position: self.table.counter(&label(&before, peer, what)),
            latency: self.table.times(&label(way, peer, "")),
        };
        SourceTally { broadcast: port(".broadcast", "broadcast."), lane: port(".lane", "link.") }
    }

    /// So many events of a hub have been missed.
    pub(super) fn lagged(&self, hub: Arc<str>, missed: u64) -> RecvError {
        self.own.missed.add(missed);
        RecvError::Lagged { hub, missed }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Self { own, all, table, .. } = self;
        table.fold(&own.events, &all.events);
        table.fold(&own.bytes, &all.bytes);
        table.fold(&own.missed, &all.missed);
    }
}

impl LinkTally {
    /// So many events have been sent so far, the last ones of so many bytes.
    #[inline(always)]
    pub(super) fn sent(&self, events: u64, bytes: usize) {
        self.sent.set(events);
        self.bytes.add(bytes as u64);
    }

    /// The reader slept, and has been woken.
    pub(super) fn woke(&self) {
        self.woken.add_with_others(1);
    }
}

impl Drop for LinkTally {
    fn drop(&mut self) {
        self.table.fold(&self.sent, &self.all);
    }
}

impl InletTally {
    /// An event has been received.
    #[inline(always)]
    pub(super) fn received(&self) {
        self.received.add(1);
    }

    /// The next event to be received was sent at this moment. Not where most are received: the
    /// branch alone, taken every 128th time, costs a stream of events a tenth of its speed.
    pub(super) fn look(&mut self, timestamp: u64, slept: bool) {
        if let Some(weight) = self.sample.weight(self.received.get() + 1, slept) {
            time(&self.latency, timestamp, weight);
        }
    }
}

impl Drop for InletTally {
    fn drop(&mut self) {
        self.table.fold(&self.received, &self.all);
    }
}

impl SubjectTally {
    /// An event has been sent.
    #[inline(always)]
    pub(super) fn event(&self, bytes: usize) {
        self.sent.add(1);
        self.bytes.add(bytes as u64);
    }
}

impl PortTally {
    /// The ring has been read up to here.
    #[inline(always)]
    pub(super) fn at(&mut self, position: u64) {
        if self.noted != position {
            self.noted = position;
            self.position.set(position);
        }
    }

    /// An event with this timestamp has been received over it, which stands for so many.
    pub(super) fn received(&self, timestamp: u64, weight: u64) {
        time(&self.latency, timestamp, weight);
    }
}

impl Hub {
    /// What it has counted so far, see [`counters`](crate::counters); nothing in a forked child.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        if !self.process.is_current() {
            return Vec::new();
        }
        with_sums(self.shared.tally.table.rows())
    }

    /// How long the events were on their way that it has received, by label, see
    /// [`counters`](crate::counters); nothing in a forked child.
    #[must_use]
    pub fn latencies(&self) -> BTreeMap<String, Histogram> {
        if !self.process.is_current() {
            return BTreeMap::new();
        }
        by_label(self.shared.tally.table.latencies())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{NAME_MAX, SUBJECT_MAX};

    #[test]
    fn labels_fit() {
        assert_eq!(label("lane.", "camera", ".position"), "lane.camera.position");
        for len in 1..=NAME_MAX {
            let name: String = ('a'..='z').cycle().take(len).collect();
            for (before, after) in [("sub.4294967295.", ".broadcast"), ("broadcast.", ".latency")] {
                assert_eq!(label(before, &name, after), format!("{before}{name}{after}"));
            }
        }
        for len in 1..=SUBJECT_MAX {
            let name: String = ('a'..='z').cycle().take(len).collect();
            let (before, after) = ("subject.", ".sent.bytes");
            let label = label(before, &name, after);
            let whole = before.len() + len + after.len();
            assert_eq!(label.len(), whole.min(COUNTER_LABEL_MAX), "{label}");
            assert_eq!(label.contains('~'), whole > COUNTER_LABEL_MAX, "{label}");
            let end = format!("{}{after}", &name[len.saturating_sub(END)..]);
            assert!(label.starts_with(before) && label.ends_with(&end), "{label}");
        }
    }
}
