//! The writer and the readers for which it waits: who they are, how far they let it write, and
//! giving them up.

use super::error::RingError;
use super::gate::{Gate, Gone, Position, RoomWait};
use super::layout::{HeaderWord, stride};
use super::memory::Memory;
use super::writer::Writer;
use crate::limits::{GATING_READERS_MAX, LINE};
use crate::sync::{Ordering, heavy_fence};

impl<M: Memory> Writer<M> {
    /// Waits from now on for the reader that publishes in `cursor`, starting at the position that
    /// is returned, which the reader must be told. `id` names it in errors.
    ///
    /// # Errors
    ///
    /// The cursor itself, if there are [`GATING_READERS_MAX`] already.
    pub fn add_reader(&mut self, id: u64, cursor: Position) -> Result<u64, Position> {
        if self.gates.len() >= GATING_READERS_MAX {
            return Err(cursor);
        }
        self.gates.push(Gate::new(id, cursor, self.position));
        // What was claimed without it may lie beyond what it allows; look at all again.
        self.limit = self.position;
        self.free = self.position;
        Ok(self.position)
    }

    /// Waits no longer for the reader that was added under `id`.
    pub fn remove_reader(&mut self, id: u64) {
        self.gates.retain(|gate| gate.id != id);
        self.limit = self.position;
    }

    /// Readers that are waited for.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.gates.len()
    }

    /// Whether the reader that was added under `id` is waited for: it was neither removed nor
    /// evicted, and no error has named it.
    #[must_use]
    pub fn has_reader(&self, id: u64) -> bool {
        self.gates.iter().any(|gate| gate.id == id)
    }

    /// The reader that holds the writer back most, and the position at which it was seen last:
    /// when the writer last found too little room, which is before it says
    /// [`RingError::Full`]. One whose position stays the same makes no progress.
    #[must_use]
    pub fn slowest_reader(&self) -> Option<(u64, u64)> {
        self.slowest_gate().map(|(_, gate)| (gate.id, gate.shadow))
    }

    /// Waits no longer for the reader that [`slowest_reader`](Self::slowest_reader) names, and
    /// returns its id. The writer overtakes it from now on, and it must be a
    /// [`Follower`](super::Follower), which sees that: a [`Reader`](super::Reader) would not.
    pub fn evict_slowest(&mut self) -> Option<u64> {
        let (index, _) = self.slowest_gate()?;
        let id = self.gates.swap_remove(index).id;
        // The next reservation looks at those that remain.
        self.limit = self.position;
        Some(id)
    }

    fn slowest_gate(&self) -> Option<(usize, &Gate)> {
        self.gates.iter().enumerate().min_by_key(|(_, gate)| gate.shadow)
    }

    /// How far the slowest reader lets us write; otherwise the first that is to be waited for no
    /// longer, which stays until [`look_at_readers`](Self::look_at_readers) tells of it.
    pub(super) fn glance_at_readers(&mut self) -> Result<u64, (usize, Gone)> {
        let (high, capacity) = (self.position, self.memory.capacity() as u64);
        let mut gates = self.gates.iter_mut().enumerate();
        gates.try_fold(u64::MAX, |lowest, (index, gate)| {
            let position = gate.look(high).map_err(|gone| (index, gone))?;
            Ok(lowest.min(position + capacity))
        })
    }

    /// How far the slowest reader lets us write. Who has gone, or lied, is forgotten.
    pub(super) fn look_at_readers(&mut self) -> Result<u64, RingError> {
        let high = self.position;
        self.glance_at_readers().map_err(|(index, gone)| {
            let Gate { id, shadow: low, .. } = self.gates.swap_remove(index);
            match gone {
                Gone::Left => RingError::ReaderLeft { id },
                Gone::Lied(claimed) => RingError::ReaderLied { id, claimed, low, high },
            }
        })
    }

    /// After [`RingError::Full`]: tells the readers that we wait for room for a record of `len`
    /// bytes, and looks once more. Sleep (with a bound) only if it says so, and call
    /// [`end_wait`](Self::end_wait) afterwards. Costs a membarrier, about 2 µs.
    ///
    /// # Errors
    ///
    /// As [`loan`](Self::loan), except `Full`.
    pub fn announce_wait(&mut self, len: usize) -> Result<RoomWait, RingError> {
        let capacity = self.memory.capacity() as u64;
        // A quarter of the ring at least, so that a slow reader does not wake us for each record.
        let need = (stride(len) + LINE as u64).max(capacity / 4);
        let wanted = (self.position + need).saturating_sub(capacity).max(1);
        // Relaxed: the fence orders it.
        self.memory.header_word(HeaderWord::RoomWanted).store(wanted, Ordering::Relaxed);
        // SYNC(sleep): pairs with the light fence in `Progress::answer`.
        heavy_fence();
        match self.reserve(len) {
            Ok(()) => Ok(RoomWait::Ready),
            Err(RingError::Full) => Ok(self.to_wait_for()),
            Err(error) => Err(error),
        }
    }

    /// What to sleep on; the batch that fills the ring by itself has nothing to wait for.
    fn to_wait_for(&self) -> RoomWait {
        self.slowest_gate().map_or(RoomWait::Ready, |(_, gate)| gate.to_wait_for())
    }

    /// Takes back what [`announce_wait`](Self::announce_wait) announced.
    pub fn end_wait(&mut self) {
        // Relaxed: a reader that still sees the old value wakes us for nothing.
        self.memory.header_word(HeaderWord::RoomWanted).store(0, Ordering::Relaxed);
    }
}
