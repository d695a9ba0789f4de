//! Whose turn it is: one thread at a time, at the cost of some stores while it stays the same one.
//!
//! A slot belongs to the thread that used it last, its owner. Each thread has a *seat*, on which it
//! says what it is inside of. The owner says so, and then looks whether it is still the owner. Who
//! wants to become the owner says that it is, and then looks at the seat of the one before. Both are
//! a store followed by a load, so one of the two sees the other, if neither lets its load pass its
//! store; the owner has the compiler kept from it, and who takes over has the kernel make all threads
//! of the process execute a barrier (membarrier(2), about a microsecond). An exchange at each call
//! instead would wait until all stores before it are visible to others, which costs a ping-pong a
//! fifth of its speed.
//!
//! Nobody waits: who finds another inside is told so. Where the kernel has no such barrier nobody
//! becomes owner, and every call takes `taking` for as long as it lasts.
//!
//! A thread is inside of two slots at most (a reply is sent by a hub and is about an event).

use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, compiler_fence};

/// What a thread says about itself.
#[repr(align(64))] // nobody else's stores on its line
struct Seat {
    /// Addresses of what it is inside of; 0 for nothing.
    inside: [AtomicUsize; 2],
    taken: AtomicBool,
    /// The seat that was made before.
    next: AtomicPtr<Seat>,
}

/// All seats: they are used again, but never go away.
static SEATS: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());

/// Gives a thread's seat to another when it ends.
struct Sitting(&'static Seat);

impl Drop for Sitting {
    fn drop(&mut self) {
        CURRENT.set(None);
        // SYNC(seat): pairs with the exchange in `take_seat`.
        self.0.taken.store(false, Ordering::Release);
    }
}

thread_local! {
    static CURRENT: Cell<Option<&'static Seat>> = const { Cell::new(None) };
    static SITTING: Cell<Option<Sitting>> = const { Cell::new(None) };
}

#[inline(always)]
fn seat() -> &'static Seat {
    match CURRENT.get() {
        Some(seat) => seat,
        None => take_seat(),
    }
}

#[cold]
fn take_seat() -> &'static Seat {
    // SYNC(seats): pairs with the exchange below.
    let mut next = SEATS.load(Ordering::Acquire);
    let mut found = None;
    // SAFETY: NULL, or a seat that was made in a box and never goes away.
    while let Some(seat) = unsafe { next.as_ref() } {
        // SYNC(seat): pairs with the release in `Sitting::drop`.
        if !seat.taken.swap(true, Ordering::AcqRel) {
            found = Some(seat);
            break;
        }
        // Relaxed: it does not change once the seat can be seen.
        next = seat.next.load(Ordering::Relaxed);
    }
    let seat = found.unwrap_or_else(make_seat);
    CURRENT.set(Some(seat));
    // A thread that is ending keeps its seat for ever.
    let _ = SITTING.try_with(|sitting| sitting.set(Some(Sitting(seat))));
    seat
}

fn make_seat() -> &'static Seat {
    let seat: &'static Seat = Box::leak(Box::new(Seat {
        inside: [const { AtomicUsize::new(0) }; 2],
        taken: AtomicBool::new(true),
        next: AtomicPtr::new(ptr::null_mut()),
    }));
    let mut head = SEATS.load(Ordering::Relaxed);
    loop {
        seat.next.store(head, Ordering::Relaxed);
        let new = ptr::from_ref(seat).cast_mut();
        // SYNC(seats): pairs with the load in `take_seat`. Relaxed: tried again.
        match SEATS.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return seat,
            Err(now) => head = now,
        }
    }
}

/// Whether the kernel makes all threads execute a barrier.
fn has_barrier() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes three integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// How often a thread looks whether another has made up its mind.
const TRIES: u32 = 1000;

/// Who may use a slot.
#[derive(Default)]
pub(super) struct Owner {
    /// The thread that used it last.
    seat: AtomicPtr<Seat>,
    /// Somebody is about to become the owner; or, without a barrier, is inside.
    taking: AtomicBool,
}

/// The right to use what an [`Owner`] guards, until it is dropped.
pub(super) struct Inside {
    /// Where it is said; nothing if there is no barrier.
    place: Option<&'static AtomicUsize>,
    owner: &'static Owner,
}

impl Drop for Inside {
    #[inline(always)]
    fn drop(&mut self) {
        match self.place {
            // SYNC(turn): pairs with the loads of seats in `Owner::take_over`.
            Some(place) => place.store(0, Ordering::Release),
            // SYNC(turn): pairs with the exchange in `Owner::enter_slowly`.
            None => self.owner.taking.store(false, Ordering::Release),
        }
    }
}

impl Owner {
    /// Enters, if nobody is inside; `None` if somebody is, this thread among them.
    #[inline(always)]
    pub(super) fn enter(&'static self) -> Option<Inside> {
        let seat = seat();
        let [first, second] = &seat.inside;
        // Relaxed: this thread's own.
        let place = if first.load(Ordering::Relaxed) == 0 {
            first
        } else if first.load(Ordering::Relaxed) != self.address()
            && second.load(Ordering::Relaxed) == 0
        {
            second
        } else {
            return None;
        };
        // SYNC(turn): pairs with the loads of seats in `take_over`; with them it also orders what
        // this thread did in other slots.
        place.store(self.address(), Ordering::Release);
        // SYNC(owner): pairs with the barrier in `take_over`.
        compiler_fence(Ordering::SeqCst);
        // Relaxed: if it is this thread, it was this thread that stored it.
        if ptr::eq(self.seat.load(Ordering::Relaxed), seat) {
            return Some(Inside { place: Some(place), owner: self });
        }
        place.store(0, Ordering::Release);
        self.enter_slowly(seat, place)
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    #[cold]
    fn enter_slowly(
        &'static self,
        seat: &'static Seat,
        place: &'static AtomicUsize,
    ) -> Option<Inside> {
        let has_barrier = has_barrier();
        let mut tries = 0;
        // SYNC(turn): pairs with the stores of false, here and in `Inside::drop`.
        while self.taking.swap(true, Ordering::Acquire) {
            // Another that has found this one inside, or is about to, is done at once.
            if !has_barrier || tries == TRIES {
                return None;
            }
            tries += 1;
            std::thread::yield_now();
        }
        if !has_barrier {
            return Some(Inside { place: None, owner: self });
        }
        let mine = self.take_over(seat, place);
        // SYNC(turn): pairs with the exchange above.
        self.taking.store(false, Ordering::Release);
        mine.then_some(Inside { place: Some(place), owner: self })
    }

    /// Becomes the owner and enters, if the one before is not inside. `taking` is ours.
    fn take_over(&self, seat: &'static Seat, place: &AtomicUsize) -> bool {
        // Relaxed: it changes while `taking` is held.
        let before = self.seat.load(Ordering::Relaxed);
        place.store(self.address(), Ordering::Release);
        self.seat.store(ptr::from_ref(seat).cast_mut(), Ordering::Relaxed);
        // SAFETY: NULL, or a seat, which never goes away.
        let Some(other) = (unsafe { before.as_ref() }) else { return true };
        // SYNC(owner): pairs with the fence in `enter`.
        let ordered = membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        // SYNC(turn): pairs with the stores to seats in `enter` and `Inside::drop`.
        let is_inside = |place: &AtomicUsize| place.load(Ordering::Acquire) == self.address();
        if ordered && !other.inside.iter().any(is_inside) {
            return true;
        }
        self.seat.store(before, Ordering::Relaxed);
        place.store(0, Ordering::Release);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::thread;

    #[test]
    fn a_thread_is_inside_once() {
        let owner: &'static Owner = Box::leak(Box::default());
        let other: &'static Owner = Box::leak(Box::default());
        let inside = owner.enter().unwrap();
        assert!(owner.enter().is_none());
        let second = other.enter().unwrap();
        assert!(owner.enter().is_none() && other.enter().is_none());
        assert!(thread::spawn(|| owner.enter().is_none()).join().unwrap());
        drop(inside);
        drop(second);
        assert!(thread::spawn(|| owner.enter().is_some()).join().unwrap());
        drop(owner.enter().unwrap());
    }

    /// Two that count without an atomic addition: if both were inside, counts would be lost.
    #[test]
    fn two_threads_are_never_inside_together() {
        let owner: &'static Owner = Box::leak(Box::default());
        let count: &'static AtomicU64 = Box::leak(Box::default());
        let work = move || {
            let mut entered = 0_u64;
            while entered < 20_000 {
                let times = 1 + entered % 100;
                for _ in 0..times {
                    if let Some(_inside) = owner.enter() {
                        let before = count.load(Ordering::Relaxed);
                        count.store(before + 1, Ordering::Relaxed);
                        entered += 1;
                    }
                }
            }
            entered
        };
        let threads: Vec<_> = (0..3).map(|_| thread::spawn(work)).collect();
        let entered: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(count.load(Ordering::Relaxed), entered);
    }
}
