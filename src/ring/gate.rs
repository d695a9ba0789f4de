//! Positions of gating readers, as reader and writer see them.

use crate::sync::{AtomicU64, Ordering};
use std::any::Any;
use std::sync::Arc;

/// A word in memory that one process writes and others read: a reader's position, a doorbell's
/// state. Keeps its memory alive.
#[derive(Clone)]
pub struct Position {
    word: *const AtomicU64,
    _memory: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the word is an atomic in memory that `_memory` keeps alive; the pointer is never written.
unsafe impl Send for Position {}
// SAFETY: as above; all access is through `&AtomicU64`.
unsafe impl Sync for Position {}

impl std::fmt::Debug for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Position").field(&self.word().load(Ordering::Relaxed)).finish()
    }
}

impl Position {
    /// A word on the heap, for rings within one process.
    #[must_use]
    pub fn on_heap() -> Self {
        let memory = Arc::new(AtomicU64::new(JOINING));
        Self { word: Arc::as_ptr(&memory), _memory: memory }
    }

    /// A word inside `memory`.
    ///
    /// # Safety
    ///
    /// `word` must point into what `memory` keeps alive, be eight-byte aligned, and be accessed
    /// by nothing but atomics.
    pub unsafe fn within(word: *const AtomicU64, memory: Arc<dyn Any + Send + Sync>) -> Self {
        Self { word, _memory: memory }
    }

    /// The word itself.
    #[inline(always)]
    pub(crate) fn word(&self) -> &AtomicU64 {
        // SAFETY: valid and aligned for as long as `_memory` lives, by the constructors' contract.
        unsafe { &*self.word }
    }

    /// Publishes a position: everything before it has been read and may be overwritten.
    #[inline(always)]
    pub(crate) fn publish(&self, position: u64) {
        // SYNC(room): pairs with the acquire in `Gate::look`; the reads of the records come
        // before the writer's next writes to their place.
        self.word().store(position, Ordering::Release);
    }
}

/// In the place of a position: the reader has been announced, and has not begun. The writer holds
/// everything for it from where it was added.
pub const JOINING: u64 = u64::MAX;

/// What the writer knows of one gating reader.
#[derive(Debug)]
pub(crate) struct Gate {
    cursor: Position,
    /// The last position that we believed. Only grows: a reader that steps back is not believed.
    pub(crate) shadow: u64,
    pub(crate) id: u64,
}

impl Gate {
    pub(crate) fn new(id: u64, cursor: Position, start: u64) -> Self {
        Self { cursor, shadow: start, id }
    }

    /// The reader's position, or `Err` with what it claims, if that is behind what it said before
    /// or ahead of what was written.
    pub(crate) fn look(&mut self, writer_position: u64) -> Result<u64, u64> {
        // SYNC(room): pairs with the release in `Position::publish`.
        let claimed = self.cursor.word().load(Ordering::Acquire);
        if claimed == JOINING {
            return Ok(self.shadow);
        }
        if claimed < self.shadow || claimed > writer_position {
            return Err(claimed);
        }
        self.shadow = claimed;
        Ok(claimed)
    }
}

/// What a writer that waits for room needs to do: see [`super::Writer::announce_wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomWait {
    /// There is room now.
    Ready,
    /// The readers have been told; sleep on the word while it holds this value.
    Sleep(u64),
}
