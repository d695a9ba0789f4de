//! A hub that offers something else than a ring, positions and a doorbell, or says something else
//! of them than is true: there is no link, and the other hub goes on as if nothing had been.

mod common;

use common::host::Holdings;
use common::process::{LONG, wait_until};
use common::proxy::Proxy;
use common::random::Random;
use common::{Domain, pose};
use ephapse::{Error, Hub, LinkOptions};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use parking_lot::Mutex;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Tests here count the descriptors of the process: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

const RING: usize = 0;
const CURSORS: usize = 1;
const DOORBELL: usize = 2;

/// A descriptor that is not what it should be, made anew each time.
type Forge = fn() -> OwnedFd;

fn on_disk() -> OwnedFd {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    file.into()
}

fn device(path: &str) -> OwnedFd {
    File::options().read(true).write(true).open(path).unwrap().into()
}

fn fifo() -> OwnedFd {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    File::options().read(true).write(true).open(path).unwrap().into()
}

fn pathless() -> OwnedFd {
    nix::fcntl::open("/", OFlag::O_PATH, nix::sys::stat::Mode::empty()).unwrap()
}

/// Sealed as it must be, as long as a ring of the default capacity is, and without a header.
fn sealed() -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = memfd_create("forged", flags).unwrap();
    let bytes = vec![0; 4096 + (64 << 10)];
    assert_eq!(nix::unistd::write(&file, &bytes).unwrap(), bytes.len());
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    let seals = SealFlag::from_bits_retain(seals | libc::F_SEAL_FUTURE_WRITE);
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

const UNSEALED: &str = "an unsealed memfd";
const SEALED: &str = "a sealed memfd";

const FORGERIES: &[(&str, Forge)] = &[
    ("a file on disk", on_disk),
    ("a directory", || File::open("/").unwrap().into()),
    ("a path", pathless),
    ("/dev/zero", || device("/dev/zero")),
    ("/dev/null", || device("/dev/null")),
    ("a socket", || std::os::unix::net::UnixStream::pair().unwrap().0.into()),
    ("the read end of a pipe", || nix::unistd::pipe().unwrap().0),
    ("the write end of a pipe", || nix::unistd::pipe().unwrap().1),
    ("a named pipe", fifo),
    (UNSEALED, || memfd_create("forged", MFdFlags::MFD_CLOEXEC).unwrap()),
    (SEALED, sealed),
    ("an eventfd", || nix::sys::eventfd::EventFd::new().unwrap().into()),
];

/// Whether it is a pipe, and so could be a doorbell.
fn could_ring(what: &str) -> bool {
    what.contains("pipe")
}

/// What is said of a forgery in the place of one of the three.
fn complaint(what: &str, index: usize) -> &'static str {
    match (what, index) {
        (UNSEALED, RING) => {
            "shared memory for the ring of hub hostile: the segment is not sealed: seals SHRINK, \
             GROW, FUTURE_WRITE are missing"
        }
        (UNSEALED, CURSORS) => {
            "shared memory for the positions of hub hostile: the segment is not sealed: seals \
             SHRINK, GROW, FUTURE_WRITE are missing"
        }
        (SEALED, RING) => {
            "shared memory for the ring of hub hostile: the segment starts with \
             0x0000000000000000 where 0x0045535041485045 was expected"
        }
        (SEALED, CURSORS) => {
            "shared memory for the positions of hub hostile: the segment has 69632 bytes where \
             262144 were declared"
        }
        // The supervisor does not even pass it on.
        _ => "descriptors came that are not two memfds and a pipe",
    }
}

/// What is to be put in place of which descriptor of the next message that has some.
type Plan = Arc<Mutex<Option<(usize, OwnedFd)>>>;

fn forging(domain: &Domain) -> (Proxy, Plan) {
    let plan: Plan = Arc::default();
    let planned = Arc::clone(&plan);
    let proxy = Proxy::start(&domain.domain(), move |message| {
        if !message.descriptors.is_empty()
            && let Some((index, forged)) = planned.lock().take()
        {
            message.descriptors[index] = forged;
        }
    });
    (proxy, plan)
}

fn quickly() -> LinkOptions {
    LinkOptions::default().timeout(Duration::from_millis(500))
}

/// A victim, a bystander with whom it can link at any time, and a hub whose offers are forged.
struct Scene {
    domain: Domain,
    victim: Hub,
    hostile: Hub,
    plan: Plan,
    _proxy: Proxy,
}

impl Scene {
    fn new() -> Self {
        let domain = Domain::new();
        let victim = domain.hub("victim");
        let (proxy, plan) = forging(&domain);
        let hostile = Hub::builder("hostile").domain(proxy.domain()).connect().unwrap();
        Self { domain, victim, hostile, plan, _proxy: proxy }
    }

    /// The victim is as it was: without links, and able to open one.
    fn nothing_has_happened(&mut self) {
        while self.victim.try_accept().unwrap().is_some() {}
        while self.hostile.try_accept().unwrap().is_some() {}
        wait_until("all links have ended", || {
            let _ = self.victim.recv_timeout(Duration::from_millis(1));
            let _ = self.hostile.recv_timeout(Duration::from_millis(1));
            self.victim.link_count() + self.hostile.link_count() == 0
        });
        let mut other = self.domain.hub("bystander");
        let mut link = self.victim.link_to("bystander").unwrap();
        link.send(&pose(1)).unwrap();
        assert_eq!(other.recv_timeout(LONG).unwrap().unwrap().sequence(), 0);
        drop(other);
        drop(link);
        assert!(self.victim.recv_timeout(LONG).is_err(), "the bystander has left");
    }
}

/// Plans each forgery in turn; `link` is to fail, and to say why.
fn each_forgery(link: impl Fn(&mut Scene, &str) -> Error) {
    let _alone = ALONE.lock();
    let mut scene = Scene::new();
    scene.nothing_has_happened();
    let before = Holdings::now();
    for (what, forge) in FORGERIES {
        for index in [RING, CURSORS, DOORBELL] {
            if index == DOORBELL && could_ring(what) {
                continue;
            }
            *scene.plan.lock() = Some((index, forge()));
            let error = link(&mut scene, what);
            assert!(error.to_string().contains(complaint(what, index)), "{what}: {error}");
        }
    }
    scene.nothing_has_happened();
    before.wait_for_return();
}

#[test]
fn an_offer_of_something_else_is_declined() {
    each_forgery(|scene, what| {
        let error = scene.hostile.link_with("victim", quickly()).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{what}: {error:?}");
        error
    });
}

#[test]
fn an_answer_with_something_else_is_refused() {
    each_forgery(|scene, _| {
        let error = scene.victim.link_with("hostile", quickly()).unwrap_err();
        assert!(matches!(error, Error::Refused { .. } | Error::Segment { .. }), "{error:?}");
        error
    });
}

#[test]
fn a_doorbell_that_is_another_pipe_rings_nobody_and_harms_nobody() {
    let _alone = ALONE.lock();
    let mut scene = Scene::new();
    for (what, forge) in FORGERIES.iter().filter(|(what, _)| could_ring(what)) {
        *scene.plan.lock() = Some((DOORBELL, forge()));
        // Whether there is a link, and for how long, is the hostile hub's own affair.
        drop(scene.hostile.link_with("victim", quickly()));
        *scene.plan.lock() = Some((DOORBELL, forge()));
        if let Ok(mut link) = scene.victim.link_with("hostile", quickly()) {
            for _ in 0..5000 {
                let _ = link.try_send(&pose(0));
            }
        }
        *scene.plan.lock() = None;
        assert!(!what.is_empty());
        scene.nothing_has_happened();
    }
}

#[test]
fn offers_that_have_been_tampered_with() {
    let _alone = ALONE.lock();
    let mut random = Random::for_test("hostile handshake");
    let domain = Domain::new();
    let mut victim = domain.hub("victim");
    let mut hub = domain.hub("bystander");
    let mut standing = hub.link_to("victim").unwrap();
    for round in 0..150 {
        let mut changes = random.clone();
        let proxy = Proxy::start(&domain.domain(), move |message| {
            if !message.descriptors.is_empty() {
                // Not its own length: that is for the supervisor to find out.
                let at = 16 + changes.below(message.bytes.len() as u64 - 16) as usize;
                message.bytes[at] = message.bytes[at].wrapping_add(changes.next() as u8);
                message.descriptors.rotate_left(usize::from(changes.one_in(8)));
            }
        });
        random.next();
        let name = format!("hostile-{round}");
        let mut hostile = Hub::builder(&name).domain(proxy.domain()).connect().unwrap();
        let timeout = Duration::from_millis(30);
        let options = LinkOptions::default().timeout(timeout);
        let opened = if round % 2 == 0 {
            hostile.link_with("victim", options)
        } else {
            victim.link_with(&name, options)
        };
        if let Ok(mut link) = opened {
            for i in 0..100 {
                let _ = link.try_send(&pose(i));
            }
        }
        standing.send(&pose(round)).unwrap();
        loop {
            // What a hostile hub sends is its own affair; what becomes of its links, too.
            match victim.recv_timeout(LONG) {
                Ok(Some(event)) if event.from() == "bystander" => {
                    break assert_eq!(event.sequence(), round);
                }
                Ok(event) => assert!(event.is_some()),
                Err(error) => assert!(error.to_string().contains("hostile-"), "{error}"),
            }
        }
        drop((hostile, proxy));
    }
    while victim.try_accept().unwrap().is_some() {}
    wait_until("all hostile links have ended", || {
        let _ = victim.recv_timeout(Duration::from_millis(1));
        victim.link_count() == 1
    });
}
