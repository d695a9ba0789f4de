//! A writer that scribbles over its ring, also while it is read and after it was validated. Its
//! reader gets events, whatever is in them, or an end of the link; never anything worse, and
//! nothing that comes over other links suffers.

mod common;

use common::process::{Child, LONG, Wire, enter, wait_until, within};
use common::random::{Random, mix};
use common::scribble::{Scribbler, TARGETS, Target, Vandal};
use common::{Domain, Note, Pose, pose};
use ephapse::ring::{Fencing, FollowError, Follower, Kind, Position, Reader, RecordError, Writer};
use ephapse::segment::{RingMemory, RingOptions};
use ephapse::{Hub, LinkId, LinkOptions, Payloads, Received, RecvError, SendError, Wait};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Tests here look for segments among the mappings of the process: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn child_entry() {
    enter(|role, wire| match role {
        "vandal" => be_hostile(wire),
        "repeating" => repeat_for_ever(wire),
        other => panic!("no role {other}"),
    });
}

/// Links of a hostile process, one after another.
const ROUNDS: u64 = 200;
const EVENTS_PER_ROUND: u64 = 300;

fn be_hostile(wire: &Wire) {
    let setup = wire.receive().unwrap();
    let (domain, seed) = setup.split_once(' ').unwrap();
    let seed: u64 = seed.parse().unwrap();
    for round in 0..ROUNDS {
        let mut random = Random::seeded(seed ^ mix(round));
        let name = format!("hostile-{seed}-{round}");
        let mut hub = Hub::builder(&name).domain(ephapse::Domain::at(domain)).connect().unwrap();
        let capacity = 4096 << random.below(5);
        let options = LinkOptions::default().send_capacity(capacity);
        let mut link = hub.link_with("victim", options).unwrap();
        let ring = Scribbler::of_own("ephapse-ring").pop().expect("the ring that we write");
        let target = *random.pick(&TARGETS);
        let mut strokes = random.clone();
        let pause = random.below(2000);
        let vandal = Vandal::start(move || {
            for _ in 0..pause {
                std::hint::spin_loop();
            }
            ring.scribble(target, &mut strokes);
        });
        for i in 0..EVENTS_PER_ROUND {
            let note = Note { lines: vec!["line".repeat(9); random.below(6) as usize] };
            let _ = if random.one_in(2) { link.try_send(&pose(i)) } else { link.try_send(&note) };
            if !link.is_open() {
                break;
            }
        }
        drop(vandal);
        drop(link);
    }
    wire.send("done");
    wire.receive();
}

/// Looks at all that can be looked at, and at what it says of itself.
fn touch(event: &Received<'_>) -> usize {
    let mut sum: usize = event.bytes().iter().map(|byte| usize::from(*byte)).sum();
    if let Ok(note) = event.get::<Note>() {
        sum += note.lines.iter().map(|line| line.as_str().chars().count()).sum::<usize>();
    }
    if let Ok(pose) = event.get::<Pose>() {
        sum += pose.frame.to_native() as usize & 1;
    }
    let _ = (event.timestamp().map(|stamp| stamp.age_ns()), event.record_bytes());
    sum + event.sequence() as usize % 7
}

/// What a victim has been told of its links.
#[derive(Default)]
struct Told {
    ended: HashSet<LinkId>,
    corrupt: usize,
    hostile_events: u64,
    honest_events: u64,
    honest_has_left: bool,
}

impl Told {
    /// Takes one piece of news; `false` if there was none.
    fn receive(&mut self, hub: &mut Hub) -> bool {
        let error = match hub.recv_timeout(Duration::from_millis(1)) {
            Ok(None) => return false,
            Ok(Some(event)) => {
                assert!(!self.ended.contains(&event.link()), "an event of a link that has ended");
                if event.from() == "honest" {
                    assert_eq!(event.sequence(), self.honest_events);
                    let seen = event.get::<Pose>().unwrap();
                    assert_eq!(seen.frame, pose(self.honest_events).frame);
                    self.honest_events += 1;
                } else {
                    std::hint::black_box(touch(&event));
                    self.hostile_events += 1;
                }
                return true;
            }
            Err(error) => error,
        };
        let (RecvError::Corrupt { link, ref peer, .. }
        | RecvError::LinkClosed { link, ref peer }
        | RecvError::PeerGone { link, ref peer }) = error
        else {
            panic!("{error}");
        };
        assert!(&**peer != "honest" || self.honest_has_left, "{error}");
        assert!(self.ended.insert(link), "{link} ends twice: {error}");
        self.corrupt += usize::from(matches!(error, RecvError::Corrupt { .. }));
        true
    }
}

/// A hub of this process that sends numbered events until it is dropped.
fn start_honest(domain: &Domain) -> Vandal {
    let mut hub = domain.hub("honest");
    let mut link = hub.link_to("victim").unwrap();
    let mut next = 0;
    Vandal::start(move || {
        let _ = &hub;
        if next < u64::MAX && link.send_timeout(&pose(next), Duration::from_millis(10)).is_ok() {
            next += 1;
        }
    })
}

fn victim(domain: &Domain) -> Hub {
    let hub = Hub::builder("victim").domain(domain.domain()).payloads(Payloads::Copied);
    hub.wait(Wait::default()).connect().unwrap()
}

#[test]
fn a_hostile_writer_harms_only_its_own_link() {
    let _alone = ALONE.lock();
    let seed = Random::for_test("hostile writer").below(1 << 40);
    let domain = Domain::new();
    let mut hub = victim(&domain);
    let honest = start_honest(&domain);
    let children: Vec<Child> = (0..2)
        .map(|number| {
            let child = Child::spawn("vandal");
            child.wire.send(&format!("{} {}", domain.domain().path().display(), seed + number));
            child
        })
        .collect();
    within(4 * LONG, "the victim", move || {
        let mut told = Told::default();
        let mut links = Vec::new();
        for child in &children {
            while !child.wire.is_readable(Duration::ZERO) {
                told.receive(&mut hub);
                while let Some(link) = hub.try_accept().unwrap() {
                    links.push(link);
                }
            }
            child.wire.expect("done");
        }
        // All hostile links have ended, or will now.
        let deadline = Instant::now() + LONG;
        while hub.link_count() > 1 {
            told.receive(&mut hub);
            assert!(Instant::now() < deadline, "{} links do not end", hub.link_count() - 1);
        }
        drop(honest);
        told.honest_has_left = true;
        while hub.link_count() > 0 {
            assert!(told.receive(&mut hub) || Instant::now() < deadline);
        }
        let Told { corrupt, hostile_events, honest_events, .. } = told;
        assert!(corrupt > 0 && hostile_events > ROUNDS && honest_events > ROUNDS);
        for link in links.iter_mut().filter(|link| link.peer() != "honest") {
            let error = link.try_send(&pose(0)).unwrap_err();
            let (SendError::Closed { .. } | SendError::PeerGone { .. }) = error else {
                panic!("{error}");
            };
        }
    });
}

/// Makes a ring in which a record follows upon every record, and is killed.
fn repeat_for_ever(wire: &Wire) {
    let domain = ephapse::Domain::at(wire.receive().unwrap());
    let mut hub = Hub::builder("hostile").domain(domain).connect().unwrap();
    let _link = hub.link_to("victim").unwrap();
    let ring = Scribbler::of_own("ephapse-ring").pop().unwrap();
    ring.scribble(Target::Repeating, &mut Random::seeded(0));
    wire.send("done");
    wire.receive();
}

#[test]
fn a_ring_that_repeats_itself_ends_with_its_writer() {
    let _alone = ALONE.lock();
    let domain = Domain::new();
    let mut hub = victim(&domain);
    let mut child = Child::spawn("repeating");
    child.wire.send(domain.domain().path().to_str().unwrap());
    child.wire.expect("done");
    child.kill();
    within(LONG, "the victim", move || {
        let deadline = Instant::now() + LONG / 2;
        loop {
            match hub.recv() {
                Ok(event) => assert!(event.is_some()),
                Err(error) => break drop(error),
            }
            assert!(Instant::now() < deadline, "a dead peer goes on sending");
        }
        assert_eq!(hub.link_count(), 0);
    });
}

fn ring_of(capacity: usize) -> (Writer<RingMemory>, RingMemory, RingMemory) {
    let options = RingOptions { capacity, ..RingOptions::default() };
    let (writer, shared) = RingMemory::create(options).unwrap();
    let open = || RingMemory::open(&shared.file, capacity as u64).unwrap();
    (writer, open(), open())
}

/// Both kinds of readers, on rings that are scribbled over while they read.
#[test]
fn readers_survive_any_bytes() {
    let _alone = ALONE.lock();
    let mut random = Random::for_test("hostile ring");
    let (mut records, mut corrupt, mut overruns) = (0u64, 0u64, 0u64);
    for round in 0..120 {
        let capacity = 4096 << random.below(4);
        let (mut writer, gating, lossy) = ring_of(capacity);
        let ring = Scribbler::of_own("ephapse-ring").pop().unwrap();
        assert_eq!(ring.bytes(), 4096 + capacity);
        let target = TARGETS[round % TARGETS.len()];
        let (vandals_ring, mut vandals) = (ring.clone(), random.clone());
        let vandal = Vandal::start(move || vandals_ring.scribble(target, &mut vandals));
        let mut gating = Reader::attach(gating, Position::on_heap(), 0, Fencing::Light);
        let mut lossy = Follower::lossy(lossy, None);
        let mut copy = vec![0; capacity];
        let mut body = Vec::new();
        for polls in 0..1000 {
            if polls % (capacity / 128) == 0 {
                // Half a ring of records, which lie there for a while.
                for _ in 0..capacity / 128 {
                    writer.loan(56).unwrap().commit(50, Kind::Plain, 0);
                }
            }
            // The vandal may not get a processor; some strokes fall between the looks.
            if random.one_in(8) {
                ring.scribble(target, &mut random);
            }
            match gating.poll() {
                Ok(Some(record)) => {
                    let len = record.commit().len;
                    assert!(len <= capacity / 2 - 8);
                    record.copy_to(&mut copy);
                    records += 1;
                }
                Ok(None) => {}
                Err(RecordError::Closed | RecordError::Corrupt { .. }) => corrupt += 1,
            }
            match lossy.poll(&mut body) {
                Ok(commit) => assert!(commit.is_none_or(|c| c.len == body.len())),
                Err(FollowError::Overrun { .. }) => overruns += 1,
                Err(FollowError::Closed | FollowError::Corrupt { .. }) => {}
            }
            if random.one_in(100) {
                let _ = lossy.skip_to_end();
            }
        }
        drop(vandal);
    }
    assert!(records > 100 && corrupt > 100 && overruns > 0, "{records} {corrupt} {overruns}");
}

#[test]
fn a_follower_survives_any_boundary() {
    let _alone = ALONE.lock();
    for boundary in [u64::MAX, u64::MAX - 63, u64::MAX - 4096, 1 << 63, 4095, 1] {
        let (_writer, _, lossy) = ring_of(4096);
        let ring = Scribbler::of_own("ephapse-ring").pop().unwrap();
        ring.scribble(Target::Repeating, &mut Random::seeded(0));
        ring.store(128, boundary);
        let mut follower = Follower::lossy(lossy, None);
        let mut body = Vec::new();
        for _ in 0..200 {
            let _ = follower.poll(&mut body);
            let _ = follower.skip_to_end();
        }
    }
}

/// The victim's other promise: what has been validated does not change any more.
#[test]
fn a_copied_payload_does_not_change_under_its_reader() {
    let _alone = ALONE.lock();
    let domain = Domain::new();
    let (mut a, mut b) = (domain.hub("a"), victim(&domain));
    let mut link = a.link_to("victim").unwrap();
    link.send(&Note { lines: vec!["unchanged".to_owned(); 3] }).unwrap();
    let ring = Scribbler::of_own("ephapse-ring");
    let event = b.recv_timeout(LONG).unwrap().unwrap();
    let note = event.get::<Note>().unwrap();
    let scribbled = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&scribbled);
    let vandal = Vandal::start(move || {
        for ring in &ring {
            (4096..8192).step_by(8).for_each(|offset| ring.store(offset, u64::MAX));
        }
        done.store(true, Ordering::Relaxed);
    });
    wait_until("all is scribbled over", || scribbled.load(Ordering::Relaxed));
    assert!(note.lines.iter().all(|line| line == "unchanged"));
    drop(vandal);
}
