//! A hub's own words that its peers look at: positions in the rings that it reads, and the states
//! of its doorbells. One segment for each hub, one cache line for each word.

use super::file::{self, SegmentError};
use super::header::{Feature, Header, SegmentKind};
use super::mapping::{Access, Mapping, page_size};
use crate::limits::{CURSOR_SLOTS, LINE};
use crate::ring::{Fencing, JOINING, LEFT, Position};
use crate::sync;
use core::sync::atomic::Ordering;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The header's line is slot 0, which is never given out.
const FIRST_SLOT: u32 = 1;

/// Slots that were given back are left alone until there are so many of them (one page's worth).
const QUARANTINE: usize = 64;

fn segment_bytes() -> usize {
    (CURSOR_SLOTS * LINE).next_multiple_of(page_size())
}

/// What the words of this process need of those who look at them.
pub(super) fn own_features() -> u64 {
    if sync::heavy_fences_work() { 0 } else { Feature::FenceFully as u64 }
}

/// How this process must order its stores before its looks at the words of a process with these
/// features.
fn fencing_for(features: u64) -> Fencing {
    if sync::register_light_fences() && features & Feature::FenceFully as u64 == 0 {
        Fencing::Light
    } else {
        Fencing::Full
    }
}

/// The words of this hub.
#[derive(Debug)]
pub struct Cursors {
    mapping: Arc<Mapping>,
    file: OwnedFd,
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Free {
    /// Slots that were given back, the oldest first: a peer that still looks at one of them sees
    /// for as long as possible that its reader has left.
    returned: VecDeque<u32>,
    /// The first one that was never given out.
    next: u32,
}

impl Cursors {
    /// Creates and seals the segment. Its pages are touched as slots are given out.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Kernel`]; nothing stays behind.
    pub fn create() -> Result<Self, SegmentError> {
        let bytes = segment_bytes();
        let file = file::create("ephapse-cursors", bytes, false)?;
        let mapping = Mapping::new(&file, bytes, bytes, Access::Write)?;
        let (capacity, features) = (CURSOR_SLOTS as u64, own_features());
        Header { kind: SegmentKind::Cursors, capacity, features, start: 0 }.write(&mapping);
        file::seal(&file, bytes)?;
        let free = Mutex::new(Free { returned: VecDeque::new(), next: FIRST_SLOT });
        Ok(Self { mapping: Arc::new(mapping), file, free })
    }

    /// A slot that nobody uses, set to [`JOINING`]; `None` when all are taken.
    pub fn take(&self) -> Option<u32> {
        let mut free = self.free.lock();
        let slot = if (free.next as usize) < CURSOR_SLOTS && free.returned.len() < QUARANTINE {
            free.next += 1;
            free.next - 1
        } else {
            free.returned.pop_front()?
        };
        // Relaxed: telling a peer of the slot orders it.
        self.mapping.word(slot as usize * LINE).store(JOINING, Ordering::Relaxed);
        Some(slot)
    }

    /// Gives a slot back. A writer that still looks at it sees that its reader has left.
    pub fn give_back(&self, slot: u32) {
        if !self.mapping.process.is_current() {
            return; // a forked child has not inherited the segment
        }
        // Relaxed: nothing that was read before matters to a writer that is to give up.
        self.mapping.word(slot as usize * LINE).store(LEFT, Ordering::Relaxed);
        self.free.lock().returned.push_back(slot);
    }

    /// The word in a slot that [`take`](Self::take) gave out.
    #[must_use]
    pub fn slot(&self, slot: u32) -> Position {
        word_in(&self.mapping, slot)
    }
}

impl AsFd for Cursors {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The words of another hub, which only that hub can write.
#[derive(Debug, Clone)]
pub struct PeerCursors {
    mapping: Arc<Mapping>,
    features: u64,
}

impl PeerCursors {
    /// Maps the cursor segment of another hub, after verifying seals, size and header.
    ///
    /// # Errors
    ///
    /// [`SegmentError`]; nothing stays mapped.
    pub fn open(file: &OwnedFd) -> Result<Self, SegmentError> {
        let bytes = segment_bytes();
        file::verify(file, bytes, false)?;
        let mapping = Mapping::new(file, bytes, bytes, Access::Read)?;
        let header = Header::read(&mapping, SegmentKind::Cursors)?;
        if header.capacity != CURSOR_SLOTS as u64 {
            let (found, min, max) = (header.capacity, CURSOR_SLOTS, CURSOR_SLOTS);
            return Err(SegmentError::WrongCapacity { found, min, max });
        }
        Ok(Self { mapping: Arc::new(mapping), features: header.features })
    }

    /// The word in a slot that the peer named.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NoSuchSlot`].
    pub fn slot(&self, slot: u32) -> Result<Position, SegmentError> {
        if slot < FIRST_SLOT || slot as usize >= CURSOR_SLOTS {
            return Err(SegmentError::NoSuchSlot { slot, slots: CURSOR_SLOTS });
        }
        Ok(word_in(&self.mapping, slot))
    }

    /// How to order our stores before our looks at this hub's words.
    #[must_use]
    pub fn fencing(&self) -> Fencing {
        fencing_for(self.features)
    }
}

fn word_in(mapping: &Arc<Mapping>, slot: u32) -> Position {
    let word = core::ptr::from_ref(mapping.word(slot as usize * LINE));
    let writable = mapping.access == Access::Write;
    // SAFETY: `mapping.word` checked that the word is inside, and the `Arc` keeps it mapped; all
    // access to slots is atomic.
    unsafe { Position::within(word, writable, Arc::clone(mapping) as _) }
}
