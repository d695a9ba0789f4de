//! Edges: how a subscription and a hub that publishes what it wants come together.
//!
//! For each of them, the reader is asked to follow (and says where it will tell how far it has
//! read), then the source is asked to listen (and says where the reading begins), then the reader
//! is told to begin. More subjects go the same way again, one page at a time.
//!
//! A hub is asked only so much at once ([`UNANSWERED_ASKS_MAX`]); the rest is held until it
//! answers. It answers in the order in which it was asked, each time exactly once; so an answer
//! that is not the last one due is about something that is over.

use super::registry::Registry;
use crate::limits::{SUBJECTS_PER_PAGE, UNANSWERED_ASKS_MAX};
use crate::protocol::{Edge, Subject, ToHub};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

/// What a hub is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Follow,
    Listen,
}

/// How far the subjects under way have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To be asked when the hub has answered others.
    Held(Ask),
    /// Asked.
    Asked(Ask),
    /// None are under way.
    Begun,
}

/// One subscription that reads one hub.
#[derive(Debug)]
pub(super) struct EdgeState {
    step: Step,
    /// In the order in which they are announced.
    subjects: Vec<u32>,
    /// How many of them have begun.
    begun: usize,
    /// How many have begun or are under way.
    under_way: usize,
    position_slot: u32,
    /// Whether these have been told of the edge, and so have to be told of its end.
    source_knows: bool,
    reader_knows: bool,
    /// Answers that wait until so many subjects have begun.
    waiting: Vec<(usize, u64)>,
}

/// What a hub's part in edges is.
#[derive(Debug, Default)]
pub(super) struct Ties {
    /// Those of which it is the source or the reader.
    pub edges: BTreeSet<Edge>,
    /// Those about which it is to be asked.
    held: BTreeSet<Edge>,
    /// How often it has been asked about which, and has not answered.
    asked: BTreeMap<Edge, usize>,
}

/// Who is told of an edge's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Publisher,
    Subscriber,
    Both,
    Nobody,
}

/// With what belongs to a question.
type Composed = Result<(ToHub, Vec<OwnedFd>), String>;

/// Descriptors to be sent, the last of them of a process if that is known.
fn duplicates<'a>(
    descriptors: impl IntoIterator<Item = &'a OwnedFd>,
    process: &'a Option<OwnedFd>,
) -> Result<Vec<OwnedFd>, String> {
    let copy = |fd: &OwnedFd| fd.as_fd().try_clone_to_owned().map_err(|error| error.to_string());
    descriptors.into_iter().chain(process).map(copy).collect()
}

impl Registry {
    fn ties(&mut self, hub: u64) -> Option<&mut Ties> {
        self.connections.get_mut(&hub).map(|connection| &mut connection.bus.ties)
    }

    /// Has a subscription read a hub also for this subject. Gives how many subjects of the edge
    /// must have begun for this one to be among them.
    pub(super) fn tie(&mut self, edge: Edge, subject: u32) -> usize {
        let Some(state) = self.edges.get_mut(&edge) else {
            return self.tie_anew(edge);
        };
        let at = state.subjects.iter().position(|id| *id == subject).unwrap_or_else(|| {
            state.subjects.push(subject);
            state.subjects.len() - 1
        });
        self.advance(edge);
        at + 1
    }

    /// Has a subscription read a hub for all that it wants of it.
    pub(super) fn tie_anew(&mut self, edge: Edge) -> usize {
        let subjects = self.wanted_of(edge);
        let until = subjects.len();
        let state = EdgeState {
            step: Step::Begun,
            subjects,
            begun: 0,
            under_way: 0,
            position_slot: 0,
            source_knows: false,
            reader_knows: false,
            waiting: Vec::new(),
        };
        self.edges.insert(edge, state);
        for side in [edge.source, edge.reader] {
            if let Some(ties) = self.ties(side) {
                ties.edges.insert(edge);
            }
        }
        self.advance(edge);
        until
    }

    /// Begins with the subjects that are not under way, unless others are.
    fn advance(&mut self, edge: Edge) {
        let Some(state) = self.edges.get_mut(&edge) else { return };
        if state.step != Step::Begun || state.begun == state.subjects.len() {
            return;
        }
        state.under_way = state.subjects.len().min(state.begun + SUBJECTS_PER_PAGE);
        self.hold(edge, Ask::Follow);
    }

    /// Asks as soon as the hub has answered enough others.
    fn hold(&mut self, edge: Edge, ask: Ask) {
        let Some(state) = self.edges.get_mut(&edge) else { return };
        state.step = Step::Held(ask);
        let hub = if ask == Ask::Follow { edge.reader } else { edge.source };
        if let Some(ties) = self.ties(hub) {
            ties.held.insert(edge);
        }
        self.ask_held(hub);
    }

    /// Asks a hub what it is to be asked, as far as it has answered others.
    fn ask_held(&mut self, hub: u64) {
        while let Some(ties) = self.ties(hub)
            && ties.asked.values().sum::<usize>() < UNANSWERED_ASKS_MAX
            && let Some(edge) = ties.held.pop_first()
        {
            self.ask(hub, edge);
        }
    }

    fn ask(&mut self, hub: u64, edge: Edge) {
        let Some(Step::Held(ask)) = self.edges.get(&edge).map(|state| state.step) else { return };
        let composed = match ask {
            Ask::Follow => self.compose_follow(edge),
            Ask::Listen => self.compose_listen(edge),
        };
        let (message, descriptors) = match composed {
            Ok(composed) => composed,
            Err(why) => {
                tracing::warn!(?edge, why, "a subscription cannot be passed on");
                self.flight.fault(&format!("a subscription cannot be passed on: {why}"));
                return self.end_edge(edge, Told::Both, false);
            }
        };
        if let Some(state) = self.edges.get_mut(&edge) {
            state.step = Step::Asked(ask);
            state.reader_knows |= ask == Ask::Follow;
            state.source_knows |= ask == Ask::Listen;
        }
        if let Some(ties) = self.ties(hub) {
            *ties.asked.entry(edge).or_default() += 1;
        }
        self.tell(hub, &message, descriptors);
    }

    /// Ring, cursors, doorbell and process of the source, for the reader.
    fn compose_follow(&self, edge: Edge) -> Composed {
        let state = self.edges.get(&edge).ok_or("it is over")?;
        let source = self.info(edge.source).ok_or("its source has gone")?;
        let connection = self.connections.get(&edge.source).ok_or("its source has gone")?;
        let ring = connection.bus.broadcast.as_ref().ok_or("its source has no ring")?;
        let of_source = [&ring.ring, &ring.cursors, &ring.bell];
        let descriptors = duplicates(of_source, &connection.process)?;
        let named = |id: &u32| {
            let name = self.subjects.name(*id)?.to_string();
            Some(Subject { id: *id, name })
        };
        let subjects =
            state.subjects[state.begun..state.under_way].iter().filter_map(named).collect();
        Ok((ToHub::Follow { edge, source, capacity: ring.capacity, subjects }, descriptors))
    }

    /// Cursors, doorbell and process of the subscription, for the source.
    fn compose_listen(&self, edge: Edge) -> Composed {
        let state = self.edges.get(&edge).ok_or("it is over")?;
        let reader = self.info(edge.reader).ok_or("its reader has gone")?;
        let connection = self.connections.get(&edge.reader).ok_or("its reader has gone")?;
        let subscription =
            connection.bus.subscriptions.get(&edge.subscription).ok_or("it has been ended")?;
        let of_reader = [&subscription.cursors, &subscription.bell];
        let descriptors = duplicates(of_reader, &connection.process)?;
        let message = ToHub::Listen {
            edge,
            reader,
            gating: subscription.gating,
            position_slot: state.position_slot,
            bell_slot: subscription.bell_slot,
            subjects: state.subjects[state.begun..state.under_way].to_vec(),
        };
        Ok((message, descriptors))
    }

    /// A hub has answered something about an edge. Whether it is what the edge now waits for.
    fn answers(&mut self, hub: u64, edge: Edge, ask: Ask) -> bool {
        self.count_answer(hub, edge) == Some(0)
            && self.edges.get(&edge).is_some_and(|state| state.step == Step::Asked(ask))
    }

    /// How many answers about an edge a hub still owes after this one; `None` if it owed none.
    fn count_answer(&mut self, hub: u64, edge: Edge) -> Option<usize> {
        let asked = &mut self.ties(hub)?.asked;
        let owed = asked.get_mut(&edge)?;
        *owed -= 1;
        let owed = *owed;
        if owed == 0 {
            asked.remove(&edge);
        }
        Some(owed)
    }

    /// The reader follows: the source is to listen.
    pub(super) fn following(&mut self, from: u64, edge: Edge, position_slot: u32) {
        if from != edge.reader {
            return;
        }
        if self.answers(from, edge, Ask::Follow) {
            if let Some(state) = self.edges.get_mut(&edge) {
                state.position_slot = position_slot;
            }
            self.hold(edge, Ask::Listen);
        }
        self.ask_held(from);
    }

    /// The source listens: the reader can begin.
    pub(super) fn listening(&mut self, from: u64, edge: Edge, start_slot: u32) {
        if from != edge.source {
            return;
        }
        if self.answers(from, edge, Ask::Listen) {
            self.tell(edge.reader, &ToHub::Begin { edge, start_slot }, Vec::new());
            self.begun(edge);
        }
        self.ask_held(from);
    }

    fn begun(&mut self, edge: Edge) {
        let Some(state) = self.edges.get_mut(&edge) else { return };
        state.step = Step::Begun;
        state.begun = state.under_way;
        let begun = state.begun;
        let done: Vec<_> = state.waiting.extract_if(.., |(until, _)| *until <= begun).collect();
        done.into_iter().for_each(|(_, notice)| self.noticed(notice));
        self.advance(edge);
    }

    /// One side cannot do its part.
    pub(super) fn unable(&mut self, from: u64, edge: Edge, reason: &str) {
        let told = match from {
            from if from == edge.source => Told::Subscriber,
            from if from == edge.reader => Told::Publisher,
            _ => return,
        };
        let owed = self.count_answer(from, edge);
        let step = self.edges.get(&edge).map(|state| state.step);
        let current = match step {
            Some(Step::Asked(Ask::Follow)) => owed == Some(0) && from == edge.reader,
            Some(Step::Asked(Ask::Listen)) => owed == Some(0) && from == edge.source,
            _ => false,
        };
        // What was not an answer is said of the edge as it is.
        if current || owed.is_none() {
            tracing::warn!(?edge, hub = from, reason, "a subscription has not come about");
            self.flight.fault(&format!("a subscription has not come about: {reason}"));
            self.end_edge(edge, told, false);
        }
        self.ask_held(from);
    }

    /// Whether an edge exists and has still to come so far. If so, the notice hears of it.
    pub(super) fn wait_for_edge(&mut self, edge: Edge, until: usize, notice: u64) -> bool {
        let Some(state) = self.edges.get_mut(&edge) else { return false };
        if state.begun >= until {
            return false;
        }
        state.waiting.retain(|(_, notice)| self.notices.is_open(*notice));
        state.waiting.push((until, notice));
        true
    }

    /// An edge is over. Of its sides, those that are to be told are, if they have heard of it.
    pub(super) fn end_edge(&mut self, edge: Edge, told: Told, gone: bool) {
        let Some(state) = self.edges.remove(&edge) else { return };
        for side in [edge.source, edge.reader] {
            if let Some(ties) = self.ties(side) {
                ties.edges.remove(&edge);
                ties.held.remove(&edge);
            }
        }
        let over = ToHub::EdgeOver { edge, gone };
        let [source_told, reader_told] = match told {
            Told::Publisher => [true, false],
            Told::Subscriber => [false, true],
            Told::Both => [true, true],
            Told::Nobody => [false, false],
        };
        if source_told && state.source_knows {
            self.tell(edge.source, &over, Vec::new());
        }
        // One that reads its own ring has been told.
        let same = edge.source == edge.reader && source_told && state.source_knows;
        if reader_told && state.reader_knows && !same {
            self.tell(edge.reader, &over, Vec::new());
        }
        state.waiting.into_iter().for_each(|(_, notice)| self.noticed(notice));
    }
}
