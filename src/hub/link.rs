//! The sending half of a link.

use super::batch::Batch;
use super::control::Control;
use super::state::{HubShared, LinkId, LinkShared, LinkState};
use crate::event::{NO_SUBJECT, Encoder, Event, HEADER_BYTES, Header, RAW_SCHEMA, Timestamp};
use crate::ring::layout::Kind;
use crate::ring::{self, RingError, RoomWait, Writer};
use crate::segment::{Process, RingMemory};
use crate::wait::Ringer;
use crossbeam_utils::Backoff;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why an event was not sent. Nothing of it is visible to the other side.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other side has not read far enough. Try again later, or use a method that waits.
    #[error("the ring to the other hub is full, and it has not made room in time")]
    Full,
    /// The event can never fit.
    #[error(
        "a payload of {len} bytes does not fit: this link takes at most {max} \
         (its ring has {capacity} bytes); open the link with a larger send capacity"
    )]
    TooLarge {
        /// Bytes of the payload.
        len: usize,
        /// Bytes of the longest payload.
        max: usize,
        /// Bytes of the ring.
        capacity: usize,
    },
    /// The other process or its hub is gone. What it had not read is lost with it.
    #[error("hub {peer} is gone")]
    PeerGone {
        /// Its name.
        peer: Arc<str>,
    },
    /// The link was closed.
    #[error("the link with hub {peer} is closed")]
    Closed {
        /// The other hub's name.
        peer: Arc<str>,
    },
    /// The hub that the link belongs to was closed.
    #[error("the own hub is closed")]
    HubClosed,
    /// The other hub claims to have read what cannot have been read. The link is closed.
    #[error("hub {peer} does not keep to the protocol: {why}")]
    ReaderLied {
        /// Its name.
        peer: Arc<str>,
        /// What it claims.
        why: RingError,
    },
    /// The value cannot be serialised.
    #[error("a value of {name} cannot be serialised into {max} bytes or fewer")]
    Unserialisable {
        /// The name of its type.
        name: &'static str,
        /// Bytes of the longest payload.
        max: usize,
    },
    /// This process is a forked child of the one that opened the hub.
    #[error("links cannot be used after fork; open a new hub in the child")]
    Forked,
}

/// How long a writer that waits for room sleeps at most before it looks again by itself: only a
/// reader that was stopped in the middle of waking it can make that necessary.
const ROOM_NAP: Duration = Duration::from_millis(10);

/// Sends events to one other hub. What comes back arrives at the hub ([`Hub::recv`]).
///
/// Dropping it ends the stream: the other side reads what was sent and is then told. Belongs to
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
    #[inline]
    pub fn try_send<T: Event>(&mut self, event: &T) -> Result<(), SendError> {
        self.try_put(event).map_err(|failure| failure.error)
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
        self.send_by(event, Some(Instant::now() + timeout))
    }

    /// As [`try_send`](Self::try_send), waiting for room for as long as the other side lives.
    ///
    /// # Errors
    ///
    /// [`SendError`], never `Full`.
    #[inline]
    pub fn send<T: Event>(&mut self, event: &T) -> Result<(), SendError> {
        match self.try_put(event) {
            Ok(()) => Ok(()),
            Err(Failure { error: SendError::Full, .. }) => self.send_by(event, None),
            Err(failure) => Err(failure.error),
        }
    }

    #[cold]
    fn send_by<T: Event>(&mut self, event: &T, by: Option<Instant>) -> Result<(), SendError> {
        loop {
            match self.try_put(event) {
                Err(Failure { error: SendError::Full, body }) => self.wait_for_room(body, by)?,
                result => return result.map_err(|failure| failure.error),
            }
        }
    }

    /// Puts an event into the ring; on failure also says for how long a body there was no room.
    #[inline(always)]
    fn try_put<T: Event>(&mut self, event: &T) -> Result<(), Failure> {
        self.check()?;
        let payload = self.encoder.loan_for::<T>();
        match self.try_put_into(event, payload) {
            Ok(true) => Ok(()),
            Ok(false) => self.try_put_longer(event, payload),
            Err(error) => Err(self.failure(error, HEADER_BYTES + payload)),
        }
    }

    /// `false` if `payload` bytes are not enough for the event.
    #[inline(always)]
    fn try_put_into<T: Event>(&mut self, event: &T, payload: usize) -> Result<bool, RingError> {
        let mut loan = self.writer.loan(HEADER_BYTES + payload)?;
        let Some(len) = self.encoder.encode(event, &mut loan[HEADER_BYTES..]) else {
            return Ok(false);
        };
        let timestamp = if self.timestamps { Timestamp::now().ticks() } else { 0 };
        Header { sequence: self.next, schema: T::SCHEMA, timestamp }.write(&mut loan);
        loan.commit(HEADER_BYTES + len, Kind::Plain, NO_SUBJECT);
        self.next += 1;
        self.ringer.notify();
        Ok(true)
    }

    #[cold]
    fn try_put_longer<T: Event>(&mut self, event: &T, tried: usize) -> Result<(), Failure> {
        let max = self.max_payload();
        let mut payload = tried;
        while let Some(longer) = self.encoder.more(payload, max) {
            payload = longer;
            match self.try_put_into(event, payload) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(self.failure(error, HEADER_BYTES + payload)),
            }
        }
        Err(SendError::Unserialisable { name: T::NAME, max }.into())
    }

    /// Sends raw bytes as an event of schema [`RAW_SCHEMA`].
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let mut loan = self.try_loan(bytes.len())?;
        loan.copy_from_slice(bytes);
        loan.send();
        Ok(())
    }

    /// As [`try_send_bytes`](Self::try_send_bytes), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_bytes_timeout(
        &mut self,
        bytes: &[u8],
        timeout: Duration,
    ) -> Result<(), SendError> {
        let mut loan = self.loan_timeout(bytes.len(), timeout)?;
        loan.copy_from_slice(bytes);
        loan.send();
        Ok(())
    }

    /// As [`try_send_bytes`](Self::try_send_bytes), waiting for room while the other side lives.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let mut loan = self.loan(bytes.len())?;
        loan.copy_from_slice(bytes);
        loan.send();
        Ok(())
    }

    /// A place for `len` bytes in the ring, to be written and then sent: nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.check()?;
        let body = HEADER_BYTES + len;
        if let Err(error) = self.writer.reserve(body) {
            return Err(self.failure(error, body).error);
        }
        self.take_loan(body)
    }

    /// As [`try_loan`](Self::try_loan), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    pub fn loan_timeout(&mut self, len: usize, timeout: Duration) -> Result<Loan<'_>, SendError> {
        self.loan_by(len, Some(Instant::now() + timeout))
    }

    /// As [`try_loan`](Self::try_loan), waiting for room while the other side lives.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.loan_by(len, None)
    }

    fn loan_by(&mut self, len: usize, by: Option<Instant>) -> Result<Loan<'_>, SendError> {
        let body = HEADER_BYTES + len;
        loop {
            self.check()?;
            match self.writer.reserve(body) {
                Ok(()) => return self.take_loan(body),
                Err(RingError::Full) => self.wait_for_room(body, by)?,
                Err(error) => return Err(self.failure(error, body).error),
            }
        }
    }

    /// The loan for which there is room.
    fn take_loan(&mut self, body: usize) -> Result<Loan<'_>, SendError> {
        let timestamp = if self.timestamps { Timestamp::now().ticks() } else { 0 };
        let header = Header { sequence: self.next, schema: RAW_SCHEMA, timestamp };
        let loan = self.writer.loan(body).map_err(|_| SendError::Full)?;
        Ok(Loan { loan, header, next: &mut self.next, ringer: &mut self.ringer })
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
        if !self.process.is_current() || !self.shared.is_open() { Err(self.why_not()) } else { Ok(()) }
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
            RingError::TooLarge { len, max, capacity } => SendError::TooLarge {
                len: len - HEADER_BYTES,
                max: max - HEADER_BYTES,
                capacity,
            },
            RingError::ReaderLied { .. } => {
                self.shared.end(LinkState::Closed);
                self.control.close_link(self.hub.key, self.shared.id, &error.to_string());
                SendError::ReaderLied { peer: Arc::clone(&self.shared.peer), why: error }
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
        self.ringer.notify();
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
            if let Ok(RoomWait::Sleep(wanted)) = wait {
                self.writer.memory().sleep_for_room(wanted, nap);
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
        self.ringer.notify();
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

/// Bytes in the ring that are being written. Dropping it sends nothing.
#[derive(Debug)]
pub struct Loan<'a> {
    loan: ring::Loan<'a, RingMemory>,
    header: Header,
    next: &'a mut u64,
    ringer: &'a mut Ringer,
}

impl Loan<'_> {
    /// Sends all of it.
    #[inline]
    pub fn send(self) {
        let len = self.len();
        self.send_len(len);
    }

    /// Sends the first `len` bytes.
    ///
    /// # Panics
    ///
    /// If `len` is more than was loaned.
    #[inline]
    pub fn send_len(mut self, len: usize) {
        assert!(len <= self.len(), "sent {len} bytes of a loan of {}", self.len());
        self.header.write(&mut self.loan);
        self.loan.commit(HEADER_BYTES + len, Kind::Plain, NO_SUBJECT);
        *self.next += 1;
        self.ringer.notify();
    }

    /// Makes the event one of another schema than raw bytes: the bytes are then to be a valid
    /// archive of it.
    #[must_use]
    pub fn with_schema(mut self, schema: u64) -> Self {
        self.header.schema = schema;
        self
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.loan[HEADER_BYTES..]
    }
}

impl DerefMut for Loan<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.loan[HEADER_BYTES..]
    }
}
