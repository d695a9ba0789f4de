//! Handles: numbers (`numbers`) that C holds as if they were pointers, and what they stand for
//! (`slots`).
//!
//! No memory is at such an address, and nothing is ever read there: a handle that is NULL, torn,
//! made up, of another kind, or whose slot has something else in it now is found out by comparing
//! numbers. Whoever uses a slot has its turn (`turn`): two threads that use a handle at the same time
//! against the rules do not meet in what it stands for, and the second one is told.
//!
//! An event or a loan is *lent*: a part of what a handle stands for, which is not touched until it
//! is given back. It has a handle of its own. Each slot says by which one handle it is open: by that
//! of what is in it, by that of what this has lent, or by none. So what nearly always happens is one
//! comparison; why it fails is found out elsewhere.
//!
//! There is no lock: a child that is forked while a thread is in here finds nothing locked. What it
//! has inherited it must not use (threads that it lacks may have been inside). Nothing of that is its
//! turn, because its threads are new (`turn`); so only who is about to have a turn anew asks when
//! the slot was filled.
//!
//! # Safety
//!
//! What a slot holds is reached only by who has its turn and has found it open by its handle, and
//! what it has lent by who has found it open by the handle of that; a slot that is not taken only by
//! who takes it. Objects are boxed and stay where they are until they are freed, which is possible
//! only while nothing is lent, so what is lent may refer to them.

#![allow(unsafe_code)]

mod numbers;
mod slots;

use self::slots::{SHUT, Slot, slot_of};
use crate::codes::Code;
use crate::fault::Fault;
use crate::memory::Plain;
use crate::objects::{KIND_ANSWER, KIND_EVENT, KIND_LOAN, Lent, Object, Stored};
use crate::turn::{self, Inside};
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

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
        turn::all_seats_are_new();
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function only stores to atomics and to a number of its thread.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// Takes something in, and gives its handle.
pub(crate) fn insert<T: Stored>(object: T) -> Result<Handle<T>, Fault> {
    count_forks();
    let none = || Fault::new(Code::Limit, "the limit of 65536 handles of a process is reached");
    let slot = slots::take().ok_or_else(none)?;
    // Relaxed: looked at by who has the handle, which is not made yet.
    slot.birth.store(birth(), Ordering::Relaxed);
    let handle = numbers::of_kind(slot.filled_as.load(Ordering::Relaxed), T::KIND);
    slot.filled_as.store(handle, Ordering::Relaxed);
    let lent_as = numbers::of_kind(slot.lent_as.load(Ordering::Relaxed), T::LENDS);
    slot.lent_as.store(lent_as, Ordering::Relaxed);
    // SAFETY: we have taken it.
    unsafe { *slot.object.get() = Some(object.into_object()) };
    slot.open(handle);
    Ok(Handle(ptr::without_provenance_mut(handle as usize)))
}

/// The right to use a slot, until it is dropped.
struct Turn {
    slot: &'static Slot,
    inside: Inside,
}

impl Turn {
    /// Takes what is in the slot out, and gives that to whoever wants one. Nothing is lent.
    fn empty(self) -> Option<Object> {
        // SAFETY: it is our turn, and nothing refers to what is in the slot.
        let object = unsafe { &mut *self.slot.object.get() }.take();
        self.slot.give_back(self.inside);
        object
    }

    /// The turn at the slot of a handle, if that is the one by which it is open and nobody uses it.
    #[inline(always)]
    fn take(handle: u64, kind: u64) -> Result<Self, Fault> {
        // SYNC(open): pairs with the release in `Slot::open`. One look is enough: if we had the last
        // turn, nobody has opened it since but who has filled it, and nobody has used it.
        if numbers::kind_of(handle) == kind
            && let Some(slot) = slot_of(handle)
            && slot.open.load(Ordering::Acquire) == handle
            && let Some(inside) = slot.owner.enter()
        {
            return Ok(Self { slot, inside });
        }
        Self::take_anew(handle, kind)
    }

    /// The same for who has not had the last turn, or has no right to have it.
    #[cold]
    #[inline(never)]
    fn take_anew(handle: u64, kind: u64) -> Result<Self, Fault> {
        let slot = named(handle)?;
        // Relaxed: looked at again when it is our turn. Who has no right takes it from nobody.
        let is_open = || slot.open.load(Ordering::Relaxed) == handle;
        let ours = slot.birth.load(Ordering::Relaxed) == birth();
        if is_open()
            && ours
            && numbers::kind_of(handle) == kind
            && let Some(inside) = slot.owner.enter_slowly()
        {
            // SYNC(open): pairs with the release in `Slot::open`: another thread may have filled it.
            if slot.open.load(Ordering::Acquire) == handle {
                return Ok(Self { slot, inside });
            }
        }
        Err(why_not(slot, handle, kind))
    }
}

/// The slot that a handle names.
fn named(handle: u64) -> Result<&'static Slot, Fault> {
    if handle == SHUT {
        return Err(Fault::new(Code::Invalid, "the handle is NULL"));
    }
    let none = || Fault::new(Code::Handle, "that is not a handle of this library");
    slot_of(handle).filter(|_| numbers::is_handle(handle)).ok_or_else(none)
}

/// Why a slot could not be used by a handle. It may have changed in between, so it is in use if
/// nothing else is wrong with it.
#[cold]
fn why_not(slot: &Slot, handle: u64, kind: u64) -> Fault {
    let is_lent = kind == KIND_EVENT || kind == KIND_LOAN;
    // Relaxed: the answer is about a moment that is over.
    let open = slot.open.load(Ordering::Relaxed);
    let (code, why) = if is_lent && (numbers::kind_of(handle) != kind || open != handle) {
        (Code::Handle, "the event or loan has been given back, or never was one")
    } else if numbers::kind_of(handle) != kind {
        (Code::Handle, "the handle is of another kind")
    } else if !is_lent && slot.filled_as.load(Ordering::Relaxed) != handle {
        (Code::Handle, "what the handle stood for has been freed")
    } else if slot.birth.load(Ordering::Relaxed) != birth() {
        (Code::Forked, "it is the parent's, from before fork; open a new one")
    } else if open == slot.lent_as.load(Ordering::Relaxed) && !is_lent {
        (Code::Busy, "it has given an event or a loan that has not been given back")
    } else {
        (Code::Busy, "another thread uses it, or a function that it has called")
    };
    Fault::new(code, why)
}

impl<T: Stored> Handle<T> {
    /// What it stands for, for the time of a call.
    #[inline(always)]
    pub(crate) fn enter(self) -> Result<Using<T>, Fault> {
        let handle = self.0.addr() as u64;
        let turn = Turn::take(handle, T::KIND)?;
        // SAFETY: it is our turn, and the slot is open by a handle of what is in it: what that lends
        // has handles of other kinds.
        let object = unsafe { &mut *turn.slot.object.get() };
        match object.as_mut().and_then(T::of) {
            Some(object) => Ok(Using { object, turn }),
            None => Err(why_not(turn.slot, handle, T::KIND)),
        }
    }

    /// The same after giving back an event or loan of its own, if this is its handle: all in one turn.
    #[inline(always)]
    pub(crate) fn enter_after(self, lent: u64) -> Option<Using<T>> {
        let handle = self.0.addr() as u64;
        let slot = slot_of(handle)?;
        // Relaxed: it changes by whose turn it is, and what is open by `lent` is what it has lent.
        let is_ours = slot.filled_as.load(Ordering::Relaxed) == handle;
        let kinds = [handle, lent].map(numbers::kind_of);
        if !is_ours || kinds != [T::KIND, T::LENDS] {
            return None;
        }
        // SYNC(open): as in `Turn::take`.
        let inside = match slot.open.load(Ordering::Acquire) == lent {
            true => slot.owner.enter()?,
            false => return None,
        };
        // SAFETY: it is our turn, and the slot is open by the handle of what is lent.
        if let Some(lent) = unsafe { &mut *slot.lent.get() }.take() {
            lent.end();
        }
        slot.open(handle);
        // SAFETY: it is our turn, and the slot is open by the handle of what is in it.
        let object = T::of(unsafe { &mut *slot.object.get() }.as_mut()?)?;
        Some(Using { object, turn: Turn { slot, inside } })
    }

    /// Frees what it stands for. NULL is allowed, and nothing happens.
    pub(crate) fn free(self) -> Result<(), Fault> {
        if self.0.is_null() {
            return Ok(());
        }
        let Using { turn, .. } = self.enter()?;
        drop(turn.empty());
        Ok(())
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
    /// To lend a part of it: what it is, and what is told when the part has been taken from it. (No
    /// closure: those are not always inlined, and to return what is lent through memory stalls.)
    #[inline(always)]
    pub(crate) fn lend(self) -> (&'static mut T, Lending) {
        let Self { object, turn } = self;
        // Relaxed: it changes by whose turn it is.
        let handle = numbers::following(turn.slot.lent_as.load(Ordering::Relaxed));
        (object, Lending { handle, turn })
    }
}

/// That something is about to be lent. Dropping it lends nothing.
pub(crate) struct Lending {
    /// The part's handle. What C gets to see of it is written where C wants it before it is lent: to
    /// copy a struct that was just written stalls.
    pub(crate) handle: u64,
    turn: Turn,
}

impl Lending {
    /// Lends the part, until it is given back.
    #[inline(always)]
    pub(crate) fn out(self, lent: Lent) -> Result<(), Fault> {
        let Self { handle, turn: Turn { slot, inside } } = self;
        // SAFETY: it is our turn, and nothing is there that would have to be dropped.
        unsafe { slot.lent.get().write(Some(lent)) };
        // Relaxed: as above.
        slot.lent_as.store(handle, Ordering::Relaxed);
        slot.open(handle);
        drop(inside);
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
pub(crate) fn enter_lent(handle: u64, kind: u64) -> Result<Borrowed, Fault> {
    let turn = Turn::take(handle, kind)?;
    // SAFETY: it is our turn, and the slot is open by the handle of what is lent.
    let lent = unsafe { &mut *turn.slot.lent.get() };
    Ok(Borrowed { lent, turn })
}

impl Borrowed {
    /// What it is.
    #[inline(always)]
    pub(crate) fn get(&mut self) -> Option<&mut Lent> {
        self.lent.as_mut()
    }

    /// Gives it back, by `end`.
    #[inline(always)]
    pub(crate) fn give_back(self, end: impl FnOnce(Lent)) {
        let Self { lent, turn } = self;
        if let Some(lent) = lent.take() {
            end(lent);
        }
        // Relaxed: it changes by whose turn it is.
        let handle = turn.slot.filled_as.load(Ordering::Relaxed);
        if numbers::kind_of(handle) == KIND_ANSWER {
            // What was there for the sake of what was lent alone.
            drop(turn.empty());
        } else {
            turn.slot.open(handle);
        }
    }
}
