//! Seats: one word for each thread, which says what the thread is inside of.
//!
//! Other threads keep the address of a seat beyond the end of the thread that had it, so seats
//! are never freed. They are given to later threads instead: there are as many as threads had one
//! at the same time.
//!
//! Whoever remembers a seat whose thread has ended finds a later thread on it, or nobody. Both are
//! as if the first thread had gone on: it left its seat after all that it did, and the next one
//! took it before all that it does (`SYNC(seat)`), so together they are one sequence of steps, of
//! which at each moment one thread takes the next.

#![allow(unsafe_code)]

use super::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use core::ptr;

#[cfg(not(ephapse_model))]
pub(super) use self::threads::{current, take};

/// In nothing.
const OUTSIDE: usize = 0;

/// A thread's own word. Two cache lines, because they are fetched in pairs.
#[repr(align(128))]
pub(super) struct Seat {
    /// The address of what the thread is inside of. Only the thread that has the seat writes it.
    inside: AtomicUsize,
    taken: AtomicBool,
    /// The seat that was made before this one.
    next: AtomicPtr<Seat>,
}

impl Seat {
    /// Whether the thread is inside of anything. For the thread itself.
    #[inline(always)]
    pub(super) fn is_inside(&self) -> bool {
        // Relaxed: our own word.
        self.inside.load(Ordering::Relaxed) != OUTSIDE
    }

    /// Whether the thread is inside of what lies at this address; if not, all that it has done
    /// inside has happened before. For other threads.
    pub(super) fn is_inside_of(&self, address: usize) -> bool {
        // SYNC(inside): pairs with the releases in `enter` and `leave`.
        self.inside.load(Ordering::Acquire) == address
    }

    /// Says that the thread is, or wants to be, inside.
    #[inline(always)]
    pub(super) fn enter(&self, address: usize) {
        // SYNC(inside): pairs with the acquire in `is_inside_of`: who sees that the thread is
        // inside of something else must also see what it did before.
        self.inside.store(address, Ordering::Release);
    }

    /// The end of it.
    #[inline(always)]
    pub(super) fn leave(&self) {
        // SYNC(inside): pairs with the acquire in `is_inside_of`.
        self.inside.store(OUTSIDE, Ordering::Release);
    }

    /// For a model that shows what the release in `enter` is for.
    #[cfg(ephapse_model)]
    pub(super) fn enter_relaxed(&self, address: usize) {
        // Relaxed: that is what is wrong with it.
        self.inside.store(address, Ordering::Relaxed);
    }

    /// Takes the seat for this thread, unless a thread has it.
    fn try_take(&self) -> bool {
        // Relaxed: a guess, and a failure, from which nothing follows.
        if self.taken.load(Ordering::Relaxed) {
            return false;
        }
        // SYNC(seat): pairs with the release in `give_back`.
        let taken = self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }
}

/// All seats of a process, in a list that only grows.
pub(super) struct Seats {
    newest: AtomicPtr<Seat>,
}

impl Seats {
    pub(super) const fn new(newest: AtomicPtr<Seat>) -> Self {
        Self { newest }
    }

    /// A seat that no other thread has. No lock: a child may be forked at any moment, and seats
    /// of threads that it has not stay taken there.
    pub(super) fn take(&self) -> &'static Seat {
        // SYNC(seats): pairs with the release in `add`.
        let mut next = self.newest.load(Ordering::Acquire);
        while let Some(seat) = seat_at(next) {
            if seat.try_take() {
                return seat;
            }
            // Relaxed: it was written before the seat was added.
            next = seat.next.load(Ordering::Relaxed);
        }
        self.add()
    }

    fn add(&self) -> &'static Seat {
        let seat: &'static Seat = Box::leak(Box::new(Seat {
            inside: AtomicUsize::new(OUTSIDE),
            taken: AtomicBool::new(true),
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        // Relaxed: what others do to the list matters only to those who walk along it.
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            seat.next.store(newest, Ordering::Relaxed);
            let address = ptr::from_ref(seat).cast_mut();
            // SYNC(seats): pairs with the acquire in `take`, also for the seats that were added
            // before: an exchange passes on what the ones before it released.
            let (release, relaxed) = (Ordering::Release, Ordering::Relaxed);
            match self.newest.compare_exchange(newest, address, release, relaxed) {
                Ok(_) => return seat,
                Err(now) => newest = now,
            }
        }
    }

    /// By the thread that took it, outside of everything.
    pub(super) fn give_back(seat: &Seat) {
        // SYNC(seat): pairs with the acquire in `take`.
        seat.taken.store(false, Ordering::Release);
    }
}

fn seat_at(address: *mut Seat) -> Option<&'static Seat> {
    // SAFETY: only addresses of seats are put into the list, which are never freed nor borrowed
    // mutably.
    unsafe { address.as_ref() }
}

/// Which thread has which seat.
#[cfg(not(ephapse_model))]
mod threads {
    use super::*;
    use core::cell::Cell;

    static SEATS: Seats = Seats::new(AtomicPtr::new(ptr::null_mut()));

    /// Of every thread that has none. As its word says that it is inside of something, the path
    /// that must be fast need not ask whether there is a seat.
    static NONE: Seat = Seat {
        inside: AtomicUsize::new(OUTSIDE + 1),
        taken: AtomicBool::new(true),
        next: AtomicPtr::new(ptr::null_mut()),
    };

    thread_local! {
        static CURRENT: Cell<&'static Seat> = const { Cell::new(&NONE) };
        static AT_END: GiveBack = const { GiveBack };
    }

    struct GiveBack;

    impl Drop for GiveBack {
        fn drop(&mut self) {
            let seat = CURRENT.replace(&NONE);
            if !ptr::eq(seat, &NONE) {
                Seats::give_back(seat);
            }
        }
    }

    /// This thread's seat, or one from which nothing can be entered.
    #[inline(always)]
    pub(in crate::sync) fn current() -> &'static Seat {
        CURRENT.get()
    }

    /// This thread's seat, which it takes if it has none.
    pub(in crate::sync) fn take() -> &'static Seat {
        if ptr::eq(CURRENT.get(), &NONE) {
            CURRENT.set(SEATS.take());
            // Other thread-locals can be dropped after this one; a seat that they need once more
            // is never given back.
            let _ = AT_END.try_with(|_| ());
        }
        CURRENT.get()
    }
}
