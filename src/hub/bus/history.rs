//! Random histories: hubs join, leave, link and unlink, subscriptions come, stand still and go on,
//! the supervisor is restarted, while all publish numbered events. Afterwards every subscription
//! has seen every event that it wanted, once and in order, or was told of exactly those that it
//! has missed; and who waits for its publisher's sake has missed something only where the publisher
//! has lost its patience.
//!
//! Three broken variants, and accounts of which something is wrong (`doctored`), show that the check
//! sees what it is for.

mod account;
mod doctored;
mod world;

use super::canary;
use world::{Tally, run};

/// Tests here switch the broken variants on and off: one at a time.
static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

const STEPS: usize = 120;

#[test]
fn nothing_is_lost_repeated_or_reordered() {
    let _alone = ALONE.lock();
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("EPHAPSE_SEED").unwrap_or(1);
    let runs = number("EPHAPSE_RUNS").unwrap_or(40);
    let mut all = Tally::default();
    for seed in first..first + runs {
        let tally = run(seed, STEPS).unwrap_or_else(|why| {
            panic!("seed {seed} (EPHAPSE_SEED={seed} EPHAPSE_RUNS=1): {why}");
        });
        all.over_links += tally.over_links;
        all.over_broadcast += tally.over_broadcast;
        all.missed += tally.missed;
    }
    let few = runs < 10;
    assert!(few || (all.over_links > 0 && all.over_broadcast > 0 && all.missed > 0), "{all:?}");
}

/// Whether some run of many shows the damage.
fn is_caught() -> bool {
    (1..200).any(|seed| run(seed, STEPS).is_err())
}

#[test]
fn a_merge_that_ignores_the_numbers_is_caught() {
    let _alone = ALONE.lock();
    canary::with(canary::MERGE, || assert!(is_caught()));
}

#[test]
fn a_lane_that_is_used_too_early_is_caught() {
    let _alone = ALONE.lock();
    canary::with(canary::EARLY_LANE, || assert!(is_caught()));
}

#[test]
fn a_loss_that_is_told_too_small_is_caught() {
    let _alone = ALONE.lock();
    canary::with(canary::SAYS_LESS, || assert!(is_caught()));
}
