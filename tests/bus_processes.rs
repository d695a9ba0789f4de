//! Publishers and subscribers that are stopped or killed: nobody else is held up for longer than
//! the publisher's patience, and nothing is lost but what is said to be.

mod common;
#[path = "common/numbered.rs"]
mod numbered;

use common::Domain;
use common::random::Random;
use common::roles::{self, Child, eventually};
use ephapse::{Hub, HubBuilder, Path, SendError};
use numbered::{Count, Counter, SUBJECT, Seen, Stream};
use std::time::Duration;

const EVENTS: u64 = 100_000;
const KILLED: usize = 100;

const SHORT: Duration = Duration::from_secs(2);

/// About as many events as fit a lane, and a broadcast ring of the usual size.
const IN_A_LANE: u64 = 1_000;
const IN_THE_BROADCAST: u64 = 4_000;

const ROUNDS: u64 = 10;

/// A broadcast ring for all events of so many rounds, however late they are read.
const ROOM: usize = 8 << 20;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("counter") => numbered::count(),
        Some("publisher") => publish(),
        Some(other) => panic!("no role {other}"),
    }
}

/// A hub that publishes for two processes.
struct Scene {
    stream: Stream,
    odd: Counter,
    healthy: Counter,
    hub: Hub,
    _domain: Domain,
}

impl Scene {
    fn new(linked: bool, build: impl Fn(HubBuilder) -> HubBuilder) -> Self {
        let domain = Domain::new();
        let builder = Hub::builder("publisher").domain(domain.domain());
        let mut hub = build(builder).connect().unwrap();
        let [odd, healthy] = ["odd", "healthy"].map(|name| Counter::start(&domain.domain(), name));
        let mut stream = Stream::of(&hub);
        if linked {
            for name in ["odd", "healthy"] {
                hub.link_to(name).unwrap();
            }
            stream.send_until(2, Path::Links);
        }
        Self { stream, odd, healthy, hub, _domain: domain }
    }

    fn expected(linked: bool) -> Path {
        if linked { Path::Links } else { Path::Broadcast }
    }
}

/// Somewhere in the first half of the stream.
fn moment(random: &mut Random) -> u64 {
    EVENTS / 10 + random.below(EVENTS / 2)
}

fn stopped(test: &str, linked: bool) {
    let mut random = Random::for_test(test);
    let mut scene = Scene::new(linked, |builder| builder.patience(SHORT));
    let stop_at = moment(&mut random);
    let mut paths = Vec::new();
    while scene.stream.sent < EVENTS {
        if scene.stream.sent == stop_at {
            scene.odd.0.stop();
        }
        let path = scene.stream.send(2);
        if paths.last() != Some(&path) {
            paths.push(path);
        }
    }
    assert_eq!(paths.first(), Some(&Scene::expected(linked)));
    assert_eq!(paths.last(), Some(&Path::Broadcast), "{paths:?}");
    scene.stream.end();
    scene.healthy.has_seen_all(EVENTS);
    scene.odd.0.go_on();
    let Count { seen, missed } = scene.odd.report();
    assert!(seen + 2 * IN_THE_BROADCAST > stop_at, "{seen} seen, stopped at {stop_at}");
    assert_eq!(seen + missed, EVENTS, "{seen} seen and {missed} missed");
    assert!(missed > 0, "it was overtaken");
}

#[test]
fn a_subscriber_that_stands_still_holds_nobody_up() {
    stopped("a_subscriber_that_stands_still_holds_nobody_up", false);
}

#[test]
fn a_subscriber_that_stands_still_at_the_end_of_a_link_holds_nobody_up() {
    stopped("a_subscriber_that_stands_still_at_the_end_of_a_link_holds_nobody_up", true);
}

fn killed(test: &str, linked: bool) {
    let mut random = Random::for_test(test);
    let mut scene = Scene::new(linked, |builder| builder.patience(SHORT));
    let kill_at = moment(&mut random);
    while scene.stream.sent < kill_at {
        scene.stream.send(2);
    }
    scene.odd.0.kill();
    let mut sent = scene.stream.sent;
    while sent < EVENTS {
        // To both until the supervisor has seen it.
        scene.stream.publisher.send(&common::pose(sent)).unwrap();
        sent += 1;
    }
    scene.stream.end();
    scene.healthy.has_seen_all(EVENTS);
    eventually("its subscription is over", || scene.stream.publisher.receivers() == 1);
    eventually("its hub has left", || scene.hub.hubs().unwrap().len() == 2);
}

#[test]
fn a_subscriber_that_dies_holds_nobody_up() {
    killed("a_subscriber_that_dies_holds_nobody_up", false);
}

#[test]
fn a_subscriber_that_dies_at_the_end_of_a_link_holds_nobody_up() {
    killed("a_subscriber_that_dies_at_the_end_of_a_link_holds_nobody_up", true);
}

/// By the link, by the broadcast while its reader stands still, and by the link again.
#[test]
fn the_way_changes_by_itself_and_nothing_is_lost() {
    let mut random = Random::for_test("the_way_changes_by_itself_and_nothing_is_lost");
    let mut scene =
        Scene::new(true, |builder| builder.patience(roles::LONG).broadcast_capacity(ROOM));
    for _ in 0..ROUNDS {
        for _ in 0..random.below(3 * IN_A_LANE) {
            scene.stream.send(2);
        }
        scene.stream.send_until(2, Path::Links);
        scene.odd.0.stop();
        scene.stream.send_until(2, Path::Broadcast);
        for _ in 0..random.below(IN_THE_BROADCAST) {
            assert_eq!(scene.stream.send(2), Path::Broadcast);
        }
        scene.odd.0.go_on();
    }
    scene.stream.send_until(2, Path::Links);
    scene.stream.end();
    let sent = scene.stream.sent;
    scene.odd.has_seen_all(sent);
    scene.healthy.has_seen_all(sent);
}

/// Publishes until it is killed.
fn publish() {
    let name = roles::name();
    let mut hub = roles::join(&name);
    let mut stream = Stream::of(&hub);
    let link = name.starts_with("linked").then(|| hub.link_to("subscriber").unwrap());
    roles::tell("publishes");
    loop {
        match stream.publisher.send(&common::pose(stream.sent)) {
            Ok(sent) if link.is_none() => assert_eq!(sent.path, Path::Broadcast),
            Ok(_) => {}
            // The test is over.
            Err(SendError::HubClosed) => return,
            Err(error) => panic!("{error}"),
        }
        stream.sent += 1;
    }
}

#[test]
fn what_a_publisher_sent_before_it_was_killed_arrives() {
    let mut random = Random::for_test("what_a_publisher_sent_before_it_was_killed_arrives");
    let domain = Domain::new();
    let mut hub = domain.hub("subscriber");
    let mut subscription = hub.subscribe([SUBJECT]).unwrap();
    for round in 0..KILLED {
        let kind = if round % 2 == 0 { "linked" } else { "alone" };
        let name = format!("{kind}-{round}");
        let mut child = Child::start("publisher", &domain.domain(), &name);
        child.expect("publishes");
        let mut count = Count::default();
        let until = random.below(20_000);
        while count.seen < until {
            assert_ne!(count.take(subscription.recv_timeout(roles::LONG)), Seen::Nothing);
        }
        let most = 1 << random.below(20);
        for _ in 0..random.below(most) {
            std::hint::spin_loop();
        }
        child.kill();
        eventually("the source ends", || {
            while count.take(subscription.try_recv()) == Seen::Something {}
            subscription.source_count() == 0
        });
        assert_eq!(count.missed, 0, "{name}");
        assert!(count.seen >= until, "{name}");
        eventually("its hub has left", || hub.hubs().unwrap().len() == 1);
        // That links have ended, for example.
        while !matches!(hub.try_recv(), Ok(None)) {}
        while hub.try_accept().unwrap().is_some() {}
    }
}
