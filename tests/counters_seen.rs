//! Counters are read by others without the hub's help, and what only looks like them is passed over.

mod common;

use common::roles::{self, Child, LONG};
use common::{Domain, Pose, pose};
use ephapse::counters::{self, HubCounters};
use ephapse::rkyv::Archive;
use ephapse::segment::{Counters, Owner};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::pwrite;
use nix::unistd::{ForkResult, Pid, fork, ftruncate};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime};

/// Bytes of a [`Pose`]'s payload.
const POSE: u64 = size_of::<<Pose as Archive>::Archived>() as u64;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("publisher") => publisher(),
        Some("forker") => forker(),
        Some(other) => panic!("no role {other}"),
    }
}

fn scan(domain: &Domain) -> Vec<HubCounters> {
    counters::scan(Some(&domain.domain()))
}

fn names(hubs: &[HubCounters]) -> Vec<&str> {
    hubs.iter().map(|hub| hub.name.as_str()).collect()
}

#[test]
fn hubs_of_a_process_are_found_while_they_are_there() {
    let (domain, elsewhere) = (Domain::new(), Domain::new());
    let before = SystemTime::now() - Duration::from_millis(1);
    let (a, b, other) = (domain.hub("a"), domain.hub("b"), elsewhere.hub("a"));
    let found = scan(&domain);
    assert_eq!(names(&found), ["a", "b"]);
    let path = domain.domain().path().canonicalize().unwrap();
    for (hub, counters) in [(&a, &found[0]), (&b, &found[1])] {
        assert_eq!((counters.id, counters.pid), (hub.id(), std::process::id()));
        assert_eq!(counters.domain, path.to_str().unwrap());
        assert!(counters.since >= before && counters.since <= SystemTime::now());
        assert_eq!(counters.counters, hub.counters());
        assert_eq!(counters.get("sent"), Some(0));
        assert_eq!(counters.get("nothing"), None);
    }
    assert_eq!(scan(&elsewhere)[0].id, other.id());
    let ids: Vec<u64> = counters::scan(None).iter().map(|hub| hub.id).collect();
    assert!([&a, &b, &other].iter().all(|hub| ids.contains(&hub.id())));
    // What it published and subscribed with holds its counters, but it has left.
    let poses = b.publisher::<Pose>("robot.pose").unwrap();
    let seen = b.subscribe(["robot.pose"]).unwrap();
    drop(b);
    assert_eq!(names(&scan(&domain)), ["a"]);
    drop((poses, seen, a));
    assert_eq!(scan(&domain), []);
}

fn publisher() {
    let hub = roles::join(&roles::name());
    let mut seen = hub.subscribe(["robot.pose"]).unwrap();
    let mut poses = hub.publisher::<Pose>("robot.pose").unwrap();
    for i in 0..1234 {
        poses.send(&pose(i)).unwrap();
        seen.recv_timeout(LONG).unwrap().expect("an event");
    }
    roles::tell("done");
    roles::listen();
}

#[test]
fn a_process_that_is_stopped_is_read() {
    let domain = Domain::new();
    let mut child = Child::start("publisher", &domain.domain(), "camera");
    child.expect("done");
    child.stop();
    let found = scan(&domain);
    assert_eq!(names(&found), ["camera"]);
    assert_eq!(found[0].pid, child.pid().as_raw().cast_unsigned());
    let expected = [("sent", 1234), ("received", 1234), ("received.bytes", 1234 * POSE)];
    for (label, value) in expected {
        assert_eq!(found[0].get(label), Some(value), "{label}");
    }
    child.kill();
    assert_eq!(scan(&domain), []);
}

/// Joins, and leaves a child behind that has all its descriptors.
fn forker() {
    let _hub = roles::join(&roles::name());
    // SAFETY: the child only sleeps and ends.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            // Sleep: until it is killed, or the test has been.
            std::thread::sleep(LONG);
            std::process::exit(0);
        }
        ForkResult::Parent { child } => roles::tell(&child.to_string()),
    }
    roles::listen();
}

/// A process that nobody waits for.
struct Orphan(Pid);

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[test]
fn a_forked_child_is_not_the_hub() {
    let domain = Domain::new();
    let mut child = Child::start("forker", &domain.domain(), "camera");
    let orphan = Orphan(Pid::from_raw(child.hear().parse().unwrap()));
    let holds = || {
        let links = std::fs::read_dir(format!("/proc/{}/fd", orphan.0)).unwrap().flatten();
        let targets = links.filter_map(|link| std::fs::read_link(link.path()).ok());
        targets.filter(|target| target.to_string_lossy().contains("ephapse-counters")).count()
    };
    assert_eq!(holds(), 1);
    let found = scan(&domain);
    assert_eq!(names(&found), ["camera"]);
    assert_eq!(found[0].pid, child.pid().as_raw().cast_unsigned());
    child.kill();
    assert_eq!(holds(), 1);
    assert_eq!(scan(&domain), []);
}

/// A memfd that looks like counters from outside.
fn lookalike(bytes: usize, content: &[u8], seals: SealFlag) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = memfd_create("ephapse-counters", flags).unwrap();
    ftruncate(&file, bytes as i64).unwrap();
    pwrite(&file, content, 0).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

#[test]
fn lookalikes_are_passed_over() {
    let domain = Domain::new();
    let _hub = domain.hub("real");
    // What a whole one contains, to be changed.
    let owner = Owner {
        name: "forged".to_owned(),
        id: 1,
        pid: std::process::id(),
        domain: domain.domain().path().canonicalize().unwrap().to_str().unwrap().to_owned(),
        since: SystemTime::now(),
        started: 0,
    };
    let whole = Counters::create(&owner).unwrap();
    assert_eq!(names(&scan(&domain)), ["forged", "real"]);
    let mut content = vec![0; 4096];
    nix::sys::uio::pread(whole.as_fd(), &mut content, 0).unwrap();
    let bytes = nix::sys::stat::fstat(whole.as_fd()).unwrap().st_size as usize;
    drop(whole);
    let sealed = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
    let changed = |at: usize, byte: u8| {
        let mut content = content.clone();
        content[at] = byte;
        lookalike(bytes, &content, sealed)
    };
    let same = lookalike(bytes, &content, sealed);
    assert_eq!(names(&scan(&domain)), ["forged", "real"], "what is changed below is the reason");
    drop(same);
    let _garbage = [
        lookalike(bytes, &content, SealFlag::empty()),
        lookalike(bytes, &content, sealed - SealFlag::F_SEAL_SHRINK),
        lookalike(bytes + 4096, &content, sealed),
        lookalike(0, &[], sealed),
        lookalike(bytes, &[], sealed),
        changed(0, b'X'),    // magic
        changed(8, 99),      // version
        changed(12, 2),      // kind: cursors
        changed(16, 1),      // how many
        changed(72, 1),      // process
        changed(128, b'\n'), // name
        changed(192, 0xff),  // domain
    ];
    assert_eq!(names(&scan(&domain)), ["real"]);
}

/// Values of rows that hostile hubs write are theirs to choose; labels are looked at.
#[test]
fn hostile_rows_are_passed_over() {
    let domain = Domain::new();
    let owner = Owner {
        name: "h".to_owned(),
        id: 1,
        pid: std::process::id(),
        domain: domain.domain().path().canonicalize().unwrap().to_str().unwrap().to_owned(),
        since: SystemTime::UNIX_EPOCH,
        started: 0,
    };
    let table = Counters::create(&owner).unwrap();
    let rows = ["good", "\u{1b}[31mred", "", "two\nlines", "sub.1.received", "received", "sub."];
    let _rows: Vec<_> = rows
        .iter()
        .map(|label| {
            let counter = table.counter(label);
            counter.set(u64::MAX);
            counter
        })
        .collect();
    let found = scan(&domain).remove(0).counters;
    let labels: Vec<&str> = found.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["counters.dropped", "good", "sub.1.received", "received", "sub."]);
    assert_eq!(found[3].1, u64::MAX - 1, "the sum wraps");
}
