//! Lanes: what is published goes over a second ring to those at the end of a link.
//!
//! The side that publishes makes it when the other side listens (`Lane`), is told which
//! subscriptions read it and where each says how far it is (`LaneReaders`), answers in which words
//! it will say where each begins (`LaneStarts`), and is told that they know (`LaneReady`). Not
//! before that is anything written into it: a subscription that sees an event by the other way
//! must be able to see that an older one is here.

use super::bus::{KnownLane, start_slot};
use super::session::Session;
use crate::error::Error;
use crate::hub::bus::{Gate, LaneOut, News, Port};
use crate::hub::state::{LinkId, SlotGuard};
use crate::limits::LANE_CAPACITY;
use crate::protocol::{LaneSlot, ToSupervisor};
use crate::segment::{RingMemory, RingOptions};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;

impl Session {
    /// The hub at the other end of a link.
    pub(super) fn peer_of(&self, link: LinkId) -> Option<u64> {
        self.links.get(&link).map(|watched| watched.peer)
    }

    /// The supervisor knows a link: now, or again after it was restarted. Then there may have been
    /// a lane over it, and nobody can tell who had said what of it to whom: so a new one follows
    /// it, which is read when that one has been read to its end.
    pub(super) fn link_known(&mut self, link: LinkId) {
        let Some(watched) = self.links.get_mut(&link) else { return };
        watched.known = true;
        let peer = watched.peer;
        self.own_lane_over(peer, link);
        self.offer_lane_to(peer);
    }

    /// The connection is lost, and what was said of lanes with it. Those that are in use stay so.
    pub(super) fn doubt_lanes(&mut self) {
        self.links.values_mut().for_each(|link| link.known = false);
        self.bus.sources.values_mut().for_each(|known| known.lane = None);
    }

    /// Offers a lane to a hub, if it listens, has a link with us, and has none yet.
    pub(super) fn offer_lane_to(&mut self, peer: u64) {
        let mut links = self.links.iter();
        let Some((&link, _)) = links.find(|(_, link)| link.peer == peer && link.known) else {
            return;
        };
        let wanted = self.bus.routes.ask(|audience| {
            let mut listeners = audience.listeners.iter();
            let listens =
                listeners.any(|(edge, listener)| edge.reader == peer && listener.gate.is_some());
            listens && !audience.lanes.contains_key(&peer)
        });
        if wanted && let Err(error) = self.offer_lane(link, peer) {
            // The broadcast will do.
            tracing::warn!(%link, %error, "no lane");
        }
    }

    fn offer_lane(&mut self, link: LinkId, peer: u64) -> Result<(), Error> {
        let options = RingOptions { capacity: LANE_CAPACITY, ..RingOptions::default() };
        let (writer, ring) = RingMemory::create(options).map_err(Error::segment("a lane"))?;
        let capacity = ring.capacity as u64;
        self.say(&ToSupervisor::Lane { link: link.0, capacity }, vec![ring.file]);
        let lane = LaneOut {
            link,
            writer: Some(writer),
            readers: BTreeMap::new(),
            candidates: BTreeMap::new(),
        };
        self.bus.routes.change(|audience| audience.lanes.insert(peer, lane));
        Ok(())
    }

    /// The other side of a link offers a lane.
    pub(super) fn lane_offered(&mut self, link: LinkId, capacity: u64, ring: Vec<OwnedFd>) {
        let Some(peer) = self.peer_of(link) else { return };
        let Ok([ring]) = <[OwnedFd; 1]>::try_from(ring) else { return };
        let Some(known) = self.bus.sources.get_mut(&peer) else { return };
        if capacity > self.largest_ring {
            return;
        }
        match RingMemory::open(&ring, capacity) {
            Ok(memory) => known.lane = Some(KnownLane { link, memory, readers: HashSet::new() }),
            Err(error) => return tracing::warn!(%link, %error, "a lane is not as it must be"),
        }
        self.tell_of_lane_readers(peer);
    }

    /// Tells the source which of our subscriptions read its lane, as far as it does not know.
    pub(super) fn tell_of_lane_readers(&mut self, source: u64) {
        let Some(known) = self.bus.sources.get_mut(&source) else { return };
        let Some(lane) = &mut known.lane else { return };
        let mut slots = Vec::new();
        for (&subscription, &position_slot) in &known.followers {
            if position_slot == 0 || lane.readers.contains(&subscription) {
                continue;
            }
            let Some(entry) = self.bus.subscriptions.get(&subscription) else { continue };
            let Some(slot) = self.hub.cursors.take() else { break };
            let guard = SlotGuard { hub: Arc::clone(&self.hub), slot };
            let port = Port::Waiting {
                memory: lane.memory.view(),
                cursor: self.hub.cursors.slot(slot),
                slot: guard,
                start: None,
                fencing: known.cursors.fencing(),
            };
            entry.inbox.post(News::Lane(source, Box::new(port)));
            lane.readers.insert(subscription);
            slots.push(LaneSlot { subscription, slot });
        }
        let link = lane.link.0;
        if !slots.is_empty() {
            self.say(&ToSupervisor::LaneReaders { link, slots }, Vec::new());
        }
    }

    /// Subscriptions at the other end read our lane.
    pub(super) fn lane_readers(&mut self, link: LinkId, slots: &[LaneSlot]) {
        let Some(peer) = self.peer_of(link) else { return };
        let Some(hearer) = self.bus.hearers.get(&peer) else { return };
        let mut gates = Vec::new();
        for LaneSlot { subscription, slot } in slots {
            let Ok(position) = hearer.cursors.slot(*slot) else { continue };
            let Ok(slot) = start_slot(&self.hub) else { break };
            let start = self.hub.cursors.slot(slot.slot);
            gates.push((*subscription, Gate { position, start, slot }));
        }
        let starts = gates.iter().map(|(subscription, gate)| LaneSlot {
            subscription: *subscription,
            slot: gate.slot.slot,
        });
        let starts: Vec<LaneSlot> = starts.collect();
        self.bus.routes.change(|audience| {
            if let Some(lane) = audience.lanes.get_mut(&peer).filter(|lane| lane.link == link) {
                lane.candidates.extend(gates);
            }
        });
        self.say(&ToSupervisor::LaneStarts { link: link.0, slots: starts }, Vec::new());
    }

    /// They know where to look.
    pub(super) fn lane_ready(&mut self, link: LinkId, slots: &[LaneSlot]) {
        let Some(peer) = self.peer_of(link) else { return };
        self.bus.routes.change(|audience| {
            let Some(lane) = audience.lanes.get_mut(&peer).filter(|lane| lane.link == link) else {
                return;
            };
            for LaneSlot { subscription, .. } in slots {
                if let Some(gate) = lane.candidates.remove(subscription) {
                    lane.readers.insert(*subscription, gate);
                }
            }
        });
    }

    /// The source says where our subscriptions begin in its lane.
    pub(super) fn lane_starts(&mut self, link: LinkId, slots: &[LaneSlot]) {
        let Some(peer) = self.peer_of(link) else { return };
        let Some(known) = self.bus.sources.get(&peer) else { return };
        for LaneSlot { subscription, slot } in slots {
            if let Some(entry) = self.bus.subscriptions.get(subscription)
                && let Ok(word) = known.cursors.slot(*slot)
            {
                entry.inbox.post(News::LaneBegin(peer, word));
            }
        }
        self.say(&ToSupervisor::LaneReady { link: link.0, slots: slots.to_vec() }, Vec::new());
    }

    /// A link is over: what is published goes by the other way. The ring ends with the mark that
    /// it does, after all that was written into it.
    pub(super) fn lane_over(&mut self, peer: u64, link: LinkId) {
        self.own_lane_over(peer, link);
        if let Some(known) = self.bus.sources.get_mut(&peer)
            && known.lane.as_ref().is_some_and(|lane| lane.link == link)
        {
            known.lane = None;
        }
    }

    fn own_lane_over(&mut self, peer: u64, link: LinkId) {
        let is_its = |lane: &LaneOut| lane.link == link;
        let had_one = self.bus.routes.ask(|audience| audience.lanes.get(&peer).is_some_and(is_its));
        if had_one
            && let Some(lane) = self.bus.routes.change(|audience| audience.lanes.remove(&peer))
        {
            self.linger(peer, lane.readers.into_values().chain(lane.candidates.into_values()));
            // At once, also if the hub sends nothing for long.
            self.bus.outbox.with(|outbox| outbox.refresh());
        }
    }
}
