//! Whatever comes over its socket, the supervisor goes on serving everybody else, and keeps
//! nothing of it.

mod common;

use common::host::Holdings;
use common::process::{LONG, wait_until};
use common::proxy::{Message, Proxy, Socket};
use common::random::Random;
use common::{Domain, pose};
use ephapse::{Hub, Link};
use nix::errno::Errno;
use parking_lot::Mutex;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tests here count the descriptors of the process: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Two hubs of one domain, with a link, that nothing may happen to.
struct Bystanders {
    a: Hub,
    b: Hub,
    link: Link,
    sent: u64,
}

impl Bystanders {
    fn new(domain: &Domain) -> Self {
        let (mut a, b) = (domain.hub("bystander-a"), domain.hub("bystander-b"));
        let link = a.link_to("bystander-b").unwrap();
        Self { a, b, link, sent: 0 }
    }

    /// Old links carry, the supervisor answers.
    fn are_served(&mut self) {
        self.link.send(&pose(self.sent)).unwrap();
        assert_eq!(self.b.recv_timeout(LONG).unwrap().unwrap().sequence(), self.sent);
        self.sent += 1;
        let names: Vec<String> = self.a.hubs().unwrap().into_iter().map(|hub| hub.name).collect();
        for name in ["bystander-a", "bystander-b"] {
            assert!(names.iter().any(|n| n == name), "{names:?}");
        }
    }
}

/// New hubs can join and link.
fn newcomers_are_served(domain: &Domain) {
    let (mut a, mut b) = (domain.hub("newcomer-a"), domain.hub("newcomer-b"));
    let mut link = a.link_to("newcomer-b").unwrap();
    link.send(&pose(1)).unwrap();
    assert_eq!(b.recv_timeout(LONG).unwrap().unwrap().sequence(), 0);
}

/// Runs an attack beside bystanders; afterwards the process holds what it held before.
fn attack(work: impl FnOnce(&Domain, &mut Bystanders)) {
    let _alone = ALONE.lock();
    let domain = Domain::new();
    let mut bystanders = Bystanders::new(&domain);
    bystanders.are_served();
    newcomers_are_served(&domain);
    let before = Holdings::now();
    work(&domain, &mut bystanders);
    bystanders.are_served();
    newcomers_are_served(&domain);
    before.wait_for_return();
}

/// What a real hub says when it joins, lists, waits, and opens a link: each with its descriptors.
fn recorded(domain: &Domain) -> Vec<Message> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&all);
    let proxy = Proxy::start(&domain.domain(), move |message| {
        let descriptors = message.descriptors.iter().map(|fd| fd.try_clone().unwrap()).collect();
        record.lock().push(Message { bytes: message.bytes.clone(), descriptors });
    });
    let mut hub = Hub::builder("recorded").domain(proxy.domain()).connect().unwrap();
    hub.hubs().unwrap();
    hub.wait_for("bystander-a", LONG).unwrap();
    let link = hub.link_to("bystander-a").unwrap();
    drop((link, hub, proxy));
    let all = std::mem::take(&mut *all.lock());
    assert!(all.len() >= 5, "hello, list, wait, link, attached");
    assert_eq!(all[3].descriptors.len(), 3, "ring, cursors, doorbell");
    all
}

/// Tells bystander-a, which was linked to, that it may forget.
fn forget_recorded(bystanders: &mut Bystanders) {
    while bystanders.a.try_accept().unwrap().is_some() {}
    wait_until("the recorded link has ended", || {
        let _ = bystanders.a.recv_timeout(Duration::from_millis(1));
        bystanders.a.link_count() == 1
    });
}

#[test]
fn bytes_of_any_kind() {
    let mut random = Random::for_test("hostile supervisor bytes");
    attack(|domain, bystanders| {
        for round in 0..300 {
            let socket = Socket::connect(&domain.domain()).unwrap();
            let len = random.pick(&[0, 1, 15, 16, 17, 100, 16 << 10, (16 << 10) + 1, 100 << 10]);
            let mut bytes = random.bytes(*len);
            if random.one_in(2) && bytes.len() >= 16 {
                // At least it says that it is one of us, and how long it is.
                bytes[..8].copy_from_slice(b"EPH:\x03\0\x01\0");
                let declared = len - 16 + usize::from(random.one_in(4));
                bytes[8..12].copy_from_slice(&(declared as u32).to_le_bytes());
            }
            match socket.send(&bytes, &[]) {
                Ok(()) | Err(Errno::EMSGSIZE | Errno::EAGAIN) => {}
                Err(errno) => panic!("{errno}"),
            }
            if round % 30 == 0 {
                bystanders.are_served();
            }
            // Whoever says anything but a greeting is sent away without a word.
            assert!(socket.receive_to_the_end().is_empty());
        }
    });
}

#[test]
fn messages_that_have_been_tampered_with() {
    let mut random = Random::for_test("hostile supervisor messages");
    attack(|domain, bystanders| {
        let recorded = recorded(domain);
        forget_recorded(bystanders);
        for round in 0..400 {
            let socket = Socket::connect(&domain.domain()).unwrap();
            let mut changed = random.below(recorded.len() as u64) as usize;
            for message in &recorded {
                let mut bytes = message.bytes.clone();
                if changed == 0 {
                    tamper(&mut bytes, &mut random);
                }
                changed = changed.wrapping_sub(1);
                let descriptors: Vec<_> = message.descriptors.iter().map(AsFd::as_fd).collect();
                if socket.send(&bytes, &descriptors).is_err() {
                    break; // it has been sent away
                }
            }
            if round % 40 == 0 {
                bystanders.are_served();
            }
            drop(socket);
            let _ = bystanders.a.recv_timeout(Duration::ZERO);
        }
        forget_recorded(bystanders);
    });
}

/// Changes a few bits, words, or the length.
fn tamper(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xFF),
            3 => bytes.truncate(at.max(1)),
            _ => bytes.extend(random.bytes(at)),
        }
    }
}

#[test]
fn descriptors_that_nobody_asked_for() {
    attack(|domain, bystanders| {
        let recorded = recorded(domain);
        forget_recorded(bystanders);
        let (hello, link) = (&recorded[0].bytes, &recorded[3]);
        let null = std::fs::File::open("/dev/null").unwrap();
        for count in [1, 4, 5, 100, 253] {
            let many: Vec<BorrowedFd<'_>> = vec![null.as_fd(); count];
            let socket = Socket::connect(&domain.domain()).unwrap();
            socket.send(hello, &many).unwrap();
            assert!(socket.receive_to_the_end().is_empty(), "{count} with a greeting");
        }
        for count in [0, 1, 2, 4, 5, 253] {
            let many: Vec<BorrowedFd<'_>> = vec![null.as_fd(); count];
            let socket = Socket::connect(&domain.domain()).unwrap();
            socket.send(hello, &[]).unwrap();
            socket.send(&link.bytes, &many).unwrap();
            assert!(socket.receive().is_some(), "welcome");
            let refusal = socket.receive().expect("a refusal").bytes;
            let why = format!("{} descriptors came instead of 3", count.min(4));
            assert!(String::from_utf8_lossy(&refusal).contains(&why), "{count} with a link");
        }
        // Its own connection: in flight over itself.
        let socket = Socket::connect(&domain.domain()).unwrap();
        socket.send(hello, &[socket.as_fd()]).unwrap();
        assert!(socket.receive_to_the_end().is_empty());
    });
}

#[test]
fn connections_that_end_in_the_middle() {
    let mut random = Random::for_test("hostile supervisor hang-ups");
    attack(|domain, bystanders| {
        let recorded = recorded(domain);
        forget_recorded(bystanders);
        for round in 0..200 {
            let socket = Socket::connect(&domain.domain()).unwrap();
            for message in &recorded[..random.below(recorded.len() as u64 + 1) as usize] {
                let descriptors: Vec<_> = message.descriptors.iter().map(AsFd::as_fd).collect();
                if socket.send(&message.bytes, &descriptors).is_err() {
                    break;
                }
            }
            let how = *random.pick(&[None, Some(libc::SHUT_RD), Some(libc::SHUT_WR)]);
            if let Some(how) = how {
                // SAFETY: takes two integers.
                unsafe { libc::shutdown(socket.as_fd().as_raw_fd(), how) };
            }
            if round % 20 == 0 {
                bystanders.are_served();
            }
            drop(socket);
            let _ = bystanders.a.recv_timeout(Duration::ZERO);
        }
        forget_recorded(bystanders);
    });
}

#[test]
fn one_that_asks_and_does_not_listen() {
    attack(|domain, bystanders| {
        let recorded = recorded(domain);
        forget_recorded(bystanders);
        let socket = Socket::connect(&domain.domain()).unwrap();
        socket.send(&recorded[0].bytes, &[]).unwrap();
        let deadline = Instant::now() + LONG;
        let mut asked = 0;
        loop {
            match socket.send(&recorded[1].bytes, &[]) {
                Ok(()) => asked += 1,
                Err(Errno::EAGAIN) => std::thread::yield_now(),
                Err(Errno::EPIPE | Errno::ECONNRESET) => break,
                Err(errno) => panic!("{errno}"),
            }
            assert!(Instant::now() < deadline, "it may ask for ever; {asked} times so far");
            if asked % 500 == 1 {
                bystanders.are_served();
            }
        }
        assert!(asked >= 1000, "what it had asked was queued: {asked}");
    });
}

#[test]
fn many_that_say_nothing() {
    attack(|domain, bystanders| {
        let silent: Vec<Socket> = (0..300)
            .map(|number| {
                if number % 50 == 0 {
                    bystanders.are_served();
                }
                Socket::connect(&domain.domain()).unwrap()
            })
            .collect();
        bystanders.are_served();
        // Those who are too many are sent away at once, the others when their time is over.
        let joined = || Hub::builder("late").domain(domain.domain()).connect().is_ok();
        wait_until("there is room again", joined);
        for socket in &silent {
            assert!(socket.receive_to_the_end().is_empty());
        }
    });
}
