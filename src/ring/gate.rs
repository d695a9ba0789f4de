//! Positions of gating readers, as reader and writer see them.

use crate::sync::{AtomicU64, Ordering};
use std::any::Any;
use std::sync::Arc;

/// A word in memory that one process writes and others read: a reader's position, a doorbell's
/// state. Keeps its memory alive.
#[derive(Clone)]
pub struct Position {
    word: *const AtomicU64,
    writable: bool,
    _memory: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the word is an atomic in memory that `_memory` keeps alive; the pointer is never written.
unsafe impl Send for Position {}
// SAFETY: as above; all access is through `&AtomicU64`.
unsafe impl Sync for Position {}

impl std::fmt::Debug for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Relaxed: for people to look at.
        f.debug_tuple("Position").field(&self.word().load(Ordering::Relaxed)).finish()
    }
}

impl Position {
    /// A word on the heap, for rings within one process.
    #[must_use]
    pub fn on_heap() -> Self {
        let memory = Arc::new(AtomicU64::new(JOINING));
        Self { word: Arc::as_ptr(&memory), writable: true, _memory: memory }
    }

    /// A word inside `memory`.
    ///
    /// # Safety
    ///
    /// `word` must point into what `memory` keeps alive, be eight-byte aligned, and be accessed
    /// by nothing but atomics. `writable` must be false if a store to it would fault.
    pub unsafe fn within(
        word: *const AtomicU64,
        writable: bool,
        memory: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { word, writable, _memory: memory }
    }

    /// Whether the word is this process's own.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
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

/// In the place of a position: the reader has gone, and must not be waited for.
pub const LEFT: u64 = u64::MAX - 1;

/// What the writer knows of one gating reader.
#[derive(Debug)]
pub(crate) struct Gate {
    cursor: Position,
    /// The last position that we believed. Only grows: a reader that steps back is not believed.
    pub(crate) shadow: u64,
    /// What the word held when we looked last: a position, or `JOINING`.
    seen: u64,
    pub(crate) id: u64,
}

/// Why a reader is waited for no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    Left,
    /// It claims a position that cannot be true.
    Lied(u64),
}

impl Gate {
    pub(crate) fn new(id: u64, cursor: Position, start: u64) -> Self {
        Self { cursor, shadow: start, seen: JOINING, id }
    }

    /// The reader's position. One that is behind what it said before, or ahead of what was
    /// written, is a lie.
    pub(crate) fn look(&mut self, writer_position: u64) -> Result<u64, Gone> {
        // SYNC(room): pairs with the release in `Position::publish`.
        self.seen = self.cursor.word().load(Ordering::Acquire);
        match self.seen {
            JOINING => {}
            LEFT => return Err(Gone::Left),
            claimed if claimed < self.shadow || claimed > writer_position => {
                return Err(Gone::Lied(claimed));
            }
            claimed => self.shadow = claimed,
        }
        Ok(self.shadow)
    }

    /// What to sleep on until this reader has moved.
    pub(crate) fn to_wait_for(&self) -> RoomWait {
        RoomWait::Sleep(self.cursor.clone(), self.seen)
    }
}

/// What a writer that waits for room needs to do: see [`super::Writer::announce_wait`].
#[derive(Debug, Clone)]
pub enum RoomWait {
    /// There is room now.
    Ready,
    /// The readers have been told. Sleep on the slowest one's word while it holds this value: it
    /// changes when the reader moves.
    Sleep(Position, u64),
}
