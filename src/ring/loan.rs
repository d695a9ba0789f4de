//! A record that is being written.

use super::layout::{CommitWord, Kind};
use super::memory::Memory;
use super::writer::Writer;
use core::ops::{Deref, DerefMut};

/// A body in the ring that is being written. Dropping it aborts.
#[derive(Debug)]
pub struct Loan<'a, M: Memory> {
    writer: &'a mut Writer<M>,
    body: *mut u8,
    max_len: usize,
}

impl<'a, M: Memory> Loan<'a, M> {
    /// `max_len` bytes at `body`, which the writer has reserved.
    #[inline(always)]
    pub(super) fn new(writer: &'a mut Writer<M>, body: *mut u8, max_len: usize) -> Self {
        Self { writer, body, max_len }
    }

    /// Publishes the first `len` bytes as one record.
    ///
    /// # Panics
    ///
    /// If `len` is more than was loaned.
    #[inline(always)] // to move a struct that was just written stalls
    pub fn commit(self, len: usize, kind: Kind, tag: u32) {
        assert!(len <= self.max_len, "committed {len} bytes of a loan of {}", self.max_len);
        self.writer.publish(CommitWord { len, kind, tag });
    }
}

impl<M: Memory> Deref for Loan<'_, M> {
    type Target = [u8];
    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: `max_len` bytes at `body` are in the ring (Memory, 3), reserved for this loan,
        // and the writer is borrowed for as long as the loan lives.
        unsafe { core::slice::from_raw_parts(self.body, self.max_len) }
    }
}

impl<M: Memory> DerefMut for Loan<'_, M> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; gating readers have left the place, others read it with
        // atomics and throw away what they read (`claim`), and nobody else writes (Memory, 4).
        unsafe { core::slice::from_raw_parts_mut(self.body, self.max_len) }
    }
}
