//! Exclusive access from any thread, for next to nothing while the same thread comes again and
//! again.
//!
//! A [`Biased`] belongs to a thread, its owner. The owner enters with two plain stores and two
//! loads: it says on its seat that it is inside, looks whether it is still the owner, and when it
//! is done says that it is outside. Another thread makes itself the owner first, and then waits
//! until the seat of the one before it says that this one is not inside.
//!
//! Both are a store followed by a load, so one of the two sees the other, if neither lets its load
//! pass its store. As with sleep (see [`sync`](crate::sync)) the rare side pays for both: the owner
//! has a [`light_fence`], who takes over a [`private_fence`], which costs a few microseconds.
//!
//! - Who takes over holds a lock meanwhile, and has said that it is inside before it lets go of it.
//!   So there is one at a time, and it needs to look at one seat only: whoever was inside before
//!   has left before the last one entered.
//! - It says so on its seat *before* it becomes the owner: a signal handler that came in between
//!   would find itself owner, outside, and alone. And *after* it has the lock: who holds that may
//!   be waiting for the seat.
//! - Only a thread makes itself the owner. So once it is not, no look of its own finds that it is,
//!   and it waits for the lock: nobody can come back while another takes over.
//! - Cells are told apart by their address. They do not move while a thread is inside, and one
//!   that stands where another stood knows nothing of that one's owners.
//!
//! Where the kernel refuses private fences nobody ever becomes owner, and everyone takes the slow
//! way: the lock orders what the fences would. That way the fast path needs no question of its
//! own.
//!
//! After fork, the child's only thread keeps its seat, and can make and use cells of its own. A
//! cell of the parent must not be used there: a thread that does not exist may be inside.

#![allow(unsafe_code)]

use super::seat::Seat;
use super::{AtomicPtr, Ordering, light_fence};
use core::mem;
use core::ptr;

#[cfg(ephapse_model)]
use self::modelled::{Lock, UnsafeCell, pause};
#[cfg(not(ephapse_model))]
use self::plain::{Lock, UnsafeCell, pause};

#[cfg(all(test, ephapse_model))]
mod model;
#[cfg(all(test, not(ephapse_model)))]
mod tests;

/// A value that one thread at a time can use.
pub(crate) struct Biased<T> {
    /// The thread that may enter without the lock, or null. Changes under the lock.
    owner: AtomicPtr<Seat>,
    /// The thread that entered last; the owner, if there is one. Held while it changes.
    last: Lock<Option<&'static Seat>>,
    value: UnsafeCell<T>,
}

// SAFETY: `with` gives the value to one thread at a time, each after the one before: as if it were
// sent from one to the other. The value is not reached in any other way through a shared reference.
unsafe impl<T: Send> Sync for Biased<T> {}

impl<T> Biased<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            owner: AtomicPtr::new(ptr::null_mut()),
            last: Lock::new(None),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `f` with the value, once all other threads are outside. `None`, and nothing is done,
    /// if this thread is inside of this or any other cell.
    ///
    /// If `f` panics, the value is left as it is for whoever comes next.
    ///
    /// # Panics
    ///
    /// If the kernel refuses private fences that it has promised to this process (a system-call
    /// filter that was set up later), and another thread was the owner.
    #[cfg(not(ephapse_model))]
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut seat = super::seat::current();
        if !self.enter(seat) {
            seat = self.enter_slowly()?;
        }
        // SAFETY: one of the two has succeeded.
        Some(unsafe { self.inside(seat, f) })
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    #[inline(always)]
    fn is_owner(&self, seat: &Seat) -> bool {
        // Relaxed: if it is, it was this thread that stored it. The fences see to it that it is
        // not too old; what others did inside happened before we became the owner.
        ptr::eq(self.owner.load(Ordering::Relaxed), seat)
    }

    /// Enters, if this thread is the owner and not inside of anything.
    #[inline(always)]
    fn enter(&self, seat: &Seat) -> bool {
        if seat.is_inside() {
            return false;
        }
        seat.enter(self.address());
        // SYNC(bias): pairs with the private fence in `take_over`.
        light_fence();
        if self.is_owner(seat) {
            return true;
        }
        seat.leave();
        false
    }

    /// As [`enter`](Self::enter), after it has failed; on a seat that the thread may have to take
    /// first.
    #[cfg(not(ephapse_model))]
    #[cold]
    #[inline(never)]
    fn enter_slowly(&self) -> Option<&'static Seat> {
        let seat = super::seat::take();
        let biased = super::register_private_fences();
        self.take_over(seat, biased, super::private_fence).then_some(seat)
    }

    /// Enters, if this thread is not inside of anything, and becomes the owner if `biased`.
    fn take_over(&self, seat: &'static Seat, biased: bool, private_fence: fn() -> bool) -> bool {
        if seat.is_inside() {
            return false;
        }
        let mut last = self.last.lock();
        seat.enter(self.address());
        let leave = Leave(seat);
        // Relaxed: it changes under the lock, and see `is_owner`.
        let owner = self.owner.load(Ordering::Relaxed);
        let mine = if biased { ptr::from_ref(seat).cast_mut() } else { ptr::null_mut() };
        self.owner.store(mine, Ordering::Relaxed);
        if let Some(other) = last.filter(|last| !ptr::eq(*last, seat)) {
            // SYNC(bias): pairs with the light fence in `enter`. Who entered under the lock is
            // seen without it.
            if !owner.is_null() && !private_fence() {
                self.owner.store(owner, Ordering::Relaxed);
                panic!("the kernel refuses membarrier, which it has agreed to before");
            }
            let mut times = 0;
            while other.is_inside_of(self.address()) {
                pause(times);
                times += 1;
            }
        }
        *last = Some(seat);
        mem::forget(leave);
        true
    }

    /// Calls `f` with the value, and leaves.
    ///
    /// # Safety
    ///
    /// The thread that has this seat has just entered.
    #[inline(always)]
    unsafe fn inside<R>(&self, seat: &Seat, f: impl FnOnce(&mut T) -> R) -> R {
        let _leave = Leave(seat);
        // SAFETY: this thread is inside and has not been before, and no other is.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }
}

/// Leaves, also when there is a panic.
struct Leave<'a>(&'a Seat);

impl Drop for Leave<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(not(ephapse_model))]
mod plain {
    use std::thread;
    use std::time::Duration;

    pub(super) use parking_lot::Mutex as Lock;

    /// With the interface of the model checker's.
    pub(super) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// Between two looks at a seat, of which this many were in vain.
    pub(super) fn pause(times: u32) {
        match times {
            0..100 => core::hint::spin_loop(),
            100..120 => thread::yield_now(),
            // Sleep: who is inside is not made to tell us that it has left, for it would have to
            // look each time whether anybody wants to know.
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}

#[cfg(ephapse_model)]
mod modelled {
    pub(super) use loom::cell::UnsafeCell;
    use loom::sync::{Mutex, MutexGuard};

    /// With the interface of the real one.
    pub(super) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(super) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    pub(super) fn pause(_times: u32) {
        loom::thread::yield_now();
    }
}
