//! A reader for which the writer does not wait.

use super::layout::{CommitWord, HeaderWord, Kind, max_body, stride};
use super::memory::Memory;
use crate::limits::LINE;
use crate::sync::{Ordering, fence};
use thiserror::Error;

/// Why a lossy reader has no next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LossyError {
    /// The writer was faster. Reading goes on at the oldest place that is known to be whole.
    #[error("the writer was faster: {missed_bytes} bytes of records were missed")]
    Overrun {
        /// Bytes between where the reader was and where it goes on.
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

/// Reads a ring whose writer does not know of it. Every record is copied out, and the copy counts
/// only if the writer had not yet announced that it would write there.
#[derive(Debug)]
pub struct LossyReader<M: Memory> {
    memory: M,
    position: u64,
    #[cfg(ephapse_model)]
    broken: bool,
}

impl<M: Memory> LossyReader<M> {
    /// Starts at the last place that the writer has announced as the start of a record: at most a
    /// sixteenth of the ring before the newest record.
    pub fn join(memory: M) -> Self {
        // SYNC(boundary): pairs with the release in `Writer::claim`.
        let boundary = memory.header_word(HeaderWord::Boundary).load(Ordering::Acquire);
        Self {
            // Another process wrote it: whatever it is, it becomes a possible position.
            position: boundary & (u64::MAX >> 1) & !(LINE as u64 - 1),
            memory,
            #[cfg(ephapse_model)]
            broken: false,
        }
    }

    /// For a test that shows that the model sees it.
    #[cfg(ephapse_model)]
    pub(crate) fn leave_out_the_second_look(&mut self) {
        self.broken = true;
    }

    /// Up to where we have read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Copies the next record's body to `body`, which is made as long as it is, and says what it
    /// is. Allocates only when `body` has to grow.
    ///
    /// # Errors
    ///
    /// [`LossyError`]. After `Overrun` the reader has moved on, and the next call reads there.
    pub fn poll(&mut self, body: &mut Vec<u8>) -> Result<Option<CommitWord>, LossyError> {
        // SYNC(commit): pairs with the release store in `Writer::publish`.
        let word = self.memory.word(self.position).load(Ordering::Acquire);
        let commit = CommitWord::unpack(word)
            .filter(|commit| commit.len <= max_body(self.memory.capacity()));
        if let Some(commit) = commit {
            body.resize(commit.len, 0);
            self.memory.copy_out(self.position, body);
        }
        // SYNC(claim): pairs with the release fence in `Writer::claim`. Whatever was seen above
        // of a later lap was written after its claim, which is seen below.
        fence(Ordering::Acquire);
        // Relaxed: the fence orders it.
        let claim = self.memory.header_word(HeaderWord::Claim).load(Ordering::Relaxed);
        #[cfg(ephapse_model)]
        let claim = if self.broken { 0 } else { claim };
        if claim > self.position.saturating_add(self.memory.capacity() as u64) {
            return self.skip();
        }
        match commit {
            None if word == 0 => Ok(None),
            None => Err(LossyError::Corrupt { position: self.position, word }),
            Some(CommitWord { kind: Kind::Closed, .. }) => Err(LossyError::Closed),
            Some(commit) => {
                self.position += stride(commit.len);
                Ok(Some(commit))
            }
        }
    }

    /// Goes on at the writer's last boundary. The claim may be visible before the boundary that
    /// belongs to it; then there is nothing to read yet.
    fn skip(&mut self) -> Result<Option<CommitWord>, LossyError> {
        // SYNC(boundary): pairs with the release in `Writer::claim`.
        let boundary = self.memory.header_word(HeaderWord::Boundary).load(Ordering::Acquire);
        if boundary <= self.position {
            return Ok(None);
        }
        if !boundary.is_multiple_of(LINE as u64) || boundary > u64::MAX / 2 {
            return Err(LossyError::Corrupt { position: self.position, word: boundary });
        }
        let missed_bytes = boundary - self.position;
        self.position = boundary;
        Err(LossyError::Overrun { missed_bytes })
    }
}
