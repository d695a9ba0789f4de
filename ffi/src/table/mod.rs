//! Handles: numbers (`numbers`) that C holds as if they were pointers, and what they stand for.
//!
//! No memory is at such an address, and nothing is ever read there: a handle that is NULL, torn,
//! made up, of another kind, or whose slot has gone on to another generation is found out by
//! comparing numbers. Whoever uses a slot has its turn (`turn`): two threads that use a handle at
//! the same time against the rules do not meet in what it stands for, and the second one is told.
//!
//! An event or a loan is *lent*: a part of what a handle stands for, which is not touched until it
//! is given back. Its handle has the number of times that the slot has lent something in the place
//! of the generation.
//!
//! There is no lock: a child that is forked while a thread is in here finds nothing locked. What it
//! has inherited it must not use (threads that it lacks may have been inside), and `BIRTH` is how
//! that is seen.
//!
//! # Safety
//!
//! What a slot holds is reached only by who has its turn and has found it *idle*, and what it has lent
//! by who has found it *lent*; a slot that is *free* only by who has made it *busy*. Objects are boxed
//! and stay where they are until they are freed, which is possible in the stage *idle* alone, so what
//! is lent may refer to them.

#![allow(unsafe_code)]

mod numbers;
mod turn;

use self::numbers::{
    BUSY, FREE, IDLE, LENT, following, generation_of, handle, kind_of, stage_of, state, times_lent,
    with_stage,
};
use self::turn::{Inside, Owner};
use crate::codes::Code;
use crate::fault::Fault;
use crate::memory::Plain;
use crate::objects::{KIND_ANSWER, Lent, Object, Stored};
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Slots that are made at once.
const CHUNK: usize = 64;
/// All handles of a process: more than it can have descriptors for.
const CHUNKS: usize = 1024;

/// A handle of C's.
#[repr(transparent)]
pub(crate) struct Handle<T>(*mut T);

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

// SAFETY: a pointer, of which every value is harmless: it is only compared.
unsafe impl<T> Plain for Handle<T> {}

#[derive(Default)]
#[repr(align(128))] // of two threads with neighbouring slots neither takes the other's line
struct Slot {
    owner: Owner,
    /// Changes by who has the turn, or has made a free slot busy.
    state: AtomicU64,
    /// `BIRTH` when it was filled.
    birth: AtomicU32,
    object: UnsafeCell<Option<Object>>,
    lent: UnsafeCell<Option<Lent>>,
}

// SAFETY: see the top of the file; what is in a slot may be used by one thread after another.
unsafe impl Sync for Slot {}

static TABLE: [AtomicPtr<[Slot; CHUNK]>; CHUNKS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];

/// Where to begin to look for a free slot.
static HINT: AtomicUsize = AtomicUsize::new(0);

/// Counts forks: how often this process has been born.
static BIRTH: AtomicU32 = AtomicU32::new(0);

fn birth() -> u32 {
    // Relaxed: a child has one thread when it changes.
    BIRTH.load(Ordering::Relaxed)
}

fn count_forks() {
    extern "C" fn in_child() {
        // Relaxed: as above.
        BIRTH.fetch_add(1, Ordering::Relaxed);
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function only adds to an atomic.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// The number, slot and kind that a handle names, and its slot if there is one.
#[inline(always)]
fn decode(handle: u64) -> Result<(u64, u64, usize, &'static Slot), Fault> {
    if handle == 0 {
        return Err(Fault::new(Code::Invalid, "the handle is NULL"));
    }
    let known = numbers::parts(handle).and_then(|parts| Some((parts, slot_at(parts.2)?)));
    match known {
        Some(((number, kind, index), slot)) => Ok((number, kind, index, slot)),
        None => Err(Fault::new(Code::Handle, "that is not a handle of this library")),
    }
}

#[inline(always)]
fn slot_at(index: usize) -> Option<&'static Slot> {
    // SYNC(chunk): pairs with the exchange in `chunk_for`.
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
    let new = Box::into_raw(Box::new(std::array::from_fn(|_| Slot::default())));
    // SYNC(chunk): pairs with the load in `slot_at`.
    let order = (Ordering::AcqRel, Ordering::Acquire);
    if entry.compare_exchange(ptr::null_mut(), new, order.0, order.1).is_err() {
        // SAFETY: another thread was quicker, so nobody has seen ours.
        drop(unsafe { Box::from_raw(new) });
    }
    slot_at(index)
}

/// Takes something in, and gives its handle.
pub(crate) fn insert<T: Stored>(object: T) -> Result<Handle<T>, Fault> {
    count_forks();
    // Relaxed: a wrong hint costs a longer way.
    let hint = HINT.load(Ordering::Relaxed);
    for look in 0..CHUNK * CHUNKS {
        let index = (hint + look) % (CHUNK * CHUNKS);
        let Some(slot) = slot_for(index) else { break };
        // Relaxed: looked at again by the exchange.
        let before = slot.state.load(Ordering::Relaxed);
        if stage_of(before) != FREE || !slot.try_fill(before) {
            continue;
        }
        // Relaxed: as above; `birth` is looked at by who has the handle, which is not made yet.
        HINT.store(index + 1, Ordering::Relaxed);
        slot.birth.store(birth(), Ordering::Relaxed);
        let generation = generation_of(before);
        // SAFETY: we have made it busy.
        unsafe { *slot.object.get() = Some(object.into_object()) };
        slot.set_state(state(generation, times_lent(before), T::KIND, IDLE));
        let handle = handle(generation, index, T::KIND);
        return Ok(Handle(ptr::without_provenance_mut(handle as usize)));
    }
    Err(Fault::new(Code::Limit, "the limit of 65536 handles of a process is reached"))
}

impl Slot {
    /// Makes a free slot busy, if it is still in this state.
    fn try_fill(&self, before: u64) -> bool {
        let busy = with_stage(before, BUSY);
        // SYNC(state): pairs with the release in `set_state`. Relaxed: who fails looks at nothing.
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        self.state.compare_exchange(before, busy, acquire, relaxed).is_ok()
    }

    #[inline(always)]
    fn set_state(&self, state: u64) {
        // SYNC(state): pairs with the acquires in `try_fill` and `try_enter`.
        self.state.store(state, Ordering::Release);
    }

    /// The turn, if it is in this state and nobody uses it.
    #[inline(always)]
    fn try_enter(&'static self, index: usize, wanted: u64) -> Option<Turn> {
        let inside = self.owner.enter()?;
        // SYNC(state): pairs with the release in `set_state`: another thread may have filled it.
        let is_wanted = self.state.load(Ordering::Acquire) == wanted;
        is_wanted.then_some(Turn { slot: self, index, state: wanted, _inside: inside })
    }
}

/// The right to use a slot, until it is dropped.
struct Turn {
    slot: &'static Slot,
    index: usize,
    state: u64,
    _inside: Inside,
}

impl Turn {
    #[inline(always)]
    fn set_state(&mut self, state: u64) {
        self.state = state;
        self.slot.set_state(state);
    }

    /// Gives the slot, which is empty, to whoever wants one. Busy until we are outside: the next
    /// one that uses it must not find us in it.
    fn vacate(self) {
        let Self { slot, state: now, _inside: inside, .. } = self;
        let (generation, times) = (following(generation_of(now)), times_lent(now));
        slot.set_state(state(generation, times, 0, BUSY));
        drop(inside);
        slot.set_state(state(generation, times, 0, FREE));
    }
}

impl<T: Stored> Handle<T> {
    /// What it stands for, for the time of a call.
    #[inline(always)]
    pub(crate) fn enter(self) -> Result<Using<T>, Fault> {
        let (generation, kind, index, slot) = decode(self.0.addr() as u64)?;
        // Relaxed: looked at again when it is our turn.
        let now = slot.state.load(Ordering::Relaxed);
        let wanted = state(generation, times_lent(now), T::KIND, IDLE);
        let ours = slot.birth.load(Ordering::Relaxed) == birth();
        let possible = ours && kind == T::KIND && now == wanted;
        let turn = if possible { slot.try_enter(index, wanted) } else { None };
        let Some(turn) = turn else { return Err(why_not(slot, generation, kind, T::KIND)) };
        // SAFETY: it is our turn.
        let object = unsafe { &mut *slot.object.get() };
        match object.as_mut().and_then(T::of) {
            Some(object) => Ok(Using { object, turn }),
            None => Err(Fault::internal("a slot holds another kind than it says")),
        }
    }

    /// Frees what it stands for. NULL is allowed, and nothing happens.
    pub(crate) fn free(self) -> Result<(), Fault> {
        if self.0.is_null() {
            return Ok(());
        }
        let Using { turn, .. } = self.enter()?;
        // SAFETY: it is our turn, and nothing is lent.
        let object = unsafe { &mut *turn.slot.object.get() }.take();
        // Relaxed: see `insert`.
        HINT.store(turn.index, Ordering::Relaxed);
        turn.vacate();
        drop(object);
        Ok(())
    }
}

/// Why a slot could not be used. It may have changed in between, so it is in use if nothing else is
/// wrong with it.
#[cold]
fn why_not(slot: &Slot, generation: u64, kind: u64, wanted: u64) -> Fault {
    // Relaxed: the answer is about a moment that is over.
    let now = slot.state.load(Ordering::Relaxed);
    if kind != wanted {
        Fault::new(Code::Handle, "the handle is of another kind")
    } else if generation_of(now) != generation || kind_of(now) != kind {
        Fault::new(Code::Handle, "what the handle stood for has been freed")
    } else if slot.birth.load(Ordering::Relaxed) != birth() {
        Fault::new(Code::Forked, "it was opened before fork, by the parent; open a new one")
    } else if stage_of(now) == LENT {
        Fault::new(Code::Busy, "it has given an event or a loan that has not been given back")
    } else {
        Fault::new(Code::Busy, "another thread uses it, or a function that it has called")
    }
}

/// What a handle stands for, while it is this thread's turn.
pub(crate) struct Using<T: 'static> {
    object: &'static mut T,
    turn: Turn,
}

impl<T> Deref for Using<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        self.object
    }
}

impl<T> DerefMut for Using<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.object
    }
}

impl<T> Using<T> {
    /// Lends a part of it, until that is given back. `borrow` is told the part's handle, so that it
    /// can write what C gets to see where C wants it: to copy a struct that was just written stalls.
    #[inline(always)]
    pub(crate) fn lend(
        self,
        kind: u64,
        borrow: impl FnOnce(&'static mut T, u64) -> Result<Lent, Fault>,
    ) -> Result<(), Fault> {
        let Self { object, mut turn } = self;
        let times = following(times_lent(turn.state));
        let lent = borrow(object, handle(times, turn.index, kind))?;
        // SAFETY: it is our turn.
        unsafe { *turn.slot.lent.get() = Some(lent) };
        turn.set_state(state(generation_of(turn.state), times, kind_of(turn.state), LENT));
        Ok(())
    }
}

/// What has been lent, while it is this thread's turn.
pub(crate) struct Borrowed {
    lent: &'static mut Option<Lent>,
    turn: Turn,
}

/// What a handle of this kind (an event or a loan) stands for, for the time of a call.
#[inline(always)]
pub(crate) fn enter_lent(handle: u64, wanted: u64) -> Result<Borrowed, Fault> {
    let (times, kind, index, slot) = decode(handle)?;
    // Relaxed: looked at again when it is our turn.
    let now = slot.state.load(Ordering::Relaxed);
    let current = times_lent(now) == times && stage_of(now) == LENT && kind == wanted;
    let ours = slot.birth.load(Ordering::Relaxed) == birth();
    let turn = if current && ours { slot.try_enter(index, now) } else { None };
    let Some(turn) = turn else { return Err(why_not_lent(slot, times, kind == wanted)) };
    // SAFETY: it is our turn.
    let lent = unsafe { &mut *slot.lent.get() };
    Ok(Borrowed { lent, turn })
}

#[cold]
fn why_not_lent(slot: &Slot, times: u64, right_kind: bool) -> Fault {
    // Relaxed: the answer is about a moment that is over.
    let now = slot.state.load(Ordering::Relaxed);
    if !right_kind || times_lent(now) != times || stage_of(now) == IDLE || stage_of(now) == FREE {
        Fault::new(Code::Handle, "the event or loan has been given back, or never was one")
    } else if slot.birth.load(Ordering::Relaxed) != birth() {
        Fault::new(Code::Forked, "it was taken before fork, by the parent")
    } else {
        Fault::new(Code::Busy, "another thread uses it")
    }
}

impl Borrowed {
    /// What it is.
    pub(crate) fn get(&mut self) -> Option<&mut Lent> {
        self.lent.as_mut()
    }

    /// Gives it back: an event is released, a loan discarded.
    #[inline(always)]
    pub(crate) fn give_back(self) {
        *self.lent = None;
        self.end();
    }

    /// Gives it back, by `end`.
    #[inline(always)]
    pub(crate) fn give_back_by(self, end: impl FnOnce(Lent)) {
        if let Some(lent) = self.lent.take() {
            end(lent);
        }
        self.end();
    }

    /// What was there for the sake of what was lent alone is freed.
    #[inline(always)]
    fn end(mut self) {
        let Turn { slot, state: now, .. } = self.turn;
        let (generation, times, kind) = (generation_of(now), times_lent(now), kind_of(now));
        if kind == KIND_ANSWER {
            // SAFETY: it is our turn, and nothing is lent any more.
            unsafe { *slot.object.get() = None };
            self.turn.vacate();
        } else {
            self.turn.set_state(state(generation, times, kind, IDLE));
        }
    }
}
