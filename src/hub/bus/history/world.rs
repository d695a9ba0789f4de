//! One history: hubs in one process, all driven by one thread, and what happens to them.

use super::account::{Account, Ledger, Numbered, PARTS, PLACES, Totals, Wanted};
use super::account::{hub_name, is_patient, subject};
use crate::hub::bus::{Flow, Path, Publisher, Subscription, SubscriptionOptions};
use crate::{Domain, Hub, Link, Supervisor};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// That of those who do not wait for who stands still.
const PATIENCE: Duration = Duration::from_millis(2);

pub(super) type Checked = Result<(), String>;

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

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
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
    account: Account,
    /// It reads nothing until it is woken.
    still: bool,
}

impl Reader {
    fn read_one(&mut self, timeout: Duration) -> Result<bool, String> {
        self.account.take(self.subscription.recv_timeout(timeout))
    }

    fn read(&mut self, most: usize) -> Checked {
        let mut left = if self.still { 0 } else { most };
        while left > 0 && self.read_one(Duration::ZERO)? {
            left -= 1;
        }
        Ok(())
    }

    fn finish(&mut self, published: &Totals) -> Checked {
        let by = Instant::now() + Duration::from_secs(5);
        while let Some(lack) = self.account.lacks(published)? {
            if Instant::now() > by {
                return Err(lack);
            }
            self.read_one(Duration::from_millis(10))?;
        }
        Ok(())
    }
}

struct Member {
    /// Dropped first, so that links end as links.
    links: BTreeMap<u64, Link>,
    readers: Vec<Reader>,
    publishers: [Publisher<Numbered>; PARTS],
    ledger: Ledger,
    hub: Hub,
}

impl Member {
    fn key(&self) -> u64 {
        self.ledger.publisher
    }
}

/// How often what there is to see has happened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) over_links: u64,
    pub(super) over_broadcast: u64,
    pub(super) missed: u64,
}

struct World {
    random: Random,
    domain: Domain,
    supervisor: Option<Running>,
    members: Vec<Member>,
    next_key: u64,
    /// What those published who have left.
    left: Totals,
    tally: Tally,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = Domain::at(dir.path().join("d"));
        let supervisor = Some(Running::start(&domain));
        Self {
            random: Random(seed),
            domain,
            supervisor,
            members: Vec::new(),
            next_key: 1,
            left: Totals::new(),
            tally: Tally::default(),
            _dir: dir,
        }
    }

    fn join(&mut self) {
        let key = self.next_key;
        self.next_key += 1;
        let capacity = 4096 << self.random.below(3);
        let patience = if is_patient(key) { LONG } else { PATIENCE };
        let builder = Hub::builder(&hub_name(key)).domain(self.domain.clone());
        let hub = builder.broadcast_capacity(capacity).patience(patience).connect().unwrap();
        let publishers = std::array::from_fn(|part| hub.publisher(&subject(key, part)).unwrap());
        let (links, readers, ledger) = (BTreeMap::new(), Vec::new(), Ledger::new(key));
        self.members.push(Member { links, readers, publishers, ledger, hub });
        self.subscribe(self.members.len() - 1);
    }

    /// To one place, or (seldom) to all; to all subjects there, or to one.
    fn subscribe(&mut self, at: usize) {
        let gating = !self.random.one_in(8);
        let everywhere = self.random.one_in(8);
        let flow = if gating { Flow::Block } else { Flow::DropOldest };
        let options = SubscriptionOptions::default().flow(flow);
        let other = self.members[self.random.below(self.members.len())].key();
        let place = (!everywhere).then_some(other % PLACES);
        let part = self.random.one_in(3).then(|| self.random.below(PARTS));
        let wanted = Wanted { place, part };
        let subscription =
            self.members[at].hub.subscribe_with([wanted.pattern()], options).unwrap();
        let account = Account::since(&self.published(), true, wanted, gating);
        self.members[at].readers.push(Reader { subscription, account, still: false });
    }

    fn published(&self) -> Totals {
        let here = self.members.iter().map(|member| (member.key(), member.ledger.parts));
        self.left.iter().map(|(key, parts)| (*key, *parts)).chain(here).collect()
    }

    /// Publishes some events; who has no room has others read. Who is patient wakes those who
    /// stand still; the others go on without them.
    fn publish(&mut self, at: usize) -> Checked {
        for _ in 0..1 + self.random.below(40) {
            let (part, len) = (self.random.below(PARTS), self.random.below(120));
            let member = &mut self.members[at];
            let event = member.ledger.next(part, len);
            let path = loop {
                let member = &mut self.members[at];
                let result = member.publishers[part].try_send(&event);
                match member.ledger.sent(part, result)? {
                    Some(path) => break path,
                    None if is_patient(member.key()) => self.wake_all()?,
                    None => self.read_all()?,
                }
            };
            self.tally.over_links += u64::from(path == Path::Links);
            self.tally.over_broadcast += u64::from(path == Path::Broadcast);
        }
        Ok(())
    }

    fn link(&mut self, a: usize, b: usize) {
        let (name, other) = (self.members[b].hub.name().to_owned(), self.members[b].key());
        if a == b || self.members[a].links.contains_key(&other) {
            return;
        }
        // It may be refused (a link the other way, or one that is just ending).
        if let Ok(link) = self.members[a].hub.link_to(&name) {
            let key = self.members[a].key();
            self.members[a].links.insert(other, link);
            if let Ok(Some(link)) = self.members[b].hub.accept_timeout(LONG) {
                self.members[b].links.insert(key, link);
            }
        }
    }

    fn unlink(&mut self, a: usize) {
        let Some((&other, _)) = self.members[a].links.iter().next() else { return };
        let key = self.members[a].key();
        let _ = self.members[a].hub.unlink(&hub_name(other));
        self.members[a].links.remove(&other);
        for member in self.members.iter_mut().filter(|member| member.key() == other) {
            member.links.remove(&key);
        }
    }

    fn leave(&mut self, at: usize) -> Checked {
        let member = self.members.swap_remove(at);
        self.left.insert(member.key(), member.ledger.parts);
        for other in &mut self.members {
            other.links.remove(&member.key());
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
                reader.read(usize::MAX)?;
            }
            while !matches!(member.hub.try_recv(), Ok(None)) {}
        }
        Ok(())
    }

    fn wake_all(&mut self) -> Checked {
        let members = self.members.iter_mut();
        members.flat_map(|member| &mut member.readers).for_each(|reader| reader.still = false);
        self.read_all()
    }

    fn step(&mut self) -> Checked {
        let at = self.random.below(self.members.len());
        match self.random.below(42) {
            0..20 => self.publish(at)?,
            20..28 => {
                for reader in &mut self.members[at].readers {
                    reader.read(20)?;
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
            39 if self.random.one_in(8) => self.restart(),
            40 => {
                let readers = &mut self.members[at].readers;
                let one = self.random.below(readers.len());
                readers[one].still = true;
            }
            41 => self.wake_all()?,
            _ => self.read_all()?,
        }
        Ok(())
    }

    /// Everybody reads to the end.
    fn finish(&mut self) -> Checked {
        let published = self.published();
        for member in &mut self.members {
            let key = member.key();
            for reader in &mut member.readers {
                reader.finish(&published).map_err(|why| format!("at h{key}: {why}"))?;
                self.tally.missed += reader.account.missed;
            }
        }
        Ok(())
    }
}

pub(super) fn run(seed: u64, steps: usize) -> Result<Tally, String> {
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
    Ok(world.tally)
}
