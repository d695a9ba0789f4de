//! Counters agree with what the test knows.

mod common;

use common::roles::{LONG, eventually};
use common::{Domain, Pose, pose};
use ephapse::counters::{self, HubCounters};
use ephapse::event::Timestamp;
use ephapse::rkyv::Archive;
use ephapse::{Flow, Hub, Path, RecvError, SendError, SubscriptionOptions, Wait};
use std::time::Duration;

/// Bytes of a [`Pose`]'s payload.
const POSE: u64 = size_of::<<Pose as Archive>::Archived>() as u64;

/// What a hub says of itself.
fn of(hub: &Hub, label: &str) -> u64 {
    let counters = hub.counters();
    let row = counters.iter().find(|(known, _)| known == label);
    row.unwrap_or_else(|| panic!("no {label} in {counters:?}")).1
}

fn all(hub: &Hub, labels: &[&str]) -> Vec<u64> {
    labels.iter().map(|label| of(hub, label)).collect()
}

/// The labels of what there is only while something else is there.
fn passing(hub: &Hub) -> Vec<String> {
    let labels = hub.counters().into_iter().map(|(label, _)| label);
    let kinds = ["sub.", "lane.", "link."];
    labels.filter(|label| kinds.iter().any(|kind| label.starts_with(kind))).collect()
}

fn scan(domain: &Domain) -> Vec<HubCounters> {
    counters::scan(Some(&domain.domain()))
}

#[test]
fn what_is_published_and_received_is_counted() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let sent = ["sent", "sent.bytes", "sent.broadcast", "sent.links", "sent.nobody", "full"];
    assert_eq!(all(&a, &sent), [0; 6]);
    for i in 0..7 {
        poses.send(&pose(i)).unwrap();
    }
    assert_eq!(all(&a, &sent), [0, 0, 0, 0, 7, 0]);
    let mut seen = b.subscribe(["robot.*"]).unwrap();
    let mut other = b.subscribe(["robot.pose"]).unwrap();
    assert_eq!(of(&b, "subscriptions"), 2);
    for i in 0..100 {
        poses.send(&pose(i)).unwrap();
    }
    poses.send_bytes(b"twelve bytes").unwrap();
    let bytes = 100 * POSE + 12;
    assert_eq!(all(&a, &sent), [101, bytes, 101, 0, 7, 0]);
    assert_eq!(of(&a, "broadcast.position"), 101 * 64);
    let received = ["received", "received.bytes", "missed"];
    assert_eq!(all(&b, &received), [0; 3]);
    for _ in 0..101 {
        seen.recv_timeout(LONG).unwrap().expect("an event");
    }
    assert_eq!(all(&b, &received), [101, bytes, 0]);
    for _ in 0..10 {
        other.recv_timeout(LONG).unwrap().expect("an event");
    }
    assert_eq!(all(&b, &received), [111, bytes + 10 * POSE, 0]);
    // Of each subscription three, and of the hub that it hears two.
    assert_eq!(passing(&b).len(), 10);
    drop(seen);
    // What it has counted stays.
    assert_eq!(all(&b, &received), [111, bytes + 10 * POSE, 0]);
    assert_eq!(passing(&b).len(), 5);
    drop(other);
    assert_eq!(all(&b, &received), [111, bytes + 10 * POSE, 0]);
    eventually("both are over", || of(&b, "subscriptions") == 0);
    assert_eq!(passing(&b), Vec::<String>::new());
}

#[test]
fn what_goes_over_links_is_counted() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut seen = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let mut link = a.link_to("b").unwrap();
    assert_eq!(of(&a, "links"), 1);
    let mut broadcasts = 0;
    eventually("the link is used", || {
        broadcasts += 1;
        poses.send(&pose(0)).unwrap().path == Path::Links
    });
    broadcasts -= 1;
    for i in 1..100 {
        assert_eq!(poses.send(&pose(i)).unwrap().path, Path::Links);
    }
    let sent = ["sent", "sent.links", "sent.broadcast", "sent.bytes"];
    let total = broadcasts + 100;
    assert_eq!(all(&a, &sent), [total, 100, broadcasts, total * POSE]);
    assert_eq!(all(&a, &["lane.b.position", "lane.b.suspended"]), [100 * 64, 0]);
    while of(&b, "received") < total {
        seen.recv_timeout(LONG).unwrap().expect("an event");
    }
    for i in 0..500 {
        link.try_send(&pose(i)).unwrap();
    }
    assert_eq!(all(&a, &["link.b.sent", "link.b.sent.bytes"]), [500, 500 * POSE]);
    assert_eq!(of(&a, "links.sent"), 500);
    let mut batch = link.batch();
    for i in 0..7 {
        batch.try_send(&pose(i)).unwrap();
    }
    assert_eq!(of(&a, "link.b.sent"), 500, "nothing of it can be seen yet");
    batch.commit();
    link.send_bytes(b"raw").unwrap();
    assert_eq!(all(&a, &["link.b.sent", "link.b.sent.bytes"]), [508, 507 * POSE + 3]);
    for received in 0..508 {
        assert_eq!(all(&b, &["link.a.received", "links.received"]), [received; 2]);
        b.recv_timeout(LONG).unwrap().expect("an event");
    }
    drop(link);
    assert_eq!([of(&a, "links.sent"), of(&b, "links.received")], [508; 2]);
    assert!(a.unlink("b").unwrap());
    eventually("the link is over", || of(&a, "links") == 0);
    eventually("nothing is left of it", || {
        poses.send(&pose(0)).unwrap();
        // Its receiving half is put away by who receives.
        let _ = a.try_recv();
        passing(&a).is_empty()
    });
    assert_eq!([of(&a, "links.sent"), of(&b, "links.received")], [508; 2]);
}

/// What there is to be read by others of the ring behind a label.
fn position(hub: &Hub, end: &str) -> u64 {
    let counters = hub.counters();
    let ours =
        counters.iter().filter(|(label, _)| label.starts_with("sub.") && label.ends_with(end));
    ours.map(|(_, value)| *value).sum()
}

#[test]
fn how_far_behind_a_subscription_is_can_be_seen() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut seen = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    for i in 0..100 {
        poses.send(&pose(i)).unwrap();
    }
    let behind = || of(&a, "broadcast.position") - position(&b, ".a.broadcast");
    assert_eq!(behind(), 100 * 64);
    for _ in 0..100 {
        seen.recv_timeout(LONG).unwrap().expect("an event");
    }
    assert!(seen.try_recv().unwrap().is_none());
    assert_eq!(behind(), 0);
    assert_eq!(position(&b, ".a.lane"), 0);
}

#[test]
fn events_are_counted_by_subject() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let _seen = b.subscribe(["robot.>"]).unwrap();
    let long = format!("robot.{}.end", "x".repeat(200));
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let mut others = a.publisher::<Pose>(&long).unwrap();
    for i in 0..5 {
        poses.send(&pose(i)).unwrap();
    }
    others.send_bytes(b"four").unwrap();
    let pose = ["subject.robot.pose.sent", "subject.robot.pose.sent.bytes"];
    assert_eq!(all(&a, &pose), [5, 5 * POSE]);
    let counters = a.counters();
    let find = |end: &str| counters.iter().find(|(label, _)| label.ends_with(end)).unwrap().1;
    assert_eq!([find("xxx.end.sent"), find("xxx.end.sent.bytes")], [1, 4]);
}

/// How many events the latencies of a label stand for.
fn timed(hub: &Hub, label: &str) -> u64 {
    hub.latencies().get(label).map_or(0, |histogram| histogram.count())
}

#[test]
fn how_long_events_took_is_counted_by_way() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    // One that never sleeps unless it says so.
    let options = SubscriptionOptions::default().wait(Wait::Spin);
    let mut seen = b.subscribe_with(["robot.pose"], options).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let _ = Timestamp::now().age_ns(); // so that the clock's rate is known
    for i in 0..256 {
        poses.send(&pose(i)).unwrap();
        seen.recv_timeout(LONG).unwrap().expect("an event");
    }
    assert_eq!(timed(&b, "broadcast.a.latency"), 256);
    assert!(b.latencies()["broadcast.a.latency"].quantile(1.0).unwrap() < LONG);
    // One that was waited for stands for itself.
    eventually("there is no news", || seen.try_recv().unwrap().is_none() && seen.arm());
    poses.send(&pose(0)).unwrap();
    eventually("it arrives", || seen.try_recv().unwrap().is_some());
    assert_eq!(timed(&b, "broadcast.a.latency"), 257);
    let mut link = a.link_to("b").unwrap();
    for i in 0..1000 {
        link.send(&pose(i)).unwrap();
        b.recv_timeout(LONG).unwrap().expect("an event");
    }
    let direct = timed(&b, "link.a.latency");
    assert!((1000 - 128 - 64..=1000).contains(&direct), "{direct}");
    let labels: Vec<String> = b.counters().into_iter().map(|(label, _)| label).collect();
    assert!(!labels.iter().any(|label| label.ends_with(".latency")), "{labels:?}");
    let found = scan(&domain);
    assert_eq!(found[1].latencies, b.latencies());
    drop((seen, link));
    assert_eq!(timed(&b, "broadcast.a.latency"), 0, "it went with the subscription");
}

fn small(domain: &Domain, patience: Duration) -> Hub {
    let builder = Hub::builder("a").domain(domain.domain()).broadcast_capacity(4096);
    builder.patience(patience).connect().unwrap()
}

#[test]
fn what_is_missed_is_counted() {
    let domain = Domain::new();
    let (a, b) = (small(&domain, LONG), domain.hub("b"));
    let options = SubscriptionOptions::default().flow(Flow::DropOldest);
    let mut lossy = b.subscribe_with(["robot.pose"], options).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    for i in 0..1000 {
        poses.try_send(&pose(i)).unwrap();
    }
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < 1000 {
        match lossy.recv_timeout(LONG) {
            Ok(event) => seen += u64::from(event.is_some()),
            Err(RecvError::Lagged { missed: more, .. }) => missed += more,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(missed > 900, "{missed}");
    assert_eq!(all(&b, &["received", "missed"]), [seen, missed]);
    drop(lossy);
    assert_eq!(all(&b, &["received", "missed"]), [seen, missed]);
}

#[test]
fn who_has_no_room_and_who_is_overtaken_is_counted() {
    let domain = Domain::new();
    let (a, b) = (small(&domain, Duration::from_millis(20)), domain.hub("b"));
    let _slow = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    while poses.try_send(&pose(0)).is_ok() {}
    let sent = of(&a, "sent");
    for full in 2..5 {
        assert_eq!(poses.try_send(&pose(0)), Err(SendError::Full));
        assert_eq!(all(&a, &["full", "overtaken", "sent"]), [full, 0, sent]);
    }
    // However often it looks for room, it is one event that had none.
    poses.send(&pose(0)).unwrap();
    assert_eq!(all(&a, &["full", "overtaken", "sent"]), [5, 1, sent + 1]);
}

#[test]
fn every_doorbell_that_is_rung_is_counted() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let options = SubscriptionOptions::default().wait(Wait::Block);
    let mut asleep = b.subscribe_with(["robot.pose"], options).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    eventually("there is no news", || asleep.try_recv().unwrap().is_none() && asleep.arm());
    for round in 1..=20 {
        assert!(asleep.arm());
        // One ring wakes it, however many come.
        poses.send(&pose(0)).unwrap();
        poses.send(&pose(0)).unwrap();
        assert_eq!(of(&a, "woken"), round);
        let mut left = 2;
        eventually("both arrive", || {
            left -= u32::from(asleep.try_recv().unwrap().is_some());
            left == 0
        });
    }
}
