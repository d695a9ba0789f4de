//! How far a reader is, as its writer is told.

use super::gate::Position;
use super::layout::HeaderWord;
use super::memory::Memory;
use crate::sync::{Ordering, full_fence, light_fence};

/// What this side has to do between a store and its look at what the other side wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// Nothing: the side that goes to sleep uses membarrier.
    Light,
    /// A full fence, because one of the two processes may not use membarrier.
    Full,
}

impl Fencing {
    #[inline(always)]
    pub(crate) fn fence(self) {
        match self {
            Self::Light => light_fence(),
            Self::Full => full_fence(),
        }
    }
}

/// A reader tells the writer of its progress once in this part of the ring.
const PUBLISH_PARTS: u64 = 8;

/// What a reader has told a writer that waits for it.
#[derive(Debug)]
pub(super) struct Progress {
    /// What the writer has been told. Telling it each time would take the line away from a writer
    /// that is waiting for room, record by record.
    published: u64,
    publish_at: u64,
    cursor: Position,
    fencing: Fencing,
    /// The last wish for room that we have answered.
    woken: u64,
}

/// Where a reader was told to start.
///
/// # Panics
///
/// If it is not a multiple of 64 below 2^63.
pub(super) fn checked_start(start: u64) -> u64 {
    assert!(start.is_multiple_of(64) && start < 1 << 63, "records start at multiples of 64");
    start
}

impl Progress {
    /// Tells the writer in `cursor` that the reader begins at `start`.
    ///
    /// # Panics
    ///
    /// If `cursor` is another process's word, or as [`checked_start`].
    pub(super) fn begin(cursor: Position, start: u64, capacity: usize, fencing: Fencing) -> Self {
        let published = checked_start(start);
        assert!(cursor.is_writable(), "a reader publishes in a word of its own");
        cursor.publish(published);
        let publish_at = published + capacity as u64 / PUBLISH_PARTS;
        Self { published, publish_at, cursor, fencing, woken: 0 }
    }

    /// Whether a reader at `position` has not told of an eighth of the ring.
    #[inline(always)]
    pub(super) fn is_due(&self, position: u64) -> bool {
        position >= self.publish_at
    }

    /// Tells the writer that the reader is at `position`, and whether that was news. Then
    /// [`answer`](Self::answer) follows.
    #[inline(always)]
    pub(super) fn tell(&mut self, capacity: usize, position: u64) -> bool {
        if self.published == position {
            return false;
        }
        self.published = position;
        self.publish_at = position + capacity as u64 / PUBLISH_PARTS;
        self.cursor.publish(position);
        true
    }

    /// Wakes the writer if it waits for what it was just told.
    #[inline(always)]
    pub(super) fn answer<M: Memory>(&mut self, memory: &M) {
        // SYNC(sleep): pairs with the heavy fence in `Writer::announce_wait`.
        self.fencing.fence();
        // Relaxed: `fencing` orders this look after the publication.
        let wanted = memory.header_word(HeaderWord::RoomWanted).load(Ordering::Relaxed);
        if wanted != 0 {
            self.give_room(memory, wanted);
        }
    }

    #[cold]
    fn give_room<M: Memory>(&mut self, memory: &M, wanted: u64) {
        if self.published >= wanted && self.woken != wanted {
            self.woken = wanted;
            memory.wake_writer(&self.cursor);
        }
    }
}
