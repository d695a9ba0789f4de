//! Publishing and subscribing: who gets what, in which order, and by which way.

mod common;

use common::roles::eventually;
use common::{Domain, Note, Pose, pose};
use ephapse::event::{Extension, RAW_SCHEMA};
use ephapse::{
    Envelope, Error, Flow, Hub, Path, Publisher, RecvError, RequestError, SendError, Sent,
    Subscription, SubscriptionOptions,
};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn next<'a>(subscription: &'a mut Subscription) -> Envelope<'a> {
    subscription.recv_timeout(LONG).unwrap().expect("an event")
}

fn nothing(subscription: &mut Subscription) {
    let event = subscription.try_recv().unwrap();
    assert!(event.is_none(), "{event:?}");
}

fn stamp(subscription: &mut Subscription) -> u64 {
    next(subscription).get::<Pose>().unwrap().stamp_ns.to_native()
}

#[test]
fn what_is_published_arrives_at_those_whose_patterns_match() {
    let domain = Domain::new();
    let (a, b, c) = (domain.hub("a"), domain.hub("b"), domain.hub("c"));
    let mut all = b.subscribe(["robot.>"]).unwrap();
    let mut one = c.subscribe(["*.pose", "system.health"]).unwrap();
    let mut other = c.subscribe(["system.health"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let mut notes = a.publisher::<Note>("robot.notes.daily").unwrap();
    assert_eq!((poses.receivers(), notes.receivers()), (2, 1));
    for i in 0..1000 {
        let sent = poses.send(&pose(i)).unwrap();
        assert_eq!(sent, Sent { path: Path::Broadcast, receivers: 2 });
        notes.send(&Note { lines: vec![i.to_string()] }).unwrap();
        {
            let event = next(&mut all);
            assert_eq!((event.subject(), event.source()), ("robot.pose", "a"));
            assert_eq!((event.source_id(), event.sequence()), (a.id(), 2 * i + 1));
            assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i);
            assert_eq!(event.bytes().as_ptr().addr() % 32, 0);
            assert!(event.timestamp().is_some() && event.extension().is_none());
        }
        let event = next(&mut all);
        assert_eq!((event.subject(), event.sequence()), ("robot.notes.daily", 2 * i + 2));
        assert_eq!(event.get::<Note>().unwrap().lines[0], i.to_string());
        drop(event);
        assert_eq!(stamp(&mut one), i);
    }
    for subscription in [&mut all, &mut one, &mut other] {
        nothing(subscription);
    }
}

#[test]
fn publishers_that_come_later_are_followed() {
    let domain = Domain::new();
    let b = domain.hub("b");
    let mut all = b.subscribe([">"]).unwrap();
    for round in 0..3 {
        let a = domain.hub("a");
        let mut poses = a.publisher::<Pose>(&format!("robot.{round}")).unwrap();
        for i in 0..100 {
            poses.send(&pose(i)).unwrap();
        }
        drop(poses);
        drop(a);
        for i in 0..100 {
            let event = next(&mut all);
            assert_eq!((event.sequence(), event.subject()), (i + 1, &*format!("robot.{round}")));
        }
        nothing(&mut all);
        eventually("the source is dropped", || {
            all.try_recv().unwrap();
            all.source_count() == 0
        });
    }
}

#[test]
fn publishing_to_nobody_writes_nothing() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let nobody = Sent { path: Path::Nobody, receivers: 0 };
    assert_eq!(poses.send(&pose(0)).unwrap(), nobody);
    let mut seen = b.subscribe(["robot.pose"]).unwrap();
    assert_eq!(poses.send(&pose(1)).unwrap().receivers, 1);
    assert_eq!(next(&mut seen).sequence(), 1, "what nobody wanted has no number");
    drop(seen);
    eventually("the publisher knows", || poses.receivers() == 0);
    assert_eq!(poses.send(&pose(2)).unwrap(), nobody);
}

#[test]
fn a_hub_hears_itself() {
    let domain = Domain::new();
    let a = domain.hub("a");
    let mut seen = a.subscribe(["robot.*"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    for i in 0..10 {
        poses.send(&pose(i)).unwrap();
        assert_eq!(stamp(&mut seen), i);
    }
}

/// Sends until there is no room; how many that were.
fn fill(poses: &mut Publisher<Pose>) -> u64 {
    let mut sent = 0;
    loop {
        match poses.try_send(&pose(sent)) {
            Ok(_) => sent += 1,
            Err(SendError::Full) => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

fn small(domain: &Domain, patience: Duration) -> Hub {
    let builder = Hub::builder("a").domain(domain.domain()).broadcast_capacity(4096);
    builder.patience(patience).connect().unwrap()
}

#[test]
fn a_subscription_that_stands_still_is_overtaken_and_told() {
    let domain = Domain::new();
    let (a, b) = (small(&domain, Duration::from_millis(50)), domain.hub("b"));
    let mut slow = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let room = fill(&mut poses);
    assert_eq!(poses.send_timeout(&pose(room), Duration::from_millis(1)), Err(SendError::Full));
    // From here on the publisher goes on after 50 ms.
    for i in room..room + 1000 {
        poses.send(&pose(i)).unwrap();
    }
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < room + 1000 {
        match slow.recv_timeout(LONG) {
            Ok(event) => {
                let event = event.unwrap();
                let stamp = event.get::<Pose>().unwrap().stamp_ns;
                assert_eq!(stamp, seen + missed, "every loss is told before what follows it");
                seen += 1;
            }
            Err(RecvError::Lagged { hub, missed: more }) => {
                assert_eq!(&*hub, "a");
                missed += more;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(missed > 900, "{missed}");
}

#[test]
fn who_drops_the_oldest_never_holds_a_publisher_up() {
    let domain = Domain::new();
    let (a, b) = (small(&domain, LONG), domain.hub("b"));
    let options = SubscriptionOptions::default().flow(Flow::DropOldest);
    let mut lossy = b.subscribe_with(["robot.pose"], options).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    for i in 0..10_000 {
        poses.try_send(&pose(i)).unwrap();
    }
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < 10_000 {
        match lossy.recv_timeout(LONG) {
            Ok(event) => {
                assert_eq!(event.unwrap().sequence(), seen + missed + 1);
                seen += 1;
            }
            Err(RecvError::Lagged { missed: more, .. }) => missed += more,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(seen > 0 && missed > 9000, "{seen} {missed}");
}

#[test]
fn over_a_link_and_back_without_a_gap() {
    let domain = Domain::new();
    let (mut a, b) = (domain.hub("a"), domain.hub("b"));
    let mut seen = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let (mut i, mut next_stamp) = (0, 0);
    for _ in 0..20 {
        assert_eq!(poses.send(&pose(i)).unwrap().path, Path::Broadcast);
        i += 1;
        let link = a.link_to("b").unwrap();
        // The lane comes soon after the link.
        eventually("the link is used", || {
            i += 1;
            poses.send(&pose(i - 1)).unwrap().path == Path::Links
        });
        for _ in 0..50 {
            assert_eq!(poses.send(&pose(i)).unwrap().path, Path::Links);
            i += 1;
        }
        assert!(a.unlink("b").unwrap());
        drop(link);
        eventually("the broadcast is used", || {
            i += 1;
            poses.send(&pose(i - 1)).unwrap().path == Path::Broadcast
        });
        while next_stamp < i {
            assert_eq!(stamp(&mut seen), next_stamp);
            next_stamp += 1;
        }
    }
}

#[test]
fn to_one_hub_alone() {
    let domain = Domain::new();
    let (a, b, c) = (domain.hub("a"), domain.hub("b"), domain.hub("c"));
    let mut at_b = b.subscribe(["camera.>"]).unwrap();
    let mut at_c = c.subscribe(["camera.>"]).unwrap();
    for i in 0..100 {
        let sent = a.emit_to("b", "camera.exposure", &pose(i)).unwrap();
        assert_eq!(sent, Sent { path: Path::Broadcast, receivers: 1 });
        let event = next(&mut at_b);
        assert_eq!((event.destination(), event.sequence()), (Some(b.id()), i + 1));
    }
    nothing(&mut at_c);
    let sent = a.emit_to("a", "camera.exposure", &pose(0)).unwrap();
    assert_eq!((sent.path, sent.receivers), (Path::Nobody, 0), "it has not subscribed");
    let error = a.emit_to("nobody", "camera.exposure", &pose(0)).unwrap_err();
    assert_eq!(error.to_string(), "there is no hub \"nobody\"");
}

#[test]
fn requests_are_answered() {
    let domain = Domain::new();
    let (mut a, b) = (domain.hub("a"), domain.hub("b"));
    let error = a.request("sum", &pose(1), LONG).unwrap_err();
    assert_eq!(error.to_string(), "nobody answers requests on sum: no hub has subscribed to it");
    let mut requests = b.subscribe(["sum"]).unwrap();
    let server = std::thread::spawn(move || {
        for _ in 0..100 {
            let request = requests.recv().unwrap().unwrap();
            let stamp = request.get::<Pose>().unwrap().stamp_ns.to_native();
            let sent = b.reply(&request, &pose(stamp + 1)).unwrap();
            assert_eq!(sent.receivers, 1);
        }
        // The next one is not answered.
        drop(requests.recv().unwrap().unwrap());
        (b, requests)
    });
    for i in 0..100 {
        let reply = a.request("sum", &pose(i), LONG).unwrap();
        assert_eq!(
            (reply.source(), reply.get::<Pose>().unwrap().stamp_ns.to_native()),
            ("b", i + 1)
        );
    }
    let error = a.request("sum", &pose(0), Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, RequestError::TimedOut { .. }), "{error}");
    let (b, mut requests) = server.join().unwrap();
    let mut poses = a.publisher::<Pose>("sum").unwrap();
    poses.send(&pose(0)).unwrap();
    let event = next(&mut requests);
    let error = b.reply(&event, &pose(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the event on sum expects no reply: it was not sent with Hub::request"
    );
}

#[test]
fn extensions_and_bytes() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut seen = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let mut extension = Extension::new();
    extension.set_priority(3);
    extension.add_metadata("trace", "17").unwrap();
    poses.send_with(&pose(7), &extension).unwrap();
    poses.send_bytes(b"some bytes").unwrap();
    poses.send_bytes_with(b"and", &extension).unwrap();
    poses.send_bytes_timeout_with(b"more", &extension, LONG).unwrap();
    let event = next(&mut seen);
    assert_eq!((event.priority(), event.get::<Pose>().unwrap().stamp_ns.to_native()), (3, 7));
    assert_eq!(event.extension().unwrap().metadata().next(), Some(("trace", "17")));
    drop(event);
    let event = next(&mut seen);
    assert_eq!((event.schema(), event.bytes()), (RAW_SCHEMA, &b"some bytes"[..]));
    drop(event);
    for bytes in [&b"and"[..], b"more"] {
        let event = next(&mut seen);
        assert_eq!((event.priority(), event.bytes()), (3, bytes));
    }
}

#[test]
fn what_is_no_subject_is_refused() {
    let domain = Domain::new();
    let a = domain.hub("a");
    for subject in ["", "a..b", "a.*", "a.>", "a b"] {
        let error = a.publisher::<Pose>(subject).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{subject:?}: {error}");
    }
    for pattern in ["", "a.>.b", "a*"] {
        let error = a.subscribe([pattern]).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{pattern:?}: {error}");
    }
    let error = a.subscribe(Vec::<String>::new()).unwrap_err();
    assert_eq!(error.to_string(), "a subscription has 1 to 32 patterns, not 0");
}

#[test]
fn an_event_that_is_too_long() {
    let domain = Domain::new();
    let (a, b) = (small(&domain, LONG), domain.hub("b"));
    let _seen = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let error = poses.send_bytes(&[0; 4096]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a payload of 4096 bytes does not fit: this hub publishes at most 2016 (its broadcast \
         ring has 4096 bytes); give it a larger one with HubBuilder::broadcast_capacity"
    );
}

#[test]
fn a_hub_that_is_dropped_ends_its_subscriptions_and_publishers() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut seen = b.subscribe(["robot.pose"]).unwrap();
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    poses.send(&pose(1)).unwrap();
    drop(a);
    assert_eq!(poses.send(&pose(2)), Err(SendError::HubClosed));
    let waiting = std::thread::spawn(move || {
        assert_eq!(stamp(&mut seen), 1);
        assert!(seen.recv().unwrap().is_none());
    });
    drop(b);
    waiting.join().unwrap();
}

#[test]
fn many_that_sleep_are_all_woken_also_when_they_become_few() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut poses = a.publisher::<Pose>("robot.pose").unwrap();
    let options = SubscriptionOptions::default().wait(ephapse::Wait::Block);
    // One more of them stays for each event.
    let sleepers: Vec<_> = (1..=40)
        .map(|stays| {
            let mut seen = b.subscribe_with(["robot.*"], options).unwrap();
            std::thread::spawn(move || (0..stays).for_each(|i| assert_eq!(stamp(&mut seen), i)))
        })
        .collect();
    assert_eq!(poses.receivers(), 40);
    for (i, sleeper) in (0..).zip(sleepers) {
        // Sleep: so that they sleep, too; nothing is asserted of how long anything takes.
        std::thread::sleep(Duration::from_millis(3));
        poses.send(&pose(i)).unwrap();
        sleeper.join().unwrap();
    }
}

#[test]
fn a_subscription_whose_hub_has_left_before_it_began_to_read_has_seen_nothing() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let poses = a.publisher::<Pose>("robot.pose").unwrap();
    let mut seen = b.subscribe(["robot.>"]).unwrap();
    eventually("the source knows of it", || poses.receivers() == 1);
    drop(b);
    eventually("the source takes no account of it", || poses.receivers() == 0);
    a.hubs().unwrap(); // after that its control thread has done what there was to do
    nothing(&mut seen);
    assert!(seen.is_closed());
}
