//! Nothing stays behind: descriptors, mappings, threads and files are after thousands of joins and
//! links what they were before.
//!
//! Each story is told in a process of its own, in which nothing else happens. The supervisor is a
//! thread of it, so that what it holds is counted too.

mod common;

use common::roles::{self, Child, LONG, eventually};
use common::{Domain, pose};
use ephapse::{Error, Hub, Link, LinkOptions, RecvError, RefusalCode};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

const MANY: usize = 2_000;
const KILLED: usize = 200;
const TIMED_OUT: usize = 50;
/// Until caches are full and the allocator has its memory.
const WARM_UP: usize = 100;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("joins") => joins(),
        Some("links") => links(),
        Some("unseen") => unseen(),
        Some("victims") => victims(),
        Some("failures") => failures(),
        Some("time-outs") => time_outs(),
        Some("victim") => victim(),
        Some("slow") => slow(),
        Some(other) => panic!("no role {other}"),
    }
}

/// What this process holds.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    /// Mappings of segments.
    segments: usize,
    threads: usize,
    files: BTreeSet<String>,
}

fn names_in(path: impl AsRef<std::path::Path>) -> BTreeSet<String> {
    let entries = fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

impl Held {
    fn now(domain: &Domain) -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        Self {
            descriptors: names_in("/proc/self/fd").len(),
            segments: maps.lines().filter(|line| line.contains("memfd:ephapse")).count(),
            threads: names_in("/proc/self/task").len(),
            files: names_in(domain.domain().path()),
        }
    }
}

/// The allocator may take and give back a few ranges of its own; what leaks leaks each time.
const OTHER_MAPPINGS: usize = 16;

/// Does something until all caches are full, then so many times more, and compares.
fn leaves_nothing(domain: &Domain, warm_up: usize, times: usize, mut once: impl FnMut(usize)) {
    // The first long sleep of a process starts a thread that stays.
    let mut idle = domain.hub("idle");
    assert!(idle.recv_timeout(Duration::from_millis(50)).unwrap().is_none());
    drop(idle);
    (0..warm_up).for_each(&mut once);
    let before = settled(domain);
    let mappings_before = mappings();
    (0..times).for_each(&mut once);
    let mut after = Held::now(domain);
    // What the control thread and the supervisor still have to close takes a moment.
    // The test itself has more patience, so that it hears of a difference.
    let deadline = Instant::now() + LONG / 2;
    while after != before && Instant::now() < deadline {
        std::thread::yield_now();
        after = Held::now(domain);
    }
    assert_eq!(after, before, "after {times} times");
    let mappings_after = mappings();
    assert!(
        mappings_after <= mappings_before + OTHER_MAPPINGS,
        "{mappings_before} mappings before, {mappings_after} after {times} times"
    );
}

/// What is held when nothing has changed for a while.
fn settled(domain: &Domain) -> Held {
    let mut held = Held::now(domain);
    let mut same = 0;
    eventually("nothing changes any more", || {
        let now = Held::now(domain);
        same = if now == held { same + 1 } else { 0 };
        held = now;
        same == 50
    });
    held
}

fn joins() {
    let domain = Domain::new();
    leaves_nothing(&domain, WARM_UP, MANY, |i| {
        // Every second one under the name that has just become free.
        let hub = domain.hub(&format!("hub-{}", i / 2));
        assert_eq!(hub.hubs().unwrap().len(), 1);
    });
}

/// Opens a link as soon as the one before has been forgotten by the supervisor.
fn open(from: &mut Hub, to: &str) -> Link {
    let mut opened = None;
    eventually("the link before is over", || {
        match from.link_to(to) {
            Ok(link) => opened = Some(link),
            Err(Error::Refused { code: RefusalCode::AlreadyLinked, .. }) => {}
            Err(error) => panic!("{error}"),
        }
        opened.is_some()
    });
    opened.unwrap()
}

fn expect_end(hub: &mut Hub) {
    let error = hub.recv_timeout(LONG).unwrap_err();
    assert!(matches!(error, RecvError::LinkClosed { .. }), "{error}");
}

fn links() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    leaves_nothing(&domain, WARM_UP, MANY, |i| {
        let mut to_b = open(&mut a, "b");
        let mut to_a = b.accept_timeout(LONG).unwrap().expect("the link that a opened");
        to_b.send(&pose(1)).unwrap();
        to_a.send(&pose(2)).unwrap();
        assert!(a.recv_timeout(LONG).unwrap().is_some());
        assert!(b.recv_timeout(LONG).unwrap().is_some());
        if i.is_multiple_of(2) {
            drop(to_b);
            expect_end(&mut b);
            drop(to_a);
            expect_end(&mut a);
        } else {
            drop(to_a);
            expect_end(&mut a);
            drop(to_b);
            expect_end(&mut b);
        }
    });
}

/// Hubs that go before they have looked at the links that were opened with them.
fn unseen() {
    let domain = Domain::new();
    let mut hub = domain.hub("a");
    leaves_nothing(&domain, WARM_UP, MANY / 4, |_| {
        let other = domain.hub("b");
        let mut link = open(&mut hub, "b");
        link.send(&pose(1)).unwrap();
        drop(other);
        drop(link);
        assert!(hub.recv_timeout(LONG).is_err());
    });
}

/// Joins and waits to be linked with and killed.
fn victim() {
    let mut hub = roles::join(&roles::name());
    roles::tell("joined");
    let _link = hub.accept().unwrap();
    roles::tell("linked");
    roles::listen();
}

fn victims() {
    let domain = Domain::new();
    let mut hub = domain.hub("a");
    leaves_nothing(&domain, 10, KILLED, |i| {
        let mut child = Child::start("victim", &domain.domain(), "victim");
        child.expect("joined");
        // Its death is noticed by one who reads, and by one who writes.
        let mut link = open(&mut hub, "victim");
        child.expect("linked");
        child.kill();
        if i.is_multiple_of(2) {
            let error = hub.recv_timeout(LONG).unwrap_err();
            assert!(matches!(error, RecvError::PeerGone { .. }), "{error}");
        } else {
            assert!((0..).any(|i| link.send(&pose(i)).is_err()));
            drop(link);
            assert!(hub.recv_timeout(LONG).is_err());
        }
        eventually("the name is free", || hub.hubs().unwrap().len() == 1);
    });
}

fn failures() {
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let _b = domain.hub("b");
    let builder = Hub::builder("shy").domain(domain.domain());
    let _shy = builder.accept_if(|_| false).connect().unwrap();
    let default = LinkOptions::default();
    leaves_nothing(&domain, WARM_UP, MANY / 4, |_| {
        assert!(a.link_to("shy").is_err());
        assert!(a.link_to("nobody").is_err());
        assert!(a.link_to("a").is_err());
        assert!(a.link_with("b", default.send_capacity(5000)).is_err());
        assert!(a.link_with("b", default.receive_capacity(5000)).is_err());
        assert!(a.link_with("b", default.receive_capacity(512 << 20)).is_err());
        assert!(a.wait_for("nobody", Duration::ZERO).is_err());
        assert!(Hub::builder("b").domain(domain.domain()).connect().is_err());
        assert!(Hub::builder("a b").domain(domain.domain()).connect().is_err());
    });
}

/// Ends each link that is opened with it.
fn slow() {
    let mut hub = roles::join(&roles::name());
    roles::tell("joined");
    while let Some(link) = hub.accept().unwrap() {
        drop(link);
        expect_end(&mut hub);
    }
}

/// The other side is asked, and does not answer before the opener has given up.
fn time_outs() {
    let domain = Domain::new();
    let mut hub = domain.hub("a");
    let mut child = Child::start("slow", &domain.domain(), "slow");
    child.expect("joined");
    leaves_nothing(&domain, 5, TIMED_OUT, |_| {
        child.stop();
        let options = LinkOptions::default().timeout(Duration::from_millis(1));
        let error = hub.link_with("slow", options).map(drop).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        child.go_on();
        // It has seen the offer and its end when it has answered the next one.
        drop(open(&mut hub, "slow"));
        expect_end(&mut hub);
    });
}

#[test]
fn hubs_that_join_and_leave() {
    Child::start_alone("joins").succeed();
}

#[test]
fn links_that_are_opened_and_closed() {
    Child::start_alone("links").succeed();
}

#[test]
fn links_that_are_never_looked_at() {
    Child::start_alone("unseen").succeed();
}

#[test]
fn peers_that_are_killed() {
    Child::start_alone("victims").succeed();
}

#[test]
fn links_that_do_not_come_about() {
    Child::start_alone("failures").succeed();
}

#[test]
fn links_that_are_not_answered_in_time() {
    Child::start_alone("time-outs").succeed();
}
