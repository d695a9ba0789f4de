//! Subscribing: all events on subjects that match some patterns, whoever publishes them.

mod news;

use super::envelope::{Body, Envelope};
use super::inbox::Inbox;
use super::news::DomainEvents;
use super::source::{Found, Look, Peer, Port, Source, Trouble, header_of};
use crate::event::{COPY_START, HEADER_BYTES, Header, PAYLOAD_ALIGN};
use crate::hub::control::Control;
use crate::hub::receive::{Payloads, RecvError};
use crate::hub::state::HubShared;
use crate::hub::tally::Taken;
use crate::ring::Reader;
use crate::segment::RingMemory;
use crate::wait::{Bell, Sleeps, Step, Wait, Waiter};
use rkyv::util::AlignedVec;
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events of one source in a row before the others are looked at.
const TURN: u32 = 64;

/// Idle sources looked at before the busy one is looked at again.
const IDLE_LOOKS: usize = 8;

/// Receives what its patterns match. A reader of its own, with a descriptor of its own; belongs
/// to one thread at a time, which need not be its hub's. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    pub(super) hub: Arc<HubShared>,
    pub(super) control: Control,
    pub(super) number: u32,
    pub(super) inbox: Arc<Inbox>,
    pub(super) bell: Bell,
    pub(super) bell_slot: u32,
    pub(super) wait: Wait,
    pub(super) payloads: Payloads,
    pub(super) sources: Vec<Source>,
    /// How many there have been.
    pub(super) sources_ever: u64,
    /// The source of the domain's own events.
    pub(super) supervisor: Arc<Peer>,
    /// The source that had an event last.
    pub(super) current: usize,
    pub(super) turn: u32,
    /// The body of the last broadcast event, behind the place of its commit word.
    pub(super) copy: AlignedVec<PAYLOAD_ALIGN>,
    pub(super) tally: Taken,
    /// What has happened in the domain, oldest first, and the number of the last that was taken.
    pub(super) domain_events: DomainEvents,
    pub(super) last_domain_event: u64,
    /// What [`arm`](Self::arm) has found.
    pub(super) pending: Option<Result<(usize, Found), RecvError>>,
}

/// In the place of a source's index: the supervisor.
const DOMAIN: usize = usize::MAX;

impl Subscription {
    /// The next event, if there is one. No system call, no lock; allocates only for an event that
    /// is longer than all before.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`], [`RecvError::SourceCorrupt`], [`RecvError::Forked`]; it goes on
    /// afterwards.
    pub fn try_recv(&mut self) -> Result<Option<Envelope<'_>>, RecvError> {
        if !self.hub.process.is_current() {
            return Err(RecvError::Forked);
        }
        let rang = self.bell.is_armed() && self.bell.drain();
        let found = self.find();
        if rang || !matches!(found, Ok(None)) {
            self.bell.disarm();
        }
        Ok(found?.map(|(index, found)| self.take(index, &found)))
    }

    /// As [`try_recv`](Self::try_recv), waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Envelope<'_>>, RecvError> {
        self.recv_by(crate::hub::after(timeout))
    }

    /// As [`try_recv`](Self::try_recv), waiting for as long as it takes. `None` only when its hub
    /// has been closed or dropped; what has arrived can still be taken with
    /// [`try_recv`](Self::try_recv).
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn recv(&mut self) -> Result<Option<Envelope<'_>>, RecvError> {
        self.recv_by(None)
    }

    fn recv_by(&mut self, by: Option<Instant>) -> Result<Option<Envelope<'_>>, RecvError> {
        if !self.hub.process.is_current() {
            return Err(RecvError::Forked);
        }
        self.bell.disarm();
        let mut waiter = Waiter::new(self.wait, by);
        let (index, found) = loop {
            if let Some(found) = self.find()? {
                break found;
            }
            if self.inbox.is_closed() {
                return Ok(None);
            }
            match waiter.step() {
                Step::Look => {}
                Step::TimedOut => return Ok(None),
                Step::Sleep => {
                    if let Some(found) = self.sleep(&waiter)? {
                        break found;
                    }
                    waiter.woke();
                }
            }
        };
        Ok(Some(self.take(index, &found)))
    }

    /// Before waiting for the descriptor with poll, epoll or an async runtime: `true` means that
    /// there is nothing to receive, and that the descriptor becomes readable when there is (and
    /// once more some milliseconds later, for nothing); `false` that there may be something now.
    /// Call [`try_recv`](Self::try_recv) when it is readable, until it gives `None`, and then this
    /// again.
    pub fn arm(&mut self) -> bool {
        if !self.hub.process.is_current() {
            return false; // and `try_recv` says why
        }
        self.bell.arm();
        self.pending = self.find().transpose();
        let nothing = self.pending.is_none() && !self.inbox.has_news() && !self.inbox.is_closed();
        if !nothing {
            self.bell.disarm();
        }
        nothing
    }

    /// The descriptor was readable, and is to be waited for again.
    #[cfg(feature = "tokio")]
    pub(super) fn rung(&mut self) {
        if self.bell.drain() {
            self.bell.disarm();
        }
    }

    /// How it waits.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// Hubs whose events it follows.
    #[must_use]
    pub fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// Hubs that it has followed so far. Those that it follows no more have been read to the end.
    #[must_use]
    pub fn sources_ever(&self) -> u64 {
        self.sources_ever
    }

    /// Subjects that match its patterns and are published.
    #[must_use]
    pub fn subject_count(&self) -> usize {
        let names = self.sources.iter().flat_map(|source| source.filter.names());
        names.collect::<HashSet<&str>>().len()
    }

    /// Whether its hub has been closed or dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Where the next event is.
    fn find(&mut self) -> Result<Option<(usize, Found)>, RecvError> {
        if let Some(pending) = self.pending.take() {
            return pending.map(Some);
        }
        loop {
            if self.inbox.has_news() {
                self.take_news();
            }
            if !self.domain_events.is_empty() {
                return self.next_domain_event().map(Some);
            }
            match self.scan()? {
                Scan::Found(index, found) => return Ok(Some((index, found))),
                Scan::More => {}
                Scan::Nothing => {
                    for source in &mut self.sources {
                        source.publish();
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Looks at all sources once, the busy one first and again in between.
    fn scan(&mut self) -> Result<Scan, RecvError> {
        if self.turn >= TURN {
            self.turn = 0;
            self.current += 1;
        }
        let count = self.sources.len();
        let first = if self.current < count { self.current } else { 0 };
        let mut more = false;
        for look in 0..count {
            let index = (first + look) % count;
            let looks_again = look > 0 && look % IDLE_LOOKS == 0;
            for index in [Some(index), looks_again.then_some(first)].into_iter().flatten() {
                match self.sources[index].look(&self.inbox) {
                    Ok(Look::Found(found)) => {
                        if !found.on_lane {
                            // News that came before it may be of a lane with something older.
                            let has_news = self.inbox.has_news();
                            if has_news || !self.copy_broadcast(index, &found)? {
                                more = true;
                                continue;
                            }
                        }
                        self.turn = if index == self.current { self.turn + 1 } else { 1 };
                        self.current = index;
                        return Ok(Scan::Found(index, found));
                    }
                    Ok(Look::More) => more = true,
                    Ok(Look::Nothing) if self.sources[index].is_finished() => {
                        self.sources.swap_remove(index);
                        return Ok(Scan::More);
                    }
                    Ok(Look::Nothing) => {}
                    Err(trouble) => return Err(self.tell(index, trouble)),
                }
            }
        }
        Ok(if more { Scan::More } else { Scan::Nothing })
    }

    /// Copies an event out of a broadcast ring; `false` if it was overtaken meanwhile.
    fn copy_broadcast(&mut self, index: usize, found: &Found) -> Result<bool, RecvError> {
        let source = &mut self.sources[index];
        let Port::Open(follower, _) = &mut source.broadcast else { return Ok(false) };
        self.copy.resize(COPY_START + found.commit.len, 0);
        let Err(error) = found.copy_broadcast(follower, &mut self.copy[COPY_START..]) else {
            return Ok(true);
        };
        match source.no_record(&error) {
            Ok(_) => Ok(false),
            Err(trouble) => Err(self.tell(index, trouble)),
        }
    }

    #[cold]
    fn tell(&mut self, index: usize, trouble: Trouble) -> RecvError {
        let hub = Arc::clone(&self.sources[index].peer.name);
        match trouble {
            Trouble::Lagged(missed) => self.tally.lagged(hub, missed),
            Trouble::Corrupt(why) => {
                self.sources.swap_remove(index);
                RecvError::SourceCorrupt { hub, why }
            }
        }
    }

    /// The event that was found.
    fn take(&mut self, index: usize, found: &Found) -> Envelope<'_> {
        if index == DOMAIN {
            return self.take_domain_event();
        }
        let Self { sources, copy, payloads, tally, bell, .. } = self;
        let source = &mut sources[index];
        source.taken(found);
        let payload = found.commit.len - HEADER_BYTES - found.extension;
        if let Some(weight) = tally.event(payload, bell.take_slept()) {
            let sent = match (&source.lane, found.on_lane) {
                (Port::Open(reader, _), true) => head_of(reader).timestamp,
                _ => header_of(&copy[COPY_START..]).timestamp,
            };
            source.time(found.on_lane, sent, weight);
        }
        let Source { peer, filter, lane, .. } = source;
        let subject = filter.name(found.commit.tag).map_or("", |name| name);
        let in_place = peer.same_user && *payloads == Payloads::ByTrust;
        let extension = found.extension;
        if let (Port::Open(reader, _), true) = (lane, found.on_lane) {
            if in_place {
                let (header, body) = (head_of(reader), Body::Ring(reader, found.commit.len));
                return Envelope { peer, subject, header, body, extension };
            }
            copy.resize(COPY_START + found.commit.len, 0);
            reader.copy_body(&mut copy[COPY_START..]);
            reader.release(found.commit.len);
        }
        // A broadcast event was copied when it was found.
        let body = &copy[COPY_START..];
        Envelope { peer, subject, header: header_of(body), body: Body::Copy(body), extension }
    }
}

/// The header of the next event of a lane.
#[inline(always)]
fn head_of(reader: &Reader<RingMemory>) -> Header {
    let mut head = [0; HEADER_BYTES];
    reader.copy_body(&mut head);
    header_of(&head)
}

/// What a look at all sources has shown.
enum Scan {
    Nothing,
    More,
    Found(usize, Found),
}

impl Sleeps for Subscription {
    type Found = (usize, Found);
    type Error = RecvError;

    fn bell(&mut self) -> &mut Bell {
        &mut self.bell
    }

    fn look(&mut self) -> Result<Option<(usize, Found)>, RecvError> {
        self.find()
    }

    fn is_over(&self) -> bool {
        self.inbox.is_closed()
    }
}

impl AsFd for Subscription {
    /// Its doorbell; see [`arm`](Self::arm).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(feature = "tokio")]
impl std::os::fd::AsRawFd for Subscription {
    /// As [`as_fd`](AsFd::as_fd).
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.bell.as_fd().as_raw_fd()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.hub.process.is_current() {
            self.control.unsubscribe(self.hub.key, self.number);
            self.hub.cursors.give_back(self.bell_slot);
        }
    }
}
