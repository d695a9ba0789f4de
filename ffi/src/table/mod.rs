//! Handles: numbers (`numbers`) that C holds as if they were pointers, and what they stand for.
//!
//! No memory is at such an address, and nothing is ever read there: a handle that is NULL, torn,
//! made up, of another kind, or whose slot has gone on to another generation is found out by
//! comparing numbers. Whoever uses a slot takes its state from *idle* to *busy* in one exchange that
//! checks all of that at once; so two threads that use a handle at the same time against the rules
//! do not meet in what it stands for, and the second one is told.
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
//! What a slot holds is reached only by who has taken its state to *busy*, and what it has lent only
//! by who has taken it from *lent* to *busy*. Objects are boxed and stay where they are until they
//! are freed, which is possible in the stage *idle* alone, so what is lent may refer to them.

#![allow(unsafe_code)]

mod numbers;

use self::numbers::{
    BUSY, FREE, IDLE, LENT, following, generation_of, handle, kind_of, stage_of, state, times_lent,
    with_stage,
};
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
        if stage_of(before) != FREE || !slot.try_enter(before) {
            continue;
        }
        // Relaxed: as above; `birth` is looked at by who has the handle, which is not made yet.
        HINT.store(index + 1, Ordering::Relaxed);
        slot.birth.store(birth(), Ordering::Relaxed);
        let generation = generation_of(before);
        let after = state(generation, times_lent(before), T::KIND, IDLE);
        let turn = Turn { slot, index, after };
        // SAFETY: it is our turn.
        unsafe { *slot.object.get() = Some(object.into_object()) };
        drop(turn);
        let handle = handle(generation, index, T::KIND);
        return Ok(Handle(ptr::without_provenance_mut(handle as usize)));
    }
    Err(Fault::new(Code::Limit, "the limit of 65536 handles of a process is reached"))
}

impl Slot {
    /// Takes its turn, if it is still in this state.
    #[inline(always)]
    fn try_enter(&self, before: u64) -> bool {
        // SYNC(turn): pairs with the release in `Turn::drop`. Relaxed: who does not get the turn
        // looks at nothing.
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        let busy = with_stage(before, BUSY);
        self.state.compare_exchange(before, busy, acquire, relaxed).is_ok()
    }
}

/// The right to use a slot, until it is dropped.
struct Turn {
    slot: &'static Slot,
    index: usize,
    /// The state afterwards.
    after: u64,
}

impl Drop for Turn {
    #[inline(always)]
    fn drop(&mut self) {
        // SYNC(turn): pairs with the exchange in `Slot::try_enter`.
        self.slot.state.store(self.after, Ordering::Release);
    }
}

impl<T: Stored> Handle<T> {
    /// What it stands for, for the time of a call.
    #[inline(always)]
    pub(crate) fn enter(self) -> Result<Using<T>, Fault> {
        let (generation, kind, index, slot) = decode(self.0.addr() as u64)?;
        // Relaxed: looked at again by the exchange.
        let now = slot.state.load(Ordering::Relaxed);
        let wanted = state(generation, times_lent(now), T::KIND, IDLE);
        let ours = slot.birth.load(Ordering::Relaxed) == birth();
        if !(ours && kind == T::KIND && now == wanted && slot.try_enter(now)) {
            return Err(why_not(slot, generation, kind, T::KIND));
        }
        let turn = Turn { slot, index, after: now };
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
        let Using { mut turn, .. } = self.enter()?;
        // SAFETY: it is our turn, and nothing is lent.
        let object = unsafe { &mut *turn.slot.object.get() }.take();
        let (generation, times) = (generation_of(turn.after), times_lent(turn.after));
        turn.after = state(following(generation), times, 0, FREE);
        // Relaxed: see `insert`.
        HINT.store(turn.index, Ordering::Relaxed);
        drop(turn);
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
    /// Lends a part of it, until that is given back; gives the part's handle.
    #[inline(always)]
    pub(crate) fn lend<R>(
        self,
        kind: u64,
        borrow: impl FnOnce(&'static mut T) -> Result<(Lent, R), Fault>,
    ) -> Result<(u64, R), Fault> {
        let Self { object, mut turn } = self;
        let (lent, result) = borrow(object)?;
        // SAFETY: it is our turn.
        unsafe { *turn.slot.lent.get() = Some(lent) };
        let times = following(times_lent(turn.after));
        turn.after = state(generation_of(turn.after), times, kind_of(turn.after), LENT);
        Ok((handle(times, turn.index, kind), result))
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
    // Relaxed: looked at again by the exchange.
    let now = slot.state.load(Ordering::Relaxed);
    let current = times_lent(now) == times && stage_of(now) == LENT && kind == wanted;
    let ours = slot.birth.load(Ordering::Relaxed) == birth();
    if !(current && ours && slot.try_enter(now)) {
        return Err(why_not_lent(slot, times, kind == wanted));
    }
    let turn = Turn { slot, index, after: now };
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

    /// Gives it back, by `end`. What was there for its sake alone is freed.
    #[inline(always)]
    pub(crate) fn give_back(mut self, end: impl FnOnce(Lent)) {
        if let Some(lent) = self.lent.take() {
            end(lent);
        }
        let Turn { slot, after, .. } = self.turn;
        let (generation, times, kind) = (generation_of(after), times_lent(after), kind_of(after));
        if kind == KIND_ANSWER {
            // SAFETY: it is our turn, and nothing is lent any more.
            unsafe { *slot.object.get() = None };
            self.turn.after = state(following(generation), times, 0, FREE);
        } else {
            self.turn.after = state(generation, times, kind, IDLE);
        }
    }
}
