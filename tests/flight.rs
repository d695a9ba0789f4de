//! A supervisor's flight recorder: what it counts and what troubles it has is read while it runs,
//! while it is stopped, and after it was killed.

mod common;

use common::roles::{self, Child, eventually};
use common::{Domain, Pose};
use ephapse::counters::{self, Flight, ProcessState, flight};
use ephapse::{Error, Hub, Supervisor};

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("supervisor") => supervisor(),
        Some(other) => panic!("no role {other}"),
    }
}

fn supervisor() {
    let supervisor = Supervisor::bind(roles::domain()).unwrap();
    let stopper = supervisor.stopper();
    let thread = std::thread::spawn(move || supervisor.run().unwrap());
    roles::tell("ready");
    roles::listen();
    stopper.stop();
    thread.join().unwrap();
}

fn gauges(flight: &Flight) -> [u64; 5] {
    ["hubs", "links", "subjects", "subscriptions", "edges"].map(|label| flight.get(label).unwrap())
}

#[test]
fn a_supervisor_counts() {
    let domain = Domain::new();
    let look = || flight(&domain.domain()).unwrap();
    let first = look();
    assert_eq!((first.pid, first.process), (std::process::id(), ProcessState::Running));
    assert_eq!(first.get("epoch"), Some(first.epoch));
    assert_eq!((gauges(&first), first.troubles), ([0; 5], Vec::new()));
    let (mut a, b) = (domain.hub("a"), domain.hub("b"));
    let _poses = a.publisher::<Pose>("robot.pose").unwrap();
    let seen = [b.subscribe(["robot.pose"]).unwrap(), b.subscribe(["no.pose"]).unwrap()];
    let link = a.link_to("b").unwrap();
    eventually("all is counted", || gauges(&look()) == [2, 1, 1, 2, 1]);
    assert!(Hub::builder("a").domain(domain.domain()).connect().is_err());
    eventually("the refusal is told", || look().get("refusals") == Some(1));
    let trouble = look().troubles.pop().unwrap();
    assert!(trouble.text.starts_with("turned away: the name a is taken"), "{trouble:?}");
    drop(seen);
    eventually("subscriptions are over", || gauges(&look()) == [2, 1, 1, 0, 0]);
    let seen = b.subscribe(["robot.pose"]).unwrap();
    drop((a, b, link));
    eventually("all are gone", || gauges(&look()) == [0; 5]);
    drop(seen);
    let last = look();
    assert_eq!((last.get("joins"), last.get("leaves")), (Some(2), Some(2)));
    assert!(last.get("messages").unwrap() >= 10);
    assert_eq!(last.get("faults"), Some(0));
}

#[test]
fn faults_are_told() {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    use std::os::fd::AsRawFd;
    let domain = Domain::new();
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
    connect(socket.as_raw_fd(), &UnixAddr::new(&domain.domain().socket()).unwrap()).unwrap();
    nix::unistd::write(&socket, b"garbage").unwrap();
    let look = || flight(&domain.domain()).unwrap();
    eventually("the fault is counted", || look().get("faults") == Some(1));
    let trouble = look().troubles.remove(0);
    let expected = format!("hub (unnamed) (pid {}): ", std::process::id());
    assert!(trouble.text.starts_with(&expected) && trouble.text.contains('7'), "{trouble:?}");
}

#[test]
fn a_supervisor_that_is_stopped_or_dead_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let domain = ephapse::Domain::at(dir.path().join("domain"));
    let none = flight(&domain).unwrap_err();
    assert!(matches!(none, Error::NoSupervisor { .. }), "{none}");
    let mut child = Child::start("supervisor", &domain, "");
    child.expect("ready");
    let hub = Hub::builder("a").domain(domain.clone()).connect().unwrap();
    eventually("it is counted", || flight(&domain).unwrap().get("hubs") == Some(1));
    assert_eq!(flight(&domain).unwrap().process, ProcessState::Running);
    child.stop();
    let mut stopped = flight(&domain).unwrap();
    assert_eq!((stopped.process, stopped.get("joins")), (ProcessState::Stopped, Some(1)));
    assert_eq!(counters::scan(Some(&domain))[0].name, "a");
    child.kill();
    let killed = flight(&domain).unwrap();
    stopped.process = ProcessState::Gone;
    assert_eq!(killed, stopped);
    // The next one begins anew, and takes it away when it is asked to end.
    let mut child = Child::start("supervisor", &domain, "");
    child.expect("ready");
    let next = flight(&domain).unwrap();
    assert_eq!((next.epoch, next.process), (killed.epoch + 1, ProcessState::Running));
    drop(hub);
    eventually("it has left", || flight(&domain).unwrap().get("hubs") == Some(0));
    child.succeed();
    assert!(matches!(flight(&domain), Err(Error::NoSupervisor { .. })));
    let left = std::fs::read_dir(domain.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["supervisor.epoch"]);
}
