//! Random histories of processes: hubs that all publish numbered events join, leave, link and
//! unlink, subscribe, are stopped and killed, and the supervisor is killed and started again, in a
//! process of its own or in that of a hub. Afterwards every subscription of those that are left
//! has seen every event that it wanted, also of those that were killed, once and in order, or was
//! told of exactly those that it has missed; of a patient publisher it has missed none.
//!
//! What sees that is `account`, which the histories in one process use too; that it sees it is
//! shown there. `EPHAPSE_SEED` and `EPHAPSE_RUNS` say which histories, and how many.

mod common;

#[path = "../src/hub/bus/history/account.rs"]
mod account;
#[path = "bus_histories/board.rs"]
mod board;
#[path = "bus_histories/clock.rs"]
mod clock;
#[path = "bus_histories/member.rs"]
mod member;
#[path = "bus_histories/plan.rs"]
mod plan;

use clock::Clock;
use common::random;
use common::roles;
use ephapse::limits::NOTICE_MS;
use std::panic::{catch_unwind, resume_unwind};
use std::time::Duration;

/// Who is away for longer when somebody else begins to publish or to subscribe gets what is sent
/// from its return on. The hubs here are stopped for much less.
const AWAY: Duration = Duration::from_millis(NOTICE_MS / 2);

const TRIES: u32 = 5;

const RUNS: u64 = 40;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("member") => member::play(),
        Some("supervisor") => common::supervisor::serve(),
        Some(other) => panic!("no role {other}"),
    }
}

#[test]
fn nothing_is_lost_repeated_or_reordered_whoever_is_stopped_or_killed() {
    let first = random::seed_for("bus_histories");
    let runs = std::env::var("EPHAPSE_RUNS").ok().and_then(|runs| runs.parse().ok());
    let mut all = plan::Tally::default();
    for seed in first..first + runs.unwrap_or(RUNS) {
        all.add(see(seed));
    }
    roles::note(&format!("{all:?}"));
    let few = runs.is_some_and(|runs| runs < 10);
    assert!(few || (all.events > 0 && all.missed > 0 && all.over_links > 0), "{all:?}");
}

/// One that goes wrong while the whole machine stands still is seen again.
fn see(seed: u64) -> plan::Tally {
    for _ in 0..TRIES {
        let clock = Clock::start();
        match catch_unwind(|| plan::run(seed)) {
            Ok(tally) => return tally,
            Err(why) if clock.longest() < AWAY => resume_unwind(why),
            Err(_) => roles::note(&format!("the machine stood still for {:?}", clock.longest())),
        }
    }
    panic!("the machine stands still again and again")
}
