//! Errors that another process causes: it dies, or does not answer.

use crate::common::roles::{self, Child, LONG};
use crate::common::{Domain, pose};
use crate::{refusal, text};
use ephapse::{Error, Hub, Link, LinkOptions, RecvError, RefusalCode, SendError};
use std::time::Duration;

/// Joins, sends ten events over the first link that is opened with it, says so, and waits.
pub(crate) fn peer() {
    let mut hub = roles::join(&roles::name());
    roles::tell("joined");
    let mut link = hub.accept().unwrap().expect("a link");
    for i in 0..10 {
        link.send(&pose(i)).unwrap();
    }
    roles::tell("sent");
    roles::listen();
}

fn start(domain: &Domain, name: &str) -> Child {
    let mut child = Child::start("peer", &domain.domain(), name);
    child.expect("joined");
    child
}

fn linked(domain: &Domain) -> (Hub, Link, Child) {
    let mut child = start(domain, "mortal");
    let mut hub = domain.hub("a");
    let link = hub.link_to("mortal").unwrap();
    child.expect("sent");
    (hub, link, child)
}

#[test]
fn a_peer_that_was_killed() {
    let domain = Domain::new();
    let (mut hub, mut link, mut child) = linked(&domain);
    link.send(&pose(0)).unwrap();
    child.kill();
    for i in 0..10 {
        assert_eq!(hub.recv_timeout(LONG).unwrap().unwrap().sequence(), i);
    }
    let error = hub.recv_timeout(LONG).unwrap_err();
    assert!(matches!(error, RecvError::PeerGone { .. }), "{error}");
    assert_eq!(error.to_string(), format!("hub mortal is gone ({})", link.id()));
    let error = link.send(&pose(1)).unwrap_err();
    assert!(matches!(error, SendError::PeerGone { .. }), "{error}");
    assert_eq!(error.to_string(), "hub mortal is gone");
    assert_eq!(text(link.try_loan(10)), "hub mortal is gone");
    assert_eq!(text(link.send_bytes(b"raw")), "hub mortal is gone");
    assert_eq!(text(link.batch().send(&pose(1))), "hub mortal is gone");
    assert!(!link.is_open());
    assert!(hub.try_recv().unwrap().is_none(), "each error is told once");
    assert_eq!(hub.link_count(), 0);
}

#[test]
fn a_writer_that_waits_for_room_hears_of_the_death() {
    let domain = Domain::new();
    let (_hub, mut link, mut child) = linked(&domain);
    let writer = std::thread::spawn(move || {
        let failed = (0..).find_map(|i| link.send(&pose(i)).err());
        failed.expect("an error")
    });
    child.kill();
    assert_eq!(writer.join().unwrap().to_string(), "hub mortal is gone");
}

#[test]
fn a_reader_that_sleeps_hears_of_the_death() {
    let domain = Domain::new();
    let (mut hub, link, mut child) = linked(&domain);
    hub.set_wait(ephapse::Wait::Block);
    let reader = std::thread::spawn(move || {
        for _ in 0..10 {
            assert!(hub.recv().unwrap().is_some());
        }
        hub.recv().map(drop).unwrap_err()
    });
    child.kill();
    let said = format!("hub mortal is gone ({})", link.id());
    assert_eq!(reader.join().unwrap().to_string(), said);
}

#[test]
fn a_peer_that_does_not_answer() {
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let child = start(&domain, "stopped");
    child.stop();
    let options = LinkOptions::default().timeout(Duration::from_millis(200));
    for _ in 0..2 {
        // Giving up leaves nothing that would stand in the way of the next try.
        let error = a.link_with("stopped", options).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert_eq!(error.to_string(), "a link with stopped did not happen within 200ms");
    }
    // It wakes up, and knows nothing of links for which nobody waits any more.
    child.go_on();
    let _link = a.link_to("stopped").unwrap();
    for i in 0..10 {
        let event = a.recv_timeout(LONG).unwrap().expect("an event");
        assert_eq!((event.from(), event.sequence()), ("stopped", i));
    }
}

#[test]
fn a_peer_that_dies_instead_of_answering() {
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let mut child = start(&domain, "dying");
    child.stop();
    let asked = std::thread::spawn(move || {
        let options = LinkOptions::default().timeout(Duration::from_secs(10));
        refusal(a.link_with("dying", options))
    });
    // Not before it has been asked: only then does it hold the link that it never answers.
    let watcher = domain.hub("watcher");
    roles::eventually("the offer is on its way", || {
        watcher.hubs().unwrap().iter().any(|hub| hub.name == "dying" && hub.links == 1)
    });
    child.kill();
    let (code, said) = asked.join().unwrap();
    assert_eq!(code, RefusalCode::HubGone, "{said}");
    assert!(said.contains("dying"), "{said}");
}
