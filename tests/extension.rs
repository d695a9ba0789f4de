//! What events carry beside header and payload.

mod common;

use common::scribble::Scribbler;
use common::{Domain, Note, Pose, pose};
use ephapse::event::Extension;
use ephapse::{Hub, Link, LinkOptions, Payloads, RecvError, SendError, Timestamp};
use parking_lot::Mutex;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

/// One test looks for a segment among the mappings of the process.
static ALONE: Mutex<()> = Mutex::new(());

fn linked(domain: &Domain, payloads: Payloads) -> (Hub, Link, Hub) {
    let mut a = domain.hub("a");
    let b = Hub::builder("b").domain(domain.domain()).payloads(payloads).connect().unwrap();
    let link = a.link_with("b", LinkOptions::default().send_capacity(16 << 10)).unwrap();
    (a, link, b)
}

fn full_extension() -> Extension {
    let mut extension = Extension::new();
    extension.set_priority(9);
    extension.set_attempts(2);
    extension.set_destination(77);
    extension.set_correlation(0xC0FFEE);
    extension.set_deadline(Some(Timestamp::now()));
    extension.set_reply_subject("answers.for.a").unwrap();
    extension.add_route(5).unwrap();
    extension.add_route(6).unwrap();
    extension.add_metadata("trace", "4bf9").unwrap();
    extension
}

#[test]
fn all_of_it_arrives_in_place_and_copied() {
    let _alone = ALONE.lock();
    for payloads in [Payloads::ByTrust, Payloads::Copied] {
        let domain = Domain::new();
        let (_a, mut link, mut b) = linked(&domain, payloads);
        let extension = full_extension();
        let note = Note { lines: vec!["one".to_owned(), "two".to_owned()] };
        for i in 0..1000 {
            link.send(&pose(i)).unwrap();
            link.send_with(&pose(i), &extension).unwrap();
            link.send_timeout_with(&note, &extension, LONG).unwrap();
            let event = b.recv_timeout(LONG).unwrap().unwrap();
            assert!(event.extension().is_none());
            drop(event);
            let event = b.recv_timeout(LONG).unwrap().unwrap();
            assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i);
            let view = event.extension().unwrap();
            assert_eq!((view.priority(), view.attempts()), (9, 2));
            assert_eq!((view.destination(), view.correlation()), (Some(77), Some(0xC0FFEE)));
            assert!(view.deadline().unwrap() <= Timestamp::now());
            assert_eq!(view.reply_subject(), Some("answers.for.a"));
            assert_eq!(view.route().collect::<Vec<_>>(), [5, 6]);
            assert_eq!(view.metadata().collect::<Vec<_>>(), [("trace", "4bf9")]);
            drop(event);
            let event = b.recv_timeout(LONG).unwrap().unwrap();
            assert_eq!(event.get::<Note>().unwrap().lines[1], "two");
            assert_eq!(event.bytes().as_ptr().addr() % 32, 0, "payloads stay aligned");
            assert_eq!(event.sequence(), 3 * i + 2);
        }
    }
}

#[test]
fn it_takes_its_room_from_the_payload() {
    let _alone = ALONE.lock();
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let _b = domain.hub("b");
    let mut link = a.link_with("b", LinkOptions::default().send_capacity(4096)).unwrap();
    let mut extension = Extension::new();
    extension.add_metadata("long", &"x".repeat(4000)).unwrap();
    let error = link.try_send_with(&pose(1), &extension).unwrap_err();
    assert!(matches!(error, SendError::TooLarge { max: 2016, capacity: 4096, .. }), "{error}");
    link.try_send_with(&pose(1), &Extension::new()).unwrap();
}

#[test]
fn a_length_that_cannot_be_is_corrupt() {
    let _alone = ALONE.lock();
    for payloads in [Payloads::ByTrust, Payloads::Copied] {
        for length in [0u64, 31, 33, 96, 4096, 65535] {
            let domain = Domain::new();
            let (_a, mut link, mut b) = linked(&domain, payloads);
            link.send_with(&pose(1), &Extension::new()).unwrap();
            // The header page, then the record: commit word, header, extension.
            let ring = Scribbler::of_own("ephapse-ring")
                .into_iter()
                .find(|ring| ring.bytes() == 4096 + (16 << 10))
                .unwrap();
            ring.store(4096 + 32, length);
            let error = b.recv_timeout(LONG).unwrap_err();
            assert!(matches!(error, RecvError::Corrupt { .. }), "{length}: {error}");
        }
    }
}
