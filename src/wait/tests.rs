//! Doorbells: who rings is heard.

use super::{Bell, Ringer, Woken};
use crate::ring::{Fencing, Position};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

fn bell_and_ringer() -> (Bell, Ringer) {
    let word = Position::on_heap();
    let bell = Bell::new(word.clone()).unwrap();
    let pipe: OwnedFd = bell.given().try_clone_to_owned().unwrap();
    let ringer = Ringer::new(word, &pipe, Fencing::Full).unwrap();
    (bell, ringer)
}

/// Sleeps until it has become certain that every writer knows.
fn until_certain(bell: &mut Bell) {
    assert_eq!(bell.sleep(None), Woken::LookAgain, "our own thread has us look once more");
}

#[test]
fn a_sleep_becomes_certain_and_ends_with_a_ring() {
    let (mut bell, ringer) = bell_and_ringer();
    for _ in 0..3 {
        bell.arm();
        until_certain(&mut bell);
        assert!(ringer.notify(), "one for each period of sleep");
        assert!(!ringer.notify());
        assert_eq!(bell.sleep(None), Woken::Up);
        bell.disarm();
        assert!(!ringer.notify(), "who is awake is not woken");
    }
}

#[test]
fn a_ring_beside_the_certainty_begins_a_new_period() {
    let (mut bell, ringer) = bell_and_ringer();
    bell.arm();
    // Both are in the pipe before the sleeper looks: it must not take the ring for its own
    // thread's, and sleep on in a period for which nobody rings again.
    assert!(ringer.notify());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !bell.is_confirmed() {
        assert!(Instant::now() < deadline, "it never becomes certain");
        std::thread::yield_now();
    }
    assert_eq!(bell.sleep(None), Woken::Up);
    bell.disarm();
    bell.arm();
    assert!(ringer.notify(), "it is rung for the new period");
    assert_eq!(bell.sleep(None), Woken::Up);
}

#[test]
fn draining_tells_rings_from_certainty() {
    let (mut bell, ringer) = bell_and_ringer();
    assert!(!bell.drain());
    bell.arm();
    until_certain(&mut bell);
    assert!(!bell.drain());
    assert!(ringer.notify());
    assert!(bell.drain());
    assert!(!bell.drain());
}
