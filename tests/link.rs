//! Two hubs, one link: what arrives, in which order, and what is said when it ends.

mod common;

use common::{Domain, Pose, pose};
use ephapse::limits::LINKS_PER_HUB_MAX;
use ephapse::{Error, Hub, LinkOptions, RecvError, RefusalCode, SendError, Wait};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

#[test]
fn typed_events_go_both_ways_in_order() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut to_b = a.link_to("b").unwrap();
    let mut to_a = b.accept_timeout(LONG).unwrap().expect("the link that a opened");
    assert_eq!((to_b.peer(), to_a.peer()), ("b", "a"));
    for i in 0..10_000u64 {
        to_b.send(&pose(i)).unwrap();
        {
            let event = b.recv().unwrap().unwrap();
            assert_eq!((event.sequence(), event.from()), (i, "a"));
            let seen = event.get::<Pose>().unwrap();
            to_a.send(&Pose { stamp_ns: seen.stamp_ns.to_native() + 1, ..pose(i) }).unwrap();
        }
        let answer = a.recv().unwrap().unwrap();
        assert_eq!(answer.get::<Pose>().unwrap().stamp_ns, i + 1);
    }
    assert!(a.try_recv().unwrap().is_none());
}

#[test]
fn what_was_sent_before_the_first_look_is_there_at_once() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut link = a.link_to("b").unwrap();
    link.send(&pose(0)).unwrap();
    // The link itself is news to b; wait for it without looking at its ring.
    while b.arm() {
        std::thread::yield_now();
    }
    assert_eq!(b.try_recv().unwrap().unwrap().sequence(), 0);
}

#[test]
fn a_dropped_link_is_read_to_its_end() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut link = a.link_to("b").unwrap();
    for i in 0..100 {
        link.send(&pose(i)).unwrap();
    }
    drop(link);
    drop(a);
    for i in 0..100 {
        assert_eq!(b.recv_timeout(LONG).unwrap().unwrap().sequence(), i);
    }
    let error = b.recv_timeout(LONG).unwrap_err();
    assert!(matches!(error, RecvError::LinkClosed { .. }), "{error}");
    assert!(b.try_recv().unwrap().is_none());
}

#[test]
fn a_full_ring_says_so_and_waits_for_room() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let options = LinkOptions::default().send_capacity(4096);
    let mut link = a.link_with("b", options).unwrap();
    let mut sent = 0;
    let error = loop {
        match link.try_send(&pose(sent)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SendError::Full);
    assert_eq!(sent, 63, "a ring of 64 lines keeps one free");
    let error = link.send_timeout(&pose(sent), Duration::from_millis(20)).unwrap_err();
    assert_eq!(error, SendError::Full);
    let writer = std::thread::spawn(move || {
        for i in sent..50_000 {
            link.send(&pose(i)).unwrap();
        }
        link
    });
    b.set_wait(Wait::Block);
    for i in 0..50_000 {
        assert_eq!(b.recv_timeout(LONG).unwrap().unwrap().sequence(), i);
    }
    writer.join().unwrap();
}

#[test]
fn hubs_find_one_another_by_name() {
    let domain = Domain::new();
    let a = domain.hub("a");
    let error = a.wait_for("late", Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let waiter = std::thread::spawn(move || a.wait_for("late", LONG).map(|hub| hub.name));
    let late = domain.hub("late");
    assert_eq!(waiter.join().unwrap().unwrap(), "late");
    let names: Vec<String> = late.hubs().unwrap().into_iter().map(|hub| hub.name).collect();
    assert_eq!(names, ["late"]);
    drop(late);
    Hub::builder("late").domain(domain.domain()).connect().expect("the name is free at once");
}

#[test]
fn nested_values_raw_bytes_and_loans() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut link = a.link_to("b").unwrap();
    let note = common::Note { lines: (0..500).map(|i| format!("line {i}")).collect() };
    link.send(&note).unwrap();
    link.send_bytes(b"raw").unwrap();
    let mut loan = link.loan(1000).unwrap();
    loan[..4].copy_from_slice(b"loan");
    loan.send_len(4);
    let _ = link.loan(10).unwrap(); // aborted
    {
        let event = b.recv().unwrap().unwrap();
        let seen = event.get::<common::Note>().unwrap();
        assert_eq!(seen.lines.len(), 500);
        assert_eq!(seen.lines[499], "line 499");
        assert!(event.get::<Pose>().is_err());
    }
    assert_eq!(b.recv().unwrap().unwrap().bytes(), b"raw");
    assert_eq!(b.recv().unwrap().unwrap().bytes(), b"loan");
    assert!(b.try_recv().unwrap().is_none());
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let mut link = a.link_to("b").unwrap();
    let mut batch = link.batch();
    for i in 0..10 {
        batch.try_send(&pose(i)).unwrap();
    }
    assert!(b.try_recv().unwrap().is_none(), "nothing before the commit");
    drop(batch);
    let mut batch = link.batch();
    for i in 10..20 {
        batch.try_send(&pose(i)).unwrap();
    }
    batch.commit();
    for i in 0..10 {
        let event = b.recv().unwrap().unwrap();
        assert_eq!(event.sequence(), i);
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i + 10);
    }
    assert!(b.try_recv().unwrap().is_none());
    // A batch far larger than the ring.
    let writer = std::thread::spawn(move || {
        let mut batch = link.batch();
        for i in 0..100_000 {
            batch.send(&pose(i)).unwrap();
        }
        batch.commit();
        link
    });
    for i in 0..100_000 {
        let event = b.recv_timeout(LONG).unwrap().unwrap();
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i);
    }
    writer.join().unwrap();
}

#[test]
fn a_closed_hub_stops_waiting() {
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let closer = a.closer();
    let thread = std::thread::spawn(move || closer.close());
    assert!(a.recv().unwrap().is_none());
    assert!(a.accept().unwrap().is_none());
    thread.join().unwrap();
}

#[test]
fn a_hub_that_accepts_and_never_receives_does_not_collect_what_has_ended() {
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    // The first brings something, which is kept.
    for round in 0..LINKS_PER_HUB_MAX + 200 {
        let mut to_b = loop {
            match a.link_to("b") {
                Ok(link) => break link,
                // The supervisor has not heard yet that the one before is over.
                Err(Error::Refused { code: RefusalCode::AlreadyLinked, .. }) => {}
                Err(error) => panic!("{error} in round {round}"),
            }
        };
        let to_a = b.accept_timeout(LONG).unwrap().expect("the link that a opened");
        if round == 0 {
            to_b.send(&pose(7)).unwrap();
        }
        drop((to_b, to_a));
        let error = a.recv_timeout(LONG).unwrap_err();
        assert!(matches!(error, RecvError::LinkClosed { .. }), "{error}");
    }
    assert!(b.link_count() <= LINKS_PER_HUB_MAX + 2, "{} links", b.link_count());
    let event = b.try_recv().unwrap().expect("what the first link brought");
    assert_eq!(event.get::<Pose>().unwrap().stamp_ns, 7);
}
