//! Many hubs, each linked to every other: how long that takes and what it costs, and that a hub
//! with many links that sleeps costs nothing.
//!
//! `EPHAPSE_HUBS` says how many there are, in eight processes.

mod common;

use common::roles::{self, Child, LONG, eventually};
use common::{Domain, Pose, pose};
use ephapse::{Hub, Link, Publisher, Subscription, SubscriptionOptions, Wait};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use std::time::{Duration, Instant};

const PROCESSES: usize = 8;
const HUBS: usize = 128;

/// Descriptors that a link costs each of its sides, with what is published over it, and those
/// that a process has besides.
const PER_LINK: u64 = 4;
const BESIDES: u64 = 1_000;

const STEPS: [&str; 9] =
    ["join", "link", "greet", "hear", "subscribe", "publish", "say", "hear all", "leave"];

const IDLE_LINKS: usize = 100;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("members") => members(),
        Some("idle") => idle(),
        Some(other) => panic!("no role {other}"),
    }
}

/// As many descriptors as are allowed.
fn descriptors() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = hard.max(1 << 17);
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
        return wanted;
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    hard
}

/// How many hubs there are to be: as many as are wanted, or as descriptors allow.
fn hubs() -> usize {
    let wanted = std::env::var("EPHAPSE_HUBS").ok().and_then(|hubs| hubs.parse().ok());
    let wanted = wanted.unwrap_or(HUBS);
    let allowed = descriptors();
    let needed = |hubs: usize| (hubs * hubs / PROCESSES) as u64 * PER_LINK + BESIDES;
    let possible = (1..=wanted).rev().find(|hubs| needed(*hubs) <= allowed).unwrap();
    if possible < wanted {
        let needed = needed(wanted);
        roles::note(&format!(
            "{possible} hubs, not {wanted}: those need {needed} descriptors of {allowed}"
        ));
    }
    possible
}

/// One of the hubs, with all that it has.
struct Member {
    number: usize,
    links: Vec<Link>,
    subscription: Option<Subscription>,
    publisher: Option<Publisher<Pose>>,
    hub: Hub,
}

impl Member {
    fn join(number: usize) -> Self {
        let hub = roles::join(&format!("hub-{number}"));
        Self { number, links: Vec::new(), subscription: None, publisher: None, hub }
    }

    /// Opens links with all that have higher numbers.
    fn link(&mut self, all: usize) {
        for other in self.number + 1..all {
            self.links.push(self.hub.link_to(&format!("hub-{other}")).unwrap());
        }
    }

    /// Takes the links that the others have opened, and sends an event over each.
    fn greet(&mut self, all: usize) {
        while self.links.len() < all - 1 {
            self.links.push(self.hub.accept_timeout(LONG).unwrap().expect("a link"));
        }
        self.links.iter_mut().for_each(|link| link.send(&pose(self.number as u64)).unwrap());
    }

    fn hear_greetings(&mut self, all: usize) {
        let mut heard: Vec<u64> = (1..all)
            .map(|_| {
                let event = self.hub.recv_timeout(LONG).unwrap().expect("an event");
                event.get::<Pose>().unwrap().stamp_ns.to_native()
            })
            .collect();
        heard.sort_unstable();
        let others = (0..all as u64).filter(|number| *number != self.number as u64);
        assert!(heard.into_iter().eq(others), "one from each of the others");
    }

    fn subscribe(&mut self) {
        self.subscription = Some(self.hub.subscribe(["all"]).unwrap());
    }

    fn publish(&mut self) {
        self.publisher = Some(self.hub.publisher("all").unwrap());
    }

    fn say_to_all(&mut self, all: usize) {
        let publisher = self.publisher.as_mut().unwrap();
        eventually("all listen", || publisher.receivers() as usize == all);
        publisher.send(&pose(self.number as u64)).unwrap();
    }

    fn hear_all(&mut self, all: usize) {
        let subscription = self.subscription.as_mut().unwrap();
        let mut heard: Vec<u64> = (0..all)
            .map(|_| {
                let event = subscription.recv_timeout(LONG).unwrap().expect("an event");
                event.get::<Pose>().unwrap().stamp_ns.to_native()
            })
            .collect();
        heard.sort_unstable();
        assert!(heard.into_iter().eq(0..all as u64), "one from each");
    }
}

/// What this process holds: descriptors, mappings, and kilobytes of memory (its part of what is
/// shared).
fn held() -> [u64; 3] {
    let lines = |path| std::fs::read_to_string(path).unwrap();
    let rollup = lines("/proc/self/smaps_rollup");
    let part = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    [
        std::fs::read_dir("/proc/self/fd").unwrap().count() as u64,
        lines("/proc/self/maps").lines().count() as u64,
        part.trim_end_matches("kB").trim().parse().unwrap(),
    ]
}

/// A process with some of the hubs; does what it is told, step by step.
fn members() {
    descriptors();
    let name = roles::name();
    let mut numbers = name.split(' ').map(|number| number.parse().unwrap());
    let [first, count, all]: [usize; 3] = [(); 3].map(|()| numbers.next().unwrap());
    let mut members: Vec<Member> = (first..first + count).map(Member::join).collect();
    loop {
        let mut each = |what: &dyn Fn(&mut Member)| members.iter_mut().for_each(what);
        match roles::listen().as_str() {
            "" => return,
            "link" => each(&|member| member.link(all)),
            "greet" => each(&|member| member.greet(all)),
            "hear" => each(&|member| member.hear_greetings(all)),
            "subscribe" => each(&Member::subscribe),
            "publish" => each(&Member::publish),
            "say" => each(&|member| member.say_to_all(all)),
            "hear all" => each(&|member| member.hear_all(all)),
            "leave" => members.clear(),
            "join" => {}
            other => panic!("no step {other}"),
        }
        roles::tell(&held().map(|number| number.to_string()).join(" "));
    }
}

#[test]
fn each_is_linked_to_every_other() {
    let hubs = hubs();
    let domain = Domain::new();
    let mut children: Vec<Child> = (0..PROCESSES)
        .map(|process| {
            let [first, end] = [process, process + 1].map(|process| process * hubs / PROCESSES);
            let name = format!("{first} {} {hubs}", end - first);
            Child::start("members", &domain.domain(), &name)
        })
        .collect();
    for step in STEPS {
        let began = Instant::now();
        children.iter_mut().for_each(|child| child.say(step));
        let mut all = held();
        for child in &mut children {
            let said = child.hear();
            for (sum, number) in all.iter_mut().zip(said.split(' ')) {
                *sum += number.parse::<u64>().unwrap();
            }
        }
        let ([descriptors, mappings, memory], took) = (all, began.elapsed());
        roles::note(&format!(
            "{hubs} hubs, {} links, {step}: {took:.2?}; {descriptors} descriptors, \
             {mappings} mappings, {} MiB",
            hubs * (hubs - 1) / 2,
            memory >> 10,
        ));
    }
    children.into_iter().for_each(Child::succeed);
}

/// Sleeps for some seconds as a subscriber, with many links: all its threads together.
fn idle() {
    let mut hub = roles::join("idle");
    let options = SubscriptionOptions::default().wait(Wait::Block);
    let mut subscription = hub.subscribe_with([">"], options).unwrap();
    roles::tell("joined");
    let links: Vec<Link> =
        (0..IDLE_LINKS).map(|_| hub.accept_timeout(LONG).unwrap().expect("a link")).collect();
    roles::tell("linked");
    assert_eq!(roles::listen(), "sleep");
    while subscription.try_recv().unwrap().is_some() {}
    assert_eq!(subscription.source_count(), IDLE_LINKS);
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let busy = (usage.user_time() + usage.system_time()).num_microseconds();
        (busy, usage.voluntary_context_switches())
    };
    // What has just been sent is confirmed some milliseconds later.
    assert!(subscription.recv_timeout(Duration::from_millis(500)).unwrap().is_none());
    let (busy, wakes) = used();
    assert!(subscription.recv_timeout(Duration::from_secs(5)).unwrap().is_none());
    let (busy, wakes) = (used().0 - busy, used().1 - wakes);
    let links = links.len();
    roles::note(&format!(
        "{links} links, asleep for 5 s: {busy} µs of processor time, {wakes} wakes"
    ));
    assert!(busy < 5_000, "{busy} µs of processor time in 5 s with {links} links");
    assert!(wakes < 50, "{wakes} wakes in 5 s with {links} links: a timer ticks");
}

#[test]
fn a_subscriber_with_many_links_that_sleeps_costs_nothing() {
    let domain = Domain::new();
    let mut child = Child::start("idle", &domain.domain(), "idle");
    child.expect("joined");
    let mut others: Vec<(Hub, Publisher<Pose>, Link)> = (0..IDLE_LINKS)
        .map(|number| {
            let mut hub = domain.hub(&format!("hub-{number}"));
            let publisher = hub.publisher(&format!("subject.{number}")).unwrap();
            let link = hub.link_to("idle").unwrap();
            (hub, publisher, link)
        })
        .collect();
    child.expect("linked");
    for (_, publisher, _) in &mut others {
        assert_eq!(publisher.send(&pose(0)).unwrap().receivers, 1);
    }
    child.say("sleep");
    child.succeed();
}
