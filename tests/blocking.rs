//! Sleeping and waking up: no wake-up is lost, and who sleeps costs nothing.

mod common;

use common::random::Random;
use common::roles::{self, Child, LONG};
use common::{Domain, Pose, pose};
use ephapse::{Hub, Link, LinkOptions, RecvError, SendError, Wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ROUNDS: u64 = 20_000;
const STOPS: u64 = 300;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("echo") => echo(),
        Some("caller") => caller(),
        Some("sleeper") => sleeper(),
        Some(other) => panic!("no role {other}"),
    }
}

/// A few nanoseconds or a few microseconds, so that all moments of falling asleep are hit.
fn dawdle(random: &mut Random) {
    let most = 1 << random.below(12);
    for _ in 0..random.below(most) {
        std::hint::spin_loop();
    }
}

fn stamp(hub: &mut Hub) -> u64 {
    let event = hub.recv_timeout(LONG).unwrap().expect("a wake-up was lost");
    event.get::<Pose>().unwrap().stamp_ns.to_native()
}

/// Sleeps for each event and sends it back, until the other side closes the link.
fn echo() {
    let mut random = Random::seeded(1);
    let mut hub = roles::join(&roles::name());
    hub.set_wait(Wait::Block);
    roles::tell("joined");
    let mut link = hub.accept().unwrap().expect("a link");
    loop {
        let stamp = match hub.recv() {
            Ok(event) => event.unwrap().get::<Pose>().unwrap().stamp_ns.to_native(),
            Err(RecvError::LinkClosed { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        dawdle(&mut random);
        link.send(&pose(stamp)).unwrap();
    }
}

fn echo_in(domain: &Domain) -> (Hub, Link, Child) {
    let mut child = Child::start("echo", &domain.domain(), "echo");
    child.expect("joined");
    let mut hub = domain.hub("a");
    hub.set_wait(Wait::Block);
    let link = hub.link_to("echo").unwrap();
    (hub, link, child)
}

#[test]
fn two_processes_that_sleep_in_turn() {
    let mut random = Random::for_test("two_processes_that_sleep_in_turn");
    let domain = Domain::new();
    let (mut hub, mut link, child) = echo_in(&domain);
    for i in 0..ROUNDS {
        dawdle(&mut random);
        link.send(&pose(i)).unwrap();
        assert_eq!(stamp(&mut hub), i);
    }
    drop(link);
    child.succeed();
}

#[test]
fn a_sleeper_that_is_stopped_again_and_again() {
    let mut random = Random::for_test("a_sleeper_that_is_stopped_again_and_again");
    let domain = Domain::new();
    let (mut hub, mut link, child) = echo_in(&domain);
    let rounds = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for stop in 1..=STOPS {
                let next = stop * ROUNDS / (STOPS + 1);
                roles::eventually("some more rounds", || rounds.load(Ordering::Relaxed) >= next);
                child.stop();
                child.go_on();
            }
        });
        for i in 0..ROUNDS {
            dawdle(&mut random);
            link.send(&pose(i)).unwrap();
            assert_eq!(stamp(&mut hub), i);
            rounds.store(i + 1, Ordering::Relaxed);
        }
    });
    drop(link);
    child.succeed();
}

/// Rings the hub "centre", and sleeps until it answers.
fn caller() {
    let name = roles::name();
    let mut random = Random::seeded(name.len() as u64);
    let mut hub = roles::join(&name);
    hub.set_wait(Wait::Block);
    let mut link = hub.link_to("centre").unwrap();
    for i in 0..ROUNDS / 2 {
        dawdle(&mut random);
        link.send(&pose(i)).unwrap();
        assert_eq!(stamp(&mut hub), i);
    }
}

#[test]
fn three_hubs_that_ring_one() {
    let mut random = Random::for_test("three_hubs_that_ring_one");
    let domain = Domain::new();
    let mut centre = domain.hub("centre");
    centre.set_wait(Wait::Block);
    let names = ["x", "xx", "xxx"];
    let children = names.map(|name| Child::start("caller", &domain.domain(), name));
    let mut links: Vec<Link> =
        names.iter().map(|_| centre.accept_timeout(LONG).unwrap().expect("a link")).collect();
    let (mut answered, mut over) = (0, 0);
    while over < names.len() {
        let (from, stamp) = match centre.recv_timeout(LONG) {
            Ok(event) => {
                let event = event.expect("a wake-up was lost");
                (event.link(), event.get::<Pose>().unwrap().stamp_ns.to_native())
            }
            Err(RecvError::LinkClosed { .. } | RecvError::PeerGone { .. }) => {
                over += 1;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        dawdle(&mut random);
        let link = links.iter_mut().find(|link| link.id() == from).unwrap();
        link.send(&pose(stamp)).unwrap();
        answered += 1;
    }
    assert_eq!(answered, 3 * ROUNDS / 2);
    for child in children {
        child.succeed();
    }
}

/// Processor time of a process or thread.
fn busy(usage: Usage) -> Duration {
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.try_into().unwrap())
}

fn busy_in(what: UsageWho, wait: impl FnOnce()) -> Duration {
    let before = busy(getrusage(what).unwrap());
    wait();
    busy(getrusage(what).unwrap()) - before
}

/// With an open link, sleeps for a second in each way to sleep: all its threads together.
fn sleeper() {
    let mut hub = roles::join(&roles::name());
    roles::tell("joined");
    let _link = hub.accept().unwrap().expect("a link");
    for wait in [Wait::Block, Wait::default()] {
        hub.set_wait(wait);
        let second = Duration::from_secs(1);
        let busy = busy_in(UsageWho::RUSAGE_SELF, || {
            assert!(hub.recv_timeout(second).unwrap().is_none());
        });
        assert!(busy < Duration::from_millis(10), "{wait:?}: {busy:?} of processor time");
    }
}

#[test]
fn a_reader_that_sleeps_costs_nothing() {
    let domain = Domain::new();
    let mut child = Child::start("sleeper", &domain.domain(), "sleeper");
    child.expect("joined");
    let mut hub = domain.hub("a");
    let _link = hub.link_to("sleeper").unwrap();
    child.succeed();
}

fn full_link(domain: &Domain) -> (Hub, Hub, Link) {
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let options = LinkOptions::default().send_capacity(4096);
    let mut link = a.link_with("b", options).unwrap();
    assert!(b.accept_timeout(LONG).unwrap().is_some());
    while link.try_send(&pose(0)).is_ok() {}
    (a, b, link)
}

#[test]
fn a_writer_that_waits_for_room_costs_little() {
    let domain = Domain::new();
    let (_a, _b, mut link) = full_link(&domain);
    let second = Duration::from_secs(1);
    let busy = busy_in(UsageWho::RUSAGE_THREAD, || {
        assert_eq!(link.send_timeout(&pose(0), second), Err(SendError::Full));
    });
    assert!(busy < Duration::from_millis(50), "{busy:?} of processor time in {second:?}");
}

/// The writer would look by itself now and then; that is not how it is meant to learn of room.
#[test]
fn a_writer_that_waits_for_room_is_woken() {
    const TIMES: usize = 200;
    let domain = Domain::new();
    let (_a, mut b, mut link) = full_link(&domain);
    let (woken, heard) = std::sync::mpsc::channel();
    let stat = format!("/proc/self/task/{}/stat", nix::unistd::gettid());
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let once = |_| {
                roles::eventually("the writer sleeps", || is_asleep(&stat));
                let start = Instant::now();
                while b.try_recv().unwrap().is_some() {}
                heard.recv_timeout(LONG).expect("the writer was not woken");
                start.elapsed()
            };
            (0..TIMES).map(once).collect()
        });
        for _ in 0..TIMES {
            link.send(&pose(0)).unwrap();
            woken.send(()).unwrap();
            while link.try_send(&pose(0)).is_ok() {}
        }
        // The reader's hub is gone when it has seen enough.
        reader.join().unwrap()
    });
    took.sort_unstable();
    let median = took[TIMES / 2];
    assert!(median < Duration::from_millis(3), "median of {TIMES} wake-ups: {median:?}");
}

/// Whether the thread with this file in /proc sleeps.
fn is_asleep(stat: &str) -> bool {
    std::fs::read_to_string(stat).unwrap().contains(") S ")
}

/// As an event loop would do it: arm, sleep in poll, receive until there is nothing.
#[test]
fn the_descriptor_is_readable_when_there_is_something() {
    let mut random = Random::for_test("the_descriptor_is_readable_when_there_is_something");
    let domain = Domain::new();
    let (mut hub, mut link, child) = echo_in(&domain);
    let mut polls = 0;
    for i in 0..ROUNDS {
        dawdle(&mut random);
        link.send(&pose(i)).unwrap();
        let mut answer = None;
        while answer.is_none() {
            if hub.arm() {
                polls += 1;
                let timeout = PollTimeout::try_from(LONG).unwrap();
                let ready = poll(&mut [PollFd::new(hub.as_fd(), PollFlags::POLLIN)], timeout);
                assert_eq!(ready, Ok(1), "round {i}: the descriptor was never readable");
            }
            while let Some(event) = hub.try_recv().unwrap() {
                let stamp = event.get::<Pose>().unwrap().stamp_ns.to_native();
                assert_eq!(answer.replace(stamp), None, "one answer for each event");
            }
        }
        assert_eq!(answer, Some(i));
    }
    assert!(polls > ROUNDS / 100, "it hardly ever slept: {polls} times");
    drop(link);
    child.succeed();
}

#[test]
fn the_descriptor_tells_of_links_and_of_their_end() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let readable = |hub: &Hub| {
        let timeout = PollTimeout::try_from(LONG).unwrap();
        poll(&mut [PollFd::new(hub.as_fd(), PollFlags::POLLIN)], timeout).unwrap() == 1
    };
    assert!(b.arm());
    let link = a.link_to("b").unwrap();
    assert!(readable(&b));
    assert!(b.try_recv().unwrap().is_none());
    assert!(b.accept_timeout(LONG).unwrap().is_some());
    while !b.arm() {
        assert!(b.try_recv().unwrap().is_none());
    }
    drop(link);
    assert!(readable(&b));
    assert!(matches!(b.recv_timeout(LONG), Err(RecvError::LinkClosed { .. })));
    while !b.arm() {
        // The other half ends too, because nobody at b holds it.
        let _ = b.try_recv();
    }
    b.closer().close();
    assert!(readable(&b));
}

#[test]
fn a_time_out_is_as_long_as_it_says() {
    let domain = Domain::new();
    let mut hub = domain.hub("a");
    for wait in [Wait::Block, Wait::Spin, Wait::Backoff, Wait::default()] {
        hub.set_wait(wait);
        for millis in [0, 1, 20, 150] {
            let timeout = Duration::from_millis(millis);
            let start = Instant::now();
            assert!(hub.recv_timeout(timeout).unwrap().is_none());
            let took = start.elapsed();
            let late = took.checked_sub(timeout).expect("not before its time");
            assert!(late < Duration::from_secs(2), "{wait:?} {timeout:?}: {late:?} too late");
        }
    }
    let start = Instant::now();
    assert!(hub.accept_timeout(Duration::from_millis(20)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_closer_ends_all_waiting() {
    let domain = Domain::new();
    let waits = [Wait::Block, Wait::Spin, Wait::Backoff, Wait::default()];
    let receivers = waits.map(|wait| (wait, true));
    for (index, (wait, receives)) in receivers.into_iter().chain([(Wait::Block, false)]).enumerate()
    {
        let mut hub = domain.hub(&format!("hub-{index}"));
        hub.set_wait(wait);
        let closer = hub.closer();
        let (told, thread) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            told.send(nix::unistd::gettid()).unwrap();
            match receives {
                true => assert!(hub.recv().unwrap().is_none()),
                false => assert!(hub.accept().unwrap().is_none()),
            }
            hub
        });
        let stat = format!("/proc/self/task/{}/stat", thread.recv().unwrap());
        if !matches!(wait, Wait::Spin | Wait::Backoff) {
            roles::eventually("it sleeps", || is_asleep(&stat));
        }
        closer.close();
        let mut hub = waiter.join().unwrap();
        // From now on, too.
        assert!(hub.recv().unwrap().is_none());
        assert!(hub.recv_timeout(LONG).unwrap().is_none());
        assert!(hub.accept().unwrap().is_none());
        assert!(!hub.arm());
    }
}
