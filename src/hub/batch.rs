//! Several events, sent as one.

use super::link::Link;
use super::send_error::SendError;
use crate::event::{Encoder, Event, HEADER_BYTES, Header, NO_SUBJECT, RAW_SCHEMA, Timestamp};
use crate::ring::RingError;
use crate::ring::layout::Kind;

/// Events that become visible together with [`commit`](Self::commit). Dropping it discards those
/// that are not visible yet.
///
/// A batch that is larger than the free part of the ring is sent in parts: the methods that wait
/// show what there is, so that the other side makes room.
#[derive(Debug)]
pub struct Batch<'a> {
    link: &'a mut Link,
    /// The commit word of the first record that is not visible; 0 if all are.
    first: u64,
    /// Sequence number of the next event.
    next: u64,
    /// One timestamp for all.
    timestamp: u64,
}

impl<'a> Batch<'a> {
    pub(super) fn new(link: &'a mut Link) -> Self {
        // A batch that was forgotten (mem::forget) instead of dropped leaves its records behind.
        link.writer.discard_batch();
        let timestamp = if link.timestamps { Timestamp::now().ticks() } else { 0 };
        Self { first: 0, next: link.next, timestamp, link }
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// As [`Link::try_send`]; what is in the batch already stays in it.
    #[inline]
    pub fn try_send<T: Event>(&mut self, event: &T) -> Result<(), SendError> {
        self.put(event, false)
    }

    /// Adds an event; if there is no room, commits what is there and waits.
    ///
    /// # Errors
    ///
    /// As [`Link::send`]; what is in the batch already stays in it.
    #[inline]
    pub fn send<T: Event>(&mut self, event: &T) -> Result<(), SendError> {
        self.put(event, true)
    }

    /// Adds raw bytes; if there is no room, commits what is there and waits.
    ///
    /// # Errors
    ///
    /// As [`Link::send`]; what is in the batch already stays in it.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let copy = |place: &mut [u8], _: &mut Encoder| {
            place.copy_from_slice(bytes);
            Some(bytes.len())
        };
        self.put_with(bytes.len(), RAW_SCHEMA, true, copy).map(drop)
    }

    #[inline(always)]
    fn put<T: Event>(&mut self, event: &T, wait: bool) -> Result<(), SendError> {
        let mut payload = self.link.encoder.loan_for::<T>();
        loop {
            let encode = |place: &mut [u8], encoder: &mut Encoder| encoder.encode(event, place);
            if self.put_with(payload, T::SCHEMA, wait, encode)? {
                return Ok(());
            }
            let max = self.link.max_payload();
            payload = self
                .link
                .encoder
                .more(payload, max)
                .ok_or(SendError::Unserialisable { name: T::NAME, max })?;
        }
    }

    /// Adds a record that `fill` writes; `false` if the place was too short for it.
    #[inline(always)]
    fn put_with(
        &mut self,
        payload: usize,
        schema: u64,
        wait: bool,
        fill: impl Fn(&mut [u8], &mut Encoder) -> Option<usize>,
    ) -> Result<bool, SendError> {
        self.link.check()?;
        let body = HEADER_BYTES.saturating_add(payload);
        while let Err(error) = self.link.writer.reserve(body) {
            if error != RingError::Full || !wait {
                return Err(self.link.failure(error, body).error);
            }
            self.flush();
            self.link.wait_for_room(body, None)?;
        }
        let header = Header { sequence: self.next, schema, timestamp: self.timestamp };
        let Link { writer, encoder, .. } = &mut *self.link;
        let Ok(mut loan) = writer.batch_loan(body, &mut self.first) else {
            return Err(SendError::Full); // not reached: there was room above
        };
        let Some(len) = fill(&mut loan[HEADER_BYTES..], encoder) else { return Ok(false) };
        header.write(&mut loan);
        loan.commit(HEADER_BYTES + len, Kind::Plain, NO_SUBJECT);
        self.next += 1;
        Ok(true)
    }

    /// Shows what has been added so far, and wakes the other side if it sleeps.
    pub fn flush(&mut self) {
        if self.first != 0 {
            self.link.writer.publish_batch(self.first);
            self.first = 0;
            self.link.next = self.next;
            self.link.ringer.notify();
        }
    }

    /// Shows the whole batch.
    #[inline]
    pub fn commit(mut self) {
        self.flush();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.first != 0 {
            self.link.writer.discard_batch();
        }
    }
}
