//! Who publishes and who subscribes, and what follows from it.

use super::edges::{Ties, Told};
use super::flight::Count;
use super::registry::{Connection, Registry};
use super::serve::Fault;
use crate::event::subject::{Pattern, check_subject};
use crate::limits::{
    EDGES_MAX, PATTERNS_MAX, PENDING_REQUESTS_PER_HUB_MAX, SUBJECTS_MAX, SUBJECTS_PER_HUB_MAX,
    SUBJECTS_PER_PAGE, SUBSCRIPTIONS_PER_HUB_MAX,
};
use crate::protocol::{Edge, RefusalCode, SubjectInfo, ToHub, clean_reason};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

/// A hub's part in the bus.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The ring that it publishes on.
    pub broadcast: Option<Broadcast>,
    /// The numbers of the subjects that it publishes on.
    pub declared: BTreeSet<u32>,
    pub subscriptions: BTreeMap<u32, Subscription>,
    pub ties: Ties,
}

/// A ring that all who follow a hub read.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub ring: OwnedFd,
    pub capacity: u64,
    /// Where the hub says at which position a subscription begins.
    pub cursors: OwnedFd,
    /// By which others see that the hub is gone.
    pub bell: OwnedFd,
}

/// What a hub wants to read.
#[derive(Debug)]
pub(super) struct Subscription {
    patterns: Vec<Pattern>,
    pub gating: bool,
    pub bell_slot: u32,
    /// Where it says how far it has read.
    pub cursors: OwnedFd,
    pub bell: OwnedFd,
}

impl Subscription {
    fn wants(&self, subject: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(subject))
    }
}

/// What a hub says of a subscription, without its descriptors.
#[derive(Debug)]
pub(super) struct Wish {
    pub request: u32,
    pub subscription: u32,
    pub patterns: Vec<String>,
    pub gating: bool,
    pub bell_slot: u32,
}

type Refusal = (RefusalCode, String);

fn limit(reason: String) -> Refusal {
    (RefusalCode::LimitReached, reason)
}

impl Registry {
    /// A hub will publish. It may say so again, for those who come to read it from then on.
    pub(super) fn broadcast(&mut self, from: u64, capacity: u64, descriptors: Vec<OwnedFd>) {
        let Ok([ring, cursors, bell]) = <[OwnedFd; 3]>::try_from(descriptors) else { return };
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.bus.broadcast = Some(Broadcast { ring, capacity, cursors, bell });
        }
    }

    /// A hub will publish on a subject: who has subscribed to it is told.
    pub(super) fn declare(
        &mut self,
        from: u64,
        request: u32,
        subject: &str,
        known: u32,
    ) -> Result<(), Fault> {
        if self.connections.get(&from).is_none_or(|c| c.bus.broadcast.is_none()) {
            return Err("publishes without a ring".to_owned());
        }
        let wanting = self.wanting(from, subject);
        let id = match self.publish(from, request, subject, known, &wanting) {
            Ok(id) => id,
            Err(refusal) => {
                self.turn_down(from, request, refusal);
                return Ok(());
            }
        };
        let mut awaited = Vec::with_capacity(wanting.len());
        for edge in wanting {
            awaited.push((edge, self.tie(edge, id)));
        }
        let answer = ToHub::Declared { request, id };
        if request == 0 {
            // One that came back does not wait: it has been publishing all the time.
            self.tell(from, &answer, Vec::new());
        } else {
            self.answer_after(from, answer, &awaited);
        }
        Ok(())
    }

    /// The number by which a hub publishes on a subject from now on.
    fn publish(
        &mut self,
        from: u64,
        request: u32,
        subject: &str,
        known: u32,
        wanting: &[Edge],
    ) -> Result<u32, Refusal> {
        check_subject(subject)
            .map_err(|error| (RefusalCode::InvalidSubject, format!("{error} (in {subject:?})")))?;
        self.may_wait(from, request)?;
        let new = wanting.iter().filter(|edge| !self.edges.contains_key(edge)).count();
        check_edges(self.edges.len(), new)?;
        let gone = || (RefusalCode::HubGone, "the hub has gone".to_owned());
        let connection = self.connections.get_mut(&from).ok_or_else(gone)?;
        let declared = &mut connection.bus.declared;
        let ids = self.subjects.ids(subject);
        if let Some(id) = ids.iter().find(|id| declared.contains(id)) {
            return Ok(*id);
        }
        if declared.len() >= SUBJECTS_PER_HUB_MAX {
            let reason = format!("a hub publishes on {SUBJECTS_PER_HUB_MAX} subjects at most");
            return Err(limit(reason));
        }
        let id = self.subjects.choose(subject, known, connection.resumed).ok_or_else(|| {
            limit(format!("this domain has its maximum of {SUBJECTS_MAX} subjects"))
        })?;
        if known != 0 && id != known {
            tracing::warn!(subject, known, id, "a subject has another number now");
        }
        declared.insert(id);
        self.subjects.publish(id, subject);
        Ok(id)
    }

    /// The edges that lead from a hub to all who want a subject.
    fn wanting(&self, source: u64, subject: &str) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (&reader, connection) in &self.connections {
            let subscriptions = connection.bus.subscriptions.iter();
            let wanting = subscriptions.filter(|(_, subscription)| subscription.wants(subject));
            edges.extend(wanting.map(|(&subscription, _)| Edge { source, reader, subscription }));
        }
        edges
    }

    /// The numbers of all subjects of an edge's source that its subscription wants.
    pub(super) fn wanted_of(&self, edge: Edge) -> Vec<u32> {
        let Some(reader) = self.connections.get(&edge.reader) else { return Vec::new() };
        let Some(subscription) = reader.bus.subscriptions.get(&edge.subscription) else {
            return Vec::new();
        };
        let Some(source) = self.connections.get(&edge.source) else { return Vec::new() };
        self.wanted(source, subscription).collect()
    }

    fn wanted<'a>(
        &'a self,
        source: &'a Connection,
        subscription: &'a Subscription,
    ) -> impl Iterator<Item = u32> + 'a {
        let wants = |id: &u32| self.subjects.name(*id).is_some_and(|name| subscription.wants(name));
        source.bus.declared.iter().copied().filter(wants)
    }

    /// A hub subscribes: who publishes what it wants is told.
    pub(super) fn subscribe(&mut self, from: u64, wish: Wish, descriptors: Vec<OwnedFd>) {
        let Ok([cursors, bell]) = <[OwnedFd; 2]>::try_from(descriptors) else { return };
        let Wish { request, subscription: number, patterns, gating, bell_slot } = wish;
        let patterns = match self.may_subscribe(from, request, number, &patterns) {
            Ok(patterns) => patterns,
            Err(refusal) => return self.turn_down(from, request, refusal),
        };
        self.end_subscription(from, number, Told::Both);
        let subscription = Subscription { patterns, gating, bell_slot, cursors, bell };
        let mut edges = Vec::new();
        for (&source, connection) in &self.connections {
            if self.wanted(connection, &subscription).next().is_some() {
                edges.push(Edge { source, reader: from, subscription: number });
            }
        }
        if let Err(refusal) = check_edges(self.edges.len(), edges.len()) {
            return self.turn_down(from, request, refusal);
        }
        let Some(connection) = self.connections.get_mut(&from) else { return };
        connection.bus.subscriptions.insert(number, subscription);
        self.flight.add(Count::Subscriptions);
        let mut awaited = Vec::with_capacity(edges.len());
        for edge in edges {
            awaited.push((edge, self.tie_anew(edge)));
        }
        if request != 0 {
            self.answer_after(from, ToHub::Subscribed { request }, &awaited);
        }
    }

    fn may_subscribe(
        &self,
        from: u64,
        request: u32,
        number: u32,
        patterns: &[String],
    ) -> Result<Vec<Pattern>, Refusal> {
        let subscriptions = self.connections.get(&from).map(|c| &c.bus.subscriptions);
        let exists = subscriptions.is_some_and(|all| all.contains_key(&number));
        if exists && request != 0 {
            let reason = format!("the hub has a subscription of number {number} already");
            return Err((RefusalCode::Failed, reason));
        }
        let count = subscriptions.map_or(0, BTreeMap::len);
        if !exists && count >= SUBSCRIPTIONS_PER_HUB_MAX {
            let reason = format!("a hub has {SUBSCRIPTIONS_PER_HUB_MAX} subscriptions at most");
            return Err(limit(reason));
        }
        self.may_wait(from, request)?;
        if patterns.is_empty() {
            let reason = "a subscription has at least one pattern".to_owned();
            return Err((RefusalCode::InvalidSubject, reason));
        }
        if patterns.len() > PATTERNS_MAX {
            let found = patterns.len();
            let reason =
                format!("a subscription has {PATTERNS_MAX} patterns at most, this one has {found}");
            return Err(limit(reason));
        }
        let pattern = |text: &String| {
            let wrong = |error| (RefusalCode::InvalidSubject, format!("{error} (in {text:?})"));
            Pattern::new(text).map_err(wrong)
        };
        patterns.iter().map(pattern).collect()
    }

    /// Whether a hub may wait for one more answer.
    fn may_wait(&self, hub: u64, request: u32) -> Result<(), Refusal> {
        if request == 0 || self.notices.of(hub) < PENDING_REQUESTS_PER_HUB_MAX {
            return Ok(());
        }
        let bound = PENDING_REQUESTS_PER_HUB_MAX;
        Err(limit(format!("a hub waits for {bound} publishers and subscriptions at most")))
    }

    /// Refuses a request; what nobody asked for, because it was there before a restart, can only
    /// be reported.
    fn turn_down(&mut self, hub: u64, request: u32, (code, reason): Refusal) {
        if request == 0 {
            self.flight.fault(&format!("something of before the restart is lost: {reason}"));
            return tracing::error!(hub, reason, "something of before the restart is lost");
        }
        self.refuse(hub, request, code, clean_reason(&reason));
    }

    /// A subscription is over.
    pub(super) fn unsubscribe(&mut self, from: u64, number: u32) {
        self.end_subscription(from, number, Told::Publisher);
    }

    fn end_subscription(&mut self, reader: u64, number: u32, told: Told) {
        let Some(connection) = self.connections.get_mut(&reader) else { return };
        if connection.bus.subscriptions.remove(&number).is_none() {
            return;
        }
        self.flight.subtract(Count::Subscriptions, 1);
        let its = |edge: &&Edge| edge.reader == reader && edge.subscription == number;
        let edges: Vec<_> = connection.bus.ties.edges.iter().filter(its).copied().collect();
        edges.into_iter().for_each(|edge| self.end_edge(edge, told, false));
    }

    /// A hub has no connection any more. Nothing is known of what it publishes and subscribes to;
    /// the others are `told` that it is over, or see by themselves when it is.
    pub(super) fn part_from_bus(&mut self, hub: u64, part: &Part, told: bool) {
        for &edge in &part.ties.edges {
            let other = if edge.source == hub { Told::Subscriber } else { Told::Publisher };
            self.end_edge(edge, if told { other } else { Told::Nobody }, true);
        }
        part.declared.iter().for_each(|id| self.subjects.retire(*id));
        self.flight.subtract(Count::Subscriptions, part.subscriptions.len());
    }

    /// A page of the list of subjects.
    pub(super) fn list_subjects(&mut self, from: u64, request: u32, after: &str) {
        let mut rest = self.subjects.after(after);
        let page = rest.by_ref().take(SUBJECTS_PER_PAGE);
        let subjects: Vec<_> = page
            .map(|(subject, id)| SubjectInfo {
                subject: subject.to_owned(),
                id,
                publishers: self.subjects.publishers(subject),
                subscriptions: self.subscriptions_to(subject),
            })
            .collect();
        let more = rest.next().is_some();
        drop(rest);
        self.tell(from, &ToHub::SubjectList { request, subjects, more }, Vec::new());
    }

    fn subscriptions_to(&self, subject: &str) -> u32 {
        let all = self.connections.values().flat_map(|c| c.bus.subscriptions.values());
        all.filter(|subscription| subscription.wants(subject)).count() as u32
    }
}

fn check_edges(there: usize, new: usize) -> Result<(), Refusal> {
    if there + new <= EDGES_MAX {
        return Ok(());
    }
    Err(limit(format!(
        "this domain has {there} pairs of a subscription and a hub that it reads; {new} more would \
         be above the maximum of {EDGES_MAX}"
    )))
}
