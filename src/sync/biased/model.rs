//! The cell under the model checker. Threads have their seats handed to them; what they use the
//! cell for is an increment, and the checker sees when two of them are at it at once or one does
//! not come after the other.
//!
//! Each `broken_…` test leaves one step out and must fail: it shows that the model sees it.

use super::super::seat::Seats;
use super::super::{AtomicPtr, private_fence};
use super::*;
use loom::sync::Arc;
use loom::thread;

fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

fn seats() -> &'static Seats {
    Box::leak(Box::new(Seats::new(AtomicPtr::new(ptr::null_mut()))))
}

type Counter = Biased<u32>;

/// Increments after having entered on this seat.
fn count(counter: &Counter, seat: &Seat) -> u32 {
    let next = |value: &mut u32| {
        *value += 1;
        *value
    };
    // SAFETY: the caller has entered, or means to show that the model sees that it has not.
    unsafe { counter.inside(seat, next) }
}

fn increment_by(counter: &Counter, seat: &'static Seat, fence: fn() -> bool) -> u32 {
    assert!(counter.enter(seat) || counter.take_over(seat, true, fence));
    count(counter, seat)
}

fn increment(counter: &Counter, seat: &'static Seat) -> u32 {
    increment_by(counter, seat, private_fence)
}

/// So many increments by each of two threads, of which this one is the owner at first.
fn two(times: u32, increment: fn(&Counter, &'static Seat) -> u32) {
    let (seats, counter) = (seats(), Arc::new(Biased::new(0)));
    let seat = seats.take();
    increment(&counter, seat);
    let thread = thread::spawn({
        let counter = Arc::clone(&counter);
        move || {
            let seat = seats.take();
            for _ in 0..times {
                increment(&counter, seat);
            }
        }
    });
    for _ in 0..times {
        increment(&counter, seat);
    }
    thread.join().unwrap();
    assert_eq!(increment(&counter, seat), 2 * times + 2, "an increment is lost");
}

/// Two threads, which take the cell from each other.
#[test]
fn model_two_threads() {
    check(Some(4), || two(2, increment));
}

/// The same, once each, in every interleaving.
#[test]
fn model_two_threads_once() {
    check(None, || two(1, increment));
}

/// Three threads: one takes the cell from another that is just taking it.
#[test]
fn model_three_threads() {
    check(Some(5), || {
        let (seats, counter) = (seats(), Arc::new(Biased::new(0)));
        let seat = seats.take();
        increment(&counter, seat);
        let threads = [(); 2].map(|()| {
            let counter = Arc::clone(&counter);
            thread::spawn(move || increment(&counter, seats.take()))
        });
        increment(&counter, seat);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(increment(&counter, seat), 5, "an increment is lost");
    });
}

/// Where the kernel refuses, nobody becomes owner.
#[test]
fn model_without_bias() {
    check(Some(3), || {
        two(2, |counter, seat| {
            assert!(!counter.enter(seat), "an owner");
            assert!(counter.take_over(seat, false, || panic!("a fence that does not work")));
            count(counter, seat)
        });
    });
}

/// The owner goes on to another cell. Who takes the first one sees it there, and what it did.
fn moves_on(enter_other: fn(&Seat, usize)) {
    let (seats, counter) = (seats(), Arc::new(Biased::new(0)));
    let seat = seats.take();
    increment(&counter, seat);
    let thread = thread::spawn({
        let counter = Arc::clone(&counter);
        move || increment(&counter, seats.take())
    });
    increment(&counter, seat);
    enter_other(seat, 1);
    thread.join().unwrap(); // it does not wait for us
    seat.leave();
    assert_eq!(increment(&counter, seat), 4, "an increment is lost");
}

#[test]
fn model_other_cell() {
    check(None, || moves_on(Seat::enter));
}

/// A thread ends, and another gets its seat and with it the cell, while a third takes the cell.
#[test]
fn model_handed_on_seat() {
    check(Some(3), || {
        let (seats, counter) = (seats(), Arc::new(Biased::new(0)));
        let [first, second] = [(); 2].map(|()| {
            let counter = Arc::clone(&counter);
            move || {
                let seat = seats.take();
                increment(&counter, seat);
                Seats::give_back(seat);
            }
        });
        let own = seats.take();
        let threads = [thread::spawn(first), thread::spawn(second)];
        increment(&counter, own);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(increment(&counter, own), 4, "an increment is lost");
    });
}

/// The canary: without the fence two threads are inside at once.
#[test]
#[should_panic]
fn broken_without_the_private_fence() {
    check(Some(3), || two(1, |counter, seat| increment_by(counter, seat, || true)));
}

/// The canary: who looks whether it is the owner before it says that it is inside is not seen.
#[test]
#[should_panic]
fn broken_without_the_second_look() {
    check(Some(3), || {
        two(1, |counter, seat| {
            let owner = counter.is_owner(seat);
            seat.enter(counter.address());
            light_fence();
            if !owner {
                seat.leave();
                assert!(counter.take_over(seat, true, private_fence));
            }
            count(counter, seat)
        });
    });
}

/// The canary: who says that it is inside of another cell, and no more, hides what it did in the
/// first.
#[test]
#[should_panic]
fn broken_with_a_relaxed_entrance() {
    check(Some(3), || moves_on(Seat::enter_relaxed));
}
