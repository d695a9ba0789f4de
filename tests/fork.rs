//! A forked child has handles of its parent's hubs and links that it must not use: it is told so,
//! whatever it tries, opens a hub of its own if it wants one, and disturbs nothing.
//!
//! Forking is what a child process of the test does, which has nothing else in it.

mod common;

use common::roles::{self, Child, LONG};
use common::{Domain, pose};
use ephapse::{Error, Hub, Link, RecvError, SendError, Supervisor};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(1);

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("tries-all") => in_fork(tries_all),
        Some("tries-requests") => in_fork(tries_requests),
        Some("armed") => armed(),
        Some("drops-all") => in_fork(drop),
        Some("opens-its-own") => in_fork(opens_its_own),
        Some("outlives") => outlives(),
        Some("supervisor") => supervisor(),
        Some(other) => panic!("no role {other}"),
    }
}

/// What a process inherits.
type Inherited = (Hub, Link);

/// Ends a forked child as tests end, without the rest of the harness.
fn forked(play: impl FnOnce()) -> ! {
    roles::die_with_parent();
    let code = i32::from(catch_unwind(AssertUnwindSafe(play)).is_err());
    // SAFETY: ends this process at once.
    unsafe { libc::_exit(code) }
}

fn fork_off<T>(play: impl FnOnce(T), inherited: T) -> (Pid, T) {
    // SAFETY: the child uses what a forked child of a process with threads may use: what glibc
    // keeps in order across fork (its allocator), and the library that is tested here.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => forked(|| play(inherited)),
        ForkResult::Parent { child } => (child, inherited),
    }
}

fn well_ended(child: Pid) {
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
}

fn with_link() -> Inherited {
    let mut hub = roles::join("parent");
    let link = hub.link_to("test").unwrap();
    (hub, link)
}

/// Sends before the fork, during the child's life, and after it.
fn in_fork(play: fn(Inherited)) {
    let (hub, mut link) = with_link();
    link.send(&pose(0)).unwrap();
    let (child, (mut hub, mut link)) = fork_off(play, (hub, link));
    link.send(&pose(1)).unwrap();
    well_ended(child);
    link.send(&pose(2)).unwrap();
    // The other direction works too, asleep and awake.
    let event = hub.recv_timeout(LONG).unwrap().expect("an answer");
    assert_eq!((event.from(), event.sequence()), ("test", 0));
    drop(event);
    let names: Vec<String> = hub.hubs().unwrap().into_iter().map(|hub| hub.name).collect();
    assert_eq!(names, ["test", "parent"]);
}

#[track_caller]
fn refused<T>(result: Result<T, SendError>) {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error, SendError::Forked);
    let said = "links cannot be used after fork; open a new hub in the child";
    assert_eq!(error.to_string(), said);
}

const SAID: &str = "hubs cannot be used after fork; open a new one in the child";

#[track_caller]
fn refused_receiving<T>(result: Result<T, RecvError>) {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error, RecvError::Forked);
    assert_eq!(error.to_string(), SAID);
}

#[track_caller]
fn refused_asking<T>(result: Result<T, Error>) {
    let error = result.map(drop).unwrap_err();
    assert!(matches!(error, Error::Forked), "{error}");
    assert_eq!(error.to_string(), SAID);
}

fn tries_all((mut hub, mut link): Inherited) {
    refused(link.try_send(&pose(7)));
    refused(link.send(&pose(7)));
    refused(link.send_timeout(&pose(7), LONG));
    refused(link.try_send_bytes(b"no"));
    refused(link.send_bytes(b"no"));
    refused(link.send_bytes_timeout(b"no", LONG));
    refused(link.try_loan(10));
    refused(link.loan(10));
    refused(link.loan_timeout(10, LONG));
    refused(link.batch().try_send(&pose(7)));
    refused(link.batch().send(&pose(7)));
    refused(link.batch().send_bytes(b"no"));
    link.batch().commit();
    assert_eq!((link.peer(), link.capacity()), ("test", 64 << 10));
    refused_receiving(hub.try_recv());
    refused_receiving(hub.recv());
    refused_receiving(hub.recv_timeout(LONG));
    assert!(!hub.arm(), "`try_recv` says why");
    refused_receiving(hub.try_recv());
    refused_asking(hub.try_accept());
    refused_asking(hub.accept_timeout(LONG));
    refused_asking(hub.accept());
    refused_asking(hub.link_to("test"));
    assert_eq!((hub.name(), hub.link_count()), ("parent", 1));
    link.close();
    drop(hub);
}

fn tries_requests((hub, _link): Inherited) {
    refused_asking(hub.hubs());
    refused_asking(hub.wait_for("test", SOON));
    refused_asking(hub.wait_for("nobody", SOON));
}

/// As [`in_fork`], but the hub has been armed for its descriptor when it is inherited.
fn armed() {
    let (mut hub, mut link) = with_link();
    assert!(hub.arm());
    let play = |(mut hub, _link): Inherited| {
        refused_receiving(hub.try_recv());
        refused_receiving(hub.recv_timeout(LONG));
        refused_asking(hub.try_accept());
        assert!(!hub.arm());
    };
    let (child, inherited) = fork_off(play, (hub, link));
    well_ended(child);
    (hub, link) = inherited;
    for i in 0..3 {
        link.send(&pose(i)).unwrap();
    }
    let event = hub.recv_timeout(LONG).unwrap().expect("an answer");
    assert_eq!((event.from(), event.sequence()), ("test", 0));
}

/// Everything that its parent can do, under a name of its own.
fn opens_its_own((hub, link): Inherited) {
    let mut own = roles::join("forked");
    assert!(matches!(own.link_to("forked"), Err(Error::Refused { .. })), "not with itself");
    let mut to_test = own.link_to("test").unwrap();
    for i in 0..1000 {
        to_test.send(&pose(i)).unwrap();
    }
    let event = own.recv_timeout(LONG).unwrap().expect("an answer");
    assert_eq!((event.from(), event.sequence()), ("test", 0));
    drop(event);
    let names: Vec<String> = own.hubs().unwrap().into_iter().map(|hub| hub.name).collect();
    assert_eq!(names, ["test", "parent", "forked"]);
    // The inherited ones are as useless as before, and go last.
    drop(own);
    let mut inherited = (hub, link);
    refused(inherited.1.send(&pose(7)));
    refused_receiving(inherited.0.try_recv());
}

/// Dies when its child has been told to go on alone.
fn outlives() {
    let (hub, link) = with_link();
    let grandchild = |_: Inherited| {
        // Not the parent's death but the test's end is this one's: its standard input closes.
        nix::sys::prctl::set_pdeathsig(None).unwrap();
        roles::tell("alone");
        roles::listen();
    };
    let (_child, _inherited) = fork_off(grandchild, (hub, link));
    std::thread::park();
}

/// Opens the test's domain, and serves it after a forked child has dropped what it inherited.
fn supervisor() {
    let supervisor = Supervisor::bind(roles::domain()).unwrap();
    let (child, supervisor) = fork_off(drop, supervisor);
    well_ended(child);
    roles::tell("serving");
    supervisor.run().unwrap();
}

/// Three events from "parent", without a gap, which are answered once; then its end.
fn expect_parent(hub: &mut Hub) {
    let mut links: Vec<Link> = Vec::new();
    let mut next = 0;
    loop {
        while let Some(mut link) = hub.try_accept().unwrap() {
            // Answers when there is somebody to answer: everybody waits for it.
            link.send(&pose(0)).unwrap();
            links.push(link);
        }
        match hub.recv_timeout(Duration::from_millis(50)) {
            Ok(Some(event)) if event.from() == "parent" => {
                assert_eq!(event.sequence(), next);
                next += 1;
            }
            Ok(_) => {}
            Err(RecvError::LinkClosed { peer, .. } | RecvError::PeerGone { peer, .. }) => {
                if &*peer == "parent" {
                    assert_eq!(next, 3);
                    return;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn play(role: &str) {
    let domain = Domain::new();
    let mut hub = domain.hub("test");
    let child = Child::start(role, &domain.domain(), role);
    expect_parent(&mut hub);
    child.succeed();
}

#[test]
fn a_forked_child_is_told_that_it_is_one() {
    play("tries-all");
}

#[test]
fn a_forked_child_asks_in_vain() {
    play("tries-requests");
}

#[test]
fn a_forked_child_of_a_hub_that_was_about_to_sleep() {
    play("armed");
}

#[test]
fn a_forked_child_that_drops_what_it_inherited() {
    play("drops-all");
}

#[test]
fn a_forked_child_with_a_hub_of_its_own() {
    play("opens-its-own");
}

#[test]
fn a_forked_child_does_not_keep_its_dead_parent_alive() {
    let domain = Domain::new();
    let mut hub = domain.hub("test");
    let mut child = Child::start("outlives", &domain.domain(), "outlives");
    child.expect("alone");
    child.signal(Signal::SIGKILL);
    let error = hub.recv_timeout(LONG).map(drop).unwrap_err();
    assert!(matches!(error, RecvError::PeerGone { .. }), "{error}");
    roles::eventually("the dead hub's name is free", || hub.hubs().unwrap().len() == 1);
}

#[test]
fn a_forked_child_that_drops_a_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let domain = ephapse::Domain::at(dir.path().join("domain"));
    let mut child = Child::start("supervisor", &domain, "supervisor");
    child.expect("serving");
    let error = Supervisor::bind(domain.clone()).expect_err("the domain is still the parent's");
    assert!(matches!(error, Error::SupervisorRunning { .. }), "{error}");
    Hub::builder("a").domain(domain).connect().expect("its socket is still there");
}
