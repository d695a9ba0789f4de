//! A reader that copies records out and may be overtaken.

use super::gate::Position;
use super::layout::{CommitWord, HeaderWord, Kind, max_body, stride};
use super::memory::Memory;
use super::progress::{Fencing, Progress, checked_start};
use crate::limits::LINE;
use crate::sync::{Ordering, fence};
use thiserror::Error;

/// Why a [`Follower`] has no next record, or could not copy it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FollowError {
    /// The writer was faster. Reading goes on at the oldest place that is known to be whole.
    #[error("the writer was faster: {missed_bytes} bytes of records were missed")]
    Overrun {
        /// Bytes between where the reader was and where it goes on. 0 if that place cannot be
        /// seen yet; then there is nothing to read until it can, and another `Overrun` tells.
        missed_bytes: u64,
    },
    /// The writer closed the ring; everything before has been read.
    #[error("the ring was closed by its writer")]
    Closed,
    /// The memory holds what no writer of ours writes.
    #[error("at position {position} the ring holds {word:#018x}, which is not a record")]
    Corrupt {
        /// Where.
        position: u64,
        /// What was found instead of a commit word.
        word: u64,
    },
}

/// Reads a ring by copying. For a lossy one nobody waits; for a gating one the writer waits until
/// it gives it up ([`Writer::evict_slowest`](super::Writer::evict_slowest)). With both, what was
/// read counts only if the writer had not yet announced that it would write there, so that they
/// notice in the same way that they were overtaken.
///
/// ```text
/// peek ── commit word ──┬── copy_prefix ──┬── copy_body ──┬── advance
///                       └─────────────────┴───────────────┘  not for us, or enough seen
/// ```
#[derive(Debug)]
pub struct Follower<M: Memory> {
    memory: M,
    max_body: usize,
    position: u64,
    /// Where the writer is told how far we are, if it waits for us.
    progress: Option<Progress>,
    #[cfg(ephapse_model)]
    left_out: Option<Look>,
}

/// The two looks at the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// After the commit word was read.
    AtWord,
    /// After bytes of the body were copied.
    AtBody,
}

/// How often [`Follower::skip_to_end`] goes on at the boundary when it is overtaken.
const JOINS: u32 = 3;

impl<M: Memory> Follower<M> {
    /// Starts at `start`, or at the last place that the writer has announced as the start of a
    /// record: at most a sixteenth of the ring and a record before the newest one. Nobody waits
    /// for it.
    ///
    /// # Panics
    ///
    /// If `start` is not a multiple of 64 below 2^63.
    pub fn lossy(memory: M, start: Option<u64>) -> Self {
        let position = match start {
            Some(start) => checked_start(start),
            // Another process wrote it: whatever it is, it becomes a possible position.
            None => boundary(&memory) & (u64::MAX >> 1) & !(LINE as u64 - 1),
        };
        Self::at(memory, position, None)
    }

    /// Reads from `start` on, which the writer said when it added `cursor`, and publishes there
    /// how far it is.
    ///
    /// # Panics
    ///
    /// If `start` is not a multiple of 64 below 2^63, or `cursor` is another process's word.
    pub fn gating(memory: M, cursor: Position, start: u64, fencing: Fencing) -> Self {
        let progress = Progress::begin(cursor, start, memory.capacity(), fencing);
        Self::at(memory, start, Some(progress))
    }

    fn at(memory: M, position: u64, progress: Option<Progress>) -> Self {
        Self {
            max_body: max_body(memory.capacity()),
            memory,
            position,
            progress,
            #[cfg(ephapse_model)]
            left_out: None,
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

    /// Whether it was made to be waited for. The writer may have given it up since.
    #[must_use]
    pub fn is_gating(&self) -> bool {
        self.progress.is_some()
    }

    /// The commit word of the next record, if there is one. Copies nothing and does not move on.
    ///
    /// # Errors
    ///
    /// [`FollowError`]. After `Overrun` the next call reads where it goes on; the others are the
    /// same again when asked again.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<CommitWord>, FollowError> {
        // SYNC(commit): pairs with the release store in `Writer::publish`.
        let word = self.memory.word(self.position).load(Ordering::Acquire);
        if self.is_overtaken(Look::AtWord) {
            return self.skip().map(|()| None);
        }
        if word == 0 {
            return Ok(None);
        }
        match CommitWord::unpack(word) {
            Some(CommitWord { kind: Kind::Closed, .. }) => Err(FollowError::Closed),
            Some(commit) if commit.len <= self.max_body => Ok(Some(commit)),
            _ => Err(FollowError::Corrupt { position: self.position, word }),
        }
    }

    /// Copies the first bytes of the body of the record that [`peek`](Self::peek) saw: as many as
    /// `to` has, which must not be more than the record has. Does not move on.
    ///
    /// # Errors
    ///
    /// [`FollowError`]: what is in `to` then means nothing, and neither does what `peek` said.
    ///
    /// # Panics
    ///
    /// If `to` is longer than any record of this ring.
    #[inline]
    pub fn copy_prefix(&mut self, to: &mut [u8]) -> Result<(), FollowError> {
        match self.copy(to)? {
            true => Ok(()),
            false => Err(FollowError::Overrun { missed_bytes: 0 }),
        }
    }

    /// Copies the whole body of the record that [`peek`](Self::peek) saw to the first
    /// `commit.len` bytes of `to`. Does not move on.
    ///
    /// # Errors
    ///
    /// As [`copy_prefix`](Self::copy_prefix).
    ///
    /// # Panics
    ///
    /// If `to` is shorter.
    #[inline]
    pub fn copy_body(&mut self, commit: CommitWord, to: &mut [u8]) -> Result<(), FollowError> {
        self.copy_prefix(&mut to[..commit.len])
    }

    /// Moves past the record that [`peek`](Self::peek) saw, and tells a writer that waits for us
    /// once in every eighth of the ring.
    #[inline]
    pub fn advance(&mut self, commit: CommitWord) {
        debug_assert!(commit.len <= self.max_body, "longer than any record");
        self.position += stride(commit.len);
        if self.progress.as_ref().is_some_and(|progress| progress.is_due(self.position)) {
            self.publish();
        }
    }

    /// Tells a writer that waits for us how far we have read. [`advance`](Self::advance) does it
    /// now and then; call it before waiting for something else than this ring.
    pub fn publish(&mut self) {
        if let Some(progress) = &mut self.progress
            && progress.tell(self.memory.capacity(), self.position)
        {
            progress.answer(&self.memory);
        }
    }

    /// Copies the next record's body to `body`, which is made as long as it is, says what it is,
    /// and moves on. Allocates only when `body` has to grow.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn poll(&mut self, body: &mut Vec<u8>) -> Result<Option<CommitWord>, FollowError> {
        let Some(commit) = self.peek()? else { return Ok(None) };
        body.resize(commit.len, 0);
        if !self.copy(body)? {
            return Ok(None);
        }
        self.advance(commit);
        Ok(Some(commit))
    }

    /// Moves on to the first place where nothing is committed. Goes no further than a lap beyond
    /// the last boundary that it saw, so it ends also beside a writer that is always faster.
    ///
    /// # Errors
    ///
    /// `Closed` or `Corrupt`, where it stopped; [`peek`](Self::peek) says the same again.
    pub fn skip_to_end(&mut self) -> Result<(), FollowError> {
        let newest = boundary(&self.memory);
        if newest > self.position && is_possible(newest) {
            self.position = newest;
        }
        let result = self.pass_all();
        self.publish();
        result
    }

    fn pass_all(&mut self) -> Result<(), FollowError> {
        let lap = self.memory.capacity() as u64;
        let mut end = self.position.saturating_add(lap);
        let mut joins = JOINS;
        while self.position < end {
            match self.peek() {
                Ok(Some(commit)) => self.advance(commit),
                Ok(None) => break,
                Err(FollowError::Overrun { .. }) if joins > 0 => {
                    joins -= 1;
                    end = self.position.saturating_add(lap);
                }
                Err(FollowError::Overrun { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Copies from the record at our position, and says whether it is what was copied. If it is
    /// not, we have been overtaken, and where to go on cannot be seen yet.
    #[inline(always)]
    fn copy(&mut self, to: &mut [u8]) -> Result<bool, FollowError> {
        assert!(to.len() <= self.max_body, "longer than any record");
        self.memory.copy_out(self.position, to);
        if self.is_overtaken(Look::AtBody) {
            return self.skip().map(|()| false);
        }
        Ok(true)
    }

    /// Whether what was just read at our position may have been of a later lap.
    #[inline(always)]
    fn is_overtaken(&self, look: Look) -> bool {
        // SYNC(claim): pairs with the release fence in `Writer::claim`. Whatever was seen before
        // of a later lap was written after its claim, which is seen below.
        fence(Ordering::Acquire);
        // Relaxed: the fence orders it.
        let claim = self.memory.header_word(HeaderWord::Claim).load(Ordering::Relaxed);
        claim > self.position.saturating_add(self.memory.capacity() as u64)
            && !self.is_left_out(look)
    }

    /// Goes on at the writer's last boundary. The claim may be visible before the boundary that
    /// belongs to it; then there is nothing to read yet, and no error.
    #[cold]
    fn skip(&mut self) -> Result<(), FollowError> {
        let boundary = boundary(&self.memory);
        if boundary <= self.position {
            return Ok(());
        }
        if !is_possible(boundary) {
            return Err(FollowError::Corrupt { position: self.position, word: boundary });
        }
        let missed_bytes = boundary - self.position;
        self.position = boundary;
        Err(FollowError::Overrun { missed_bytes })
    }
}

/// The writer's last boundary, or what a hostile one has put in its place.
fn boundary<M: Memory>(memory: &M) -> u64 {
    // SYNC(boundary): pairs with the release in `Writer::claim`; what lies before is committed.
    memory.header_word(HeaderWord::Boundary).load(Ordering::Acquire)
}

/// Whether a record can start there.
fn is_possible(boundary: u64) -> bool {
    boundary.is_multiple_of(LINE as u64) && boundary <= u64::MAX / 2
}

impl<M: Memory> Follower<M> {
    /// Whether the model checker has this follower leave out a look.
    #[cfg(ephapse_model)]
    fn is_left_out(&self, look: Look) -> bool {
        self.left_out == Some(look)
    }

    /// For tests that show that the model sees it.
    #[cfg(ephapse_model)]
    pub(super) fn leave_out(&mut self, look: Look) {
        self.left_out = Some(look);
    }

    #[cfg(not(ephapse_model))]
    #[inline(always)]
    #[allow(clippy::unused_self)]
    fn is_left_out(&self, _look: Look) -> bool {
        false
    }
}
