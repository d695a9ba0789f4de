//! What a peer can do with a doorbell that it was given: ring. Whatever else it tries with the
//! descriptor, the hub whose doorbell it is goes on receiving, linking, and answering.

mod common;

use common::process::{Child, LONG, Wire, enter, within};
use common::{Domain, pose};
use ephapse::{Hub, RecvError, SendError, Wait};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::collections::HashSet;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

#[test]
fn child_entry() {
    enter(|role, wire| {
        let domain = ephapse::Domain::at(wire.receive().unwrap());
        let mut hub = Hub::builder("hostile").domain(domain).connect().unwrap();
        let _link = hub.link_to("victim").unwrap();
        match role {
            "fill" => flood(wire, false),
            "block" => flood(wire, true),
            "close" => {
                bells_of_others().into_iter().for_each(close);
                wire.send("at it");
                wire.receive();
            }
            "deaf" => {
                while !hub.arm() {}
                own_bells().into_iter().for_each(close);
                wire.send("at it");
                wire.receive();
            }
            other => panic!("no role {other}"),
        }
    });
}

/// A descriptor of a pipe in this process: its number, the pipe's, whether it can be read.
fn pipes() -> Vec<(RawFd, u64, bool)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        let number: RawFd = entry.file_name().to_str().unwrap().parse().unwrap();
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if !target.to_string_lossy().starts_with("pipe:") {
            continue;
        }
        let flags = OFlag::from_bits_retain(fcntl(borrow(number), FcntlArg::F_GETFL).unwrap());
        // Doorbells do not block; what this process inherited does.
        if flags.contains(OFlag::O_NONBLOCK) {
            let pipe = std::fs::metadata(entry.path()).unwrap().ino();
            all.push((number, pipe, flags & OFlag::O_ACCMODE == OFlag::O_RDONLY));
        }
    }
    all
}

fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    // SAFETY: open when it was listed, and the library keeps its descriptors while its hubs live.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Closes what a descriptor refers to; the number stays the library's.
fn close(number: RawFd) {
    let null = std::fs::File::open("/dev/null").unwrap();
    // SAFETY: replaces what the number means, which is what a hostile process does.
    assert!(unsafe { libc::dup2(null.as_raw_fd(), number) } >= 0);
}

/// The ends that this process hears with.
fn own_bells() -> Vec<RawFd> {
    pipes().into_iter().filter(|(_, _, readable)| *readable).map(|(fd, ..)| fd).collect()
}

/// The ends that it rings with.
fn bells_of_others() -> Vec<RawFd> {
    let own: HashSet<u64> =
        pipes().into_iter().filter(|(_, _, readable)| *readable).map(|(_, pipe, _)| pipe).collect();
    let others = pipes().into_iter().filter(|(_, pipe, _)| !own.contains(pipe));
    let others: Vec<_> = others.map(|(fd, ..)| fd).collect();
    assert!(!others.is_empty(), "the victim's doorbell");
    others
}

/// Keeps the victim's pipe full; `blocking` for everybody who has this description of it.
fn flood(wire: &Wire, blocking: bool) {
    let bells = bells_of_others();
    let flags = |on| if on { OFlag::O_NONBLOCK } else { OFlag::empty() };
    let fill = || {
        for bell in &bells {
            while nix::unistd::write(borrow(*bell), &[1; 4096]).is_ok() {}
        }
    };
    fill();
    if blocking {
        for bell in &bells {
            fcntl(borrow(*bell), FcntlArg::F_SETFL(flags(false))).unwrap();
        }
    }
    wire.send("at it");
    if blocking {
        // Waits in the kernel for room, again and again.
        fill();
    }
    while !wire.is_readable(Duration::ZERO) {
        fill();
    }
}

/// What a hub hears next; that a hostile link ends is no news.
fn news(hub: &mut Hub) -> String {
    match hub.recv_timeout(LONG) {
        Ok(Some(event)) => return format!("event {} of {}", event.sequence(), event.from()),
        Ok(None) => return "nothing".to_owned(),
        Err(RecvError::LinkClosed { peer, .. } | RecvError::PeerGone { peer, .. })
            if &*peer != "hostile" =>
        {
            return format!("no more of {peer}");
        }
        Err(error) => assert!(error.to_string().contains("hub hostile"), "{error}"),
    }
    news(hub)
}

/// Everything that a hub does: receiving from others, finding, linking, being linked to, sending.
fn works(domain: &ephapse::Domain, hub: &mut Hub) {
    let join = |name: &str| Hub::builder(name).domain(domain.clone()).connect().unwrap();
    let started = Instant::now();
    let mut honest = join("honest");
    let mut link = honest.link_to("victim").unwrap();
    for i in 0..200 {
        link.send(&pose(i)).unwrap();
        assert_eq!(news(hub), format!("event {i} of honest"));
    }
    for number in 0..5 {
        let mut other = join(&format!("other-{number}"));
        let mut link = hub.link_to(other.name()).unwrap();
        link.send(&pose(1)).unwrap();
        assert!(other.recv_timeout(LONG).unwrap().is_some());
        assert!(!hub.hubs().unwrap().is_empty());
        drop(other);
        assert_eq!(news(hub), format!("no more of other-{number}"));
    }
    let taken = started.elapsed();
    assert!(taken < LONG / 3, "all of this took {taken:?}");
}

fn a_hub_goes_on(role: &'static str, wait: Wait) {
    within(3 * LONG, "the victim", move || {
        let domain = Domain::new();
        let mut hub = domain.hub("victim");
        hub.set_wait(wait);
        let child = Child::spawn(role);
        child.wire.send(domain.domain().path().to_str().unwrap());
        child.wire.expect("at it");
        works(&domain.domain(), &mut hub);
        drop(child);
        // It may have been found out before; what it was is over now.
        while hub.link_count() > 1 {
            let _ = hub.recv_timeout(Duration::from_millis(10));
        }
    });
}

#[test]
fn a_full_doorbell() {
    a_hub_goes_on("fill", Wait::Block);
}

#[test]
fn a_full_doorbell_of_one_who_spins_first() {
    a_hub_goes_on("fill", Wait::default());
}

#[test]
fn a_doorbell_on_which_ringing_blocks() {
    a_hub_goes_on("block", Wait::Block);
}

#[test]
fn a_doorbell_that_its_ringer_has_closed() {
    a_hub_goes_on("close", Wait::Block);
}

#[test]
fn a_peer_that_says_it_sleeps_and_cannot_hear() {
    within(LONG, "the victim", || {
        let domain = Domain::new();
        let mut hub = domain.hub("victim");
        let child = Child::spawn("deaf");
        child.wire.send(domain.domain().path().to_str().unwrap());
        let mut link = hub.accept_timeout(LONG).unwrap().unwrap();
        child.wire.expect("at it");
        let error = loop {
            match link.try_send(&pose(0)) {
                Ok(()) | Err(SendError::Full) => {}
                Err(error) => break error,
            }
        };
        // Who cannot be woken is as good as gone.
        assert_eq!(error, SendError::PeerGone { peer: "hostile".into() });
        let error = hub.recv_timeout(LONG).map(|event| event.is_some()).unwrap_err();
        assert!(matches!(error, RecvError::PeerGone { .. }), "{error}");
        works(&domain.domain(), &mut hub);
    });
}
