//! Accounts of histories in which something is wrong, and what becomes of them.

use super::account::{Account, PARTS, Part, Totals, Wanted};

/// Publishers that do not wait, and that do.
const HASTY: u64 = 1;
const PATIENT: u64 = 2;

/// What a subscription sees of a publisher that sends by turns on its two subjects.
enum Got {
    /// The event with this sequence number.
    Event(u64),
    /// That so many were missed.
    Lagged(u64),
}
use Got::{Event, Lagged};

/// The subject of an event, and its number there.
fn of(sequence: u64) -> (usize, u64) {
    let at = sequence - 1;
    ((at % PARTS as u64) as usize, at / PARTS as u64)
}

fn before(sequence: u64) -> u64 {
    sequence.saturating_sub(PARTS as u64)
}

/// What there is of events with these numbers.
fn sent(publisher: u64, last: u64) -> Totals {
    let mut parts = [Part::default(); PARTS];
    for sequence in 1..=last {
        let (part, number) = of(sequence);
        parts[part] = Part { begun: number + 1, sent: number + 1, last: sequence };
    }
    Totals::from([(publisher, parts)])
}

/// Whether this is a right account of events of a publisher, for who wants one subject or all.
fn of_publisher(publisher: u64, part: Option<usize>, got: &[Got], last: u64) -> Result<(), String> {
    let wanted = Wanted { place: None, part };
    let mut account = Account::since(&Totals::new(), true, wanted, true);
    for got in got {
        match got {
            Event(sequence) => {
                let (part, number) = of(*sequence);
                account.saw(publisher, part, number, [before(*sequence), *sequence])?;
            }
            Lagged(missed) => account.was_told(publisher, *missed)?,
        }
    }
    account.lacks(&sent(publisher, last))?.map_or(Ok(()), Err)
}

#[track_caller]
fn right(part: Option<usize>, got: &[Got], last: u64) {
    of_publisher(HASTY, part, got, last).unwrap();
}

#[track_caller]
fn wrong(part: Option<usize>, got: &[Got], last: u64) {
    of_publisher(HASTY, part, got, last).unwrap_err();
}

#[test]
fn events_are_seen_once_and_in_order() {
    right(None, &[Event(1), Event(2), Event(3), Event(4)], 4);
    right(Some(0), &[Event(1), Event(3)], 4);
    right(None, &[], 0);
    // Missing: at the beginning, in the middle (of one subject and the other), at the end, all.
    wrong(None, &[Event(2), Event(3), Event(4)], 4);
    wrong(None, &[Event(1), Event(3), Event(4)], 4);
    wrong(None, &[Event(1), Event(2), Event(4), Event(5), Event(6)], 6);
    wrong(None, &[Event(1), Event(2), Event(3)], 4);
    wrong(None, &[], 1);
    wrong(Some(0), &[Event(1), Event(5)], 6);
    // Repeated, swapped, not wanted, never sent.
    wrong(None, &[Event(1), Event(2), Event(2), Event(3)], 3);
    wrong(None, &[Event(1), Event(2), Event(1), Event(3)], 3);
    wrong(None, &[Event(1), Event(3), Event(2), Event(4)], 4);
    wrong(None, &[Event(2), Event(1)], 2);
    wrong(Some(0), &[Event(1), Event(2)], 2);
    wrong(None, &[Event(1), Event(2), Event(3)], 2);
}

#[test]
fn what_is_missed_is_told_exactly() {
    right(None, &[Event(1), Lagged(3), Event(5), Event(6)], 6);
    right(None, &[Event(1), Lagged(1), Lagged(2), Event(5)], 5);
    right(None, &[Lagged(4), Event(5)], 5);
    right(None, &[Event(1), Lagged(3)], 4);
    // What it did not want counts too.
    right(Some(0), &[Event(1), Lagged(3), Event(5)], 5);
    right(Some(0), &[Event(1), Lagged(4), Event(7)], 7);
    // Too few, too many, none, and without one.
    wrong(None, &[Event(1), Lagged(2), Event(5), Event(6)], 6);
    wrong(None, &[Event(1), Lagged(4), Event(5), Event(6)], 6);
    wrong(None, &[Event(1), Lagged(3), Event(6), Event(7)], 7);
    wrong(None, &[Event(1), Lagged(2)], 4);
    wrong(None, &[Event(1), Lagged(0), Event(2)], 2);
    wrong(None, &[Event(1), Event(4), Lagged(2), Event(5)], 5);
    wrong(Some(0), &[Event(1), Lagged(1), Event(5)], 5);
    // What was said to be missed is not an excuse for what comes later.
    wrong(None, &[Event(1), Lagged(3), Event(5), Event(7), Event(8)], 8);
    wrong(Some(1), &[Event(2), Lagged(6), Event(10), Event(14)], 14);
    // Nor does who waits overtake anybody.
    of_publisher(PATIENT, None, &[Event(1), Event(2)], 2).unwrap();
    of_publisher(PATIENT, None, &[Event(1), Lagged(1)], 2).unwrap_err();
}

/// Where others publish meanwhile, a subscription begins at the latest with what is begun when
/// it is there.
#[test]
fn the_beginning_may_be_early_and_not_late() {
    let first = |alone: bool, sequence: u64| {
        let wanted = Wanted { place: Some(HASTY), part: None };
        let mut account = Account::since(&sent(HASTY, 10), alone, wanted, true);
        let (part, number) = of(sequence);
        account.saw(HASTY, part, number, [before(sequence), sequence])
    };
    for sequence in [11, 12] {
        first(true, sequence).unwrap();
        first(false, sequence).unwrap();
    }
    first(false, 9).unwrap();
    first(true, 9).unwrap_err();
    first(true, 13).unwrap_err();
    first(false, 13).unwrap_err();
    let mut account =
        Account::since(&sent(HASTY, 10), false, Wanted { place: None, part: None }, true);
    account.saw(HASTY, 0, 3, [5, 7]).unwrap();
    account.saw(HASTY, 0, 6, [11, 13]).unwrap_err();
    account.saw(HASTY, 0, 5, [9, 11]).unwrap();
    account.saw(HASTY, 0, 5, [9, 13]).unwrap_err();
    account.saw(HASTY, 0, 7, [13, 15]).unwrap_err();
}
