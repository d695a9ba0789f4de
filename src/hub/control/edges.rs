//! Edges: one subscription that reads one hub's rings, from both ends.

use super::bus::{Done, Hearer, Known, Lingering, slot_of, start_slot};
use super::session::Session;
use super::watch::Subject;
use crate::error::Error;
use crate::hub::bus::{Filter, Gate, Listener, News, Peer, Port, Source, summon};
use crate::protocol::{self, Edge, HubInfo};
use crate::ring::Follower;
use crate::segment::{PeerCursors, RingMemory};
use crate::wait::Ringer;
use nix::unistd::Uid;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

impl Session {
    /// A hub publishes what one of our subscriptions wants.
    pub(super) fn follow(
        &mut self,
        edge: Edge,
        source: &HubInfo,
        capacity: u64,
        subjects: Vec<protocol::Subject>,
        descriptors: Vec<OwnedFd>,
    ) -> Done<u32> {
        let Some(subscription) = self.bus.subscriptions.get(&edge.subscription) else {
            return Err(Error::Closed);
        };
        if !self.bus.sources.contains_key(&source.id) {
            let known = self.open_source(source, capacity, descriptors)?;
            self.bus.sources.insert(source.id, known);
        }
        let Some(known) = self.bus.sources.get_mut(&source.id) else { return Err(Error::Closed) };
        if let Some(slot) = known.followers.get(&edge.subscription) {
            subscription.inbox.post(News::Subjects(source.id, subjects));
            return Ok(*slot);
        }
        let memory = known.memory.view();
        let (port, number) = if subscription.gating {
            let slot = slot_of(&self.hub)?;
            let (cursor, number) = (self.hub.cursors.slot(slot.slot), slot.slot);
            let fencing = known.cursors.fencing();
            (Port::Waiting { memory, cursor, slot, start: None, fencing }, number)
        } else {
            let mut follower = Follower::lossy(memory, None);
            // A ring that is corrupt says so when it is read.
            let _ = follower.skip_to_end();
            (Port::Open(follower, None), 0)
        };
        known.followers.insert(edge.subscription, number);
        let filter = Filter::new(self.hub.id, subjects);
        let source = Source::new(Arc::clone(&known.peer), filter, port);
        subscription.inbox.post(News::Source(Box::new(source)));
        Ok(number)
    }

    /// Maps what a hub publishes on, and watches it.
    fn open_source(
        &self,
        source: &HubInfo,
        capacity: u64,
        descriptors: Vec<OwnedFd>,
    ) -> Done<Known> {
        let ([ring, cursors, bell], process) = self.unpack(descriptors)?;
        let theirs = |what: &str| Error::segment(format!("{what} of hub {}", source.name));
        let memory = RingMemory::open(&ring, capacity).map_err(theirs("the broadcast ring"))?;
        let cursors = PeerCursors::open(&cursors).map_err(theirs("the positions"))?;
        let bell = self.watch_bell(&Arc::new(bell), Subject::Source(self.hub.key, source.id))?;
        let same_user = source.uid == Uid::effective().as_raw();
        let peer = Peer { id: source.id, name: source.name.as_str().into(), same_user };
        let (peer, followers) = (Arc::new(peer), HashMap::new());
        Ok(Known { peer, _bell: bell, process, memory, cursors, lane: None, followers })
    }

    /// The source takes account of one of our subscriptions.
    pub(super) fn begin(&mut self, edge: Edge, start_slot: u32) {
        let Some(known) = self.bus.sources.get(&edge.source) else { return };
        let Some(subscription) = self.bus.subscriptions.get(&edge.subscription) else { return };
        if start_slot != 0
            && let Ok(word) = known.cursors.slot(start_slot)
        {
            subscription.inbox.post(News::Begin(edge.source, Some(word)));
        }
    }

    /// A subscription somewhere wants what we publish.
    pub(super) fn listen(
        &mut self,
        edge: Edge,
        reader: &HubInfo,
        position_slot: Option<u32>,
        bell_slot: u32,
        subjects: Vec<u32>,
        descriptors: Vec<OwnedFd>,
    ) -> Done<u32> {
        if let Some(start_slot) = self.listens_already(edge, &subjects) {
            return Ok(start_slot);
        }
        let ([cursors, pipe], process) = self.unpack(descriptors)?;
        let theirs = |what: &str| Error::segment(format!("{what} of hub {}", reader.name));
        let cursors = match self.bus.hearers.get(&reader.id) {
            Some(hearer) => hearer.cursors.clone(),
            None => PeerCursors::open(&cursors).map_err(theirs("the positions"))?,
        };
        let bell = cursors.slot(bell_slot).map_err(theirs("the doorbell"))?;
        let ringer = Ringer::new(bell, &pipe, cursors.fencing())
            .map_err(Error::kernel("open of a doorbell"))?;
        let bell = self.watch_bell(ringer.pipe(), Subject::Listener(self.hub.key, edge))?;
        let gate = match position_slot {
            None => None,
            Some(slot) => {
                let position = cursors.slot(slot).map_err(theirs("the position"))?;
                let slot = start_slot(&self.hub)?;
                Some(Gate { position, start: self.hub.cursors.slot(slot.slot), slot })
            }
        };
        let name = reader.name.as_str().into();
        let listener = Listener { name, gate, ringer: Some(ringer), subjects };
        let start_slot = listener.start_slot();
        let hearer = || Hearer { process, cursors, bells: HashMap::new() };
        let hearer = self.bus.hearers.entry(reader.id).or_insert_with(hearer);
        hearer.bells.insert(edge.subscription, bell);
        summon(self.bus.routes.change(|audience| {
            audience.listeners.insert(edge, listener);
            audience.listeners.len()
        }));
        Ok(start_slot)
    }

    /// Where one begins that listens already, also if it wants more than before.
    fn listens_already(&self, edge: Edge, subjects: &[u32]) -> Option<u32> {
        let (start_slot, wants_more) = self.bus.routes.ask(|audience| {
            let listener = audience.listeners.get(&edge)?;
            let wants_more = subjects.iter().any(|subject| !listener.subjects.contains(subject));
            Some((listener.start_slot(), wants_more))
        })?;
        if wants_more {
            self.bus.routes.change(|audience| {
                let Some(listener) = audience.listeners.get_mut(&edge) else { return };
                listener.subjects.extend(subjects);
                listener.subjects.sort_unstable();
                listener.subjects.dedup();
            });
        }
        Some(start_slot)
    }

    /// A subscription is over, or its source. The supervisor says so, or we see it.
    pub(super) fn edge_over(&mut self, edge: Edge, gone: bool) {
        if edge.source == self.hub.id {
            self.listener_over(edge, gone);
        }
        if edge.reader == self.hub.id {
            self.follower_over(edge);
        }
    }

    fn follower_over(&mut self, edge: Edge) {
        let Some(known) = self.bus.sources.get_mut(&edge.source) else { return };
        if known.followers.remove(&edge.subscription).is_none() {
            return;
        }
        if known.followers.is_empty() {
            self.bus.sources.remove(&edge.source);
        }
        if let Some(subscription) = self.bus.subscriptions.get(&edge.subscription) {
            subscription.inbox.post(News::Over(edge.source));
        }
    }

    fn listener_over(&mut self, edge: Edge, gone: bool) {
        let Some(hearer) = self.bus.hearers.get_mut(&edge.reader) else { return };
        if hearer.bells.remove(&edge.subscription).is_none() {
            return;
        }
        let was_last = hearer.bells.is_empty();
        let gates = self.bus.routes.change(|audience| {
            let listener = audience.listeners.remove(&edge).and_then(|l| l.gate);
            let lane = audience.lanes.get_mut(&edge.reader);
            let [reads, would_read] = lane.map_or([None, None], |lane| {
                let number = &edge.subscription;
                [lane.readers.remove(number), lane.candidates.remove(number)]
            });
            [listener, reads, would_read]
        });
        self.linger(edge.reader, gates.into_iter().flatten());
        if gone {
            self.bus.lingering.retain(|late| late.reader != edge.reader);
        }
        if was_last {
            self.bus.hearers.remove(&edge.reader);
        }
    }

    /// Keeps what says where readers begin until they have stopped reading.
    pub(super) fn linger(&mut self, reader: u64, gates: impl Iterator<Item = Gate>) {
        let process = self.bus.hearers.get(&reader).and_then(|hearer| hearer.process.clone());
        let late = |gate| Lingering { reader, process: process.clone(), gate };
        self.bus.lingering.extend(gates.map(late));
        self.bus.lingering.retain(|late| !late.gate.has_left());
    }
}
