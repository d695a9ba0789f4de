//! Which thread has which seat, and what the kernel does between threads.
//!
//! Other threads keep the address of a seat beyond the end of the thread that had it, so seats are
//! never freed. They are given to later threads instead: it is as if the first thread had gone on.
//!
//! In a forked child all seats are new, also that of its one thread. So it is the owner of nothing
//! that it has inherited.
//!
//! # Safety
//!
//! Nodes of the list are boxes that nobody frees; membarrier(2) takes integers.

#![allow(unsafe_code)]

use super::{OUTSIDE, Seat};
use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

struct Node {
    seat: Seat,
    is_taken: AtomicBool,
    /// The one that was made before.
    next: AtomicPtr<Node>,
}

/// All seats of this process.
static SEATS: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// Of every thread that has none. It says that the thread is inside of something, so the path that
/// must be fast need not ask whether there is a seat.
static NONE: Seat = Seat([const { AtomicUsize::new(OUTSIDE + 1) }; 2]);

/// Gives a thread's seat to another when it ends.
struct Sitting(&'static Node);

impl Drop for Sitting {
    fn drop(&mut self) {
        CURRENT.set(&NONE);
        // SYNC(seat): pairs with the exchange in `find`.
        self.0.is_taken.store(false, Ordering::Release);
    }
}

thread_local! {
    static CURRENT: Cell<&'static Seat> = const { Cell::new(&NONE) };
    static SITTING: Cell<Option<Sitting>> = const { Cell::new(None) };
}

/// This thread's seat, or one from which nothing can be entered.
#[inline(always)]
pub(super) fn current() -> &'static Seat {
    CURRENT.get()
}

/// This thread's seat, which it takes if it has none.
pub(super) fn take() -> &'static Seat {
    if ptr::eq(CURRENT.get(), &NONE) {
        let node = find().unwrap_or_else(make);
        // A thread that is ending keeps its seat for ever.
        let _ = SITTING.try_with(|sitting| sitting.set(Some(Sitting(node))));
        CURRENT.set(&node.seat);
    }
    CURRENT.get()
}

/// In a forked child, whose one thread this is. Those that had the seats so far do not exist.
pub(crate) fn all_seats_are_new() {
    // Relaxed: nobody else is there.
    SEATS.store(ptr::null_mut(), Ordering::Relaxed);
    CURRENT.set(&NONE);
}

fn find() -> Option<&'static Node> {
    // SYNC(seats): pairs with the exchange in `make`.
    let mut next = SEATS.load(Ordering::Acquire);
    // SAFETY: NULL, or a node that was made in a box and never goes away.
    while let Some(node) = unsafe { next.as_ref() } {
        // SYNC(seat): pairs with the release in `Sitting::drop`.
        if !node.is_taken.swap(true, Ordering::AcqRel) {
            return Some(node);
        }
        // Relaxed: it does not change once the node can be seen.
        next = node.next.load(Ordering::Relaxed);
    }
    None
}

fn make() -> &'static Node {
    let node: &'static Node = Box::leak(Box::new(Node {
        seat: Seat([const { AtomicUsize::new(OUTSIDE) }; 2]),
        is_taken: AtomicBool::new(true),
        next: AtomicPtr::new(ptr::null_mut()),
    }));
    // Relaxed: tried again.
    let mut head = SEATS.load(Ordering::Relaxed);
    loop {
        node.next.store(head, Ordering::Relaxed);
        let new = ptr::from_ref(node).cast_mut();
        // SYNC(seats): pairs with the load in `find`. Relaxed: as above.
        match SEATS.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return node,
            Err(now) => head = now,
        }
    }
}

/// Makes all threads of the process execute a full barrier, and says whether they have; nothing where
/// the kernel does not do that.
pub(super) fn barrier() -> Option<fn() -> bool> {
    static HAS: OnceLock<bool> = OnceLock::new();
    let has = || membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    HAS.get_or_init(has).then_some(all_execute_a_barrier)
}

fn all_execute_a_barrier() -> bool {
    // SYNC(owner): the kernel leaves ours out where it finds that there is no other thread.
    fence(Ordering::SeqCst);
    let done = membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    fence(Ordering::SeqCst);
    done
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes three integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
