//! Nothing stays behind of those who publish and subscribe: descriptors, threads, mappings, and
//! what the supervisor knows are after thousands of cycles what they were before.
//!
//! Each story is told in a process of its own, in which nothing else happens. The supervisor is a
//! thread of it, so that what it holds is counted too.

mod common;

use common::roles::{self, Child, LONG, eventually};
use common::{Domain, Pose, pose};
use ephapse::{Error, Hub, Publisher, RefusalCode, SubscriptionOptions};
use std::fs;
use std::time::{Duration, Instant};

/// Until caches are full and the allocator has its memory; until a hub that never looks at its
/// links has gathered as much about them as it may.
const WARM_UP: usize = 100;
const WARM_UP_OF_LINKS: usize = 500;
const LIVES: usize = 10_000;
const SUBSCRIPTIONS: usize = 2_000;
const LINKS: usize = 3_000;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("lives") => lives(),
        Some("subscriptions") => subscriptions(),
        Some("links") => links(),
        Some(other) => panic!("no role {other}"),
    }
}

/// What this process holds, and what the supervisor knows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    memfds: usize,
    threads: usize,
    hubs: usize,
    subjects: usize,
}

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

impl Held {
    fn now(observer: &Hub) -> Self {
        let fds = fs::read_dir("/proc/self/fd").unwrap().map(|fd| fd.unwrap().path());
        let targets = fds.filter_map(|fd| fs::read_link(fd).ok());
        Self {
            memfds: targets.filter(|to| to.to_string_lossy().starts_with("/memfd:")).count(),
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            hubs: observer.hubs().unwrap().len(),
            subjects: observer.subjects().unwrap().len(),
        }
    }

    /// When nothing has changed for a while.
    fn settled(observer: &Hub) -> Self {
        let mut held = Self::now(observer);
        let mut same = 0;
        eventually("nothing changes any more", || {
            let now = Self::now(observer);
            same = if now == held { same + 1 } else { 0 };
            held = now;
            same == 50
        });
        held
    }
}

/// The allocator takes and gives back a few ranges of its own, and a link may be over a moment
/// before or after another; what leaks leaks each time.
const OTHER_MAPPINGS: usize = 16;

/// Does something until all caches are full, then so many times in all, and compares.
fn leaves_nothing(domain: &Domain, warm_up: usize, times: usize, mut once: impl FnMut(usize)) {
    let mut observer = domain.hub("observer");
    // The first long sleep of a process starts a thread that stays.
    assert!(observer.recv_timeout(Duration::from_millis(50)).unwrap().is_none());
    (0..warm_up).for_each(&mut once);
    let before = Held::settled(&observer);
    let mappings_before = mappings();
    (warm_up..times).for_each(&mut once);
    // What the control thread and the supervisor still have to close takes a moment.
    // The test itself has more patience, so that it hears of a difference.
    let deadline = Instant::now() + LONG / 2;
    let mut after = Held::now(&observer);
    while after != before && Instant::now() < deadline {
        std::thread::yield_now();
        after = Held::now(&observer);
    }
    assert_eq!(after, before, "after {times} times");
    let mappings_after = mappings();
    assert!(
        mappings_after <= mappings_before + OTHER_MAPPINGS,
        "{mappings_before} mappings before, {mappings_after} after {times} times"
    );
}

/// A hub that joins, publishes, subscribes, gets an event, and leaves.
fn lives() {
    let domain = Domain::new();
    leaves_nothing(&domain, WARM_UP, LIVES, |i| {
        let hub = domain.hub("hub");
        // Its own subject, one in ten times; by number else, so that names are forgotten, too.
        let subject = if i % 10 == 0 { "own".to_owned() } else { format!("subject.{i}") };
        let mut subscription = hub.subscribe([&subject]).unwrap();
        let mut publisher = hub.publisher(&subject).unwrap();
        publisher.send(&pose(i as u64)).unwrap();
        let event = subscription.recv_timeout(LONG).unwrap().expect("an event");
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i as u64);
        drop(event);
        // In whatever order they go.
        match i % 3 {
            0 => drop((hub, subscription, publisher)),
            1 => drop((subscription, publisher, hub)),
            _ => drop((publisher, hub, subscription)),
        }
    });
}

/// Subscriptions come and go beside a publisher that never sends, and so never looks who listens.
fn subscriptions() {
    let domain = Domain::new();
    let (publishing, subscribing) = (domain.hub("publisher"), domain.hub("subscriber"));
    let mut publisher: Publisher<Pose> = publishing.publisher("silent").unwrap();
    let flows = [ephapse::Flow::Block, ephapse::Flow::DropOldest];
    leaves_nothing(&domain, WARM_UP, SUBSCRIPTIONS, |i| {
        let options = SubscriptionOptions::default().flow(flows[i % 2]);
        let mut subscription = subscribing.subscribe_with(["silent"], options).unwrap();
        if i % 5 == 0 {
            assert!(subscription.try_recv().unwrap().is_none());
        }
    });
    // And works as before when it sends.
    let mut subscription = subscribing.subscribe(["silent"]).unwrap();
    eventually("those of before are over", || publisher.receivers() == 1);
    publisher.send(&pose(1)).unwrap();
    assert!(subscription.recv_timeout(LONG).unwrap().is_some());
}

/// Two hubs that use only the bus are linked and unlinked: nobody ever looks at what came over a
/// link itself.
fn links() {
    let domain = Domain::new();
    let (mut a, b) = (domain.hub("a"), domain.hub("b"));
    let mut subscription = b.subscribe(["stream"]).unwrap();
    let mut publisher = a.publisher("stream").unwrap();
    leaves_nothing(&domain, WARM_UP_OF_LINKS, LINKS, |i| {
        let mut link = None;
        eventually("the link before is over", || match a.link_to("b") {
            Ok(new) => {
                link = Some(new);
                true
            }
            Err(Error::Refused { code: RefusalCode::AlreadyLinked, .. }) => false,
            Err(error) => panic!("link {i}: {error}"),
        });
        publisher.send(&pose(i as u64)).unwrap();
        let event = subscription.recv_timeout(LONG).unwrap().expect("an event");
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i as u64);
        drop(event);
        // By either side.
        let (hub, other) = if i % 2 == 0 { (&a, "b") } else { (&b, "a") };
        eventually("the link is known", || hub.unlink(other).unwrap());
    });
}

#[test]
fn hubs_that_come_and_go() {
    Child::start_alone("lives").succeed();
}

#[test]
fn subscriptions_that_come_and_go() {
    Child::start_alone("subscriptions").succeed();
}

#[test]
fn links_that_nobody_looks_at() {
    Child::start_alone("links").succeed();
}
