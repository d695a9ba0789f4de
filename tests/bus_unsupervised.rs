//! What hubs see of one another while there is no supervisor: who dies, closes or ends what it has
//! is over for the others at once; who is only stopped is not, however long.

mod common;
#[path = "common/numbered.rs"]
mod numbered;

use common::pose;
use common::roles::{self, Child, LONG, eventually};
use common::supervisor::{self, Place};
use ephapse::limits::RETURN_MS;
use ephapse::{Domain, Hub, HubBuilder, Path, Subscription};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, fork};
use numbered::{Count, Counter, SUBJECT, Stream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than hubs have to come back to a supervisor.
const TOO_LONG: Duration = Duration::from_millis(RETURN_MS + 1000);

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("supervisor") => supervisor::serve(),
        Some("counter") => numbered::count(),
        Some("host") => host(),
        Some("peer") => peer(),
        Some("reader") => reader(),
        Some(other) => panic!("no role {other}"),
    }
}

/// Hosts the domain's supervisor and publishes, as most do who are one of a kind.
fn host() {
    let builder = Hub::builder("host").domain(roles::domain()).embedded_supervisor(true);
    let hub = builder.connect().unwrap();
    let mut stream = Stream::of(&hub);
    roles::tell("hosting");
    while roles::listen() == "send" {
        send_one(&mut stream);
    }
}

fn send_one(stream: &mut Stream) {
    stream.publisher.send(&pose(stream.sent)).unwrap();
    stream.sent += 1;
    roles::tell("sent");
}

/// Subscribes, and says how many publishers it follows and how many of their rings it has mapped.
fn reader() {
    let hub = roles::join("reader");
    let mut subscription = hub.subscribe([SUBJECT]).unwrap();
    roles::tell("there");
    while roles::listen() == "look" {
        while subscription.try_recv().unwrap().is_some() {}
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let rings = maps.lines().filter(|line| line.contains("ephapse-ring"));
        roles::tell(&format!("{} {}", subscription.source_count(), rings.count()));
    }
}

/// Publishes and subscribes, and ends in the way that it is told.
fn peer() {
    let hub = roles::join("peer");
    let mut stream = Stream::of(&hub);
    let subscription = hub.subscribe(["to.peer"]).unwrap();
    roles::tell("there");
    loop {
        match roles::listen().as_str() {
            "send" => send_one(&mut stream),
            "end the subscription" => {
                drop(subscription);
                break;
            }
            "close" => {
                drop((stream, subscription));
                drop(hub);
                break;
            }
            "become another program" => {
                let error = Command::new("sleep").arg("1000").exec();
                panic!("{error}");
            }
            "fork" => roles::tell(&fork_one_that_stays().to_string()),
            _ => return,
        }
    }
    roles::tell("done");
    roles::listen();
}

/// A child that does nothing, and holds all that this process holds. The test ends it.
fn fork_one_that_stays() -> Pid {
    // SAFETY: the child calls nothing but `pause`.
    #[allow(unsafe_code)]
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => loop {
            nix::unistd::pause();
        },
    }
}

/// A hub here and a peer elsewhere that read each other.
struct Pair {
    place: Place,
    peer: Child,
    stream: Stream,
    subscription: Subscription,
    hub: Hub,
}

impl Pair {
    /// The supervisor is gone when this returns.
    fn alone() -> Self {
        let mut pair = Self::new();
        pair.loses_supervisor();
        pair
    }

    fn new() -> Self {
        let place = Place::new();
        let mut peer = Child::start("peer", &place.domain, "peer");
        peer.expect("there");
        let hub = Hub::builder("here").domain(place.domain.clone()).connect().unwrap();
        let subscription = hub.subscribe([SUBJECT]).unwrap();
        let publisher = hub.publisher("to.peer").unwrap();
        let stream = Stream { publisher, sent: 0 };
        Self { place, peer, stream, subscription, hub }
    }

    fn loses_supervisor(&mut self) {
        self.place.supervisor.kill();
        eventually("the supervisor is gone", || self.hub.hubs().is_err());
        self.goes_on();
    }

    /// An event each way.
    fn goes_on(&mut self) {
        self.stream.send(1);
        self.peer.say("send");
        self.peer.expect("sent");
        self.subscription.recv_timeout(LONG).unwrap().expect("an event");
        assert_eq!(self.subscription.source_count(), 1);
    }

    fn nobody_publishes(&mut self) {
        let subscription = &mut self.subscription;
        eventually("what it published is over", || {
            assert!(subscription.try_recv().unwrap().is_none());
            subscription.source_count() == 0
        });
    }

    fn nobody_listens(&self) {
        eventually("its subscription is over", || self.stream.publisher.receivers() == 0);
    }
}

#[test]
fn a_publisher_that_dies_with_its_supervisor_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::at(dir.path().join("domain"));
    let mut host = Child::start("host", &domain, "host");
    host.expect("hosting");
    let hub = Hub::builder("guest").domain(domain).connect().unwrap();
    let mut subscription = hub.subscribe([SUBJECT]).unwrap();
    host.say("send");
    host.expect("sent");
    subscription.recv_timeout(LONG).unwrap().expect("an event");
    assert_eq!(subscription.source_count(), 1);
    host.kill();
    eventually("what it published is over", || {
        assert!(subscription.try_recv().unwrap().is_none());
        subscription.source_count() == 0
    });
}

#[test]
fn a_process_that_dies() {
    let mut pair = Pair::alone();
    pair.peer.kill();
    pair.nobody_publishes();
    pair.nobody_listens();
}

/// Its forked child holds its doorbells, so only the process itself tells.
#[test]
fn a_process_that_dies_and_leaves_a_child() {
    let mut pair = Pair::alone();
    pair.peer.say("fork");
    let child = Ends(Pid::from_raw(pair.peer.hear().parse().unwrap()));
    pair.peer.kill();
    pair.nobody_publishes();
    pair.nobody_listens();
    drop(child);
}

/// Ends a process that this test's own child has started.
struct Ends(Pid);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[test]
fn a_process_that_becomes_another_program() {
    let mut pair = Pair::alone();
    pair.peer.say("become another program");
    pair.nobody_publishes();
    pair.nobody_listens();
}

#[test]
fn a_hub_that_is_closed_in_a_process_that_goes_on() {
    let mut pair = Pair::alone();
    pair.peer.say("close");
    pair.peer.expect("done");
    pair.nobody_publishes();
    pair.nobody_listens();
}

#[test]
fn a_subscription_that_ends_in_a_hub_that_goes_on() {
    let mut pair = Pair::alone();
    pair.peer.say("end the subscription");
    pair.peer.expect("done");
    pair.nobody_listens();
    assert_eq!(pair.subscription.source_count(), 1);
}

#[test]
fn what_it_published_is_no_longer_held() {
    let mut pair = Pair::new();
    let mut reader = Child::start("reader", &pair.place.domain, "reader");
    reader.expect("there");
    let mut looks = || {
        reader.say("look");
        reader.hear()
    };
    pair.loses_supervisor();
    let before = looks();
    assert!(before.starts_with("1 ") && before != "1 0", "{before}");
    pair.peer.kill();
    eventually("it holds nothing more", || looks() == "0 0");
}

/// A subscriber that is stopped while the supervisor is restarted, for longer than hubs have to come
/// back.
struct Stopped {
    place: Place,
    counter: Counter,
    stream: Stream,
    hub: Hub,
}

impl Stopped {
    fn new(linked: bool, build: impl Fn(HubBuilder) -> HubBuilder) -> Self {
        let place = Place::new();
        let builder = Hub::builder("publisher").domain(place.domain.clone());
        let mut hub = build(builder).connect().unwrap();
        let counter = Counter::start(&place.domain, "counter");
        let mut stream = Stream::of(&hub);
        if linked {
            hub.link_to("counter").unwrap();
            stream.send_until(1, Path::Links);
        }
        stream.send(1);
        Self { place, counter, stream, hub }
    }

    /// It sleeps through all of it, and is counted on all the time.
    fn sleeps_through_a_restart(&mut self, between: Duration) {
        self.place.supervisor.kill();
        self.counter.0.stop();
        self.place.start();
        eventually("the publisher is known", || self.hub.hubs().is_ok_and(|all| all.len() == 1));
        let until = Instant::now() + TOO_LONG;
        while Instant::now() < until {
            self.stream.send(1);
            // Sleep: between two events.
            std::thread::sleep(between);
        }
        self.counter.0.go_on();
        eventually("it is known again", || self.hub.hubs().is_ok_and(|all| all.len() == 2));
        (0..100).for_each(|_| assert_ne!(self.stream.send(1), Path::Nobody));
        self.stream.end();
    }
}

/// A broadcast ring for all that is sent meanwhile.
const ROOM: usize = 8 << 20;

#[test]
fn a_subscriber_that_sleeps_through_a_restart_misses_nothing() {
    for linked in [false, true] {
        let roomy = |builder: HubBuilder| builder.patience(LONG).broadcast_capacity(ROOM);
        let mut stopped = Stopped::new(linked, roomy);
        stopped.sleeps_through_a_restart(Duration::from_millis(1));
        stopped.counter.has_seen_all(stopped.stream.sent);
    }
}

#[test]
fn a_subscriber_that_sleeps_through_a_restart_is_told_what_it_missed() {
    let impatient = |builder: HubBuilder| builder.patience(Duration::from_millis(100));
    let mut stopped = Stopped::new(false, impatient);
    stopped.sleeps_through_a_restart(Duration::ZERO);
    let Count { seen, missed } = stopped.counter.report();
    assert!(missed > 0);
    assert_eq!(seen + missed, stopped.stream.sent, "{seen} seen and {missed} missed");
}
