//! What a hub counts, for itself and for tools; see [`counters`](crate::counters) for what each
//! counter means.

use super::Hub;
use super::bus::Path;
use super::receive::RecvError;
use crate::counters::with_sums;
use crate::domain::Domain;
use crate::limits::COUNTER_LABEL_MAX;
use crate::segment::{Counter, Counters, Owner, SegmentError};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes at the end of a name that stay when it is shortened: names often differ there.
const END: usize = 10;

/// `lane.PEER.position`, with a name that is too long shortened in its middle. (Names are ASCII.)
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
}

/// What has been sent directly over one link. It stays when that is closed.
#[derive(Debug)]
pub(crate) struct LinkTally {
    own: Counter,
    all: Arc<Counter>,
    table: Counters,
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
        let links_sent = Arc::new(counter("links.sent"));
        let undescribed = counter("schemas.dropped");
        Ok((Self { table, received, subscriptions, links, links_sent, undescribed }, given))
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
        Taken { own, all: Arc::clone(&self.received), table: self.table.clone() }
    }

    /// The counter of a link.
    pub(super) fn link(&self, peer: &str) -> LinkTally {
        let own = self.table.counter(&label("link.", peer, ".sent"));
        LinkTally { own, all: Arc::clone(&self.links_sent), table: self.table.clone() }
    }
}

impl Given {
    /// An event has been sent; it is the hub's `sequence`th.
    #[inline(always)]
    pub(super) fn event(&self, sequence: u64, path: Path, bytes: usize) {
        self.sent.set(sequence);
        self.bytes.add(bytes as u64);
        if path == Path::Links { self.links.add(1) } else { self.broadcast.add(1) }
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
    /// An event has been received.
    #[inline(always)]
    pub(super) fn event(&self, bytes: usize) {
        self.own.events.add(1);
        self.own.bytes.add(bytes as u64);
    }

    /// So many events of a hub have been missed.
    pub(super) fn lagged(&self, hub: Arc<str>, missed: u64) -> RecvError {
        self.own.missed.add(missed);
        RecvError::Lagged { hub, missed }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Self { own, all, table } = self;
        table.fold(&own.events, &all.events);
        table.fold(&own.bytes, &all.bytes);
        table.fold(&own.missed, &all.missed);
    }
}

impl LinkTally {
    pub(super) fn set(&self, sent: u64) {
        self.own.set(sent);
    }
}

impl Drop for LinkTally {
    fn drop(&mut self) {
        self.table.fold(&self.own, &self.all);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NAME_MAX;

    #[test]
    fn labels_fit() {
        assert_eq!(label("lane.", "camera", ".position"), "lane.camera.position");
        for len in 1..=NAME_MAX {
            let name: String = ('a'..='z').cycle().take(len).collect();
            for (before, after) in [("lane.", ".suspended"), ("link.", ".sent")] {
                let label = label(before, &name, after);
                let whole = before.len() + len + after.len();
                assert_eq!(label.len(), whole.min(COUNTER_LABEL_MAX), "{label}");
                assert_eq!(label.contains('~'), whole > COUNTER_LABEL_MAX, "{label}");
                assert!(
                    label.starts_with(before)
                        && label.ends_with(&format!("{}{after}", &name[len.saturating_sub(END)..]))
                );
            }
        }
    }
}
