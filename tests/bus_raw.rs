//! Events of any schema: as typed ones for those who know the type, in place and copied; over a
//! link.

mod common;

use common::{Domain, Pose, pose};
use ephapse::event::{Extension, RAW_SCHEMA};
use ephapse::{Error, Event, Path, RawEvent, SendError, Subscription};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn bytes(subscription: &mut Subscription) -> (u64, Vec<u8>) {
    let event = subscription.recv_timeout(LONG).unwrap().expect("an event");
    (event.schema(), event.bytes().to_vec())
}

#[test]
fn raw_events_are_copied_or_written_in_place() {
    let domain = Domain::new();
    let (a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut seen = b.subscribe(["raw.>"]).unwrap();
    let mut publisher = a.raw_publisher("raw.bytes").unwrap();
    assert_eq!((publisher.subject(), publisher.receivers()), ("raw.bytes", 1));
    for linked in [false, true] {
        let _link = linked.then(|| b.link_to("a").unwrap());
        for len in [0, 1, 33, 5000] {
            let sent: Vec<u8> = (0..len).map(|i| i as u8).collect();
            publisher.send(&RawEvent::bytes(7, &sent)).unwrap();
            assert_eq!(bytes(&mut seen), (7, sent.clone()));
            let write = |place: &mut [u8]| place.copy_from_slice(&sent);
            publisher.try_send(&RawEvent::written(8, sent.len(), &write)).unwrap();
            assert_eq!(bytes(&mut seen), (8, sent.clone()));
        }
    }
    let mut extension = Extension::new();
    extension.set_priority(3);
    let event = RawEvent::bytes(RAW_SCHEMA, b"x").extension(&extension);
    publisher.send_timeout(&event, LONG).unwrap();
    assert_eq!(seen.recv_timeout(LONG).unwrap().unwrap().priority(), 3);
    for too_long in [1 << 20, usize::MAX] {
        let never = |_: &mut [u8]| unreachable!("there is no place for it");
        let error = publisher.try_send(&RawEvent::written(1, too_long, &never)).unwrap_err();
        assert!(matches!(error, SendError::TooLargeToPublish { .. }), "{error}");
    }
}

#[test]
fn a_link_sends_them_too() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut link = a.link_to("b").unwrap();
    for (sequence, len) in [0, 1, 32, 33, 5000].into_iter().enumerate() {
        let sent: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let write = |place: &mut [u8]| place.copy_from_slice(&sent);
        link.send_raw(&RawEvent::bytes(7, &sent)).unwrap();
        link.try_send_raw(&RawEvent::written(8, sent.len(), &write)).unwrap();
        for schema in [7, 8] {
            let event = b.recv_timeout(LONG).unwrap().unwrap();
            assert_eq!((event.schema(), event.bytes()), (schema, &sent[..]));
            assert_eq!(event.sequence(), 2 * sequence as u64 + schema - 7);
        }
    }
    let mut extension = Extension::new();
    extension.set_priority(3);
    let event = RawEvent::bytes(RAW_SCHEMA, b"x").extension(&extension);
    link.send_raw_timeout(&event, LONG).unwrap();
    let event = b.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!((event.extension().unwrap().priority(), event.bytes()), (3, &b"x"[..]));
    drop(event);
    let short = Duration::from_millis(1);
    for too_long in [link.max_payload() + 1, usize::MAX] {
        let never = |_: &mut [u8]| unreachable!("there is no place for it");
        let error = link.send_raw(&RawEvent::written(1, too_long, &never)).unwrap_err();
        assert!(matches!(error, SendError::TooLarge { .. }), "{error}");
    }
    let half = vec![1; link.max_payload()];
    while link.try_send_raw(&RawEvent::bytes(1, &half)).is_ok() {}
    assert_eq!(link.send_raw_timeout(&RawEvent::bytes(1, &half), short), Err(SendError::Full));
}

#[test]
fn a_raw_event_with_the_right_schema_is_a_typed_one() {
    let domain = Domain::new();
    let (a, b) = (domain.hub("a"), domain.hub("b"));
    let mut seen = b.subscribe(["pose"]).unwrap();
    let pose = pose(5);
    a.publisher::<Pose>("pose").unwrap().send(&pose).unwrap();
    let (schema, archive) = bytes(&mut seen);
    assert_eq!(schema, Pose::SCHEMA);
    let sent = a.emit_raw_to("b", "pose", &RawEvent::bytes(schema, &archive)).unwrap();
    assert_eq!((sent.path, sent.receivers), (Path::Broadcast, 1));
    let event = seen.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(event.get::<Pose>().unwrap().stamp_ns, 5);
    assert_eq!(event.destination(), Some(b.id()));
}

#[test]
fn requests_and_replies_keep_their_schemas() {
    let domain = Domain::new();
    let (mut a, b) = (domain.hub("a"), domain.hub("b"));
    let mut requests = b.subscribe(["twice"]).unwrap();
    let service = std::thread::spawn(move || {
        let request = requests.recv_timeout(LONG).unwrap().unwrap();
        assert_eq!((request.schema(), request.priority()), (40, 9));
        b.reply_raw(&request, &RawEvent::bytes(41, request.bytes())).unwrap();
        drop(request);
        a_stray(&b, &mut requests);
    });
    let mut urgent = Extension::new();
    urgent.set_priority(9);
    let request = RawEvent::bytes(40, b"ping").extension(&urgent);
    let reply = a.request_raw("twice", &request, LONG).unwrap();
    assert_eq!((reply.schema(), reply.bytes(), reply.source()), (41, &b"ping"[..], "b"));
    a.raw_publisher("twice").unwrap().send(&RawEvent::bytes(0, b"no request")).unwrap();
    service.join().unwrap();
}

/// What was not sent as a request has no reply.
fn a_stray(hub: &ephapse::Hub, requests: &mut Subscription) {
    let stray = requests.recv_timeout(LONG).unwrap().unwrap();
    let error = hub.reply_raw(&stray, &RawEvent::bytes(0, b"")).unwrap_err();
    assert!(matches!(error, Error::NotARequest { .. }), "{error}");
}
