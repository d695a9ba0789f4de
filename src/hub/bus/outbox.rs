//! The sending side of a hub: all rings that its publishers write.

use super::content::Content;
use super::crowd::Crowd;
use super::outlet::{Lane, Outlet, Refused};
use super::publisher::{Path, Sent};
use super::routes::Routes;
use crate::event::{Encoder, HEADER_BYTES, Header, Timestamp};
use crate::hub::tally::{Given, SubjectTally};
use crate::protocol::Edge;
use crate::ring::{RoomWait, Writer};
use crate::segment::RingMemory;
use crate::send_error::SendError;
use crate::sync::biased::Biased;
use crate::wait::Ringer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Shared by the hub, its publishers, and (when a lane ends) the control thread.
pub(crate) type SharedOutbox = Arc<Biased<Outbox>>;

/// Somebody who listens.
#[derive(Debug)]
pub(super) struct Heard {
    pub edge: Edge,
    /// Its hub's name.
    pub name: Arc<str>,
    pub ringer: Arc<Ringer>,
    /// Our number of its gate in the broadcast ring.
    pub gate: Option<u64>,
    pub subjects: Vec<u32>,
}

impl Heard {
    /// Wakes it if it sleeps.
    #[inline(always)]
    fn wake(&self, tally: &Given) {
        if self.ringer.notify() {
            tally.woken.add_with_others(1);
        }
    }
}

/// How events of one subject go.
#[derive(Debug)]
pub(super) struct Route {
    pub subject: u32,
    /// Who wants them: indices of `heard`.
    pub listeners: Vec<usize>,
    /// The hubs whose lanes they go over; empty if they are broadcast.
    pub lanes: Vec<u64>,
    /// Those who want them, if they are too many to be woken one by one.
    pub crowd: Option<Arc<Crowd>>,
    pub tally: SubjectTally,
}

/// What there is to be sent.
pub(super) struct Item<'a, C> {
    pub content: &'a C,
    pub extension: &'a [u8],
    /// The only hub that it is for; 0 for all.
    pub to: u64,
}

/// How the sending side does things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// Hubs that are reached over lanes at most; more, and it is a broadcast.
    pub few: usize,
    /// How long a reader may hold us up before we go on without it.
    pub patience: Duration,
    pub timestamps: bool,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) routes: Arc<Routes>,
    /// The version of `routes` that we know.
    pub(super) seen: u64,
    pub(super) broadcast: Option<Outlet>,
    pub(super) lanes: BTreeMap<u64, Lane>,
    /// Some lanes may be suspended.
    detours: bool,
    pub(super) heard: Vec<Heard>,
    pub(super) table: Vec<Route>,
    encoder: Encoder,
    /// The next event's sequence number; the first is 1.
    next: u64,
    pub(super) next_gate: u64,
    pub(super) manners: Manners,
    pub(super) closed: bool,
    pub(super) tally: Given,
}

impl Outbox {
    pub(crate) fn new(routes: Arc<Routes>, manners: Manners, tally: Given) -> Self {
        Self {
            routes,
            seen: 0,
            broadcast: None,
            lanes: BTreeMap::new(),
            detours: false,
            heard: Vec::new(),
            table: Vec::new(),
            encoder: Encoder::default(),
            next: 1,
            next_gate: 1,
            manners,
            closed: false,
            tally,
        }
    }

    pub(crate) fn has_broadcast(&self) -> bool {
        self.broadcast.is_some()
    }

    pub(crate) fn set_broadcast(&mut self, writer: Writer<RingMemory>) {
        self.broadcast = Some(Outlet { writer, stall: None });
        self.refresh();
    }

    /// The row of the table for a subject.
    pub(crate) fn route_for(&mut self, subject: u32, name: &str) -> usize {
        if let Some(row) = self.table.iter().position(|route| route.subject == subject) {
            return row;
        }
        let (listeners, lanes, tally) = (Vec::new(), Vec::new(), self.tally.subject(name));
        self.table.push(Route { subject, listeners, lanes, crowd: None, tally });
        self.refresh();
        self.table.len() - 1
    }

    /// Ends all rings: readers see the end after the last event.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        if let Some(outlet) = &mut self.broadcast {
            outlet.writer.close();
        }
        self.lanes.values_mut().for_each(|lane| lane.outlet.writer.close());
        for heard in &self.heard {
            heard.wake(&self.tally);
        }
        self.table.iter_mut().for_each(|route| {
            route.listeners.clear();
            route.lanes.clear();
            route.crowd = None;
        });
    }

    /// How many subscriptions want events of this row, or of one hub alone.
    pub(super) fn receivers(&mut self, row: usize, to: u64) -> u32 {
        if self.seen != self.routes.version() {
            self.refresh();
        }
        let wanted = |&&index: &&usize| to == 0 || self.heard[index].edge.reader == to;
        self.table[row].listeners.iter().filter(wanted).count() as u32
    }

    /// The id of a hub of that name, if it listens to anything of ours.
    pub(super) fn listener_called(&mut self, name: &str) -> Option<u64> {
        if self.seen != self.routes.version() {
            self.refresh();
        }
        self.heard.iter().find(|heard| &*heard.name == name).map(|heard| heard.edge.reader)
    }

    /// Sends one event, if there is room.
    #[inline]
    pub(super) fn publish<C: Content>(
        &mut self,
        row: usize,
        item: &Item<'_, C>,
    ) -> Result<Sent, SendError> {
        if self.seen != self.routes.version() {
            self.refresh();
        }
        if self.closed {
            return Err(SendError::HubClosed);
        }
        let receivers = match item.to {
            0 => self.table[row].listeners.len() as u32,
            to => self.receivers(row, to),
        };
        if receivers == 0 {
            self.tally.nobody.add(1);
            return Ok(Sent { path: Path::Nobody, receivers });
        }
        let (path, bytes) = match self.lane_for(row, item.to) {
            Some(to) => self.put_on_lanes(row, to, item)?,
            None => self.put_on_broadcast(row, item)?,
        };
        self.tally.event(self.next, path, bytes);
        self.table[row].tally.event(bytes);
        self.next += 1;
        self.notify(row, item.to);
        Ok(Sent { path, receivers })
    }

    /// As [`publish`](Self::publish), for an event that has been counted as one without room.
    pub(super) fn publish_again<C: Content>(
        &mut self,
        row: usize,
        item: &Item<'_, C>,
    ) -> Result<Sent, SendError> {
        let full = self.tally.full.get();
        let result = self.publish(row, item);
        self.tally.full.set(full);
        result
    }

    /// Whether the event goes over lanes: `Some(0)` over all of the row's, `Some(hub)` over one.
    #[inline]
    fn lane_for(&self, row: usize, to: u64) -> Option<u64> {
        let lanes = &self.table[row].lanes;
        let usable = |hub: &u64| self.lanes.get(hub).is_some_and(|lane| !lane.suspended);
        match to {
            0 if !lanes.is_empty() && lanes.iter().all(usable) => Some(0),
            0 => None,
            _ => {
                let lane = self.lanes.get(&to).filter(|lane| !lane.suspended)?;
                let mut listeners = self.table[row].listeners.iter().map(|i| &self.heard[*i]);
                let has_gate = |heard: &Heard| lane.gates.contains_key(&heard.edge.subscription);
                listeners.all(|heard| heard.edge.reader != to || has_gate(heard)).then_some(to)
            }
        }
    }

    /// By which way it went, and the bytes of its payload.
    fn put_on_broadcast<C: Content>(
        &mut self,
        row: usize,
        item: &Item<'_, C>,
    ) -> Result<(Path, usize), SendError> {
        if self.detours {
            self.lanes.values_mut().for_each(Lane::try_again);
            self.detours = self.lanes.values().any(|lane| lane.suspended);
        }
        let header = self.header(item.content.schema());
        let subject = self.table[row].subject;
        let Some(outlet) = &mut self.broadcast else { return Err(SendError::HubClosed) };
        let placed = outlet.put(&mut self.encoder, header, subject, item);
        if let Err(Refused::Full) = placed {
            self.tally.full.add(1);
            if outlet.lose_patience(self.manners.patience) {
                self.tally.overtaken.add(1);
            }
        }
        self.tally.position.set(outlet.writer.position());
        match placed {
            Ok(bytes) => Ok((Path::Broadcast, bytes)),
            Err(refused) => Err(refused.error(&outlet.writer, item.content.name())),
        }
    }

    /// Over one lane or all of a row's; over none if one has no room.
    fn put_on_lanes<C: Content>(
        &mut self,
        row: usize,
        to: u64,
        item: &Item<'_, C>,
    ) -> Result<(Path, usize), SendError> {
        let header = self.header(item.content.schema());
        let Route { subject, lanes, .. } = &self.table[row];
        let one = [to];
        let hubs = if to == 0 { &lanes[..] } else { &one[..] };
        let payload = item.content.loan(&self.encoder);
        let body = payload.saturating_add(HEADER_BYTES + item.extension.len());
        for hub in hubs {
            let Some(lane) = self.lanes.get_mut(hub) else { continue };
            match lane.outlet.reserve(body) {
                Ok(()) => {}
                Err(Refused::Full) if !lane.stands_still() => {
                    self.tally.full.add(1);
                    return Err(SendError::Full);
                }
                // It stands still, or cannot take so long an event: by the other way.
                Err(_) => {
                    self.detours |= lane.suspended;
                    return self.put_on_broadcast(row, item);
                }
            }
        }
        let mut bytes = 0;
        for hub in hubs {
            let Some(lane) = self.lanes.get_mut(hub) else { continue };
            match lane.outlet.put(&mut self.encoder, header, *subject, item) {
                Ok(len) => bytes = len,
                // One that is longer than was thought and does not fit behind those that have it
                // already: those who have it pass over the second.
                Err(_) => return self.put_on_broadcast(row, item),
            }
            lane.tally.position.set(lane.outlet.writer.position());
        }
        Ok((Path::Links, bytes))
    }

    #[inline(always)]
    fn header(&self, schema: u64) -> Header {
        let timestamp = if self.manners.timestamps { Timestamp::now().ticks() } else { 0 };
        Header { sequence: self.next, schema, timestamp }
    }

    /// Wakes those who want it and sleep.
    #[inline]
    fn notify(&self, row: usize, to: u64) {
        let Route { listeners, crowd, .. } = &self.table[row];
        if let (Some(crowd), 0) = (crowd, to) {
            return crowd.call();
        }
        for heard in listeners.iter().map(|index| &self.heard[*index]) {
            if to == 0 || heard.edge.reader == to {
                heard.wake(&self.tally);
            }
        }
    }

    /// After `Full`: what to sleep on until the slowest reader has moved. Call
    /// [`end_wait`](Self::end_wait) afterwards.
    pub(super) fn announce_wait(&mut self, row: usize, to: u64) -> RoomWait {
        self.notify(row, to);
        let lane = self.lane_for(row, to);
        let Some(outlet) = self.outlet_that_is_full(row, lane) else { return RoomWait::Ready };
        outlet.writer.announce_wait(0).unwrap_or(RoomWait::Ready)
    }

    pub(super) fn end_wait(&mut self) {
        let lanes = self.lanes.values_mut().map(|lane| &mut lane.outlet);
        lanes.chain(self.broadcast.as_mut()).for_each(|outlet| outlet.writer.end_wait());
    }

    fn outlet_that_is_full(&mut self, row: usize, lane: Option<u64>) -> Option<&mut Outlet> {
        let Some(to) = lane else { return self.broadcast.as_mut() };
        let among = &self.table[row].lanes;
        let mut lanes = self.lanes.iter_mut().filter(|(hub, _)| to == **hub || among.contains(hub));
        lanes.find(|(_, lane)| lane.outlet.stall.is_some()).map(|(_, lane)| &mut lane.outlet)
    }
}
