//! Several events, sent as one.

use super::link::Link;
use crate::event::{Encoder, Event, HEADER_BYTES, Header, NO_SUBJECT, RAW_SCHEMA, Timestamp};
use crate::ring::RingError;
use crate::ring::layout::Kind;
use crate::send_error::SendError;

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
    /// Bytes of payloads that are not visible yet.
    bytes: usize,
    /// One timestamp for all.
    timestamp: u64,
}

impl<'a> Batch<'a> {
    pub(super) fn new(link: &'a mut Link) -> Self {
        // A batch that was forgotten (mem::forget) instead of dropped leaves its records behind.
        link.writer.discard_batch();
        let timestamp = if link.timestamps { Timestamp::now().ticks() } else { 0 };
        Self { first: 0, next: link.next, bytes: 0, timestamp, link }
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
        self.make_room(HEADER_BYTES.saturating_add(bytes.len()), true)?;
        self.put_into(bytes.len(), RAW_SCHEMA, |place, _| {
            place.copy_from_slice(bytes);
            Some(bytes.len())
        });
        Ok(())
    }

    #[inline(always)]
    fn put<T: Event>(&mut self, event: &T, wait: bool) -> Result<(), SendError> {
        let payload = self.link.encoder.loan_for::<T>();
        if self.link.usable()
            && self.link.writer.has_room(HEADER_BYTES + payload)
            && self.put_event(event, payload)
        {
            return Ok(());
        }
        self.put_slowly(event, wait)
    }

    #[cold]
    fn put_slowly<T: Event>(&mut self, event: &T, wait: bool) -> Result<(), SendError> {
        let max = self.link.max_payload();
        let mut payload = self.link.encoder.loan_for::<T>();
        loop {
            self.make_room(HEADER_BYTES + payload, wait)?;
            if self.put_event(event, payload) {
                return Ok(());
            }
            payload = self
                .link
                .encoder
                .more(payload, max)
                .ok_or(SendError::Unserialisable { name: T::NAME, max })?;
        }
    }

    /// Makes sure that there is room, and shows what there is before it waits for some.
    #[inline]
    fn make_room(&mut self, body: usize, wait: bool) -> Result<(), SendError> {
        self.link.check()?;
        while let Err(error) = self.link.writer.reserve(body) {
            if error != RingError::Full || !wait {
                return Err(self.link.failure(error, body).error);
            }
            self.flush();
            self.link.wait_for_room(body, None)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn put_event<T: Event>(&mut self, event: &T, payload: usize) -> bool {
        self.put_into(payload, T::SCHEMA, |place, encoder| encoder.encode(event, place))
    }

    /// Adds a record, for which there is room; `false` if `fill` says that its place is too short.
    #[inline(always)]
    fn put_into(
        &mut self,
        payload: usize,
        schema: u64,
        fill: impl Fn(&mut [u8], &mut Encoder) -> Option<usize>,
    ) -> bool {
        let header = Header { sequence: self.next, schema, timestamp: self.timestamp };
        let Link { writer, encoder, .. } = &mut *self.link;
        let mut loan = writer.batch_loan_reserved(HEADER_BYTES + payload, &mut self.first);
        let Some(len) = fill(&mut loan[HEADER_BYTES..], encoder) else { return false };
        header.write(&mut loan);
        loan.commit(HEADER_BYTES + len, Kind::Plain, NO_SUBJECT);
        self.next += 1;
        self.bytes += len;
        true
    }

    /// Shows what has been added so far, and wakes the other side if it sleeps.
    pub fn flush(&mut self) {
        if self.first != 0 {
            self.link.writer.publish_batch(self.first);
            self.first = 0;
            self.link.next = self.next;
            self.link.tally.sent(self.next, std::mem::take(&mut self.bytes));
            self.link.notify();
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
