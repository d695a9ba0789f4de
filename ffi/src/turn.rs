//! Whose turn it is: one thread at a time, at the cost of some stores while it stays the same one.
//!
//! A slot belongs to the thread that used it last, its owner. Each thread has a *seat* (`seats`), on
//! which it says what it is inside of. The owner says so, and then looks whether it is still the
//! owner. Who wants to become the owner says that it is, and then looks at the seat of the one
//! before. Both are a store followed by a load, so one of the two sees the other, if neither lets its
//! load pass its store; the owner has the compiler kept from it, and who takes over has the kernel
//! make all threads of the process execute a barrier (membarrier(2), about a microsecond). An exchange
//! at each call instead would wait until all stores before it are visible to others, which costs a
//! ping-pong a fifth of its speed.
//!
//! Nobody waits: who finds another inside is told so. Where the kernel has no such barrier nobody
//! becomes owner, and every call holds `taking` for as long as it lasts.
//!
//! A thread is inside of two slots at most (a reply is sent by a hub and is about an event).
//!
//! # Safety
//!
//! Seats are never freed, so what was once the address of one still is.

#![allow(unsafe_code)]

#[cfg(all(test, ephapse_model))]
mod model;
#[cfg(not(ephapse_model))]
mod seats;
#[cfg(all(test, not(ephapse_model)))]
mod tests;

use self::atomics::{AtomicPtr, AtomicUsize, Ordering, light_fence, pause};
use std::ptr;

#[cfg(not(ephapse_model))]
pub(crate) use self::seats::all_seats_are_new;

/// In nothing.
const OUTSIDE: usize = 0;

/// What a thread says about itself: the addresses of what it is inside of.
#[repr(align(128))] // nobody else's stores on its lines, which are fetched in pairs
pub(crate) struct Seat([AtomicUsize; 2]);

/// Who may use a slot.
#[derive(Default)]
pub(crate) struct Owner {
    /// The thread that used it last.
    seat: AtomicPtr<Seat>,
    /// The address of this, if somebody is about to become the owner; or, without a barrier, is
    /// inside.
    taking: AtomicUsize,
}

/// The right to use what an [`Owner`] guards, until it is dropped.
pub(crate) struct Inside {
    /// Where it is said: on a seat, or in `taking`.
    place: &'static AtomicUsize,
}

impl Drop for Inside {
    #[inline(always)]
    fn drop(&mut self) {
        // SYNC(turn): pairs with the loads of seats in `Owner::take_over`, and with the exchange in
        // `Owner::try_taking`.
        self.place.store(OUTSIDE, Ordering::Release);
    }
}

#[cfg(not(ephapse_model))]
impl Owner {
    /// Enters, if this thread is the owner and is inside of nothing.
    #[inline(always)]
    pub(crate) fn enter(&'static self) -> Option<Inside> {
        self.enter_first(seats::current())
    }

    /// Enters after [`enter`](Self::enter) did not, if nobody is inside; `None` if somebody is, this
    /// thread among them.
    #[inline(never)]
    pub(crate) fn enter_slowly(&'static self) -> Option<Inside> {
        self.enter_anew(seats::take(), seats::barrier())
    }
}

impl Owner {
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    #[inline(always)]
    fn enter_first(&'static self, seat: &'static Seat) -> Option<Inside> {
        let [place, _] = &seat.0;
        // Relaxed: this thread's own.
        let is_free = place.load(Ordering::Relaxed) == OUTSIDE;
        (is_free && self.enter_at(place, seat)).then(|| Inside { place })
    }

    /// Enters, if the thread of this seat is the owner.
    #[inline(always)]
    fn enter_at(&self, place: &AtomicUsize, seat: &Seat) -> bool {
        // SYNC(turn): pairs with the loads of seats in `take_over`; with them it also orders what
        // this thread did in other slots.
        place.store(self.address(), Ordering::Release);
        // SYNC(owner): pairs with the barrier in `take_over`.
        light_fence();
        // Relaxed: if it is this thread, it was this thread that stored it.
        if ptr::eq(self.seat.load(Ordering::Relaxed), seat) {
            return true;
        }
        // SYNC(turn): as above.
        place.store(OUTSIDE, Ordering::Release);
        false
    }

    /// Enters in a place that is free, and becomes the owner, if there is a barrier.
    fn enter_anew(
        &'static self,
        seat: &'static Seat,
        barrier: Option<fn() -> bool>,
    ) -> Option<Inside> {
        // Relaxed: this thread's own.
        let is_in = |place: &AtomicUsize, address| place.load(Ordering::Relaxed) == address;
        if seat.0.iter().any(|place| is_in(place, self.address())) {
            return None;
        }
        let place = seat.0.iter().find(|place| is_in(place, OUTSIDE))?;
        if self.enter_at(place, seat) {
            return Some(Inside { place });
        }
        let mut tries = 0;
        while !self.try_taking() {
            // Another that has found this one inside, or is about to, is done at once.
            if barrier.is_none() || tries == TRIES {
                return None;
            }
            tries += 1;
            pause();
        }
        let Some(barrier) = barrier else { return Some(Inside { place: &self.taking }) };
        let mine = self.take_over(place, seat, barrier);
        // SYNC(turn): pairs with the exchange in `try_taking`.
        self.taking.store(OUTSIDE, Ordering::Release);
        mine.then(|| Inside { place })
    }

    fn try_taking(&self) -> bool {
        // SYNC(turn): pairs with the stores of 0 in `enter_anew` and `Inside::drop`. Relaxed: who fails
        // looks at nothing.
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        self.taking.compare_exchange(OUTSIDE, self.address(), acquire, relaxed).is_ok()
    }

    /// Becomes the owner and enters, if the one before is not inside. `taking` is ours.
    fn take_over(&self, place: &AtomicUsize, seat: &Seat, barrier: fn() -> bool) -> bool {
        // Relaxed: it changes while `taking` is held.
        let before = self.seat.load(Ordering::Relaxed);
        // SYNC(turn): as in `enter_at`.
        place.store(self.address(), Ordering::Release);
        self.seat.store(ptr::from_ref(seat).cast_mut(), Ordering::Relaxed);
        // SAFETY: NULL, or a seat, which never goes away.
        let other = unsafe { before.as_ref() }.filter(|other| !ptr::eq(*other, seat));
        let Some(other) = other else { return true };
        // SYNC(owner): pairs with the fence in `enter_at`.
        let ordered = barrier();
        // SYNC(turn): pairs with the stores to seats in `enter_at` and `Inside::drop`.
        let is_inside = |place: &AtomicUsize| place.load(Ordering::Acquire) == self.address();
        if ordered && !other.0.iter().any(is_inside) {
            return true;
        }
        self.seat.store(before, Ordering::Relaxed);
        // SYNC(turn): as in `enter_at`.
        place.store(OUTSIDE, Ordering::Release);
        false
    }
}

/// How often a thread looks whether another has made up its mind.
const TRIES: u32 = if cfg!(ephapse_model) { 1 } else { 1000 };

#[cfg(not(ephapse_model))]
mod atomics {
    pub(super) use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    /// Holds the compiler; the other side's barrier holds the processor.
    // SYNC(owner): pairs with the barrier in `take_over`.
    #[inline(always)]
    pub(super) fn light_fence() {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    pub(super) fn pause() {
        std::thread::yield_now();
    }
}

/// Together with a barrier of the same kind this is what the kernel promises.
#[cfg(ephapse_model)]
mod atomics {
    pub(super) use loom::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    // SYNC(owner): pairs with the barrier in `take_over`.
    pub(super) fn light_fence() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }

    pub(super) fn pause() {
        loom::thread::yield_now();
    }
}
