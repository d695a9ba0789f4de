//! What the library tells the program's own log: enough, and not the same for each hub.

mod common;

use common::roles::{self, Child, eventually};
use common::supervisor::{self, Place};
use ephapse::Hub;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("supervisor") => supervisor::serve(),
        Some("crowd") => crowd(),
        Some(other) => panic!("no role {other}"),
    }
}

/// Counts what is said loudly in this process.
struct Warnings;

static WARNINGS: AtomicUsize = AtomicUsize::new(0);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        WARNINGS.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Many hubs in one process; says how many warnings there have been when all have lost their
/// supervisor, or found one.
fn crowd() {
    tracing::subscriber::set_global_default(Warnings).unwrap();
    let join = || (0..20).map(|i| roles::join(&format!("hub-{i}"))).collect();
    let mut hubs: Vec<Hub> = join();
    roles::tell("there");
    loop {
        let found = match roles::listen().as_str() {
            "lost" => false,
            "found" => true,
            "leave" => {
                hubs.clear();
                roles::tell("left");
                continue;
            }
            "join" => {
                hubs = join();
                roles::tell("there");
                continue;
            }
            _ => return,
        };
        let agrees = |hub: &Hub| hub.hubs().is_ok() == found;
        eventually("all have noticed", || hubs.iter().all(agrees));
        roles::tell(&WARNINGS.load(Ordering::Relaxed).to_string());
    }
}

#[test]
fn a_process_says_once_that_the_supervisor_is_gone() {
    let mut place = Place::new();
    let mut crowd = Child::start("crowd", &place.domain, "crowd");
    crowd.expect("there");
    for lost in 1..=2 {
        place.supervisor.kill();
        crowd.say("lost");
        crowd.expect(&lost.to_string());
        place.start();
        crowd.say("found");
        crowd.expect(&lost.to_string());
    }
    // Those who come later have a supervisor to lose of their own.
    place.supervisor.kill();
    for (what, heard) in [("lost", "3"), ("leave", "left")] {
        crowd.say(what);
        crowd.expect(heard);
    }
    place.start();
    crowd.say("join");
    crowd.expect("there");
    place.supervisor.kill();
    crowd.say("lost");
    crowd.expect("4");
}
