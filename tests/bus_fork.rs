//! A forked child has handles of its parent's publishers and subscriptions that it must not use: it
//! is told so, whatever it tries, publishes and subscribes with a hub of its own if it wants to, and
//! disturbs nothing.
//!
//! Forking is what a child process of the test does, which has nothing else in it.

mod common;

use common::roles::{self, Child, LONG, eventually};
use common::{Domain, Pose, pose};
use ephapse::event::Extension;
use ephapse::{
    Error, Hub, Path, Publisher, RecvError, RequestError, SendError, Sent, Subscription,
};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Events that the parent sends: before, during and after the child's life.
const EVENTS: u64 = 3;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("tries-all") => in_fork(false, tries_all),
        Some("tries-all-linked") => in_fork(true, tries_all),
        Some("tries-requests") => in_fork(false, tries_requests),
        Some("armed") => in_fork(false, is_armed),
        Some("drops-all") => in_fork(false, drop),
        Some("drops-all-linked") => in_fork(true, drop),
        Some("opens-its-own") => in_fork(true, opens_its_own),
        Some("outlives") => outlives(),
        Some(other) => panic!("no role {other}"),
    }
}

/// What a process inherits.
struct Inherited {
    sending: Publisher<Pose>,
    reading: Subscription,
    hub: Hub,
}

/// Ends a forked child as tests end, without the rest of the harness.
fn forked(play: impl FnOnce()) -> ! {
    roles::die_with_parent();
    let code = i32::from(catch_unwind(AssertUnwindSafe(play)).is_err());
    // SAFETY: ends this process at once.
    unsafe { libc::_exit(code) }
}

fn fork_off(play: impl FnOnce(Inherited), inherited: Inherited) -> (Pid, Inherited) {
    // SAFETY: the child uses what a forked child of a process with threads may use: what glibc
    // keeps in order across fork (its allocator), and the library that is tested here.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => forked(|| play(inherited)),
        ForkResult::Parent { child } => (child, inherited),
    }
}

/// Sends before the fork, during the child's life, and after it.
fn in_fork(linked: bool, play: fn(Inherited)) {
    let mut hub = roles::join("parent");
    let reading = hub.subscribe(["to.parent"]).unwrap();
    let mut sending = hub.publisher("from.parent").unwrap();
    let link = linked.then(|| hub.link_to("test").unwrap());
    eventually("the link is used", || {
        let sent = sending.try_send(&pose(u64::MAX)).unwrap();
        assert_eq!(sent.receivers, 1);
        linked == (sent.path == Path::Links)
    });
    sending.send(&pose(0)).unwrap();
    // A second subscription, of which the sending side has not taken notice.
    roles::tell("sent");
    assert_eq!(roles::listen(), "subscribed");
    let mut inherited = Inherited { sending, reading, hub };
    inherited.reading.arm();
    let (child, inherited) = fork_off(play, inherited);
    let Inherited { mut sending, mut reading, hub } = inherited;
    for i in 1..EVENTS {
        assert_eq!(sending.send(&pose(i)).unwrap().receivers, 2);
        // The child has ended before the last one.
        if i == 1 {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        }
    }
    // The other direction works too.
    for i in 0..EVENTS {
        let event = reading.recv_timeout(LONG).unwrap().expect("an answer");
        assert_eq!(
            (event.source(), event.get::<Pose>().unwrap().stamp_ns.to_native()),
            ("test", i)
        );
    }
    let names: Vec<String> = hub.hubs().unwrap().into_iter().map(|hub| hub.name).collect();
    assert_eq!(names, ["test", "parent"]);
    drop(link);
}

#[track_caller]
fn refused(result: Result<Sent, SendError>) {
    assert_eq!(result, Err(SendError::Forked));
}

#[track_caller]
fn refused_receiving<T>(result: Result<T, RecvError>) {
    assert_eq!(result.map(drop), Err(RecvError::Forked));
}

#[track_caller]
fn refused_asking<T>(result: Result<T, Error>) {
    let error = result.map(drop).unwrap_err();
    assert!(matches!(error, Error::Forked), "{error}");
    assert_eq!(error.to_string(), "hubs cannot be used after fork; open a new one in the child");
}

fn tries_all(inherited: Inherited) {
    let Inherited { mut sending, mut reading, hub } = inherited;
    let extension = Extension::new();
    refused(sending.try_send(&pose(7)));
    refused(sending.send(&pose(7)));
    refused(sending.send_timeout(&pose(7), LONG));
    refused(sending.send_with(&pose(7), &extension));
    refused(sending.send_bytes(b"no"));
    refused(sending.send_bytes_with(b"no", &extension));
    refused(sending.send_bytes_timeout_with(b"no", &extension, LONG));
    refused(sending.try_send_bytes_with(b"no", &extension));
    assert_eq!((sending.receivers(), sending.subject()), (0, "from.parent"));
    refused_receiving(reading.try_recv());
    refused_receiving(reading.recv());
    refused_receiving(reading.recv_timeout(LONG));
    assert!(!reading.arm(), "`try_recv` says why");
    refused_receiving(reading.try_recv());
    assert!(!reading.is_closed());
    // In another order than the parent's.
    drop(hub);
    refused(sending.send(&pose(7)));
    refused_receiving(reading.try_recv());
}

fn tries_requests(inherited: Inherited) {
    let Inherited { sending, reading, mut hub } = inherited;
    // On subjects that the hub knows, and on new ones.
    for subject in ["from.parent", "to.parent", "new"] {
        refused_asking(hub.publisher::<Pose>(subject));
        refused_asking(hub.subscribe([subject]));
        refused_asking(hub.emit_to("test", subject, &pose(7)));
        let error = hub.request(subject, &pose(7), LONG).unwrap_err();
        assert!(matches!(error, RequestError::Failed(Error::Forked)), "{error}");
    }
    refused_asking(hub.subjects());
    refused_asking(hub.unlink("test"));
    drop((sending, reading));
    refused_asking(hub.subjects());
}

fn is_armed(mut inherited: Inherited) {
    refused_receiving(inherited.reading.recv_timeout(LONG));
    assert!(!inherited.reading.arm());
}

/// Everything that its parent can do, under a name of its own.
fn opens_its_own(inherited: Inherited) {
    let mut own = roles::join("forked");
    let mut reading = own.subscribe(["own"]).unwrap();
    let mut sending = own.publisher("own").unwrap();
    let mut to_test = own.publisher("from.forked").unwrap();
    for i in 0..100 {
        assert_eq!(sending.send(&pose(i)).unwrap().receivers, 1);
        assert_eq!(to_test.send(&pose(i)).unwrap().receivers, 1);
        let event = reading.recv_timeout(LONG).unwrap().expect("an event");
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i);
    }
    let _link = own.link_to("test").unwrap();
    eventually("the link is used", || to_test.send(&pose(100)).unwrap().path == Path::Links);
    let names: Vec<String> = own.hubs().unwrap().into_iter().map(|hub| hub.name).collect();
    assert_eq!(names, ["test", "parent", "forked"]);
    drop(own);
    // The inherited ones are as useless as before, and go last.
    let Inherited { mut sending, mut reading, .. } = inherited;
    refused(sending.send(&pose(7)));
    refused_receiving(reading.try_recv());
}

/// Dies when its child has been told to go on alone.
fn outlives() {
    let hub = roles::join("parent");
    let reading = hub.subscribe(["to.parent"]).unwrap();
    let sending = hub.publisher("from.parent").unwrap();
    let grandchild = |_: Inherited| {
        // Not the parent's death but the test's end is this one's: its standard input closes.
        nix::sys::prctl::set_pdeathsig(None).unwrap();
        roles::tell("alone");
        roles::listen();
    };
    let (_child, _inherited) = fork_off(grandchild, Inherited { sending, reading, hub });
    std::thread::park();
}

fn stamp(reading: &mut Subscription) -> u64 {
    let event = reading.recv_timeout(LONG).unwrap().expect("an event");
    assert_eq!(event.source(), "parent");
    event.get::<Pose>().unwrap().stamp_ns.to_native()
}

fn play(role: &str) {
    let domain = Domain::new();
    let hub = domain.hub("test");
    let mut reading = hub.subscribe(["from.parent"]).unwrap();
    let mut of_child = hub.subscribe(["from.forked"]).unwrap();
    let mut sending = hub.publisher::<Pose>("to.parent").unwrap();
    let mut child = Child::start(role, &domain.domain(), role);
    child.expect("sent");
    let mut late = hub.subscribe(["from.parent"]).unwrap();
    child.say("subscribed");
    for i in 0..EVENTS {
        // Before the first come those that showed the way.
        eventually("the next event comes", || match stamp(&mut reading) {
            u64::MAX => false,
            stamp => {
                assert_eq!(stamp, i);
                true
            }
        });
        if i > 0 {
            assert_eq!(stamp(&mut late), i);
        }
        assert_eq!(sending.send(&pose(i)).unwrap().receivers, 1);
    }
    child.succeed();
    eventually("they have left", || hub.hubs().unwrap().len() == 1);
    for subscription in [&mut reading, &mut of_child] {
        while subscription.try_recv().unwrap().is_some() {}
        assert_eq!(subscription.source_count(), 0);
    }
}

#[test]
fn a_forked_child_is_told_that_it_is_one() {
    play("tries-all");
    play("tries-all-linked");
}

#[test]
fn a_forked_child_asks_in_vain() {
    play("tries-requests");
}

#[test]
fn a_forked_child_of_a_subscription_that_was_about_to_sleep() {
    play("armed");
}

#[test]
fn a_forked_child_that_drops_what_it_inherited() {
    play("drops-all");
    play("drops-all-linked");
}

#[test]
fn a_forked_child_does_not_keep_its_dead_parent_alive() {
    let domain = Domain::new();
    let hub = domain.hub("test");
    let mut reading = hub.subscribe(["from.parent"]).unwrap();
    let sending = hub.publisher::<Pose>("to.parent").unwrap();
    let mut child = Child::start("outlives", &domain.domain(), "outlives");
    child.expect("alone");
    assert!(reading.try_recv().unwrap().is_none());
    assert_eq!((reading.source_count(), sending.receivers()), (1, 1));
    child.kill();
    eventually("what it published and subscribed to is over", || {
        assert!(reading.try_recv().unwrap().is_none());
        (reading.source_count(), sending.receivers()) == (0, 0)
    });
}

#[test]
fn a_forked_child_with_a_hub_of_its_own() {
    play("opens-its-own");
}
