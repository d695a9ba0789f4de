//! The cell on real threads, with the kernel's fences.

use super::super::seat::{self, Seats};
use super::super::{private_fence, register_private_fences};
use super::*;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use random::Random;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

#[path = "../../../tests/common/random.rs"]
#[allow(dead_code)]
mod random;

/// Two numbers that are the same whenever nobody is inside.
#[derive(Default)]
struct Twice(u64, u64);

impl Twice {
    fn increment(&mut self, between: u64) {
        self.0 += 1;
        for _ in 0..between {
            std::hint::spin_loop();
        }
        self.1 += 1;
        assert_eq!(self.0, self.1, "somebody else is inside");
    }
}

fn in_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

/// Threads that come in bursts, and at times stay inside or away for a while.
fn dawdle(name: &str, times: u64, enter: impl Fn(&Biased<Twice>, u64) + Sync) {
    const THREADS: u64 = 4;
    let cell = Biased::new(Twice::default());
    let seed = Random::for_test(name).next();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (cell, enter) = (&cell, &enter);
            scope.spawn(move || {
                let mut random = Random::seeded(seed ^ number);
                let mut left = times;
                while left > 0 {
                    let burst = random.below(2000).min(left);
                    for _ in 0..burst {
                        let inside = if random.one_in(200) { random.below(500) } else { 0 };
                        enter(cell, inside);
                    }
                    left -= burst;
                    match random.below(3) {
                        0 => thread::yield_now(),
                        1 => (0..random.below(5000)).for_each(|_| std::hint::spin_loop()),
                        _ => {}
                    }
                }
            });
        }
    });
    let counted = cell.with(|twice| (twice.0, twice.1));
    assert_eq!(counted, Some((THREADS * times, THREADS * times)));
}

#[test]
fn nothing_is_lost_between_threads() {
    assert!(register_private_fences(), "membarrier is refused here");
    dawdle("biased", 1_000_000, |cell, inside| {
        cell.with(|twice| twice.increment(inside)).unwrap();
    });
}

/// As where the kernel refuses membarrier.
#[test]
fn nothing_is_lost_without_bias() {
    dawdle("unbiased", 250_000, |cell, inside| {
        let seat = seat::take();
        assert!(!cell.enter(seat), "an owner");
        assert!(cell.take_over(seat, false, || panic!("a fence that does not work")));
        // SAFETY: we have entered.
        unsafe { cell.inside(seat, |twice| twice.increment(inside)) };
    });
}

#[test]
fn once_inside_nothing_can_be_entered() {
    let (cell, other) = (Biased::new(0), Biased::new(0));
    let never = |value: &mut i32| *value += 100;
    for _ in 0..2 {
        let inner = cell.with(|value| {
            *value += 1;
            (cell.with(never), other.with(never))
        });
        assert_eq!(inner, Some((None, None)));
    }
    assert_eq!(other.with(|value| *value), Some(0));
    assert_eq!(cell.with(|value| *value), Some(2));
}

#[test]
fn a_panic_inside_leaves_it_usable() {
    let cell = Biased::new(0);
    for round in 1..=3 {
        let panics = || {
            cell.with(|value| {
                *value += 1;
                panic!("on purpose");
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(cell.with(|value| *value), Some(2 * round - 1));
        assert_eq!(in_thread(|| cell.with(|value| *value += 1)), Some(()));
    }
    assert_eq!(cell.with(|value| *value), Some(6));
}

#[test]
fn who_takes_over_waits_for_the_one_inside() {
    let cell = Biased::new(0);
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel();
    thread::scope(|scope| {
        let cell = &cell;
        scope.spawn(move || {
            cell.with(|_| ()).unwrap();
            cell.with(|value| {
                entered.send(()).unwrap();
                may_leave.recv().unwrap();
                *value = 1;
            })
        });
        has_entered.recv().unwrap();
        let after = scope.spawn(|| cell.with(|value| *value));
        thread::yield_now();
        assert!(!after.is_finished());
        leave.send(()).unwrap();
        assert_eq!(after.join().unwrap(), Some(1));
    });
}

#[test]
fn who_takes_over_does_not_wait_for_one_inside_of_another() {
    let (cell, other) = (Biased::new(1), Biased::new(0));
    let inner = other.with(|_| in_thread(|| cell.with(|value| *value)));
    assert_eq!(inner, Some(Some(1)));
    cell.with(|_| ()).unwrap();
    let inner = other.with(|_| in_thread(|| cell.with(|value| *value)));
    assert_eq!(inner, Some(Some(1)));
}

#[test]
fn who_gets_the_seat_gets_what_it_owns() {
    assert!(register_private_fences(), "membarrier is refused here");
    let seats = Seats::new(AtomicPtr::new(ptr::null_mut()));
    let cell = Biased::new(0);
    let add = |seat| {
        // SAFETY: the callers have entered.
        unsafe { cell.inside(seat, |value| *value += 1) };
    };
    let first = in_thread(|| {
        let seat = seats.take();
        assert!(!cell.enter(seat));
        assert!(cell.take_over(seat, true, || panic!("nobody was the owner")));
        add(seat);
        Seats::give_back(seat);
        seat
    });
    in_thread(|| {
        let seat = seats.take();
        assert!(ptr::eq(seat, first));
        assert!(cell.enter(seat), "the owner");
        add(seat);
        // A third thread takes it from the second.
        assert_eq!(in_thread(|| cell.with(|value| *value)), Some(2));
        assert!(!cell.enter(seat));
        assert!(!ptr::eq(seats.take(), seat), "a seat of two threads");
    });
}

#[test]
fn threads_that_end_give_their_seats_back() {
    let cell = Biased::new(0);
    let address = || {
        cell.with(|value| *value += 1).unwrap();
        ptr::from_ref(seat::current()).addr()
    };
    let seats: BTreeSet<_> = (0..1000).map(|_| in_thread(address)).collect();
    assert!(seats.len() < 100, "{} seats", seats.len()); // other tests have some at the same time
    assert_eq!(cell.with(|value| *value), Some(1000));
}

/// Thread-locals that are dropped after the one that gives the seat back, in some order.
#[test]
fn a_thread_that_ends_can_use_it() {
    struct AtEnd(RefCell<Option<Arc<Biased<u32>>>>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            let cell = self.0.take().unwrap();
            assert_eq!(cell.with(|value| *value += 1), Some(()));
            assert_eq!(cell.with(|_| cell.with(|_| ())), Some(None));
        }
    }
    thread_local! {
        static BEFORE: AtEnd = const { AtEnd(RefCell::new(None)) };
        static AFTER: AtEnd = const { AtEnd(RefCell::new(None)) };
    }
    let cell = Arc::new(Biased::new(0));
    for _ in 0..10 {
        in_thread(|| {
            BEFORE.with(|at_end| at_end.0.replace(Some(Arc::clone(&cell))));
            cell.with(|_| ()).unwrap();
            AFTER.with(|at_end| at_end.0.replace(Some(Arc::clone(&cell))));
        });
    }
    assert_eq!(cell.with(|value| *value), Some(20));
}

#[test]
fn a_fence_that_is_refused_later_changes_nothing() {
    let cell = Biased::new(7);
    cell.with(|_| ()).unwrap();
    in_thread(|| {
        let refused = || cell.take_over(seat::take(), true, || false);
        assert!(catch_unwind(AssertUnwindSafe(refused)).is_err());
        assert!(!seat::current().is_inside());
    });
    assert!(cell.enter(seat::current()), "still the owner");
    seat::current().leave();
    assert_eq!(in_thread(|| cell.with(|value| *value)), Some(7));
}

#[test]
fn it_can_be_shared_if_its_value_can_be_sent() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Biased::new(Cell::new(0)));
}

/// Seats, the registration, and cells of its own. The child has been forked from a process in
/// which another thread is inside of a cell.
///
/// In a process that runs no other test: a child inherits the locks that other threads hold.
#[test]
fn a_forked_child_has_cells_of_its_own() {
    const ALONE: &str = "EPHAPSE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return fork_alone();
    }
    let name = "sync::biased::tests::a_forked_child_has_cells_of_its_own";
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let output = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

fn fork_alone() {
    assert!(register_private_fences(), "membarrier is refused here");
    let inherited = Biased::new(0);
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let child = thread::scope(|scope| {
        let inherited = &inherited;
        scope.spawn(move || {
            inherited.with(|_| {
                entered.send(()).unwrap();
                may_leave.recv().unwrap_err();
            })
        });
        has_entered.recv().unwrap();
        let own = Biased::new(Twice::default());
        own.with(|twice| twice.increment(0)).unwrap();
        // SAFETY: the child uses its allocator, which glibc keeps in order, and what is tested.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Child => in_child(&own),
            ForkResult::Parent { child } => child,
        };
        drop(leave);
        child
    });
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
}

fn in_child(inherited: &Biased<Twice>) -> ! {
    // SAFETY: ends this process if it takes too long.
    unsafe { libc::alarm(60) };
    let code = catch_unwind(AssertUnwindSafe(|| {
        assert!(private_fence(), "the registration is lost");
        // This thread's seat has come with it, and so has what it owns.
        assert!(inherited.enter(seat::current()));
        seat::current().leave();
        dawdle("forked", 10_000, |cell, inside| {
            cell.with(|twice| twice.increment(inside)).unwrap();
        });
    }));
    // SAFETY: ends this process at once, without the rest of the harness.
    unsafe { libc::_exit(i32::from(code.is_err())) }
}
