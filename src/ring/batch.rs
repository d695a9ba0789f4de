//! Several records with one publication.

use super::error::RingError;
use super::layout::{CommitWord, Kind};
use super::memory::Memory;
use super::writer::Writer;
use core::ops::{Deref, DerefMut};

/// Records that become visible together. Only the first record's commit word is withheld: no
/// reader can pass it, so the rest is written as it comes and one release store shows it all.
///
/// Dropping a batch discards it; [`publish`](Self::publish) shows it.
#[derive(Debug)]
pub struct Batch<'a, M: Memory> {
    writer: &'a mut Writer<M>,
    /// The first record's commit word; 0 while there is none.
    first: u64,
}

impl<'a, M: Memory> Batch<'a, M> {
    pub(super) fn new(writer: &'a mut Writer<M>) -> Self {
        // A batch that was forgotten (mem::forget) instead of dropped leaves its records behind.
        writer.discard_batch();
        Self { writer, first: 0 }
    }

    /// A place for the next record of the batch.
    ///
    /// # Errors
    ///
    /// As [`Writer::loan`]; also [`RingError::Full`] when the batch alone fills the ring. What
    /// the batch holds already stays: [`flush`](Self::flush) shows it and makes the readers move.
    #[inline]
    pub fn loan(&mut self, max_len: usize) -> Result<BatchLoan<'_, M>, RingError> {
        self.writer.reserve(max_len)?;
        Ok(self.writer.batch_loan_reserved(max_len, &mut self.first))
    }

    /// Shows what the batch holds so far and goes on with an empty one.
    #[inline]
    pub fn flush(&mut self) {
        if self.first != 0 {
            self.writer.publish_batch(self.first);
            self.first = 0;
        }
    }

    /// Shows the whole batch.
    #[inline]
    pub fn publish(mut self) {
        self.flush();
    }

    /// Whether nothing has been written since the start or the last [`flush`](Self::flush).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == 0
    }
}

impl<M: Memory> Drop for Batch<'_, M> {
    fn drop(&mut self) {
        if self.first != 0 {
            self.writer.discard_batch();
        }
    }
}

/// A body in the ring that is being written as part of a batch. Dropping it aborts this record.
#[derive(Debug)]
pub struct BatchLoan<'a, M: Memory> {
    writer: &'a mut Writer<M>,
    first: &'a mut u64,
    body: *mut u8,
    max_len: usize,
}

impl<M: Memory> Writer<M> {
    /// A place for a record behind those whose publication waits for the word `first`, 0 if there
    /// are none; [`reserve`](Self::reserve) said that there is room.
    #[inline(always)]
    pub(crate) fn batch_loan_reserved<'a>(
        &'a mut self,
        max_len: usize,
        first: &'a mut u64,
    ) -> BatchLoan<'a, M> {
        let body = self.body_reserved(max_len);
        BatchLoan { writer: self, first, body, max_len }
    }
}

impl<M: Memory> BatchLoan<'_, M> {
    /// Makes the first `len` bytes the batch's next record.
    ///
    /// # Panics
    ///
    /// If `len` is more than was loaned.
    #[inline]
    pub fn commit(self, len: usize, kind: Kind, tag: u32) {
        assert!(len <= self.max_len, "committed {len} bytes of a loan of {}", self.max_len);
        let word = CommitWord { len, kind, tag };
        if *self.first == 0 {
            *self.first = word.pack();
            self.writer.skip_first(len);
        } else {
            self.writer.append(word);
        }
    }
}

impl<M: Memory> Deref for BatchLoan<'_, M> {
    type Target = [u8];
    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: `max_len` bytes at `body` are in the ring (Memory, 3), reserved for this loan,
        // and the writer is borrowed for as long as the loan lives.
        unsafe { core::slice::from_raw_parts(self.body, self.max_len) }
    }
}

impl<M: Memory> DerefMut for BatchLoan<'_, M> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and as in `Loan::deref_mut` nobody else reads or writes there.
        unsafe { core::slice::from_raw_parts_mut(self.body, self.max_len) }
    }
}
