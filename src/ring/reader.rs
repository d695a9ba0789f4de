//! A reader for which the writer waits.

use super::gate::Position;
use super::layout::{CommitWord, HeaderWord, Kind, max_body, plain_len, stride};
use super::memory::Memory;
use super::progress::{Fencing, Progress};
use crate::sync::Ordering;
use thiserror::Error;

/// Why there is no next record, and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The writer closed the ring; everything before has been read.
    #[error("the ring was closed by its writer")]
    Closed,
    /// The memory holds what no writer of ours writes.
    #[error(
        "at position {position} the ring holds {word:#018x}, which is not a record of at most \
         {max} bytes"
    )]
    Corrupt {
        /// Where.
        position: u64,
        /// What was found instead of a commit word.
        word: u64,
        /// Bytes of the longest possible body.
        max: usize,
    },
}

/// Reads a ring whose writer waits for it: nothing is ever lost.
#[derive(Debug)]
pub struct Reader<M: Memory> {
    memory: M,
    max_body: usize,
    position: u64,
    /// The last distance from one record to the next.
    stride: u64,
    committed: u64,
    progress: Progress,
}

/// How far ahead of its position a reader fetches lines that it knows to be committed.
const FETCH_AHEAD: u64 = 20 * 64;

impl<M: Memory> Reader<M> {
    /// Reads from `start` on, which the writer said when it added `cursor`.
    ///
    /// # Panics
    ///
    /// If `start` is not a multiple of 64 below 2^63, or `cursor` is another process's word.
    pub fn attach(memory: M, cursor: Position, start: u64, fencing: Fencing) -> Self {
        let progress = Progress::begin(cursor, start, memory.capacity(), fencing);
        Self {
            max_body: max_body(memory.capacity()),
            memory,
            position: start,
            stride: 64,
            committed: 0,
            progress,
        }
    }

    /// Up to where we have read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The memory that the ring lies in.
    #[must_use]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The commit word of the next record, if there is one. One load when there is none.
    ///
    /// # Errors
    ///
    /// [`RecordError`]; the same again when asked again.
    #[inline(always)]
    pub fn peek(&self) -> Result<Option<CommitWord>, RecordError> {
        // SYNC(commit): pairs with the release store in `Writer::publish`.
        let word = self.memory.word(self.position).load(Ordering::Acquire);
        if word == 0 {
            return Ok(None);
        }
        self.check(word).map(Some)
    }

    /// The length of the next record's body, if it is a plain record of at least `min` bytes: the
    /// hot path of [`peek`](Self::peek), which says what else it is.
    #[inline(always)]
    pub(crate) fn peek_plain(&self, min: usize) -> Option<usize> {
        // SYNC(commit): as in `peek`.
        let word = self.memory.word(self.position).load(Ordering::Acquire);
        plain_len(word, min, self.max_body)
    }

    /// Whatever the word is, what comes out of here fits the ring.
    #[inline(always)]
    fn check(&self, word: u64) -> Result<CommitWord, RecordError> {
        let max = self.max_body;
        match CommitWord::unpack(word) {
            Some(CommitWord { kind: Kind::Closed, .. }) => Err(RecordError::Closed),
            Some(commit) if commit.len <= max => Ok(commit),
            _ => Err(RecordError::Corrupt { position: self.position, word, max }),
        }
    }

    /// The next record, if there is one. It is released when the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`RecordError`]; the same again when asked again.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Record<'_, M>>, RecordError> {
        Ok(self.peek()?.map(|commit| Record { reader: self, commit }))
    }

    /// Where the body of the record that [`peek`](Self::peek) saw is.
    #[inline(always)]
    pub(crate) fn body(&self, len: usize) -> *const u8 {
        self.memory.record(self.position, len)
    }

    /// Copies the body of the record that [`peek`](Self::peek) saw.
    pub(crate) fn copy_body(&self, to: &mut [u8]) {
        self.memory.copy_out(self.position, to);
    }

    /// Moves past a record and gives its place back to the writer.
    #[inline(always)]
    pub(crate) fn release(&mut self, len: usize) {
        self.position += self.predicted(stride(len));
        if self.progress.is_due(self.position) {
            self.publish();
        }
        let ahead = self.position + FETCH_AHEAD;
        if ahead < self.committed {
            self.memory.prefetch_read(ahead);
        }
    }

    /// The distance to the next record. It is read from memory that another core has just written,
    /// and where the next record is depends on it: to take it as it is would make every record
    /// wait for the line of the one before. It is mostly the same as last time, so the processor
    /// is given a branch to predict in its place, and fetches several lines at once (about three
    /// times the throughput between cores that are far apart).
    #[inline(always)]
    fn predicted(&mut self, stride: u64) -> u64 {
        let predicted = opaque(self.stride);
        if stride != predicted {
            return self.mispredicted(stride);
        }
        predicted
    }

    #[cold]
    #[inline(never)]
    fn mispredicted(&mut self, stride: u64) -> u64 {
        self.stride = stride;
        stride
    }

    /// Tells the writer how far we have read. Done by itself for every eighth of the ring; call
    /// it before waiting for something else than this ring.
    pub fn publish(&mut self) {
        if !self.progress.tell(self.memory.capacity(), self.position) {
            return;
        }
        // Relaxed: a hint. What lies before the boundary has been committed, so fetching it early
        // takes no line away from a writer that is still writing it.
        self.committed = self.memory.header_word(HeaderWord::Boundary).load(Ordering::Relaxed);
        self.progress.answer(&self.memory);
    }
}

/// A value of which the compiler knows nothing, so that it cannot put another, equal one in its
/// place.
#[inline(always)]
fn opaque(mut value: u64) -> u64 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) value, options(pure, nomem, nostack, preserves_flags));
    }
    value
}

/// A record that has been committed and not released. Dropping it releases its place.
#[derive(Debug)]
pub struct Record<'a, M: Memory> {
    reader: &'a mut Reader<M>,
    commit: CommitWord,
}

impl<M: Memory> Record<'_, M> {
    /// Length, kind and tag, as they were when the record was found.
    #[inline(always)]
    #[must_use]
    pub fn commit(&self) -> CommitWord {
        self.commit
    }

    /// Where the body is: `commit().len` bytes that may be read until the guard is dropped.
    /// Another process can write them; see [`body`](Self::body).
    #[inline(always)]
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.reader.body(self.commit.len)
    }

    /// The body, in the ring.
    ///
    /// # Safety
    ///
    /// The writer must be trusted not to change a record after it has committed it and before
    /// this reader has released it. Writers of this crate do not; a hostile process that holds
    /// the writer's mapping could. Use [`copy_to`](Self::copy_to) for those.
    #[inline(always)]
    #[must_use]
    pub unsafe fn body(&self) -> &[u8] {
        // SAFETY: `len` was checked against the ring when the word was read and is a copy of our
        // own, so the bytes are in the mapping (Memory, 3); they are committed and do not change
        // by the caller's promise.
        unsafe { core::slice::from_raw_parts(self.as_ptr(), self.commit.len) }
    }

    /// Copies the body out, so that it can be validated and then cannot change. Works with any
    /// writer.
    pub fn copy_to(&self, to: &mut [u8]) {
        let len = to.len().min(self.commit.len);
        self.reader.copy_body(&mut to[..len]);
    }
}

impl<M: Memory> Drop for Record<'_, M> {
    #[inline(always)]
    fn drop(&mut self) {
        self.reader.release(self.commit.len);
    }
}
