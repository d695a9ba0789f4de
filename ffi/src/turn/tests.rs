//! The turn between real threads.

use super::*;
use std::sync::atomic::AtomicU64;
use std::thread;

fn enter(owner: &'static Owner) -> Option<Inside> {
    owner.enter().or_else(|| owner.enter_slowly())
}

#[test]
fn a_thread_is_inside_once() {
    let owner: &'static Owner = Box::leak(Box::default());
    let other: &'static Owner = Box::leak(Box::default());
    let inside = enter(owner).unwrap();
    assert!(enter(owner).is_none());
    let second = enter(other).unwrap();
    assert!(enter(owner).is_none() && enter(other).is_none());
    assert!(thread::spawn(move || enter(owner).is_none()).join().unwrap());
    drop(inside);
    drop(second);
    assert!(thread::spawn(move || enter(owner).is_some()).join().unwrap());
    drop(enter(owner).unwrap());
}

/// Two that count without an atomic addition: if both were inside, counts would be lost.
#[test]
fn two_threads_are_never_inside_together() {
    let owner: &'static Owner = Box::leak(Box::default());
    let count: &'static AtomicU64 = Box::leak(Box::default());
    let work = move || {
        let mut entered = 0_u64;
        while entered < 20_000 {
            let times = 1 + entered % 100;
            for _ in 0..times {
                if let Some(_inside) = enter(owner) {
                    let before = count.load(Ordering::Relaxed);
                    count.store(before + 1, Ordering::Relaxed);
                    entered += 1;
                }
            }
        }
        entered
    };
    let threads: Vec<_> = (0..3).map(|_| thread::spawn(work)).collect();
    let entered: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(count.load(Ordering::Relaxed), entered);
}
