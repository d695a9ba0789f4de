//! The one writer of a ring.

use super::batch::Batch;
use super::error::RingError;
use super::gate::Gate;
use super::layout::{CommitWord, HeaderWord, Kind, capacity_is_valid, max_body, stride};
use super::loan::Loan;
use super::memory::Memory;
use crate::limits::LINE;
use crate::sync::{Ordering, fence};

/// Writes records into a ring. There is one for each ring, by construction of the segment that
/// it lies in; the type is not `Clone` and all methods take `&mut self`.
#[derive(Debug)]
pub struct Writer<M: Memory> {
    pub(super) memory: M,
    /// Where the next record starts.
    pub(super) position: u64,
    /// Up to where readers can see: `position`, or the start of the batch that is being written.
    /// The word there is zero.
    pub(super) visible: u64,
    /// Where the newest record that they can see starts.
    newest: u64,
    /// Everything below has been claimed and is free: the hot path's only check.
    pub(super) limit: u64,
    /// What lies below has been given back by all gating readers.
    pub(super) free: u64,
    /// The highest limit that followers were ever told.
    claimed: u64,
    /// A position beyond `position` whose word has already been zeroed.
    zeroed: u64,
    /// The readers were well behind when we looked last: throughput counts, not latency.
    is_stream: bool,
    max_body: usize,
    pub(super) gates: Vec<Gate>,
    closed: bool,
    #[cfg(ephapse_model)]
    broken: bool,
}

/// Bytes that a reader is behind in a stream. One that answers each record is never so far.
const STREAM: u64 = 32 * LINE as u64;

/// How far ahead of its position a writer in a stream fetches lines.
const FETCH_AHEAD: u64 = 16 * LINE as u64;

/// Readers that are all looked at for each claim.
const LOOKED_AT: usize = 8;

/// What will be written is claimed this much at a time: followers lose at most this
/// part of the ring's memory of the past, and the header is written once in as many bytes.
const CLAIM_PARTS: u64 = 16;

impl<M: Memory> Writer<M> {
    /// Formats `memory` as an empty ring whose first record will be at `start`, a multiple of 64.
    /// Starting different rings at different places keeps their hot lines in different sets of
    /// the cache of a reader that follows many.
    ///
    /// # Panics
    ///
    /// If `start` is not a multiple of 64, or the memory is read-only: both are the caller's own.
    pub fn format(memory: M, start: u64) -> Self {
        assert!(start.is_multiple_of(LINE as u64), "records start at multiples of 64");
        assert!(memory.is_writable(), "only the creator of a segment can write to it");
        let capacity = memory.capacity();
        debug_assert!(capacity_is_valid(capacity) || cfg!(any(test, ephapse_model)));
        // Relaxed: nobody has been given the ring yet; handing it over orders these stores.
        memory.word(start).store(0, Ordering::Relaxed);
        memory.header_word(HeaderWord::Claim).store(start, Ordering::Relaxed);
        memory.header_word(HeaderWord::Boundary).store(start, Ordering::Relaxed);
        memory.header_word(HeaderWord::RoomWanted).store(0, Ordering::Relaxed);
        Self {
            memory,
            position: start,
            visible: start,
            newest: start,
            limit: start,
            free: start,
            claimed: start,
            zeroed: 0,
            is_stream: false,
            max_body: max_body(capacity),
            gates: Vec::new(),
            closed: false,
            #[cfg(ephapse_model)]
            broken: false,
        }
    }

    /// Where the next record will start: the number of bytes written so far, from the start.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the ring.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// The longest body that [`loan`](Self::loan) gives.
    #[must_use]
    #[inline(always)]
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// The memory that the ring lies in.
    #[must_use]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// A place for a body of up to `max_len` bytes, in the ring. Nothing is visible before
    /// [`Loan::commit`]; dropping the loan leaves no trace.
    ///
    /// No system call, no lock, no allocation. About 2 ns when there is room.
    ///
    /// # Errors
    ///
    /// [`RingError`]; the ring is as it was.
    #[inline]
    pub fn loan(&mut self, max_len: usize) -> Result<Loan<'_, M>, RingError> {
        self.reserve(max_len)?;
        Ok(self.loan_reserved(max_len))
    }

    /// The loan for which [`has_room`](Self::has_room) or [`reserve`](Self::reserve) said that
    /// there is room.
    #[inline(always)]
    pub(crate) fn loan_reserved(&mut self, max_len: usize) -> Loan<'_, M> {
        let body = self.body_reserved(max_len);
        Loan::new(self, body, max_len)
    }

    /// Where the next body may be written, which was reserved.
    #[inline(always)]
    pub(super) fn body_reserved(&mut self, max_len: usize) -> *mut u8 {
        debug_assert!(self.has_room(max_len));
        if stride(max_len) > LINE as u64 {
            // It may be written over the word that was zeroed early, and then be aborted.
            self.zeroed = 0;
        }
        self.memory.record_mut(self.position, max_len)
    }

    /// Whether a record of `len` bytes and the word after it are known to fit.
    #[inline(always)]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        len <= self.max_body && self.position + stride(len) + LINE as u64 <= self.limit
    }

    /// Several records that become visible at once, with one commit and one look at the readers.
    pub fn batch(&mut self) -> Batch<'_, M> {
        Batch::new(self)
    }

    /// Makes sure that a record of `len` bytes and the word after it may be written.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), RingError> {
        if self.has_room(len) { Ok(()) } else { self.reserve_slowly(len) }
    }

    #[cold]
    fn reserve_slowly(&mut self, len: usize) -> Result<(), RingError> {
        let capacity = self.memory.capacity();
        if self.closed {
            return Err(RingError::Closed);
        }
        if len > self.max_body() {
            return Err(RingError::TooLarge { len, max: self.max_body(), capacity });
        }
        let end = self.position + stride(len) + LINE as u64;
        if end > self.visible + capacity as u64 {
            return Err(RingError::Full); // of the batch itself
        }
        if self.must_look(end) {
            let gate = self.look_at_readers()?;
            self.learn(gate);
        }
        if end > self.free {
            return Err(RingError::Full);
        }
        self.claim(end);
        Ok(())
    }

    /// Claims what follows a record as soon as another like it, which ends at `end` with the word
    /// after it, would not fit: to look at the readers' positions and to write the header costs two
    /// trips between far cores, which would stand in front of one record in sixty. Never more than
    /// is claimed anyway, so that followers can still find the record. Whatever is in the way, the
    /// next reservation says.
    #[cold]
    #[inline(never)]
    fn claim_early(&mut self, end: u64) {
        if end > self.position + self.memory.capacity() as u64 / CLAIM_PARTS {
            return;
        }
        if self.must_look(end) {
            let Ok(gate) = self.glance_at_readers() else { return };
            self.learn(gate);
        }
        if end <= self.free {
            self.claim(end);
        }
    }

    /// Whether the readers' positions must be looked at. Few are looked at for each claim, which
    /// also tells how far behind they are; many only when the room that is known is used up, so
    /// that the cost of a record does not grow with them.
    fn must_look(&self, end: u64) -> bool {
        self.gates.len() <= LOOKED_AT || end > self.free
    }

    /// The slowest reader lets us write up to `gate`.
    fn learn(&mut self, gate: u64) {
        self.free = gate;
        let room = gate - self.position;
        self.is_stream = (self.memory.capacity() as u64).saturating_sub(room) >= STREAM;
    }

    /// Announces how far we may write, at least to `end` and not beyond what is free, and a
    /// boundary: where the newest record starts, so that whoever is overtaken finds one, also if we
    /// never commit another.
    ///
    /// Always `claim ≤ boundary + capacity`: an overtaken reader that goes on at the boundary is
    /// not overtaken there by the same claim. Where two long records leave no room for that, the
    /// boundary is where the next one starts.
    fn claim(&mut self, end: u64) {
        let capacity = self.memory.capacity() as u64;
        let fits = end.max(self.claimed) <= self.newest + capacity;
        let boundary = if fits { self.newest } else { self.visible };
        let chunk = end.max(self.position + capacity / CLAIM_PARTS);
        self.limit = chunk.min(self.free).min(boundary + capacity);
        // What was claimed once may have been scribbled on, and stays claimed.
        // Relaxed: the fence below orders it before what is written.
        self.claimed = self.claimed.max(self.limit);
        self.memory.header_word(HeaderWord::Claim).store(self.claimed, Ordering::Relaxed);
        // SYNC(boundary): pairs with the acquire in `Follower`; what lies before is committed.
        self.memory.header_word(HeaderWord::Boundary).store(boundary, Ordering::Release);
        // SYNC(claim): pairs with the acquire fence in `Follower::is_overtaken`: who saw a
        // byte that was written after this fence sees the claim that was stored before it.
        fence(Ordering::Release);
    }

    /// Makes the record at our position visible and moves on.
    #[inline(always)]
    pub(super) fn publish(&mut self, word: CommitWord) {
        let next = self.position + stride(word.len);
        self.memory.filled(self.position, word.len);
        if self.zeroed != next && !self.is_broken() {
            // Relaxed: the release of the commit word below orders it.
            self.memory.word(next).store(0, Ordering::Relaxed);
        }
        // SYNC(commit): pairs with the acquire load in `Reader::peek` and `Follower::peek`;
        // the body and the zero after it come before.
        self.memory.word(self.position).store(word.pack(), Ordering::Release);
        self.newest = self.position;
        self.position = next;
        self.visible = next;
        self.prepare(next + stride(word.len) + LINE as u64);
    }

    /// Writes a record behind the unpublished start of a batch. Its own word needs no order and
    /// the word after it no zero: nobody looks here before the start is published.
    #[inline(always)]
    pub(super) fn append(&mut self, word: CommitWord) {
        self.memory.filled(self.position, word.len);
        // Relaxed: the release of the first record's word orders it.
        self.memory.word(self.position).store(word.pack(), Ordering::Relaxed);
        self.position += stride(word.len);
        self.zeroed = 0;
        self.fetch_ahead();
    }

    /// Leaves room for the first record of a batch, whose word is withheld.
    #[inline(always)]
    pub(super) fn skip_first(&mut self, len: usize) {
        self.memory.filled(self.position, len);
        self.position += stride(len);
        self.zeroed = 0;
    }

    /// Publishes a batch by the word of its first record.
    #[inline]
    pub(crate) fn publish_batch(&mut self, first: u64) {
        // Relaxed: the release below orders it, and all that `append` stored.
        self.memory.word(self.position).store(0, Ordering::Relaxed);
        // SYNC(commit): as in `publish`.
        self.memory.word(self.visible).store(first, Ordering::Release);
        self.newest = self.visible;
        self.visible = self.position;
    }

    /// Forgets what was appended since the last publication.
    pub(crate) fn discard_batch(&mut self) {
        self.position = self.visible;
        self.zeroed = 0;
        // What was claimed stays claimed: followers must not trust what was overwritten.
    }

    /// Gets the lines of the next records while nobody waits for us.
    ///
    /// Stores become visible in order, so a store that misses the cache holds back all behind it,
    /// and the store buffer has room for those of two or three records only. In a stream the lines
    /// are therefore asked for well ahead: more than twice the throughput. Otherwise the room for
    /// another record like the last, up to `end`, is claimed and the word that a small one would
    /// zero next is zeroed now, and the misses are not in front of the next commit.
    #[inline(always)]
    fn prepare(&mut self, end: u64) {
        if self.is_stream {
            self.fetch_ahead();
            return;
        }
        if end > self.limit {
            self.claim_early(end);
        }
        let next = self.position + LINE as u64;
        if next + LINE as u64 <= self.limit && !self.is_broken() {
            // Relaxed: beyond our position, where nobody looks before a commit leads there.
            self.memory.word(next).store(0, Ordering::Relaxed);
            self.zeroed = next;
        }
    }

    #[inline(always)]
    fn fetch_ahead(&self) {
        let ahead = self.position + FETCH_AHEAD;
        // What lies beyond may still be being read.
        if ahead < self.free {
            self.memory.prefetch_write(ahead);
        }
    }

    /// Ends the ring: readers see [`Kind::Closed`] after the last record. Idempotent.
    pub fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.limit = self.position;
            let end = CommitWord { len: 0, kind: Kind::Closed, tag: 0 };
            // SYNC(commit): as in `publish`.
            self.memory.word(self.visible).store(end.pack(), Ordering::Release);
        }
    }
}

impl<M: Memory> Writer<M> {
    /// Whether the model checker has this writer leave out zeroing.
    #[cfg(ephapse_model)]
    fn is_broken(&self) -> bool {
        self.broken
    }

    /// For a test that shows that the model sees it.
    #[cfg(ephapse_model)]
    pub(crate) fn leave_out_zeroing(&mut self) {
        self.broken = true;
    }

    #[cfg(not(ephapse_model))]
    #[inline(always)]
    #[allow(clippy::unused_self)]
    fn is_broken(&self) -> bool {
        false
    }
}
