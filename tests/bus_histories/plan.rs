//! What happens in a history.

use crate::account::{PARTS, PLACES, hub_name};
use crate::board::{Board, PUBLISHERS};
use crate::common::random::Random;
use crate::common::roles::{self, Child, LONG, eventually};
use crate::common::supervisor;
use ephapse::{Domain, Hub};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What one history, or all of them, have seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) missed: u64,
    /// Published over links.
    pub(crate) over_links: u64,
    kills: u64,
    stops: u64,
    restarts: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.missed += other.missed;
        self.over_links += other.over_links;
        self.kills += other.kills;
        self.stops += other.stops;
        self.restarts += other.restarts;
    }
}

/// What has happened, which is told if the history ends badly.
struct Log {
    seed: u64,
    began: Instant,
    lines: Vec<String>,
}

impl Log {
    fn note(&mut self, line: String) {
        self.lines.push(format!("{:7.1?} {line}", self.began.elapsed()));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, lines) = (self.seed, self.lines.join("\n"));
            roles::note(&format!("{lines}\nEPHAPSE_SEED={seed} EPHAPSE_RUNS=1"));
        }
    }
}

struct Member {
    child: Child,
    /// When it goes on, if it is stopped.
    stopped: Option<Instant>,
}

struct Plan {
    log: Log,
    random: Random,
    tally: Tally,
    members: BTreeMap<u64, Member>,
    next: [u64; PLACES as usize],
    /// `None` while there is none, and where a hub hosts it.
    supervisor: Option<Child>,
    hosted: bool,
    /// One subscription in so many wants the subjects of all.
    narrow: u64,
    watcher: Option<Hub>,
    board: Board,
    domain: Domain,
    _dir: tempfile::TempDir,
}

pub(crate) fn run(seed: u64) -> Tally {
    let mut plan = Plan::new(seed);
    for _ in 0..15 + plan.random.below(25) {
        plan.step();
        // Sleep: so that the hubs publish something in between.
        std::thread::sleep(Duration::from_micros(plan.random.below(10_000)));
    }
    plan.finish();
    std::mem::take(&mut plan.tally)
}

impl Plan {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = Domain::at(dir.path().join("domain"));
        let mut random = Random::seeded(seed);
        let hosted = random.one_in(3);
        let narrow = *random.pick(&[2, 5, 1000]);
        let supervisor = (!hosted).then(|| supervisor::start(&domain));
        let mut plan = Self {
            log: Log { seed, began: Instant::now(), lines: Vec::new() },
            random,
            tally: Tally::default(),
            members: BTreeMap::new(),
            next: std::array::from_fn(|place| place as u64),
            supervisor,
            hosted,
            narrow,
            watcher: None,
            board: Board::new(),
            domain,
            _dir: dir,
        };
        for place in 0..3 + plan.random.below(PLACES - 2) {
            plan.join(place);
        }
        eventually("somebody hosts the supervisor", || {
            plan.watcher = Hub::builder("watcher").domain(plan.domain.clone()).connect().ok();
            plan.watcher.is_some()
        });
        for key in plan.members.keys().copied().collect::<Vec<_>>() {
            plan.subscribe(key);
        }
        plan
    }

    fn join(&mut self, place: u64) {
        let key = self.next[place as usize];
        if key >= PUBLISHERS || self.members.keys().any(|key| key % PLACES == place) {
            return;
        }
        self.next[place as usize] += PLACES;
        let hosting = if self.hosted { "hosting" } else { "guest" };
        let name = format!("{key} {} {hosting} {}", self.random.next(), self.board.path());
        let child = Child::start("member", &self.domain, &name);
        self.log.note(format!("{} joins ({})", hub_name(key), child.pid()));
        self.members.insert(key, Member { child, stopped: None });
        self.subscribe(key);
    }

    fn tell(&mut self, key: u64, line: &str) {
        self.log.note(format!("{}: {line}", hub_name(key)));
        self.members.get_mut(&key).unwrap().child.say(line);
    }

    /// To the subjects of one place, with which it may be linked, or of all: how often depends on
    /// the history, for events go over links only where all who want them have one.
    fn subscribe(&mut self, key: u64) {
        let random = &mut self.random;
        let place = (!random.one_in(self.narrow)).then(|| random.below(PLACES));
        let part = random.one_in(3).then(|| random.below(PARTS as u64));
        let flow = if random.one_in(5) { "lossy" } else { "gating" };
        let linked = random.one_in(2);
        let or_all = |what: Option<u64>| what.map_or("*".to_owned(), |what| what.to_string());
        self.tell(key, &format!("subscribe {} {} {flow}", or_all(place), or_all(part)));
        let other = self.members.keys().find(|other| Some(*other % PLACES) == place).copied();
        if let (true, Some(other)) = (linked, other.filter(|other| *other != key)) {
            self.tell(key, &format!("link {}", hub_name(other)));
        }
    }

    fn step(&mut self) {
        self.wake(Instant::now());
        let keys: Vec<u64> = self.members.keys().copied().collect();
        let key = *self.random.pick(&keys);
        match self.random.below(25) {
            0..4 => self.subscribe(key),
            4..9 => {
                let other = hub_name(*self.random.pick(&keys));
                if other != hub_name(key) {
                    self.tell(key, &format!("link {other}"));
                }
            }
            9..11 => self.tell(key, "unlink"),
            11 => self.tell(key, "unsubscribe"),
            12..17 => self.stop(key),
            17..19 if keys.len() > 2 => self.kill(key),
            19..22 => {
                let place = self.random.below(PLACES);
                self.join(place);
            }
            22 if keys.len() > 2 => self.leave(key),
            23 => self.restart(),
            24 => self.stop_supervisor(),
            _ => {}
        }
    }

    fn stop(&mut self, key: u64) {
        let pause = Duration::from_millis(1 + self.random.below(60));
        let member = self.members.get_mut(&key).unwrap();
        if member.stopped.is_none() {
            self.log.note(format!("{} stops for {pause:?}", hub_name(key)));
            self.tally.stops += 1;
            member.child.stop();
            member.stopped = Some(Instant::now() + pause);
        }
    }

    /// Those who have been stopped for long enough at this time go on.
    fn wake(&mut self, now: Instant) {
        for (key, member) in &mut self.members {
            if member.stopped.is_some_and(|until| until <= now) {
                self.log.note(format!("{} goes on", hub_name(*key)));
                member.child.go_on();
                member.stopped = None;
            }
        }
    }

    fn wake_all(&mut self) {
        self.wake(Instant::now() + LONG);
    }

    fn kill(&mut self, key: u64) {
        if self.hosted {
            self.nobody_asks();
        }
        self.log.note(format!("{} is killed", hub_name(key)));
        self.tally.kills += 1;
        self.members.remove(&key).unwrap().child.kill();
        if self.hosted {
            self.all_are_known();
        }
    }

    fn leave(&mut self, key: u64) {
        self.log.note(format!("{} leaves", hub_name(key)));
        // It may be asking the supervisor for something, which waits for others.
        self.nobody_asks();
        let mut member = self.members.remove(&key).unwrap();
        member.child.say("");
        let answer = member.child.hear();
        self.judge(key, &answer);
        member.child.succeed();
        if self.hosted {
            self.all_are_known();
        }
    }

    fn stop_supervisor(&mut self) {
        let Some(supervisor) = &self.supervisor else { return };
        self.log.note("the supervisor stops".to_owned());
        supervisor.stop();
        // Sleep: what the hubs do meanwhile they do without it.
        std::thread::sleep(Duration::from_micros(self.random.below(30_000)));
        supervisor.go_on();
        self.log.note("the supervisor goes on".to_owned());
    }

    /// The supervisor is killed; some are stopped and killed before there is another one.
    fn restart(&mut self) {
        let Some(mut supervisor) = self.supervisor.take() else { return };
        self.nobody_asks();
        self.log.note("the supervisor is killed".to_owned());
        self.tally.restarts += 1;
        supervisor.kill();
        for _ in 0..self.random.below(3) {
            let keys: Vec<u64> = self.members.keys().copied().collect();
            let key = *self.random.pick(&keys);
            match self.random.below(4) {
                0 if keys.len() > 2 => self.kill(key),
                1 => self.tell(key, "unlink"),
                _ => self.stop(key),
            }
            // Sleep: as between any two steps.
            std::thread::sleep(Duration::from_micros(self.random.below(10_000)));
        }
        self.supervisor = Some(supervisor::start(&self.domain));
        self.log.note("another supervisor is there".to_owned());
        self.all_are_known();
    }

    /// Until all is done that was asked of the supervisor. Who asks a new one before all others
    /// are known to it again finds only those that are.
    fn nobody_asks(&mut self) {
        self.wake_all();
        self.all_do("wait");
    }

    fn all_are_known(&mut self) {
        self.wake_all();
        let count = self.members.len() + 1;
        eventually("all are known", || {
            self.watcher.as_ref().unwrap().hubs().is_ok_and(|known| known.len() == count)
        });
        // With all that they publish, which they have told by the time that they are answered.
        self.all_do("ask");
        self.log.note("all are known".to_owned());
    }

    fn finish(&mut self) {
        self.wake_all();
        self.all_do("quiet");
        self.all_do("finish");
    }

    /// Tells all the same, and waits until they have done that and everything before.
    fn all_do(&mut self, what: &str) {
        for member in self.members.values_mut() {
            member.child.say(what);
        }
        let keys: Vec<u64> = self.members.keys().copied().collect();
        for key in keys {
            let answer = self.members.get_mut(&key).unwrap().child.hear();
            self.judge(key, &answer);
        }
    }

    /// What a hub says when it was told to be quiet, to finish or to leave.
    fn judge(&mut self, key: u64, answer: &str) {
        assert!(!answer.starts_with("wrong"), "{}: {answer}", hub_name(key));
        let numbers: Vec<u64> = answer.split(' ').filter_map(|word| word.parse().ok()).collect();
        if let [events, missed, over_links] = numbers[..] {
            self.tally.events += events;
            self.tally.missed += missed;
            self.tally.over_links += over_links;
        }
    }
}
