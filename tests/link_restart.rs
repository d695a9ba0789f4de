//! Links outlive their supervisor, and the next one knows them again: what is published finds its
//! way over them as before.

mod common;
#[path = "common/numbered.rs"]
mod numbered;

use common::roles::{self, LONG, eventually};
use common::supervisor::{self, Place};
use ephapse::{Error, Hub, Link, Path, RefusalCode, Subscription};
use numbered::{Count, SUBJECT, Seen, Stream};

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("supervisor") => supervisor::serve(),
        Some(other) => panic!("no role {other}"),
    }
}

/// Two hubs with a link that the first has opened.
struct Pair {
    place: Place,
    publisher: Hub,
    reader: Hub,
    link: Link,
}

impl Pair {
    fn new() -> Self {
        let place = Place::new();
        let hub = |name| Hub::builder(name).domain(place.domain.clone()).patience(LONG);
        let mut publisher = hub("publisher").connect().unwrap();
        let reader = hub("reader").connect().unwrap();
        let link = publisher.link_to("reader").unwrap();
        Self { place, publisher, reader, link }
    }

    fn restart(&mut self) {
        self.place.supervisor.kill();
        for hub in [&self.publisher, &self.reader] {
            eventually("it is gone", || hub.hubs().is_err());
        }
        self.place.start();
        for hub in [&self.publisher, &self.reader] {
            eventually("both are known", || hub.hubs().is_ok_and(|all| all.len() == 2));
        }
    }
}

/// What one subscription has seen of the stream, which it did not follow from its beginning.
struct Reading {
    subscription: Subscription,
    count: Count,
}

impl Reading {
    fn of(hub: &Hub, stream: &Stream) -> Self {
        let count = Count { seen: stream.sent, missed: 0 };
        Self { subscription: hub.subscribe([SUBJECT]).unwrap(), count }
    }

    fn reads_all(&mut self, stream: &Stream) {
        while self.count.seen < stream.sent {
            assert_eq!(self.count.take(self.subscription.recv_timeout(LONG)), Seen::Something);
        }
        assert_eq!(self.count, Count { seen: stream.sent, missed: 0 });
    }
}

#[test]
fn the_next_supervisor_knows_them() {
    let mut pair = Pair::new();
    let before = pair.publisher.links().unwrap();
    assert_eq!(before.len(), 1);
    for _ in 0..3 {
        pair.restart();
        eventually("the link is known", || pair.publisher.links().unwrap() == before);
        let hubs = pair.reader.hubs().unwrap();
        assert!(hubs.iter().all(|hub| hub.links == 1), "{hubs:?}");
        let error = pair.reader.link_to("publisher").unwrap_err();
        assert!(
            matches!(error, Error::Refused { code: RefusalCode::AlreadyLinked, .. }),
            "{error}"
        );
    }
    // It ends for both, and for the supervisor.
    assert!(pair.reader.unlink("publisher").unwrap());
    assert!(pair.publisher.recv_timeout(LONG).is_err());
    assert!(!pair.link.is_open());
    eventually("nobody has a link", || pair.publisher.links().unwrap().is_empty());
}

#[test]
fn one_that_ends_meanwhile_is_not_known_again() {
    let mut pair = Pair::new();
    pair.place.supervisor.kill();
    for hub in [&pair.publisher, &pair.reader] {
        eventually("it is gone", || hub.hubs().is_err());
    }
    assert!(pair.reader.unlink("publisher").unwrap());
    pair.place.start();
    for hub in [&pair.publisher, &pair.reader] {
        eventually("both are known", || hub.hubs().is_ok_and(|all| all.len() == 2));
    }
    assert_eq!(pair.publisher.links().unwrap(), []);
    assert!(pair.reader.link_to("publisher").is_ok());
}

#[test]
fn lanes_are_opened_over_them() {
    let mut pair = Pair::new();
    pair.restart();
    let mut stream = Stream::of(&pair.publisher);
    let mut reading = Reading::of(&pair.reader, &stream);
    stream.send_until(1, Path::Links);
    reading.reads_all(&stream);
}

#[test]
fn lanes_take_in_those_who_subscribe_afterwards() {
    let mut pair = Pair::new();
    let mut stream = Stream::of(&pair.publisher);
    let mut readings = vec![Reading::of(&pair.reader, &stream)];
    stream.send_until(1, Path::Links);
    for round in 2..5 {
        pair.restart();
        readings.push(Reading::of(&pair.reader, &stream));
        stream.send_until(round, Path::Links);
        readings.iter_mut().for_each(|reading| reading.reads_all(&stream));
    }
}
