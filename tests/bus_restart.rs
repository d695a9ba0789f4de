//! The supervisor is killed and started again, in a process of its own or in that of a hub: what
//! is published goes on meanwhile, and afterwards everything works as before.

mod common;
#[path = "common/numbered.rs"]
mod numbered;

use common::random::Random;
use common::roles::{self, Child, LONG, eventually};
use common::supervisor::{self, Place};
use common::{Pose, pose};
use ephapse::limits::RETURN_MS;
use ephapse::{Domain, Error, Hub, HubBuilder, Link, Path, RefusalCode, Subscription};
use numbered::{Count, Counter, SUBJECT, Seen, Stream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const RESTARTS: usize = 8;

/// How long hubs have to come back, and some more.
const RETURN: Duration = Duration::from_millis(RETURN_MS + 200);

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("supervisor") => supervisor::serve(),
        Some("counter") => numbered::count(),
        Some("away") => away(),
        Some("host") => host(),
        Some(other) => panic!("no role {other}"),
    }
}

fn builder(place: &Place, name: &str) -> HubBuilder {
    Hub::builder(name).domain(place.domain.clone()).patience(LONG)
}

fn join(place: &Place, name: &str) -> Hub {
    builder(place, name).connect().unwrap()
}

/// Waits until a hub finds a supervisor that knows so many.
fn known(hub: &Hub, hubs: usize) {
    eventually("they are known again", || hub.hubs().is_ok_and(|known| known.len() == hubs));
}

/// The supervisor is killed and started again at random moments of a stream.
fn restarts_during_a_stream(test: &str, linked: bool) {
    let mut random = Random::for_test(test);
    let mut place = Place::new();
    let mut hub = join(&place, "publisher");
    let mut counters = ["one", "two"].map(|name| Counter::start(&place.domain, name));
    let mut stream = Stream::of(&hub);
    let names = if linked { &["one", "two"][..] } else { &[] };
    let _links: Vec<Link> = names.iter().map(|name| hub.link_to(name).unwrap()).collect();
    if linked {
        stream.send_until(2, Path::Links);
    }
    let (over, sent, on_links) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let stream = std::thread::scope(|scope| {
        let (over, sent, on_links) = (&over, &sent, &on_links);
        let thread = scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let path = stream.send(2);
                on_links.fetch_add((path == Path::Links).into(), Ordering::Relaxed);
                sent.store(stream.sent, Ordering::Relaxed);
            }
            stream
        });
        // Whatever fails here ends the stream.
        let _ends = Ends(over);
        for _ in 0..RESTARTS {
            after_some_more(&mut random, sent);
            place.supervisor.kill();
            after_some_more(&mut random, sent);
            place.start();
            known(&hub, 3);
        }
        over.store(true, Ordering::Relaxed);
        thread.join().unwrap()
    });
    finish(stream, &mut counters);
    assert_eq!(on_links.into_inner() > 0, linked, "which way events went");
    afterwards(&place, &mut hub);
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until so many more events have been sent.
fn after_some_more(random: &mut Random, sent: &AtomicU64) {
    let until = sent.load(Ordering::Relaxed) + random.below(5_000);
    eventually("the stream goes on", || sent.load(Ordering::Relaxed) >= until);
}

fn finish(mut stream: Stream, counters: &mut [Counter]) {
    stream.end();
    counters.iter_mut().for_each(|counter| counter.has_seen_all(stream.sent));
}

fn stamp(subscription: &mut Subscription) -> u64 {
    let event = subscription.recv_timeout(LONG).unwrap().expect("an event");
    event.get::<Pose>().unwrap().stamp_ns.to_native()
}

/// New hubs, publishers, subscriptions and links find those of before, and the other way round.
fn afterwards(place: &Place, old: &mut Hub) {
    let mut new = join(place, "new");
    let mut at_old = old.subscribe(["after.new"]).unwrap();
    let mut at_new = new.subscribe(["after.>"]).unwrap();
    let mut of_old = old.publisher::<Pose>("after.old").unwrap();
    let mut of_new = new.publisher::<Pose>("after.new").unwrap();
    for i in 0..100 {
        assert_eq!(of_old.send(&pose(i)).unwrap().receivers, 1);
        assert_eq!(of_new.send(&pose(i)).unwrap().receivers, 2);
        for subscription in [&mut at_old, &mut at_new] {
            assert_eq!(stamp(subscription), i);
        }
        assert_eq!(stamp(&mut at_new), i);
    }
    let mut link = new.link_to(old.name()).unwrap();
    link.send(&pose(7)).unwrap();
    let event = old.recv_timeout(LONG).unwrap().expect("an event over the link");
    assert_eq!(event.get::<Pose>().unwrap().stamp_ns, 7);
    drop(event);
    eventually("the link is used", || of_old.send(&pose(0)).unwrap().path == Path::Links);
    let reader = join(place, "reader");
    let mut late = reader.subscribe([SUBJECT]).unwrap();
    let mut stream = old.publisher::<Pose>(SUBJECT).unwrap();
    assert_eq!(stream.send(&pose(5)).unwrap().receivers, 3);
    assert_eq!(stamp(&mut late), 5);
}

#[test]
fn a_stream_goes_on_while_the_supervisor_is_killed() {
    restarts_during_a_stream("a_stream_goes_on_while_the_supervisor_is_killed", false);
}

#[test]
fn a_stream_over_links_goes_on_while_the_supervisor_is_killed() {
    restarts_during_a_stream("a_stream_over_links_goes_on_while_the_supervisor_is_killed", true);
}

/// Publishes when it is told to.
fn away() {
    let hub = Hub::builder("a").domain(roles::domain()).patience(LONG).connect().unwrap();
    let mut stream = Stream::of(&hub);
    roles::tell(&hub.id().to_string());
    while roles::listen() == "send" {
        for _ in 0..100 {
            stream.send(1);
        }
        roles::tell("sent");
    }
}

/// A hub that is away when another comes under its name.
struct Away {
    child: Child,
    id: u64,
    stream: Subscription,
    count: Count,
    watcher: Hub,
    place: Place,
}

impl Away {
    fn new() -> Self {
        let place = Place::new();
        let watcher = join(&place, "watcher");
        let stream = watcher.subscribe([SUBJECT]).unwrap();
        let mut child = Child::start("away", &place.domain, "a");
        let id = child.hear().parse().unwrap();
        let mut away = Self { child, id, stream, count: Count::default(), watcher, place };
        away.publishes();
        away.place.supervisor.kill();
        away.child.stop();
        away.place.start();
        known(&away.watcher, 1);
        away
    }

    /// Whether the supervisor knows it or not, what it publishes arrives.
    fn publishes(&mut self) {
        self.child.say("send");
        self.child.expect("sent");
        for _ in 0..100 {
            let seen = self.count.take(self.stream.recv_timeout(LONG));
            assert_eq!(seen, Seen::Something);
        }
        assert_eq!(self.count.missed, 0);
    }

    /// The hub that has the name.
    fn holder(&self) -> Option<u64> {
        let hubs = self.watcher.hubs().unwrap();
        hubs.into_iter().find(|hub| hub.name == "a").map(|hub| hub.id)
    }

    /// One more of that name is turned away.
    fn is_taken(&self) {
        let error = builder(&self.place, "a").connect().unwrap_err();
        let Error::Refused { code: RefusalCode::NameTaken, .. } = error else { panic!("{error}") };
    }
}

#[test]
fn who_comes_back_in_time_has_its_name() {
    let mut away = Away::new();
    let new = join(&away.place, "a");
    assert_ne!(new.id(), away.id);
    away.is_taken();
    away.child.go_on();
    eventually("the one that had the name has it", || away.holder() == Some(away.id));
    eventually("the other knows", || new.hubs().is_err());
    away.is_taken();
    away.publishes();
    drop(new);
    assert_eq!(away.holder(), Some(away.id));
}

#[test]
fn who_comes_back_too_late_finds_its_name_taken() {
    let mut away = Away::new();
    // Sleep: until those who come back have had their time.
    std::thread::sleep(RETURN);
    let new = join(&away.place, "a");
    away.child.go_on();
    away.publishes();
    // It tries again and again meanwhile.
    let until = Instant::now() + RETURN;
    while Instant::now() < until {
        assert_eq!(away.holder(), Some(new.id()));
    }
    away.is_taken();
    away.publishes();
    drop(new);
    eventually("it has its name again", || away.holder() == Some(away.id));
    away.publishes();
}

fn hosting(domain: &Domain, name: &str) -> HubBuilder {
    Hub::builder(name).domain(domain.clone()).patience(LONG).embedded_supervisor(true)
}

/// Hosts a supervisor until it is killed.
fn host() {
    let _hub = hosting(&roles::domain(), &roles::name()).connect().unwrap();
    roles::tell("hosting");
    roles::listen();
}

/// Two hubs that talk, whatever becomes of the supervisor.
struct Talk {
    stream: Stream,
    subscription: Subscription,
    count: Count,
}

impl Talk {
    fn between(publisher: &Hub, subscriber: &Hub) -> Self {
        let subscription = subscriber.subscribe([SUBJECT]).unwrap();
        let stream = Stream::of(publisher);
        eventually("those of before are over", || stream.publisher.receivers() == 1);
        Self { stream, subscription, count: Count::default() }
    }

    fn goes_on(&mut self) {
        for _ in 0..100 {
            self.stream.send(1);
            let seen = self.count.take(self.subscription.recv_timeout(LONG));
            assert_eq!(seen, Seen::Something);
        }
        assert_eq!(self.count.missed, 0);
    }

    fn goes_on_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        eventually(what, || {
            self.goes_on();
            condition()
        });
    }
}

#[test]
fn one_hub_after_another_hosts_the_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::at(dir.path().join("domain"));
    let plain = |name: &str| Hub::builder(name).domain(domain.clone()).patience(LONG);
    let error = plain("early").connect().unwrap_err();
    assert!(matches!(error, Error::NoSupervisor { .. }), "{error}");
    let first = hosting(&domain, "first").connect().unwrap();
    let second = hosting(&domain, "second").connect().unwrap();
    let guest = plain("guest").connect().unwrap();
    let mut talk = Talk::between(&second, &guest);
    talk.goes_on();
    drop(first);
    talk.goes_on_until("the second has taken over", || {
        second.hubs().is_ok_and(|hubs| hubs.len() == 2)
    });
    let third = plain("third").connect().unwrap();
    let names: Vec<String> = third.hubs().unwrap().into_iter().map(|hub| hub.name).collect();
    assert_eq!(names, ["second", "guest", "third"]);
    drop(talk);
    let mut other = Talk::between(&guest, &third);
    // Nobody is left who would host one.
    drop(second);
    other.goes_on_until("the supervisor is gone", || third.hubs().is_err());
    let fourth = hosting(&domain, "fourth").connect().unwrap();
    other.goes_on_until("all are there", || fourth.hubs().is_ok_and(|hubs| hubs.len() == 3));
    drop(other);
    Talk::between(&third, &fourth).goes_on();
}

#[test]
fn a_host_that_is_killed_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::at(dir.path().join("domain"));
    let mut child = Child::start("host", &domain, "host-0");
    child.expect("hosting");
    let guest = Hub::builder("guest").domain(domain.clone()).patience(LONG).connect().unwrap();
    let second = Hub::builder("second").domain(domain.clone()).patience(LONG).connect().unwrap();
    let mut talk = Talk::between(&second, &guest);
    for round in 1..=5 {
        // It joins the one that is there, or hosts one itself.
        let mut next = Child::start("host", &domain, &format!("host-{round}"));
        next.expect("hosting");
        child.kill();
        talk.goes_on_until("the next has taken over", || {
            [&guest, &second].iter().all(|hub| hub.hubs().is_ok_and(|hubs| hubs.len() == 3))
        });
        child = next;
    }
}
