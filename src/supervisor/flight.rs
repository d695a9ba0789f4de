//! The flight recorder: what the supervisor counts and what troubles it has, for those who look at
//! it from outside; see [`counters::flight`](crate::counters::flight).

use super::registry::Registry;
use crate::counters::{self, began};
use crate::domain::Domain;
use crate::segment::{Counter, FlightFile, Owner};
use std::time::SystemTime;

/// Writes into the domain's file, if that could be made.
#[derive(Debug, Default)]
pub(super) struct Flight(Option<Recorder>);

#[derive(Debug)]
struct Recorder {
    counts: [Counter; LABELS.len()],
    file: FlightFile,
}

/// What is counted, in the order of `LABELS`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    Hubs,
    Links,
    Subjects,
    Subscriptions,
    Edges,
    Joins,
    Leaves,
    Messages,
    Refusals,
    Faults,
    Epoch,
}

const LABELS: [&str; 11] = [
    "hubs",
    "links",
    "subjects",
    "subscriptions",
    "edges",
    "joins",
    "leaves",
    "messages",
    "refusals",
    "faults",
    "epoch",
];

const _: () = assert!(Count::Epoch as usize + 1 == LABELS.len());

/// Hubs that the supervisor before had when it ended: they may come back.
pub(super) fn hubs_before(domain: &Domain) -> u64 {
    counters::flight(domain).ok().and_then(|flight| flight.get("hubs")).unwrap_or(0)
}

impl Flight {
    /// Made anew by each supervisor, which holds the domain's lock. One that cannot have it does
    /// its work without.
    pub(super) fn begin(domain: &Domain, epoch: u32) -> Self {
        let pid = std::process::id();
        let owner = Owner {
            name: "supervisor".to_owned(),
            id: epoch.into(),
            pid,
            domain: domain.text(),
            since: SystemTime::now(),
            started: began(pid).map_or(0, |(_, at)| at),
        };
        let file = match FlightFile::create(&domain.flight(), &owner) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(%error, "no flight recorder");
                return Self(None);
            }
        };
        let counts = LABELS.map(|label| file.counter(label));
        let flight = Self(Some(Recorder { counts, file }));
        flight.set(Count::Epoch, epoch.into());
        flight
    }

    pub(super) fn add(&self, count: Count) {
        if let Some(recorder) = &self.0 {
            recorder.counts[count as usize].add(1);
        }
    }

    pub(super) fn subtract(&self, count: Count, less: usize) {
        if let Some(recorder) = &self.0 {
            let counter = &recorder.counts[count as usize];
            counter.set(counter.get().saturating_sub(less as u64));
        }
    }

    fn set(&self, count: Count, value: u64) {
        if let Some(recorder) = &self.0 {
            recorder.counts[count as usize].set(value);
        }
    }

    /// Something is wrong, with a hub or with ourselves.
    pub(super) fn fault(&mut self, text: &str) {
        if let Some(recorder) = &mut self.0 {
            recorder.counts[Count::Faults as usize].add(1);
            recorder.file.note(text);
        }
    }

    /// Something is worth a line, and no fault.
    pub(super) fn note(&mut self, text: &str) {
        if let Some(recorder) = &mut self.0 {
            recorder.file.note(text);
        }
    }

    /// The supervisor ends, but not because it was asked to: the file stays.
    pub(super) fn crash(&mut self, text: &str) {
        self.fault(text);
        if let Some(recorder) = &mut self.0 {
            recorder.file.keep();
        }
    }

    /// The end: the file is removed, unless it is to stay.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }
}

impl Registry {
    /// The next supervisor should know that there are hubs which may come back.
    pub(super) fn leave_word(&mut self) {
        if !self.names.is_empty()
            && let Some(recorder) = &mut self.flight.0
        {
            recorder.file.keep();
        }
    }

    /// Counts what is there.
    pub(super) fn take_stock(&self) {
        self.flight.set(Count::Hubs, self.names.len() as u64);
        self.flight.set(Count::Links, self.links.len() as u64);
        self.flight.set(Count::Subjects, self.subjects.len() as u64);
        self.flight.set(Count::Edges, self.edges.len() as u64);
    }

    /// A hub, or who wants to be one, did what no hub of ours does, or cannot be served.
    pub(super) fn fault(&mut self, hub: u64, why: String) {
        let connection = self.connections.get(&hub);
        let name = connection.and_then(|c| c.name.as_deref()).unwrap_or("(unnamed)");
        let pid = connection.map_or(0, |c| c.pid);
        self.flight.fault(&format!("hub {name} (pid {pid}): {why}"));
        self.doom(hub, why);
    }
}
