//! The turn under the model checker. Threads have their seats handed to them; what they have turns at
//! is an increment, and the checker sees when two of them are at it at once or one does not come
//! after the other.
//!
//! Each `broken_…` test leaves one step out and must fail: it shows that the model sees it.

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::fence;
use loom::thread;

/// Something that is used by turns. Never freed: a turn refers to it.
struct Counter {
    owner: Owner,
    value: UnsafeCell<u32>,
}

// SAFETY: used by who has the turn; if that were two threads, the checker would say so.
unsafe impl Sync for Counter {}

type Enter = fn(&'static Owner, &'static Seat) -> Option<Inside>;

fn counter() -> &'static Counter {
    let owner = Owner { seat: AtomicPtr::new(ptr::null_mut()), taking: AtomicUsize::new(OUTSIDE) };
    Box::leak(Box::new(Counter { owner, value: UnsafeCell::new(0) }))
}

fn seat() -> &'static Seat {
    Box::leak(Box::new(Seat([AtomicUsize::new(OUTSIDE), AtomicUsize::new(OUTSIDE)])))
}

/// What the kernel does: with the fence in `enter_at`, all that it promises.
fn barrier() -> bool {
    fence(Ordering::SeqCst);
    true
}

fn enter_with(
    owner: &'static Owner,
    seat: &'static Seat,
    barrier: Option<fn() -> bool>,
) -> Option<Inside> {
    owner.enter_first(seat).or_else(|| owner.enter_anew(seat, barrier))
}

fn enter(owner: &'static Owner, seat: &'static Seat) -> Option<Inside> {
    enter_with(owner, seat, Some(barrier))
}

/// Increments, if it is this thread's turn; whether it was.
fn count(counter: &'static Counter, seat: &'static Seat, enter: Enter) -> u32 {
    let Some(_inside) = enter(&counter.owner, seat) else { return 0 };
    // SAFETY: it is our turn, or the checker says that it is not.
    counter.value.with_mut(|value| unsafe { *value += 1 });
    1
}

fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// This thread, the owner at first, and others try so many times each. What they have counted is
/// there, and when all are done it is anybody's turn.
fn try_all(others: usize, times: u32, enter: Enter) {
    let (counter, own) = (counter(), seat());
    let mut counted = count(counter, own, enter);
    assert_eq!(counted, 1, "nobody is inside");
    let work = move |seat| (0..times).map(|_| count(counter, seat, enter)).sum::<u32>();
    let threads: Vec<_> = (0..others).map(|_| thread::spawn(move || work(seat()))).collect();
    counted += work(own);
    counted += threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>();
    assert_eq!(count(counter, seat(), enter), 1, "nobody is inside any more");
    // SAFETY: all threads have ended.
    let value = counter.value.with(|value| unsafe { *value });
    assert_eq!(value, counted + 1, "an increment is lost");
}

#[test]
fn model_two_threads() {
    check(Some(4), || try_all(1, 2, enter));
}

/// The same, once each, in every interleaving.
#[test]
fn model_two_threads_once() {
    check(None, || try_all(1, 1, enter));
}

/// One takes over from another that is just taking over.
#[test]
fn model_three_threads() {
    check(Some(3), || try_all(2, 1, enter));
}

/// Where the kernel refuses, nobody becomes owner.
#[test]
fn model_without_barrier() {
    check(Some(4), || try_all(1, 2, |owner, seat| enter_with(owner, seat, None)));
}

/// As the rules of the header want it: one thread after another. Nobody is told that it is in use.
#[test]
fn model_hand_over() {
    check(None, || {
        let (counter, own) = (counter(), seat());
        let given = Arc::new(AtomicUsize::new(0));
        assert_eq!(count(counter, own, enter), 1);
        let thread = thread::spawn({
            let given = Arc::clone(&given);
            move || {
                while given.load(Ordering::Acquire) == 0 {
                    thread::yield_now();
                }
                assert_eq!(count(counter, seat(), enter), 1, "in use by nobody");
            }
        });
        assert_eq!(count(counter, own, enter), 1, "in use by nobody");
        given.store(1, Ordering::Release);
        // Goes on to something else meanwhile: that is not in the other's way.
        let other = self::counter();
        assert_eq!(count(other, own, enter), 1);
        thread.join().unwrap();
        assert_eq!(count(counter, own, enter), 1, "in use by nobody");
    });
}

/// A thread is inside of two, and in none of them twice.
#[test]
fn model_two_places() {
    check(None, || {
        let [first, second] = [counter(), counter()];
        let own = seat();
        let inside = enter(&first.owner, own).unwrap();
        let thread = thread::spawn(move || {
            let seat = seat();
            count(first, seat, enter) + count(second, seat, enter)
        });
        assert!(enter(&first.owner, own).is_none(), "inside already");
        let both = enter(&second.owner, own);
        let mut counted = 0;
        if both.is_some() {
            assert!(enter(&first.owner, own).is_none() && enter(&second.owner, own).is_none());
            // SAFETY: it is our turn, or the checker says that it is not.
            second.value.with_mut(|value| unsafe { *value += 1 });
            counted = 1;
        }
        drop(both);
        drop(inside);
        counted += thread.join().unwrap();
        // SAFETY: the thread has ended.
        let values = [first, second].map(|it| it.value.with(|value| unsafe { *value }));
        assert_eq!(values[0] + values[1], counted, "an increment is lost");
    });
}

/// The canary: without the barrier two threads are inside at once.
#[test]
#[should_panic(expected = "Causality violation")]
fn broken_without_the_barrier() {
    check(Some(3), || try_all(1, 1, |owner, seat| enter_with(owner, seat, Some(|| true))));
}

/// The canary: who looks whether it is the owner before it says that it is inside is not seen.
#[test]
#[should_panic(expected = "Causality violation")]
fn broken_without_the_second_look() {
    check(Some(3), || {
        try_all(1, 1, |owner, seat| {
            let [place, _] = &seat.0;
            if ptr::eq(owner.seat.load(Ordering::Relaxed), seat) {
                place.store(owner.address(), Ordering::Release);
                light_fence();
                return Some(Inside { place });
            }
            owner.enter_anew(seat, Some(barrier))
        });
    });
}

/// The canary: two that take over at once, and each looks at the seat of the one before both.
#[test]
#[should_panic(expected = "Causality violation")]
fn broken_without_taking() {
    check(Some(3), || {
        try_all(2, 1, |owner, seat| {
            owner.enter_first(seat).or_else(|| {
                let [place, _] = &seat.0;
                owner.take_over(place, seat, barrier).then(|| Inside { place })
            })
        });
    });
}
