//! Death is noticed by whoever waits, however it waits; a pause is not death.

mod common;

use common::host::wait_until_asleep;
use common::process::{Child, LONG, Wire, enter};
use common::{Domain, Pose, pose};
use ephapse::ring::{Fencing, Position};
use ephapse::wait::{Bell, Ringer};
use ephapse::{Hub, RecvError, SendError, Wait};
use nix::sys::signal::Signal;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// By then a death must have been noticed. (It takes about a millisecond.)
const SOON: Duration = Duration::from_secs(2);

#[test]
fn child_entry() {
    enter(|role, wire| {
        let domain = ephapse::Domain::at(wire.receive().unwrap());
        match role {
            "silent" => silent(&domain, wire),
            "streaming" => stream(&domain, wire),
            "counting" => count(&domain, wire),
            "default SIGPIPE" => ring_without_ignoring_sigpipe(),
            other => panic!("no role {other}"),
        }
    });
}

fn hub_in(domain: &ephapse::Domain, name: &str) -> Hub {
    Hub::builder(name).domain(domain.clone()).connect().unwrap()
}

/// Starts a child that joins as "child" and has a link with "parent".
fn start(role: &str, domain: &Domain) -> Child {
    let child = Child::spawn(role);
    child.wire.send(domain.domain().path().to_str().unwrap());
    child.wire.expect("linked");
    child
}

/// Sends three events, and does nothing until it is killed.
fn silent(domain: &ephapse::Domain, wire: &Wire) {
    let mut hub = hub_in(domain, "child");
    let mut link = hub.link_to("parent").unwrap();
    for i in 0..3 {
        link.send(&pose(i)).unwrap();
    }
    wire.send("linked");
    wire.receive();
}

/// Does something in a thread of its own, and says under which number the kernel knows it.
fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (JoinHandle<T>, i32) {
    let (sender, number) = channel();
    let thread = std::thread::spawn(move || {
        sender.send(nix::unistd::gettid().as_raw()).unwrap();
        work()
    });
    (thread, number.recv().unwrap())
}

fn a_reader_notices(wait: Wait, sleeps: bool) {
    let domain = Domain::new();
    let mut hub = domain.hub("parent");
    let mut child = start("silent", &domain);
    let mut link = hub.accept_timeout(LONG).unwrap().unwrap();
    for i in 0..3 {
        let event = hub.recv_timeout(LONG).unwrap().unwrap();
        assert_eq!(event.get::<Pose>().unwrap().frame, pose(i).frame);
    }
    hub.set_wait(wait);
    let (reader, number) = in_thread(move || {
        let error = hub.recv_timeout(LONG).map(|event| event.is_some()).unwrap_err();
        let after = hub.try_recv().map(|event| event.is_some()).unwrap();
        (error, after, Instant::now())
    });
    if sleeps {
        wait_until_asleep(number);
    }
    let killed = Instant::now();
    child.kill();
    let (error, after, noticed) = reader.join().unwrap();
    assert!(noticed - killed < SOON, "noticed {:?} after the kill", noticed - killed);
    assert!(matches!(error, RecvError::PeerGone { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("hub child is gone ({})", link.id()));
    assert!(!after, "nothing comes after that");
    assert!(!link.is_open());
    let error = link.send(&pose(0)).unwrap_err();
    assert_eq!(error, SendError::PeerGone { peer: "child".into() });
    assert_eq!(error.to_string(), "hub child is gone");
}

#[test]
fn a_blocked_reader_notices_death() {
    a_reader_notices(Wait::Block, true);
}

#[test]
fn a_spinning_reader_notices_death() {
    a_reader_notices(Wait::Spin, false);
}

#[test]
fn a_reader_that_backs_off_notices_death() {
    a_reader_notices(Wait::Backoff, false);
}

#[test]
fn a_reader_that_spins_and_then_sleeps_notices_death() {
    a_reader_notices(Wait::default(), true);
}

#[test]
fn a_writer_that_waits_for_room_notices_death() {
    let domain = Domain::new();
    let mut hub = domain.hub("parent");
    let mut child = start("silent", &domain);
    let mut link = hub.accept_timeout(LONG).unwrap().unwrap();
    let (writer, number) = in_thread(move || {
        let error = loop {
            if let Err(error) = link.send(&pose(0)) {
                break error;
            }
        };
        (error, Instant::now())
    });
    wait_until_asleep(number);
    let killed = Instant::now();
    child.kill();
    let (error, noticed) = writer.join().unwrap();
    assert_eq!(error, SendError::PeerGone { peer: "child".into() });
    assert!(noticed - killed < SOON, "noticed {:?} after the kill", noticed - killed);
}

/// Sends numbered events as fast as it can until it is told to stop, then says how many.
fn stream(domain: &ephapse::Domain, wire: &Wire) {
    let mut hub = hub_in(domain, "child");
    let mut link = hub.link_to("parent").unwrap();
    wire.send("linked");
    let mut sent = 0;
    while !wire.is_readable(Duration::ZERO) {
        for _ in 0..100 {
            link.send(&pose(sent)).unwrap();
            sent += 1;
        }
    }
    wire.expect("stop");
    wire.send(&sent.to_string());
    wire.receive();
}

#[test]
fn a_paused_writer_is_not_gone_and_loses_nothing() {
    let domain = Domain::new();
    let mut hub = domain.hub("parent");
    let child = start("streaming", &domain);
    let mut link = hub.accept_timeout(LONG).unwrap().unwrap();
    let mut next = 0;
    let mut receive = |hub: &mut Hub, timeout| {
        let Some(event) = hub.recv_timeout(timeout).unwrap() else { return false };
        assert_eq!(event.sequence(), next);
        assert_eq!(event.get::<Pose>().unwrap().frame, pose(next).frame);
        next += 1;
        true
    };
    for round in 1..=5u64 {
        for _ in 0..1000 {
            assert!(receive(&mut hub, LONG), "the writer does not stop by itself");
        }
        child.pause();
        while receive(&mut hub, Duration::ZERO) {}
        // Nothing happens: no event, no error.
        assert!(!receive(&mut hub, Duration::from_millis(100)));
        assert!(link.is_open());
        link.try_send(&pose(round)).unwrap();
        child.signal(Signal::SIGCONT);
        assert!(receive(&mut hub, LONG), "it goes on");
    }
    child.wire.send("stop");
    while !child.wire.is_readable(Duration::ZERO) {
        receive(&mut hub, Duration::from_millis(1));
    }
    let sent: u64 = child.wire.receive().unwrap().parse().unwrap();
    while receive(&mut hub, Duration::ZERO) {}
    assert_eq!(next, sent);
}

/// Receives and checks events until one says that it is the last.
fn count(domain: &ephapse::Domain, wire: &Wire) {
    let mut hub = hub_in(domain, "child");
    let _link = hub.link_to("parent").unwrap();
    wire.send("linked");
    let mut next = 0;
    loop {
        let event = hub.recv_timeout(LONG).unwrap().unwrap();
        assert_eq!(event.sequence(), next);
        if event.bytes() == b"last" {
            break;
        }
        assert_eq!(event.get::<Pose>().unwrap().frame, pose(next).frame);
        next += 1;
    }
    wire.send(&next.to_string());
}

#[test]
fn a_paused_reader_is_not_gone_and_loses_nothing() {
    let domain = Domain::new();
    let mut hub = domain.hub("parent");
    let child = start("counting", &domain);
    let mut link = hub.accept_timeout(LONG).unwrap().unwrap();
    let mut sent = 0;
    for _ in 0..5 {
        child.pause();
        let error = loop {
            match link.try_send(&pose(sent)) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error, SendError::Full);
        let error = link.send_timeout(&pose(sent), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error, SendError::Full, "not gone");
        assert!(link.is_open());
        assert!(hub.try_recv().unwrap().is_none());
        child.signal(Signal::SIGCONT);
        for _ in 0..1000 {
            link.send_timeout(&pose(sent), LONG).unwrap();
            sent += 1;
        }
    }
    link.send_bytes(b"last").unwrap();
    child.wire.expect(&sent.to_string());
    child.finish();
}

/// Rings a doorbell that nobody can hear any more.
fn ring_without_ignoring_sigpipe() {
    // As in a program in C; Rust's runtime ignores the signal.
    // SAFETY: the default action is no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, nix::sys::signal::SigHandler::SigDfl) }
        .unwrap();
    let word = Position::on_heap();
    let mut bell = Bell::new(word.clone()).unwrap();
    let pipe = bell.write_end().try_clone_to_owned().unwrap();
    let ringer = Ringer::new(word, &pipe, Fencing::Full).unwrap();
    bell.arm();
    drop(bell);
    assert!(ringer.notify(), "the word says asleep, so it rings");
}

#[test]
fn ringing_at_a_dead_reader_raises_no_signal() {
    let child = Child::spawn("default SIGPIPE");
    child.wire.send("(no domain)");
    child.finish();
}
