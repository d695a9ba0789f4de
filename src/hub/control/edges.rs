//! Edges: one subscription that reads one hub's rings, from both ends.

use super::bus::{Done, Known, missing_descriptors, slot_of, start_slot};
use super::session::Session;
use crate::error::Error;
use crate::hub::bus::{Filter, Gate, Listener, News, Peer, Port, Source, summon};
use crate::protocol::{Edge, HubInfo, Subject};
use crate::ring::Follower;
use crate::segment::{PeerCursors, RingMemory};
use crate::wait::Ringer;
use nix::unistd::Uid;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::OwnedFd;
use std::sync::Arc;

impl Session {
    /// A hub publishes what one of our subscriptions wants.
    pub(super) fn follow(
        &mut self,
        edge: Edge,
        source: &HubInfo,
        capacity: u64,
        subjects: Vec<Subject>,
        descriptors: Vec<OwnedFd>,
    ) -> Done<u32> {
        let [ring, cursors] =
            <[OwnedFd; 2]>::try_from(descriptors).map_err(|_| missing_descriptors())?;
        let Some(subscription) = self.bus.subscriptions.get(&edge.subscription) else {
            return Err(Error::Closed);
        };
        let theirs = |what: &str| Error::segment(format!("{what} of hub {}", source.name));
        if let Entry::Vacant(vacant) = self.bus.sources.entry(source.id) {
            let memory = RingMemory::open(&ring, capacity).map_err(theirs("the broadcast ring"))?;
            let cursors = PeerCursors::open(&cursors).map_err(theirs("the positions"))?;
            let same_user = source.uid == Uid::effective().as_raw();
            let peer = Peer { id: source.id, name: source.name.as_str().into(), same_user };
            let (lane, followers) = (None, HashMap::new());
            let known = Known { peer: Arc::new(peer), memory, cursors, lane, followers };
            vacant.insert(known);
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
        let [cursors, pipe] =
            <[OwnedFd; 2]>::try_from(descriptors).map_err(|_| missing_descriptors())?;
        let known = self.bus.routes.change(|audience| {
            let listener = audience.listeners.get_mut(&edge)?;
            listener.subjects.extend(&subjects);
            listener.subjects.sort_unstable();
            listener.subjects.dedup();
            listener.confirmed = true;
            Some(listener.gate.as_ref().map_or(0, |gate| gate.slot.slot))
        });
        if let Some(start_slot) = known {
            return Ok(start_slot);
        }
        let theirs = |what: &str| Error::segment(format!("{what} of hub {}", reader.name));
        if let Entry::Vacant(vacant) = self.bus.listeners.entry(reader.id) {
            let cursors = PeerCursors::open(&cursors).map_err(theirs("the positions"))?;
            vacant.insert((reader.name.as_str().into(), cursors));
        }
        let Some((name, cursors)) = self.bus.listeners.get(&reader.id) else {
            return Err(Error::Closed);
        };
        let bell = cursors.slot(bell_slot).map_err(theirs("the doorbell"))?;
        let ringer = Ringer::new(bell, &pipe, cursors.fencing())
            .map_err(Error::kernel("open of a doorbell"))?;
        let gate = match position_slot {
            None => None,
            Some(slot) => {
                let position = cursors.slot(slot).map_err(theirs("the position"))?;
                let slot = start_slot(&self.hub)?;
                Some(Gate { position, start: self.hub.cursors.slot(slot.slot), slot })
            }
        };
        let start_slot = gate.as_ref().map_or(0, |gate| gate.slot.slot);
        let name = Arc::clone(name);
        let listener = Listener { name, gate, ringer: Some(ringer), subjects, confirmed: true };
        summon(self.bus.routes.change(|audience| {
            audience.listeners.insert(edge, listener);
            audience.listeners.len()
        }));
        Ok(start_slot)
    }

    /// A subscription is over, or its source.
    pub(super) fn edge_over(&mut self, edge: Edge, gone: bool) {
        if edge.source == self.hub.id {
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
                self.bus.lingering.retain(|(reader, _)| *reader != edge.reader);
            }
            self.forget_listener(edge.reader);
        }
        if edge.reader == self.hub.id {
            if let Some(subscription) = self.bus.subscriptions.get(&edge.subscription) {
                subscription.inbox.post(News::Over(edge.source));
            }
            if let Some(known) = self.bus.sources.get_mut(&edge.source) {
                known.followers.remove(&edge.subscription);
                if known.followers.is_empty() {
                    self.bus.sources.remove(&edge.source);
                }
            }
        }
    }

    /// Keeps what says where readers begin until they have stopped reading.
    pub(super) fn linger(&mut self, reader: u64, gates: impl Iterator<Item = Gate>) {
        self.bus.lingering.extend(gates.map(|gate| (reader, gate)));
        self.bus.lingering.retain(|(_, gate)| !gate.has_left());
    }

    fn forget_listener(&mut self, reader: u64) {
        let listens = self
            .bus
            .routes
            .change(|audience| audience.listeners.keys().any(|edge| edge.reader == reader));
        if !listens {
            self.bus.listeners.remove(&reader);
        }
    }

    /// Every hub that wanted to has come back to the new supervisor.
    pub(super) fn settled(&mut self) {
        let gone = self.bus.routes.change(|audience| {
            let gone = audience.listeners.iter().filter(|(_, listener)| !listener.confirmed);
            gone.map(|(edge, _)| *edge).collect::<Vec<Edge>>()
        });
        for edge in gone {
            self.edge_over(edge, false);
        }
    }

    /// The connection is lost: who listens has to be confirmed by the next supervisor.
    pub(super) fn doubt_all(&mut self) {
        self.bus.routes.change(|audience| {
            audience.listeners.values_mut().for_each(|listener| listener.confirmed = false);
        });
    }
}
