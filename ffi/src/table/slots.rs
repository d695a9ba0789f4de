//! The slots: where what handles stand for lies. Made as they are needed, and never taken away.
//!
//! # Safety
//!
//! See the module above.

#![allow(unsafe_code)]

use super::numbers::{self, SLOTS};
use crate::objects::{Lent, Object};
use crate::turn::{Inside, Owner};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Slots that are made at once.
const CHUNK: usize = 64;
const CHUNKS: usize = SLOTS / CHUNK;

static TABLE: [AtomicPtr<[Slot; CHUNK]>; CHUNKS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];

/// Where to begin to look for a free slot.
static HINT: AtomicUsize = AtomicUsize::new(0);

/// Nobody may use the slot.
pub(super) const SHUT: u64 = 0;

#[derive(Default)]
#[repr(align(128))] // of two threads with neighbouring slots neither takes the other's line
pub(super) struct Slot {
    pub owner: Owner,
    /// The handle by which it may be used now: `filled_as`, `lent_as`, or [`SHUT`].
    pub open: AtomicU64,
    /// The handle of what is in it; of no kind while nothing is.
    pub filled_as: AtomicU64,
    /// The handle of what that has lent last.
    pub lent_as: AtomicU64,
    /// Somebody has it to put something in, or has not taken it out.
    is_taken: AtomicBool,
    /// The process that has filled it, as `super::birth` counts them.
    pub birth: AtomicU32,
    pub object: UnsafeCell<Option<Object>>,
    /// Nothing unless it is open by `lent_as`, or was when whose turn it is entered.
    pub lent: UnsafeCell<Option<Lent>>,
}

// SAFETY: see the module above; what is in a slot may be used by one thread after another.
unsafe impl Sync for Slot {}

/// The slot that a handle names, if it has been made.
#[inline(always)]
pub(super) fn slot_of(handle: u64) -> Option<&'static Slot> {
    slot_at(numbers::slot_of(handle))
}

#[inline(always)]
fn slot_at(index: usize) -> Option<&'static Slot> {
    // SYNC(chunk): pairs with the exchange in `slot_for`.
    let chunk = TABLE.get(index / CHUNK)?.load(Ordering::Acquire);
    // SAFETY: NULL, or a chunk that was made in a box, with shared access only, and never goes away.
    let chunk = unsafe { chunk.as_ref() }?;
    Some(&chunk[index % CHUNK])
}

/// The slot of this number, made if it is not there yet.
fn slot_for(index: usize) -> Option<&'static Slot> {
    if let Some(slot) = slot_at(index) {
        return Some(slot);
    }
    let entry = TABLE.get(index / CHUNK)?;
    let start = index - index % CHUNK;
    let new = Box::into_raw(Box::new(std::array::from_fn(|at| Slot::new(start + at))));
    // SYNC(chunk): pairs with the load in `slot_at`.
    let order = (Ordering::AcqRel, Ordering::Acquire);
    if entry.compare_exchange(ptr::null_mut(), new, order.0, order.1).is_err() {
        // SAFETY: another thread was quicker, so nobody has seen ours.
        drop(unsafe { Box::from_raw(new) });
    }
    slot_at(index)
}

/// A slot that nobody else has, with nothing in it.
pub(super) fn take() -> Option<&'static Slot> {
    // Relaxed: a wrong hint costs a longer way.
    let hint = HINT.load(Ordering::Relaxed);
    for look in 0..SLOTS {
        let slot = slot_for((hint + look) % SLOTS)?;
        // Relaxed: a guess; the exchange looks again.
        // SYNC(taken): pairs with the release in `give_back`.
        if !slot.is_taken.load(Ordering::Relaxed) && !slot.is_taken.swap(true, Ordering::Acquire) {
            HINT.store(hint + look + 1, Ordering::Relaxed);
            return Some(slot);
        }
    }
    None
}

impl Slot {
    fn new(index: usize) -> Self {
        let handle = AtomicU64::new(numbers::first(index));
        let lent_as = AtomicU64::new(numbers::first(index));
        Self { filled_as: handle, lent_as, ..Self::default() }
    }

    /// Lets it be used by this handle, which is not to be used before.
    #[inline(always)]
    pub(super) fn open(&self, handle: u64) {
        // SYNC(open): pairs with the acquires in `Turn::take`.
        self.open.store(handle, Ordering::Release);
    }

    /// Gives the slot, which is empty, to whoever wants one; after we have left it, for the next one
    /// that uses it must not find us in it.
    pub(super) fn give_back(&'static self, inside: Inside) {
        // Relaxed: looked at by who has taken the slot, and where nothing depends on it.
        let handle = self.filled_as.load(Ordering::Relaxed);
        self.filled_as.store(numbers::of_kind(numbers::following(handle), 0), Ordering::Relaxed);
        self.open(SHUT);
        drop(inside);
        HINT.store(numbers::slot_of(handle), Ordering::Relaxed);
        // SYNC(taken): pairs with the acquire in `take`.
        self.is_taken.store(false, Ordering::Release);
    }
}
