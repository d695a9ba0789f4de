//! Raw bytes: written in the ring, or copied into it.

use super::bus::RawEvent;
use super::link::Link;
use super::tally::LinkTally;
use crate::event::{HEADER_BYTES, Header, NO_SUBJECT, RAW_SCHEMA, Timestamp};
use crate::ring::layout::Kind;
use crate::ring::{self, RingError};
use crate::segment::RingMemory;
use crate::send_error::SendError;
use crate::wait::Ringer;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

impl Link {
    /// Sends raw bytes as an event of schema [`RAW_SCHEMA`].
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.try_send_raw(&RawEvent::bytes(RAW_SCHEMA, bytes))
    }

    /// As [`try_send_bytes`](Self::try_send_bytes), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_bytes_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), SendError> {
        self.send_raw_timeout(&RawEvent::bytes(RAW_SCHEMA, bytes), timeout)
    }

    /// As [`try_send_bytes`](Self::try_send_bytes), waiting for room while the other side lives.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send_raw(&RawEvent::bytes(RAW_SCHEMA, bytes))
    }

    /// Sends an event of any schema; otherwise as [`try_send`](Self::try_send).
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    #[inline(always)]
    pub fn try_send_raw(&mut self, event: &RawEvent<'_>) -> Result<(), SendError> {
        match self.send_raw_at_once(event) {
            true => Ok(()),
            false => self.try_send_raw_slowly(*event),
        }
    }

    /// As [`try_send_raw`](Self::try_send_raw), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    #[inline(always)]
    pub fn send_raw_timeout(
        &mut self,
        event: &RawEvent<'_>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        match self.send_raw_at_once(event) {
            true => Ok(()),
            false => self.send_raw_by(*event, super::after(timeout)),
        }
    }

    /// As [`try_send_raw`](Self::try_send_raw), waiting for room while the other side lives.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline(always)]
    pub fn send_raw(&mut self, event: &RawEvent<'_>) -> Result<(), SendError> {
        match self.send_raw_at_once(event) {
            true => Ok(()),
            false => self.send_raw_by(*event, None),
        }
    }

    // These take it by value: where it is needed by reference it must be in memory, and to be written
    // there takes longer than all else that is done with it.

    #[cold]
    fn try_send_raw_slowly(&mut self, event: RawEvent<'_>) -> Result<(), SendError> {
        self.put(&event, event.extension_bytes()).map_err(|failure| failure.error)
    }

    #[cold]
    fn send_raw_by(&mut self, event: RawEvent<'_>, by: Option<Instant>) -> Result<(), SendError> {
        self.send_by(&event, event.extension_bytes(), by)
    }

    #[inline(always)]
    fn send_raw_at_once(&mut self, event: &RawEvent<'_>) -> bool {
        event.extension_bytes().is_empty() && self.put_at_once(event)
    }

    /// A place for `len` bytes in the ring, to be written and then sent: nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    #[inline(always)]
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        if self.has_room_at_once(len) {
            return Ok(self.take_loan(HEADER_BYTES + len));
        }
        self.try_loan_slowly(len)
    }

    #[cold]
    fn try_loan_slowly(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.check()?;
        let body = HEADER_BYTES.saturating_add(len);
        if let Err(error) = self.writer.reserve(body) {
            return Err(self.failure(error, body).error);
        }
        Ok(self.take_loan(body))
    }

    /// As [`try_loan`](Self::try_loan), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    pub fn loan_timeout(&mut self, len: usize, timeout: Duration) -> Result<Loan<'_>, SendError> {
        self.loan_by(len, super::after(timeout))
    }

    /// As [`try_loan`](Self::try_loan), waiting for room while the other side lives.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline(always)]
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        if self.has_room_at_once(len) {
            return Ok(self.take_loan(HEADER_BYTES + len));
        }
        self.loan_by(len, None)
    }

    /// The hot path: whether nothing at all stands in the way.
    #[inline(always)]
    fn has_room_at_once(&self, len: usize) -> bool {
        self.usable() && len <= self.max_payload() && self.writer.has_room(HEADER_BYTES + len)
    }

    #[cold]
    fn loan_by(&mut self, len: usize, by: Option<Instant>) -> Result<Loan<'_>, SendError> {
        let body = HEADER_BYTES.saturating_add(len);
        loop {
            self.check()?;
            match self.writer.reserve(body) {
                Ok(()) => return Ok(self.take_loan(body)),
                Err(RingError::Full) => self.wait_for_room(body, by)?,
                Err(error) => return Err(self.failure(error, body).error),
            }
        }
    }

    /// The loan for which there is room.
    #[inline(always)]
    fn take_loan(&mut self, body: usize) -> Loan<'_> {
        let timestamp = if self.timestamps { Timestamp::now().ticks() } else { 0 };
        let header = Header { sequence: self.next, schema: RAW_SCHEMA, timestamp };
        let loan = self.writer.loan_reserved(body);
        let Self { next, ringer, tally, .. } = self;
        Loan { loan, header, next, ringer, tally }
    }
}

/// Bytes in the ring that are being written. Dropping it sends nothing.
#[derive(Debug)]
pub struct Loan<'a> {
    loan: ring::Loan<'a, RingMemory>,
    header: Header,
    next: &'a mut u64,
    ringer: &'a Ringer,
    tally: &'a LinkTally,
}

impl Loan<'_> {
    /// Sends all of it.
    #[inline(always)]
    pub fn send(self) {
        let len = self.len();
        self.send_len(len);
    }

    /// Sends the first `len` bytes.
    ///
    /// # Panics
    ///
    /// If `len` is more than was loaned.
    #[inline(always)]
    pub fn send_len(mut self, len: usize) {
        assert!(len <= self.len(), "sent {len} bytes of a loan of {}", self.len());
        self.header.write(&mut self.loan);
        self.loan.commit(HEADER_BYTES + len, Kind::Plain, NO_SUBJECT);
        *self.next += 1;
        self.tally.sent(*self.next, len);
        if self.ringer.notify() {
            self.tally.woke();
        }
    }

    /// Makes the event one of another schema than raw bytes: the bytes are then to be a valid
    /// archive of it.
    #[inline(always)] // to move a struct that was just written stalls
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
