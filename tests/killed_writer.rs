//! A writer is killed, a thousand times, at any moment: its reader sees every record that was
//! committed, nothing half-written, then that the peer is gone, and nothing more.

mod common;

use common::host::Holdings;
use common::page::Page;
use common::process::{Child, LONG, Wire, enter};
use common::random::{Random, mix};
use common::{Domain, Note, Pose};
use ephapse::{Hub, Link, Received, RecvError, SendError};
use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

const KILLS: u64 = 1000;
/// Writers that are alive at once.
const WRITERS: usize = 4;

/// In the writer's page: events that have been committed, and those that will have been when the
/// commit that it is at has taken place.
const COMMITTED: usize = 0;
const ATTEMPTED: usize = 1;

#[test]
fn child_entry() {
    enter(|_, wire| write_until_killed(wire));
}

/// What event number `sequence` of a writer is.
#[derive(Debug, PartialEq)]
enum Content {
    Flat(Pose),
    Nested(Vec<String>),
    Raw(Vec<u8>),
}

fn content(seed: u64, sequence: u64) -> Content {
    let mut random = Random::seeded(seed ^ mix(sequence));
    let line =
        |random: &mut Random| format!("{:x}", random.next()).repeat(random.below(9) as usize);
    match random.below(8) {
        0 => Content::Nested((0..random.below(12)).map(|_| line(&mut random)).collect()),
        1 => {
            let len = random.below(3000) as usize;
            Content::Raw(random.bytes(len))
        }
        _ => Content::Flat(Pose {
            stamp_ns: random.next(),
            position: [random.below(1 << 20) as f32, 1.0, 2.0],
            heading: random.below(360) as f32,
            frame: sequence,
        }),
    }
}

fn write_until_killed(wire: &Wire) {
    let (setup, mut descriptors) = wire.receive_with().unwrap();
    let page = Page::over(descriptors.remove(0));
    let mut setup = setup.split(' ');
    let mut word = || setup.next().unwrap();
    let (domain, name, seed) = (ephapse::Domain::at(word()), word(), word().parse().unwrap());
    let mut hub = Hub::builder(name).domain(domain).connect().unwrap();
    let link = hub.link_to("reader").unwrap();
    wire.send("linked");
    let error = Writer { link, page, seed, next: 0 }.write().unwrap_err();
    panic!("the reader is there, but: {error}");
}

struct Writer {
    link: Link,
    page: Page,
    seed: u64,
    next: u64,
}

impl Writer {
    fn write(&mut self) -> Result<(), SendError> {
        let mut random = Random::seeded(self.seed ^ mix(u64::MAX));
        loop {
            match random.below(16) {
                0 => self.abandon_a_loan(&mut random)?,
                1 => self.abandon_a_batch(&mut random)?,
                2 => self.send_a_batch(&mut random)?,
                _ => self.send_one()?,
            }
        }
    }

    /// Says what is about to be committed.
    fn attempt(page: &Page, until: u64) {
        // Release: whoever sees the commit, or anything later, sees this.
        page.word(ATTEMPTED).store(until, Ordering::Release);
    }

    fn committed(&mut self, count: u64) {
        self.next += count;
        self.page.word(COMMITTED).store(self.next, Ordering::Release);
    }

    fn send_one(&mut self) -> Result<(), SendError> {
        let content = content(self.seed, self.next);
        Self::attempt(&self.page, self.next + 1);
        match content {
            Content::Flat(pose) => self.link.send(&pose)?,
            Content::Nested(lines) => self.link.send(&Note { lines })?,
            Content::Raw(bytes) => {
                let mut loan = self.link.loan(bytes.len() + 100)?;
                loan[..bytes.len()].copy_from_slice(&bytes);
                loan[bytes.len()..].fill(0xEE);
                loan.send_len(bytes.len());
            }
        }
        self.committed(1);
        Ok(())
    }

    fn send_a_batch(&mut self, random: &mut Random) -> Result<(), SendError> {
        let count = 1 + random.below(20);
        let mut batch = self.link.batch();
        for sequence in self.next..self.next + count {
            let result = match content(self.seed, sequence) {
                Content::Flat(pose) => batch.try_send(&pose),
                Content::Nested(lines) => batch.try_send(&Note { lines }),
                // There is no way to add them that does not wait, and so show a part.
                Content::Raw(_) => return Ok(()),
            };
            match result {
                Ok(()) => {}
                Err(SendError::Full) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Self::attempt(&self.page, self.next + count);
        batch.commit();
        self.committed(count);
        Ok(())
    }

    fn abandon_a_loan(&mut self, random: &mut Random) -> Result<(), SendError> {
        let mut loan = self.link.loan(random.below(5000) as usize)?;
        // It looks like records: any of it would be noticed.
        for chunk in loan.chunks_exact_mut(8) {
            chunk.copy_from_slice(&(24u64 | 1 << 29).to_le_bytes());
        }
        Ok(())
    }

    fn abandon_a_batch(&mut self, random: &mut Random) -> Result<(), SendError> {
        let mut batch = self.link.batch();
        for _ in 0..random.below(20) {
            let result = batch.try_send(&Note { lines: vec!["never".to_owned(); 9] });
            match result {
                Ok(()) | Err(SendError::Full) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What a killed writer left in its page.
#[derive(Debug)]
struct Outcome {
    number: u64,
    committed: u64,
    attempted: u64,
}

/// Spawns writers, one after another, and kills them.
fn kill_writers(
    domain: &ephapse::Domain,
    seed: u64,
    numbers: &AtomicU64,
    outcomes: &Sender<Outcome>,
) {
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        if number >= KILLS {
            return;
        }
        let mut random = Random::seeded(seed ^ number);
        let page = Page::new();
        let mut child = Child::spawn("writer");
        let setup = format!("{} w{number} {}", domain.path().display(), seed ^ number);
        child.wire.send_with(&setup, &[page.as_fd()]);
        let delay = if random.one_in(10) {
            // While it is still joining, or opening the link.
            random.below(15_000)
        } else {
            child.wire.expect("linked");
            random.below(3000)
        };
        // Sleep: until the random moment.
        std::thread::sleep(Duration::from_micros(delay));
        child.kill();
        let word = |index| page.word(index).load(Ordering::Acquire);
        let outcome = Outcome { number, committed: word(COMMITTED), attempted: word(ATTEMPTED) };
        outcomes.send(outcome).unwrap();
    }
}

/// What the reader has seen.
struct Seen {
    seed: u64,
    /// The next sequence number of each writer that is there.
    next: HashMap<u64, u64>,
    /// How many events came from each writer that is gone.
    gone: HashMap<u64, u64>,
}

fn number_of(peer: &str) -> u64 {
    peer.strip_prefix('w').unwrap().parse().unwrap()
}

impl Seen {
    fn event(&mut self, event: &Received<'_>) {
        let number = number_of(event.from());
        assert!(!self.gone.contains_key(&number), "an event of {number}, which is gone");
        let next = self.next.entry(number).or_default();
        assert_eq!(event.sequence(), *next, "of writer {number}");
        match content(self.seed ^ number, *next) {
            Content::Raw(bytes) => assert_eq!(event.bytes(), bytes),
            Content::Flat(pose) => {
                let seen = event.get::<Pose>().unwrap();
                assert_eq!((seen.stamp_ns, seen.frame), (pose.stamp_ns.into(), (*next).into()));
                assert_eq!(seen.position, pose.position);
                assert_eq!(seen.heading, pose.heading);
            }
            Content::Nested(lines) => {
                let seen = event.get::<Note>().unwrap();
                assert!(seen.lines.iter().eq(lines.iter()), "{lines:?}");
            }
        }
        *next += 1;
    }

    fn gone(&mut self, peer: &str) {
        let number = number_of(peer);
        let count = self.next.remove(&number).unwrap_or(0);
        assert!(self.gone.insert(number, count).is_none(), "{peer} is gone twice");
    }

    /// Whether all that a killed writer did is known to have arrived.
    fn accounts_for(&self, outcome: &Outcome) -> bool {
        let Some(&count) = self.gone.get(&outcome.number) else {
            // Killed before the link was open, or what it wrote is still being read.
            return outcome.committed == 0 && !self.next.contains_key(&outcome.number);
        };
        let Outcome { number, committed, attempted } = *outcome;
        // Batches are seen whole or not at all.
        assert!(
            count == committed || count == attempted,
            "{count} events of writer {number}, which committed {committed}, then {attempted}"
        );
        true
    }
}

/// Receives until every writer has been killed and accounted for.
fn read_all(hub: &mut Hub, seed: u64, outcomes: &std::sync::mpsc::Receiver<Outcome>) -> Seen {
    let mut seen = Seen { seed, next: HashMap::new(), gone: HashMap::new() };
    let mut links: HashMap<u64, Link> = HashMap::new();
    let (mut pending, mut killed) = (Vec::new(), HashSet::new());
    let mut random = Random::seeded(seed);
    let mut progress = Instant::now();
    while killed.len() < KILLS as usize || !pending.is_empty() {
        let gone = match hub.recv_timeout(Duration::from_millis(5)) {
            Ok(event) => {
                event.iter().for_each(|event| seen.event(event));
                None
            }
            Err(RecvError::PeerGone { peer, .. }) => Some(peer),
            Err(error) => panic!("{error}"),
        };
        if let Some(peer) = gone {
            seen.gone(&peer);
            progress = Instant::now();
            while let Some(link) = hub.try_accept().unwrap() {
                links.insert(number_of(link.peer()), link);
            }
            // There is none if it was killed before its link was open on both sides.
            if let Some(mut link) = links.remove(&number_of(&peer)) {
                let error = link.try_send_bytes(b"anybody?").unwrap_err();
                assert_eq!(error, SendError::PeerGone { peer });
            }
        }
        if random.one_in(3000) {
            // Sleep: so that rings fill up.
            std::thread::sleep(Duration::from_millis(2));
        }
        for outcome in outcomes.try_iter() {
            assert!(killed.insert(outcome.number));
            pending.push(outcome);
        }
        pending.retain(|outcome| !seen.accounts_for(outcome));
        assert!(
            progress.elapsed() < LONG / 2,
            "{} killed; nobody was found gone for a long time; still to be: {pending:?}; \
             events: {:?}; {} links",
            killed.len(),
            seen.next,
            links.len()
        );
    }
    seen
}

fn run(domain: &Domain, hub: &mut Hub, seed: u64, first: u64) -> Seen {
    let (sender, outcomes) = channel();
    let numbers = Arc::new(AtomicU64::new(first));
    let killers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (domain, numbers, sender) = (domain.domain(), Arc::clone(&numbers), sender.clone());
            std::thread::spawn(move || kill_writers(&domain, seed, &numbers, &sender))
        })
        .collect();
    drop(sender);
    let seen = read_all(hub, seed, &outcomes);
    for killer in killers {
        killer.join().unwrap();
    }
    seen
}

#[test]
fn a_thousand_killed_writers_leave_nothing_half_written_and_nothing_behind() {
    let seed = Random::for_test("killed_writer").next();
    drop(Domain::new().hub("warm-up")); // the control thread stays
    let before = Holdings::now();
    let domain = Domain::new();
    let mut hub = domain.hub("reader");
    let with_hub = Holdings::now();
    let seen = run(&domain, &mut hub, seed, 0);
    let events: u64 = seen.gone.values().sum();
    assert!(seen.gone.len() as u64 > KILLS / 2, "{} were linked", seen.gone.len());
    assert!(events > KILLS, "{events} events in all");
    with_hub.wait_for_return();
    assert_eq!(hub.link_count(), 0);
    assert!(hub.recv_timeout(Duration::from_millis(50)).unwrap().is_none(), "and nothing more");
    let mut files: Vec<_> = std::fs::read_dir(domain.domain().path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files,
        ["supervisor.epoch", "supervisor.flight", "supervisor.lock", "supervisor.sock"]
    );
    drop(hub);
    drop(domain);
    before.wait_for_return();
}
