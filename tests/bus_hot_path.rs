//! Publishing and receiving while both sides are awake: after the first events nothing is
//! allocated, and no system call is made, whichever way events go.
//!
//! Allocations are counted for each thread. For system calls a child process forbids them to its
//! threads, and is killed by the kernel at the first (see `hot_path_syscalls.rs`).

mod common;

use common::allocations::{Counting, calls};
use common::forbidden::{end, forbid_system_calls, one_call};
use common::roles::{self, Child, eventually};
use common::{Domain, Pose, pose};
use ephapse::{
    Flow, Hub, Link, Path, Publisher, SendError, Sent, Subscription, SubscriptionOptions, Wait,
};
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Events in a row from one side before the other answers with as many: less than any ring holds.
const WINDOW: u64 = 256;
/// Windows from each side.
const WINDOWS: u64 = 800;
const WARM_UP: u64 = 20;

/// How a child ends when an event does not arrive as it was sent, or is not taken, or goes by
/// another way.
const WRONG_EVENT: i32 = 3;
const NOT_SENT: i32 = 4;
const WRONG_WAY: i32 = 5;

/// Before the first event: not counted.
const GREETING: u64 = u64::MAX;

/// How events go.
#[derive(Clone, Copy)]
struct Way {
    path: Path,
    flow: Flow,
    wait: Wait,
}

/// May sleep, but has always something to do before.
const MAY_SLEEP: Wait = Wait::Adaptive { spin: Duration::from_secs(600) };

fn way(name: &str) -> Way {
    let (path, flow) = match name {
        "gating" => (Path::Broadcast, Flow::Block),
        "lossy" => (Path::Broadcast, Flow::DropOldest),
        "links" => (Path::Links, Flow::Block),
        other => panic!("no way {other}"),
    };
    Way { path, flow, wait: Wait::Spin }
}

const WAYS: [&str; 3] = ["gating", "lossy", "links"];

#[test]
fn child_entry() {
    let role = roles::role();
    match role.as_deref().map(|role| role.split_once(' ').unwrap_or((role, ""))) {
        None => {}
        Some(("makes-one-call", _)) => one_call(),
        Some(("threads", name)) => threads(way(name)),
        Some(("process", name)) => process(Way { wait: MAY_SLEEP, ..way(name) }),
        Some(("turns", name)) => turns(way(name)),
        Some(("nobody", _)) => nobody(),
        Some((other, _)) => panic!("no role {other}"),
    }
}

/// One of two that send to each other and read each other.
struct Side {
    sending: Publisher<Pose>,
    reading: Subscription,
    way: Way,
    link: Option<Link>,
    hub: Hub,
}

impl Side {
    fn new(hub: Hub, other: &str, way: Way) -> Self {
        let options = SubscriptionOptions::default().flow(way.flow).wait(way.wait);
        let reading = hub.subscribe_with([other], options).unwrap();
        let sending = hub.publisher(hub.name()).unwrap();
        Self { sending, reading, way, link: None, hub }
    }

    /// Waits until events go the right way.
    fn greet(&mut self) {
        // Of two that opened the link, one would be refused.
        if self.way.path == Path::Links && self.hub.name() == "a" {
            self.hub.wait_for("b", roles::LONG).unwrap();
            self.link = Some(self.hub.link_to("b").unwrap());
        }
        eventually("events go the right way", || {
            let sent = self.sending.try_send(&pose(GREETING)).unwrap();
            sent == Sent { path: self.way.path, receivers: 1 }
        });
    }

    fn expect(&mut self, i: u64) {
        loop {
            let stamp = match self.reading.recv() {
                Ok(Some(event)) => event.get::<Pose>().map(|pose| pose.stamp_ns.to_native()),
                _ => end(WRONG_EVENT),
            };
            match stamp {
                Ok(GREETING) => {}
                Ok(stamp) if stamp == i => return,
                _ => end(WRONG_EVENT),
            }
        }
    }

    fn send(&mut self, i: u64) {
        loop {
            match self.sending.try_send(&pose(i)) {
                Ok(sent) if sent.path == self.way.path => return,
                Ok(_) => end(WRONG_WAY),
                Err(SendError::Full) => std::hint::spin_loop(),
                Err(_) => end(NOT_SENT),
            }
        }
    }

    /// Sends a window of events and receives as many, so often.
    fn exchange(&mut self, windows: u64) {
        for window in 0..windows {
            (0..WINDOW).for_each(|i| self.send(window ^ i));
            (0..WINDOW).for_each(|i| self.expect(window ^ i));
        }
    }
}

fn both(domain: &Domain, way: Way) -> [Side; 2] {
    [("a", "b"), ("b", "a")].map(|(name, other)| Side::new(domain.hub(name), other, way))
}

/// Two threads of one process.
fn threads(way: Way) {
    static DONE: AtomicU32 = AtomicU32::new(0);
    fn play(mut side: Side) -> ! {
        side.greet();
        side.exchange(WARM_UP);
        forbid_system_calls();
        side.exchange(WINDOWS);
        DONE.fetch_add(1, Ordering::AcqRel);
        while DONE.load(Ordering::Acquire) < 2 {
            std::hint::spin_loop();
        }
        end(0)
    }
    let domain = Domain::new();
    let [a, b] = both(&domain, way);
    std::thread::spawn(move || play(b));
    play(a);
}

/// One of two processes.
fn process(way: Way) {
    let name = roles::name();
    let other = if name == "a" { "b" } else { "a" };
    let mut side = Side::new(roles::join(&name), other, way);
    side.greet();
    side.exchange(WARM_UP);
    forbid_system_calls();
    side.exchange(WINDOWS);
    end(0);
}

/// One thread in turn as publisher and as subscriber, waiting as by default: every event is there
/// when it is asked for.
fn turns(way: Way) {
    let domain = Domain::new();
    let [mut a, mut b] = both(&domain, Way { wait: Wait::default(), ..way });
    a.greet();
    b.greet();
    let mut turns = |count| {
        for i in 0..count {
            a.send(i);
            b.send(i);
            a.expect(i);
            b.expect(i);
        }
    };
    turns(5_000);
    forbid_system_calls();
    turns(100_000);
    end(0);
}

fn publish_to_nobody(sending: &mut Publisher<Pose>, events: u64) {
    for i in 0..events {
        match sending.send(&pose(i)) {
            Ok(Sent { path: Path::Nobody, receivers: 0 }) => {}
            Ok(_) => end(WRONG_WAY),
            Err(_) => end(NOT_SENT),
        }
    }
}

fn nobody() {
    let domain = Domain::new();
    let hub = domain.hub("a");
    let mut sending = hub.publisher("a").unwrap();
    publish_to_nobody(&mut sending, 1_000);
    forbid_system_calls();
    publish_to_nobody(&mut sending, 300_000);
    end(0);
}

/// Pairs that spin have the machine to themselves: four threads on two cores take far longer.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn the_instruments_work() {
    let before = calls();
    drop(std::hint::black_box(Box::new(1_u64)));
    assert_eq!(calls() - before, 2, "one allocation, one release");
    let status = Child::start_alone("makes-one-call").wait();
    assert_eq!(status.signal(), Some(Signal::SIGSYS as i32), "{status}");
}

#[test]
fn no_system_call_between_threads() {
    let _one = ONE_AT_A_TIME.lock();
    WAYS.iter().for_each(|name| Child::start_alone(&format!("threads {name}")).succeed());
}

#[test]
fn no_system_call_between_processes() {
    let _one = ONE_AT_A_TIME.lock();
    for name in WAYS {
        let domain = Domain::new();
        let role = format!("process {name}");
        let children = ["a", "b"].map(|name| Child::start(&role, &domain.domain(), name));
        children.into_iter().for_each(Child::succeed);
    }
}

#[test]
fn no_system_call_in_turns_waiting_as_by_default() {
    WAYS.iter().for_each(|name| Child::start_alone(&format!("turns {name}")).succeed());
}

#[test]
fn no_system_call_for_nobody() {
    Child::start_alone("nobody").succeed();
}

#[test]
fn no_allocation() {
    let _one = ONE_AT_A_TIME.lock();
    for name in WAYS {
        let domain = Domain::new();
        let threads = both(&domain, way(name)).map(|mut side| {
            std::thread::spawn(move || {
                side.greet();
                side.exchange(WARM_UP);
                let before = calls();
                side.exchange(WINDOWS / 2);
                (calls() - before, side)
            })
        });
        let counts = threads.map(|thread| thread.join().unwrap()).map(|(count, _)| count);
        assert_eq!(counts, [0, 0], "{name}: the allocator was used");
    }
}

#[test]
fn no_allocation_for_nobody() {
    let domain = Domain::new();
    let hub = domain.hub("a");
    let mut sending = hub.publisher("a").unwrap();
    publish_to_nobody(&mut sending, 1_000);
    let before = calls();
    publish_to_nobody(&mut sending, 100_000);
    assert_eq!(calls() - before, 0, "the allocator was used");
}
