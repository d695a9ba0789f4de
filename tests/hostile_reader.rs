//! A reader that lies about how far it has read. The writer never overwrites what an honest reader
//! has not read, never waits for a liar for ever once it has been found out, and says who it was.

mod common;

use common::process::{Child, LONG, Wire, enter, wait_until, within};
use common::random::{Random, mix};
use common::scribble::{Scribbler, Vandal};
use common::{Domain, pose};
use ephapse::ring::{Fencing, Kind, Position, Reader, RingError, Writer};
use ephapse::segment::{RingMemory, RingOptions};
use ephapse::{Hub, SendError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn child_entry() {
    enter(|_, wire| lie(wire));
}

/// A position that the test writes, as a hostile process would its own.
fn forged() -> (Arc<AtomicU64>, Position) {
    let word = Arc::new(AtomicU64::new(0));
    // SAFETY: the word lives as long as its `Arc`, and is accessed as an atomic only.
    let position = unsafe { Position::within(Arc::as_ptr(&word), true, Arc::clone(&word) as _) };
    (word, position)
}

const LIAR: u64 = 666;

/// One writer, one honest reader, one liar.
struct Triangle {
    writer: Writer<RingMemory>,
    reader: Reader<RingMemory>,
    lie: Arc<AtomicU64>,
    written: u64,
    read: u64,
    lies_told: u64,
}

impl Triangle {
    fn new(capacity: usize) -> Self {
        let options = RingOptions { capacity, ..RingOptions::default() };
        let (mut writer, shared) = RingMemory::create(options).unwrap();
        let honest = Position::on_heap();
        writer.add_reader(1, honest.clone()).unwrap();
        let (lie, position) = forged();
        writer.add_reader(LIAR, position).unwrap();
        let memory = RingMemory::open(&shared.file, capacity as u64).unwrap();
        let reader = Reader::attach(memory, honest, 0, Fencing::Light);
        Self { writer, reader, lie, written: 0, read: 0, lies_told: 0 }
    }

    /// Writes one record, if the writer says that there is room.
    fn write(&mut self, random: &mut Random) -> Result<(), RingError> {
        let len = random.below(self.writer.max_body().min(700) as u64 + 1) as usize;
        let mut loan = self.writer.loan(len)?;
        loan.copy_from_slice(&Random::seeded(self.written).bytes(len));
        loan.commit(len, Kind::Plain, mix(self.written) as u32);
        self.written += 1;
        Ok(())
    }

    /// Reads one record, if there is one, and checks every byte of it.
    fn read(&mut self) -> bool {
        let Some(record) = self.reader.poll().expect("the honest reader's ring is whole") else {
            return false;
        };
        let commit = record.commit();
        assert_eq!(commit.tag, mix(self.read) as u32, "record {}", self.read);
        let mut body = vec![0; commit.len];
        record.copy_to(&mut body);
        assert!(body == Random::seeded(self.read).bytes(commit.len), "record {}", self.read);
        self.read += 1;
        true
    }

    fn handle(&mut self, result: Result<(), RingError>) {
        match result {
            Ok(()) | Err(RingError::Full) => {}
            Err(RingError::ReaderLied { id, .. }) => {
                assert_eq!(id, LIAR);
                self.lies_told += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Something that cannot be true, or can, or is not even a position.
fn lie_about(position: u64, capacity: u64, random: &mut Random) -> u64 {
    match random.below(8) {
        0 => position.wrapping_add(random.below(capacity)),
        1 => position.saturating_sub(random.below(2 * capacity)),
        2 => u64::MAX,
        3 => u64::MAX - random.below(3 * capacity),
        4 => random.next(),
        5 => 0,
        6 => position.saturating_sub(random.below(capacity / 64) * 64),
        _ => position,
    }
}

#[test]
fn a_liar_costs_an_honest_reader_nothing() {
    let mut random = Random::for_test("hostile reader");
    let mut found_out = 0;
    for _ in 0..150 {
        let capacity = 4096 << random.below(4);
        let mut triangle = Triangle::new(capacity);
        for _ in 0..1000 {
            match random.below(5) {
                0 | 1 => {
                    let result = triangle.write(&mut random);
                    triangle.handle(result);
                }
                2 | 3 => drop(triangle.read()),
                _ => {
                    let position = triangle.writer.position();
                    let lie = lie_about(position, capacity as u64, &mut random);
                    triangle.lie.store(lie, Ordering::Relaxed);
                }
            }
        }
        while triangle.read() {}
        assert_eq!(triangle.read, triangle.written, "nothing was lost");
        assert!(triangle.lies_told <= 1, "told once");
        found_out += triangle.lies_told;
    }
    assert!(found_out > 50, "{found_out}");
}

#[test]
fn lies_at_any_moment_cost_an_honest_reader_nothing() {
    let mut random = Random::for_test("hostile reader in a thread");
    for round in 0..50 {
        let capacity = 4096 << random.below(3);
        let mut triangle = Triangle::new(capacity);
        let (lie, mut lies) = (Arc::clone(&triangle.lie), random.clone());
        let vandal = Vandal::start(move || {
            // The truth is near what it said before; most lies are found out.
            let near = lie.load(Ordering::Relaxed).wrapping_add(64 * lies.below(8));
            let wild = if lies.one_in(2000 - 39 * round) { lies.next() } else { near };
            lie.store(wild, Ordering::Relaxed);
        });
        for _ in 0..2000 {
            let result = triangle.write(&mut random);
            triangle.handle(result);
            if random.one_in(2) {
                triangle.read();
            }
        }
        drop(vandal);
        while triangle.read() {}
        assert_eq!(triangle.read, triangle.written, "nothing was lost");
    }
}

#[test]
fn the_text_names_the_liar_and_the_lie() {
    let fill = |writer: &mut Writer<RingMemory>, count| {
        for _ in 0..count {
            match writer.loan(56).map(|loan| loan.commit(56, Kind::Plain, 0)) {
                Ok(()) => {}
                Err(error) => return error,
            }
        }
        RingError::Full
    };
    for lie in [0, 64, 127, 4161, 1 << 40, u64::MAX - 2] {
        let mut triangle = Triangle::new(4096);
        // Both have read two records, and the ring is full again.
        fill(&mut triangle.writer, 2);
        while triangle.reader.poll().unwrap().is_some() {}
        triangle.reader.publish();
        triangle.lie.store(128, Ordering::Relaxed);
        assert_eq!(fill(&mut triangle.writer, 100), RingError::Full);
        let (low, high) = (128, 4160);
        assert_eq!(triangle.writer.position(), high);
        triangle.lie.store(lie, Ordering::Relaxed);
        let error = fill(&mut triangle.writer, 1);
        assert_eq!(error, RingError::ReaderLied { id: LIAR, claimed: lie, low, high });
        let text = format!(
            "reader {LIAR} says that it is at {lie}, which is not between {low} and {high}"
        );
        assert_eq!(error.to_string(), text);
        // It is not waited for any more: the honest reader alone decides.
        while triangle.reader.poll().unwrap().is_some() {}
        triangle.reader.publish();
        triangle.writer.loan(56).unwrap().commit(56, Kind::Plain, 0);
    }
}

/// Several laps of the ring, so that the writer has looked where its reader is.
const EVENTS: u64 = 5000;

/// A hub that claims, after a while, to have read what the test says.
fn lie(wire: &Wire) {
    let setup = wire.receive().unwrap();
    let (domain, claim) = setup.split_once(' ').unwrap();
    let claim: u64 = claim.parse().unwrap();
    let mut hub = Hub::builder("liar").domain(ephapse::Domain::at(domain)).connect().unwrap();
    let _link = hub.link_to("victim").unwrap();
    wire.send("linked");
    wire.expect("read, then lie");
    for _ in 0..EVENTS {
        hub.recv_timeout(LONG).unwrap().unwrap();
    }
    drop(hub.try_recv()); // publishes
    let cursors = Scribbler::of_own("ephapse-cursors").pop().unwrap();
    // Whichever of its first slots is the position; the others are doorbells.
    (1..8).for_each(|slot| cursors.store(64 * slot, claim));
    wire.send("lied");
    wire.receive();
}

/// A victim with an honest link beside the one to the liar.
fn victim_of(claim: u64, check: impl FnOnce(&mut Hub, &mut ephapse::Link, &mut Child)) {
    let domain = Domain::new();
    let (mut hub, mut honest) = (domain.hub("victim"), domain.hub("honest"));
    let mut to_honest = hub.link_to("honest").unwrap();
    let mut child = Child::spawn("liar");
    child.wire.send(&format!("{} {claim}", domain.domain().path().display()));
    child.wire.expect("linked");
    let mut link = hub.accept_timeout(LONG).unwrap().unwrap();
    child.wire.send("read, then lie");
    for i in 0..EVENTS {
        link.send_timeout(&pose(i), LONG).unwrap();
    }
    child.wire.expect("lied");
    check(&mut hub, &mut link, &mut child);
    for i in 0..100 {
        to_honest.send_timeout(&pose(i), LONG).unwrap();
        assert_eq!(honest.recv_timeout(LONG).unwrap().unwrap().sequence(), i);
    }
}

/// Sends until it is not possible any more.
fn send_on(link: &mut ephapse::Link) -> SendError {
    loop {
        if let Err(error) = link.send_timeout(&pose(0), Duration::from_millis(100)) {
            return error;
        }
    }
}

#[test]
fn a_lying_hub_loses_its_link() {
    // Behind what it said before, ahead of what was written, wild.
    for claim in [0, 64, 1 << 40, 1 << 63, u64::MAX - 2] {
        victim_of(claim, |hub, link, child| {
            let error = send_on(link);
            assert!(matches!(error, SendError::ReaderLied { .. }), "{error}");
            let text = error.to_string();
            let start = "hub liar does not keep to the protocol: reader ";
            assert!(text.starts_with(start), "{text}");
            assert!(text.contains(&format!("says that it is at {claim}, which is not")), "{text}");
            assert_eq!(send_on(link), SendError::Closed { peer: "liar".into() });
            assert!(!link.is_open());
            // The receiving half ends too, and all that it held is given back.
            child.kill();
            wait_until("the receiving half ends", || {
                let _ = hub.recv_timeout(Duration::from_millis(1));
                hub.link_count() == 1
            });
        });
    }
}

#[test]
fn a_hub_that_says_that_it_has_not_begun_is_a_slow_one() {
    victim_of(u64::MAX, |hub, link, child| {
        assert_eq!(send_on(link), SendError::Full);
        assert!(link.is_open());
        child.kill();
        wait_until("it is gone", || !link.is_open());
        let error = send_on(link);
        assert_eq!(error, SendError::PeerGone { peer: "liar".into() });
        assert!(hub.recv_timeout(LONG).is_err());
    });
}

#[test]
fn positions_that_change_all_the_time_do_not_hold_a_sender_up() {
    within(LONG, "the writer", || {
        let mut random = Random::for_test("hostile reader, sending");
        let mut triangle = Triangle::new(4096);
        let (lie, mut lies) = (Arc::clone(&triangle.lie), random.clone());
        let _vandal = Vandal::start(move || lie.store(lies.next(), Ordering::Relaxed));
        for _ in 0..100_000 {
            let result = triangle.write(&mut random);
            triangle.handle(result);
            triangle.read();
        }
        assert_eq!(triangle.lies_told, 1);
    });
}
