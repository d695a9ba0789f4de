//! The sending half of a link.

use super::batch::Batch;
use super::bus::{Content, Typed};
use super::control::Control;
use super::state::{HubShared, LinkId, LinkShared, LinkState};
use super::tally::LinkTally;
use crate::event::{Encoder, Event, Extension, HEADER_BYTES, Header, NO_SUBJECT, Timestamp};
use crate::ring::layout::Kind;
use crate::ring::{RingError, RoomWait, Writer};
use crate::segment::{Process, RingMemory, futex};
use crate::send_error::SendError;
use crate::wait::Ringer;
use crossbeam_utils::Backoff;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a writer that waits for room sleeps at most before it looks by itself: whether the
/// other side still lives, and whether the one fence in thousands that is missed (`sync`) was its.
const ROOM_NAP: Duration = Duration::from_millis(10);

/// Sends events to one other hub. What comes back arrives at the hub ([`Hub::recv`]).
///
/// Dropping it ends the stream: the other side reads what was sent and is then told. The link itself
/// is over when both sides have ended theirs and read the other's to its end, or at once with
/// [`Hub::unlink`](super::Hub::unlink), which is for hubs that have links only for what they publish. Belongs to
/// one thread at a time, which need not be its hub's.
///
/// [`Hub::recv`]: super::Hub::recv
#[derive(Debug)]
pub struct Link {
    pub(super) writer: Writer<RingMemory>,
    pub(super) ringer: Ringer,
    pub(super) encoder: Encoder,
    /// The next event's sequence number.
    pub(super) next: u64,
    pub(super) tally: LinkTally,
    pub(super) timestamps: bool,
    pub(super) process: Process,
    pub(super) shared: Arc<LinkShared>,
    pub(super) hub: Arc<HubShared>,
    pub(super) control: Control,
}

impl Link {
    /// The other hub's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// The link's number, the same on both sides.
    #[must_use]
    pub fn id(&self) -> LinkId {
        self.shared.id
    }

    /// Whether the other side is there, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.is_open()
    }

    /// Bytes of the ring to the other side.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.writer.capacity()
    }

    /// Bytes of the longest payload: half of the capacity less 32.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.writer.max_body() - HEADER_BYTES
    }

    /// Whether events carry the time at which they were sent. On unless the hub was built
    /// otherwise; costs about 10 ns for each event, or for each batch.
    pub fn set_timestamps(&mut self, on: bool) {
        self.timestamps = on;
    }

    /// Sends an event, serialised straight into the ring. No system call unless the other side
    /// sleeps, no lock; no allocation for flat types, and none for others once the longest of
    /// them has been seen.
    ///
    /// # Errors
    ///
    /// [`SendError`]; `Full` means now, not for ever.
    #[inline(always)]
    pub fn try_send<T: Event>(&mut self, event: &T) -> Result<(), SendError> {
        let content = Typed(event);
        if self.put_at_once(&content) {
            return Ok(());
        }
        self.put(&content, &[]).map_err(|failure| failure.error)
    }

    /// As [`try_send`](Self::try_send), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`SendError`]; `Full` if there was no room in time.
    pub fn send_timeout<T: Event>(
        &mut self,
        event: &T,
        timeout: Duration,
    ) -> Result<(), SendError> {
        self.send_by(&Typed(event), &[], super::after(timeout))
    }

    /// As [`try_send`](Self::try_send), waiting for room for as long as the other side lives.
    ///
    /// # Errors
    ///
    /// [`SendError`], never `Full`.
    #[inline(always)]
    pub fn send<T: Event>(&mut self, event: &T) -> Result<(), SendError> {
        let content = Typed(event);
        if self.put_at_once(&content) { Ok(()) } else { self.send_by(&content, &[], None) }
    }

    /// As [`try_send`](Self::try_send), with an extension, which takes its room in the ring.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_with<T: Event>(
        &mut self,
        event: &T,
        extension: &Extension,
    ) -> Result<(), SendError> {
        self.put(&Typed(event), extension.bytes()).map_err(|failure| failure.error)
    }

    /// As [`send_timeout`](Self::send_timeout), with an extension.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_timeout_with<T: Event>(
        &mut self,
        event: &T,
        extension: &Extension,
        timeout: Duration,
    ) -> Result<(), SendError> {
        self.send_by(&Typed(event), extension.bytes(), super::after(timeout))
    }

    /// As [`send`](Self::send), with an extension.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_with<T: Event>(
        &mut self,
        event: &T,
        extension: &Extension,
    ) -> Result<(), SendError> {
        self.send_by(&Typed(event), extension.bytes(), None)
    }

    #[cold]
    pub(super) fn send_by<C: Content>(
        &mut self,
        content: &C,
        extension: &[u8],
        by: Option<Instant>,
    ) -> Result<(), SendError> {
        loop {
            match self.put(content, extension) {
                Err(Failure { error: SendError::Full, body }) => self.wait_for_room(body, by)?,
                result => return result.map_err(|failure| failure.error),
            }
        }
    }

    /// The hot path: `false`, and nothing done, if anything at all stands in the way.
    #[inline(always)]
    pub(super) fn put_at_once<C: Content>(&mut self, content: &C) -> bool {
        let payload = content.loan(&self.encoder);
        self.usable()
            && self.writer.has_room(HEADER_BYTES + payload)
            && self.put_into(content, &[], payload)
    }

    /// Puts an event into the ring; on failure also says for how long a body there was no room.
    #[cold]
    pub(super) fn put<C: Content>(&mut self, content: &C, extension: &[u8]) -> Result<(), Failure> {
        self.check()?;
        let max = self.max_payload().saturating_sub(extension.len());
        let mut payload = content.loan(&self.encoder);
        loop {
            let body = HEADER_BYTES + extension.len() + payload;
            if let Err(error) = self.writer.reserve(body) {
                return Err(self.failure(error, body));
            }
            if self.put_into(content, extension, payload) {
                return Ok(());
            }
            payload = self
                .encoder
                .more(payload, max)
                .ok_or(SendError::Unserialisable { name: content.name(), max })?;
        }
    }

    /// Puts an event where there is room for `payload` bytes of it; `false` if that is not enough.
    #[inline(always)]
    fn put_into<C: Content>(&mut self, content: &C, extension: &[u8], payload: usize) -> bool {
        let start = HEADER_BYTES + extension.len();
        let mut loan = self.writer.loan_reserved(start + payload);
        let Some(len) = content.fill(&mut self.encoder, &mut loan[start..]) else {
            return false;
        };
        loan[HEADER_BYTES..start].copy_from_slice(extension);
        let timestamp = if self.timestamps { Timestamp::now().ticks() } else { 0 };
        Header { sequence: self.next, schema: content.schema(), timestamp }.write(&mut loan);
        let kind = if extension.is_empty() { Kind::Plain } else { Kind::Extended };
        loan.commit(start + len, kind, NO_SUBJECT);
        self.next += 1;
        self.tally.sent(self.next, len);
        self.notify();
        true
    }

    /// Wakes the other side if it sleeps.
    #[inline(always)]
    pub(super) fn notify(&self) {
        if self.ringer.notify() {
            self.tally.woke();
        }
    }

    /// Several events that become visible at once: one commit, one timestamp, one look at whether
    /// the other side sleeps. Nothing is visible before [`Batch::commit`].
    pub fn batch(&mut self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Ends the stream, as dropping does: the other side reads what was sent, and then
    /// [`RecvError::LinkClosed`](super::RecvError::LinkClosed).
    pub fn close(self) {}

    /// What must hold before anything is sent.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), SendError> {
        if self.usable() { Ok(()) } else { Err(self.why_not()) }
    }

    #[inline(always)]
    pub(super) fn usable(&self) -> bool {
        self.process.is_current() && self.shared.is_open()
    }

    #[cold]
    fn why_not(&self) -> SendError {
        let peer = Arc::clone(&self.shared.peer);
        match self.shared.state() {
            _ if !self.process.is_current() => SendError::Forked,
            LinkState::PeerGone => SendError::PeerGone { peer },
            LinkState::HubClosed => SendError::HubClosed,
            LinkState::Open | LinkState::Closed => SendError::Closed { peer },
        }
    }

    /// What the ring's error means here. A reader that lies is the end of the link.
    #[cold]
    pub(super) fn failure(&mut self, error: RingError, body: usize) -> Failure {
        let error = match error {
            RingError::Full => SendError::Full,
            RingError::TooLarge { len, max, capacity } => {
                SendError::TooLarge { len: len - HEADER_BYTES, max: max - HEADER_BYTES, capacity }
            }
            RingError::ReaderLied { .. } => {
                self.shared.end(LinkState::Closed);
                self.control.close_link(self.hub.key, self.shared.id, &error.to_string());
                SendError::ReaderLied { peer: Arc::clone(&self.shared.peer), why: error }
            }
            RingError::ReaderLeft { .. } => {
                self.shared.end(LinkState::PeerGone);
                SendError::PeerGone { peer: Arc::clone(&self.shared.peer) }
            }
            RingError::Closed => SendError::Closed { peer: Arc::clone(&self.shared.peer) },
        };
        Failure { error, body }
    }

    /// Waits until there may be room for a body of so many bytes.
    #[cold]
    pub(super) fn wait_for_room(
        &mut self,
        body: usize,
        by: Option<Instant>,
    ) -> Result<(), SendError> {
        // What is pending here waits for the reader, which may sleep.
        self.notify();
        let backoff = Backoff::new();
        while !backoff.is_completed() {
            match self.writer.reserve(body) {
                Err(RingError::Full) => backoff.snooze(),
                Ok(()) => return Ok(()),
                Err(error) => return Err(self.failure(error, body).error),
            }
        }
        loop {
            self.check()?;
            let left = by.map(|by| by.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(SendError::Full);
            }
            let nap = left.unwrap_or(ROOM_NAP).min(ROOM_NAP);
            let wait = self.writer.announce_wait(body);
            if let Ok(RoomWait::Sleep(reader, seen)) = &wait {
                futex::sleep(reader, *seen, nap);
            }
            self.writer.end_wait();
            match wait.and_then(|_| self.writer.reserve(body)) {
                Ok(()) => return Ok(()),
                Err(RingError::Full) => {}
                Err(error) => return Err(self.failure(error, body).error),
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.process.is_current() {
            return;
        }
        self.writer.close();
        self.notify();
        self.control.end_stream(self.hub.key, self.shared.id);
    }
}

/// An error, and the length of the body that there was no room for.
pub(super) struct Failure {
    pub error: SendError,
    pub body: usize,
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self { error, body: 0 }
    }
}
