//! What an idle link costs, and that all of it is there before the first event.
//!
//! Two processes with a hub each, and nothing else. Both have opened and closed a link before, so
//! that what is measured is the link, and not the first use of the allocator or of code. A page
//! that both have mapped is counted half in each (Pss), so once. Page tables are not counted.

mod common;

use common::roles::{self, Child, LONG};
use common::{Domain, Pose, pose};
use ephapse::{Hub, Link};
use nix::sys::resource::{UsageWho, getrusage};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

/// Kilobytes of one idle link of the default capacity, both sides together.
const IDLE_LINK_KIB: u64 = 160;

/// Small events in one lap of a ring of the default capacity, but for the last line.
const LAP: u64 = 1023;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("opener") => opener(),
        Some("acceptor") => acceptor(),
        Some(other) => panic!("no role {other}"),
    }
}

fn read_lap(hub: &mut Hub) {
    for i in 0..LAP {
        let event = hub.recv_timeout(LONG).unwrap().expect("an event");
        assert_eq!(event.get::<Pose>().unwrap().stamp_ns, i);
    }
}

fn write_lap(link: &mut Link) {
    for i in 0..LAP {
        link.try_send(&pose(i)).unwrap();
    }
}

/// Page faults of this thread.
fn faults_in(lap: impl FnOnce()) -> i64 {
    let faults = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().minor_page_faults();
    faults(); // touches the code
    let before = faults();
    lap();
    faults() - before
}

fn opener() {
    {
        let mut hub = roles::join("warm-opener");
        hub.wait_for("warm-acceptor", LONG).unwrap();
        let mut link = hub.link_to("warm-acceptor").unwrap();
        faults_in(|| write_lap(&mut link));
        read_lap(&mut hub);
    }
    let mut hub = roles::join("opener");
    roles::tell("joined");
    assert_eq!(roles::listen(), "open");
    let mut link = hub.link_to("acceptor").unwrap();
    roles::tell("open");
    assert_eq!(roles::listen(), "write");
    let faults = faults_in(|| write_lap(&mut link));
    roles::tell(&faults.to_string());
    assert_eq!(roles::listen(), "read");
    let faults = faults_in(|| read_lap(&mut hub));
    roles::tell(&faults.to_string());
}

fn acceptor() {
    {
        let mut hub = roles::join("warm-acceptor");
        let mut link = hub.accept_timeout(LONG).unwrap().expect("a link");
        read_lap(&mut hub);
        faults_in(|| write_lap(&mut link));
        assert!(hub.recv_timeout(LONG).is_err(), "the end of the link");
    }
    let mut hub = roles::join("acceptor");
    roles::tell("joined");
    let mut link = hub.accept_timeout(LONG).unwrap().expect("a link");
    roles::tell("open");
    assert_eq!(roles::listen(), "read");
    let faults = faults_in(|| read_lap(&mut hub));
    roles::tell(&faults.to_string());
    assert_eq!(roles::listen(), "write");
    let faults = faults_in(|| write_lap(&mut link));
    roles::tell(&faults.to_string());
    roles::listen();
}

/// Kilobytes by what they are for, of both processes together.
type Resident = BTreeMap<String, i64>;

/// What a mapping is for, by its name.
fn purpose(name: &str) -> &str {
    match name {
        "" => "anonymous",
        name if name.starts_with("/memfd:") => &name["/memfd:".len()..],
        name if name.starts_with('[') => name,
        _ => "files",
    }
}

fn resident(children: [&Child; 2]) -> Resident {
    let mut resident = Resident::new();
    for child in children {
        let smaps = std::fs::read_to_string(format!("/proc/{}/smaps", child.pid())).unwrap();
        let mut name = "";
        for line in smaps.lines() {
            let mut words = line.split_ascii_whitespace();
            let first = words.next().unwrap();
            if first == "Pss:" {
                let kilobytes: i64 = words.next().unwrap().parse().unwrap();
                *resident.entry(purpose(name).to_owned()).or_default() += kilobytes;
            } else if !first.ends_with(':') {
                // A mapping's own line: addresses, rights, offset, device, inode, name.
                name = line.split_ascii_whitespace().nth(5).unwrap_or("");
            }
        }
    }
    resident
}

/// As the kernel adds it up.
fn total(children: [&Child; 2]) -> u64 {
    let of = |child: &Child| {
        let path = format!("/proc/{}/smaps_rollup", child.pid());
        let rollup = std::fs::read_to_string(path).unwrap();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<u64>().unwrap()
    };
    of(children[0]) + of(children[1])
}

#[test]
fn an_idle_link_is_small_and_all_there() {
    let domain = Domain::new();
    let mut acceptor = Child::start("acceptor", &domain.domain(), "acceptor");
    let mut opener = Child::start("opener", &domain.domain(), "opener");
    acceptor.expect("joined");
    opener.expect("joined");
    let (parts_before, before) = (resident([&opener, &acceptor]), total([&opener, &acceptor]));
    opener.say("open");
    opener.expect("open");
    acceptor.expect("open");
    let (parts, after) = (resident([&opener, &acceptor]), total([&opener, &acceptor]));

    let grown = after.saturating_sub(before);
    let mut said = format!("an idle link: {grown} KiB, both sides together (");
    for (name, kilobytes) in parts {
        let grown = kilobytes - parts_before.get(&name).copied().unwrap_or(0);
        if grown != 0 {
            write!(said, "{name} {grown:+} ").unwrap();
        }
    }
    writeln!(std::io::stderr(), "{})", said.trim_end()).unwrap();

    // The first lap, each way: everything is there already.
    let mut faults = Vec::new();
    for (writer, reader) in [(0, 1), (1, 0)] {
        let sides = [&mut opener, &mut acceptor];
        for (side, what) in [(writer, "write"), (reader, "read")] {
            sides[side].say(what);
            faults.push((what, sides[side].hear()));
        }
    }
    acceptor.say("done");
    opener.succeed();
    acceptor.succeed();
    assert!(faults.iter().all(|(_, count)| count == "0"), "page faults: {faults:?}");
    assert!(grown <= IDLE_LINK_KIB, "{said}");
    assert!(grown >= 128, "less than two rings: was the link measured? {said}");
}
