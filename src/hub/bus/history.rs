//! Random histories: hubs join, leave, link and unlink, subscriptions come and go, the supervisor is
//! restarted, while all publish numbered events. Afterwards every subscription has seen every event
//! of every publisher that it followed, once and in order, or was told of the loss.
//!
//! Two broken variants show that the check sees what it is for.

use super::{Flow, Path, Publisher, Subscription, SubscriptionOptions};
use crate::{Domain, Event, Hub, Link, RecvError, SendError, Supervisor};
use rkyv::{Archive, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Event, Archive, Serialize)]
struct Numbered {
    publisher: u64,
    number: u64,
    filling: Vec<u8>,
}

const LONG: Duration = Duration::from_secs(20);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

struct Running {
    stopper: crate::Stopper,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(domain: &Domain) -> Self {
        let supervisor = Supervisor::bind(domain.clone()).unwrap();
        let stopper = supervisor.stopper();
        let thread = std::thread::spawn(move || supervisor.run().unwrap());
        Self { stopper, thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

struct Reader {
    subscription: Subscription,
    /// By publisher: the number of its next event.
    expected: BTreeMap<u64, u64>,
    wants_all: bool,
    gating: bool,
    missed: u64,
}

struct Member {
    key: u64,
    /// Dropped first, so that links end as links.
    links: BTreeMap<u64, Link>,
    readers: Vec<Reader>,
    publisher: Publisher<Numbered>,
    published: u64,
    hub: Hub,
}

struct World {
    random: Random,
    domain: Domain,
    supervisor: Option<Running>,
    members: Vec<Member>,
    next_key: u64,
    /// What those published who have left.
    left: BTreeMap<u64, u64>,
    over_links: u64,
    over_broadcast: u64,
    _dir: tempfile::TempDir,
}

type Checked = Result<(), String>;

impl World {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = Domain::at(dir.path().join("d"));
        let supervisor = Some(Running::start(&domain));
        let (members, left) = (Vec::new(), BTreeMap::new());
        Self {
            random: Random(seed),
            domain,
            supervisor,
            members,
            next_key: 1,
            left,
            over_links: 0,
            over_broadcast: 0,
            _dir: dir,
        }
    }

    fn join(&mut self) {
        let key = self.next_key;
        self.next_key += 1;
        let capacity = 4096 << self.random.below(3);
        let builder = Hub::builder(&format!("h{key}")).domain(self.domain.clone());
        let hub = builder.broadcast_capacity(capacity).patience(LONG).connect().unwrap();
        let publisher = hub.publisher(&format!("h.{key}")).unwrap();
        let (links, readers) = (BTreeMap::new(), Vec::new());
        self.members.push(Member { key, links, readers, publisher, published: 0, hub });
        let at = self.members.len() - 1;
        for reader in self.members.iter_mut().flat_map(|member| &mut member.readers) {
            if reader.wants_all {
                reader.expected.insert(key, 0);
            }
        }
        self.subscribe(at);
    }

    /// To one other hub, or (seldom) to all of now and later.
    fn subscribe(&mut self, at: usize) {
        let gating = self.random.below(8) > 0;
        let wants_all = self.random.below(8) == 0;
        let flow = if gating { Flow::Block } else { Flow::DropOldest };
        let options = SubscriptionOptions::default().flow(flow);
        let other = &self.members[self.random.below(self.members.len())];
        let pattern = if wants_all { "h.*".to_owned() } else { format!("h.{}", other.key) };
        let wanted = |member: &&Member| wants_all || member.key == other.key;
        let wanted = self.members.iter().filter(wanted);
        let expected = wanted.map(|member| (member.key, member.published)).collect();
        let subscription = self.members[at].hub.subscribe_with([pattern], options).unwrap();
        let reader = Reader { subscription, expected, wants_all, gating, missed: 0 };
        self.members[at].readers.push(reader);
    }

    /// Publishes some events; who has no room has everybody read.
    fn publish(&mut self, at: usize) -> Checked {
        for _ in 0..1 + self.random.below(40) {
            let filling = vec![7; self.random.below(120)];
            let member = &mut self.members[at];
            let event = Numbered { publisher: member.key, number: member.published, filling };
            loop {
                match self.members[at].publisher.try_send(&event) {
                    Ok(sent) => {
                        self.over_links += u64::from(sent.path == Path::Links);
                        self.over_broadcast += u64::from(sent.path == Path::Broadcast);
                        break;
                    }
                    Err(SendError::Full) => self.read_all()?,
                    Err(error) => return Err(error.to_string()),
                }
            }
            self.members[at].published += 1;
        }
        Ok(())
    }

    fn link(&mut self, a: usize, b: usize) {
        let (name, other) = (self.members[b].hub.name().to_owned(), self.members[b].key);
        if a == b || self.members[a].links.contains_key(&other) {
            return;
        }
        // It may be refused (a link the other way, or one that is just ending).
        if let Ok(link) = self.members[a].hub.link_to(&name) {
            let key = self.members[a].key;
            self.members[a].links.insert(other, link);
            if let Ok(Some(link)) = self.members[b].hub.accept_timeout(LONG) {
                self.members[b].links.insert(key, link);
            }
        }
    }

    fn unlink(&mut self, a: usize) {
        let Some((&other, _)) = self.members[a].links.iter().next() else { return };
        let key = self.members[a].key;
        let _ = self.members[a].hub.unlink(&format!("h{other}"));
        self.members[a].links.remove(&other);
        for member in self.members.iter_mut().filter(|member| member.key == other) {
            member.links.remove(&key);
        }
    }

    fn leave(&mut self, at: usize) -> Checked {
        let member = self.members.swap_remove(at);
        self.left.insert(member.key, member.published);
        for other in &mut self.members {
            other.links.remove(&member.key);
        }
        drop(member);
        self.read_all()
    }

    fn restart(&mut self) {
        drop(self.supervisor.take());
        self.supervisor = Some(Running::start(&self.domain));
        // Everybody is known again before anybody asks for something.
        let count = self.members.len();
        let by = Instant::now() + LONG;
        let known = |member: &Member| member.hub.hubs().is_ok_and(|hubs| hubs.len() == count);
        while !self.members.iter().all(known) {
            assert!(Instant::now() < by, "not all hubs came back");
            std::thread::yield_now();
        }
    }

    fn read_all(&mut self) -> Checked {
        for member in &mut self.members {
            for reader in &mut member.readers {
                while reader.read_one(Duration::ZERO)? {}
            }
            while !matches!(member.hub.try_recv(), Ok(None)) {}
        }
        Ok(())
    }

    fn step(&mut self) -> Checked {
        let at = self.random.below(self.members.len());
        match self.random.below(40) {
            0..20 => self.publish(at)?,
            20..28 => {
                for reader in &mut self.members[at].readers {
                    for _ in 0..20 {
                        reader.read_one(Duration::ZERO)?;
                    }
                }
            }
            28..33 => {
                let other = self.random.below(self.members.len());
                self.link(at, other);
            }
            33..36 => self.unlink(at),
            36 if self.members.len() < 5 => self.join(),
            37 if self.members.len() > 2 => self.leave(at)?,
            38 if self.members[at].readers.len() < 3 => self.subscribe(at),
            39 if self.random.below(8) == 0 => self.restart(),
            _ => self.read_all()?,
        }
        Ok(())
    }

    /// Everybody reads to the end.
    fn finish(&mut self) -> Checked {
        let mut published: BTreeMap<u64, u64> = self.left.clone();
        published.extend(self.members.iter().map(|member| (member.key, member.published)));
        for member in &mut self.members {
            for reader in &mut member.readers {
                let by = Instant::now() + Duration::from_secs(5);
                while !reader.has_all(&published) && Instant::now() < by {
                    reader.read_one(Duration::from_millis(10))?;
                }
                if !reader.has_all(&published) {
                    let (key, seen, missed) = (member.key, &reader.expected, reader.missed);
                    return Err(format!("h{key} saw {seen:?} (-{missed}) of {published:?}"));
                }
            }
        }
        Ok(())
    }
}

impl Reader {
    fn read_one(&mut self, timeout: Duration) -> Result<bool, String> {
        match self.subscription.recv_timeout(timeout) {
            Ok(None) => Ok(false),
            Ok(Some(event)) => {
                let value = event.get::<Numbered>().map_err(|error| error.to_string())?;
                let (publisher, number) = (value.publisher.to_native(), value.number.to_native());
                if value.filling.iter().any(|byte| *byte != 7) {
                    return Err(format!("the event {number} of h{publisher} is damaged"));
                }
                let Some(expected) = self.expected.get_mut(&publisher) else {
                    return Err(format!("an event of h{publisher}, which was not wanted"));
                };
                let is_next = number == *expected;
                let gap_was_told = number > *expected && number - *expected <= self.missed;
                if !is_next && !gap_was_told {
                    return Err(format!("h{publisher}: {number} where {expected} was expected"));
                }
                self.missed -= number - *expected;
                *expected = number + 1;
                Ok(true)
            }
            Err(RecvError::Lagged { missed, .. }) if !self.gating => {
                self.missed += missed;
                Ok(true)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether it has seen all that was published since it has followed, or was told of the rest.
    fn has_all(&self, published: &BTreeMap<u64, u64>) -> bool {
        let gap = |(key, next): (&u64, &u64)| published.get(key).map_or(0, |all| all - next);
        self.expected.iter().map(gap).sum::<u64>() <= self.missed
    }
}

fn run(seed: u64, steps: usize) -> Result<(u64, u64), String> {
    let mut world = World::new(seed);
    for _ in 0..2 + world.random.below(2) {
        world.join();
    }
    for at in 0..world.members.len() {
        world.subscribe(at);
    }
    for _ in 0..steps {
        world.step()?;
    }
    world.finish()?;
    Ok((world.over_links, world.over_broadcast))
}

/// Tests here switch the broken variants on and off: one at a time.
static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

#[test]
fn nothing_is_lost_repeated_or_reordered() {
    let _alone = ALONE.lock();
    let first: u64 = std::env::var("EPHAPSE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let runs: u64 = std::env::var("EPHAPSE_RUNS").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    let (mut links, mut broadcasts) = (0, 0);
    for seed in first..first + runs {
        match run(seed, 120) {
            Ok((over_links, over_broadcast)) => {
                links += over_links;
                broadcasts += over_broadcast;
            }
            Err(why) => panic!("seed {seed} (EPHAPSE_SEED={seed} EPHAPSE_RUNS=1): {why}"),
        }
    }
    assert!(links > 0 && broadcasts > 0, "{links} over links, {broadcasts} broadcast");
}

/// Whether some run of many shows the damage.
fn is_caught() -> bool {
    (1..200).any(|seed| run(seed, 120).is_err())
}

#[test]
fn a_merge_that_ignores_the_numbers_is_caught() {
    let _alone = ALONE.lock();
    super::canary::with(super::canary::MERGE, || assert!(is_caught()));
}

#[test]
fn a_lane_that_is_used_too_early_is_caught() {
    let _alone = ALONE.lock();
    super::canary::with(super::canary::EARLY_LANE, || assert!(is_caught()));
}
