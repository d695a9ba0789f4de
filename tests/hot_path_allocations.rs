//! After the first events, sending and receiving allocate nothing, whatever is sent and however
//! it is read.

mod common;

use common::allocations::{Counting, calls};
use common::roles::LONG;
use common::{Domain, Note, Pose, pose};
use ephapse::{Hub, Link, Payloads, Received};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: u64 = 5_000;
const EVENTS: u64 = 100_000;

/// Longer than the naps that need no help.
const LONG_SLEEP: Duration = Duration::from_millis(50);

/// Sleepers of one process share a queue, which is as long as they are many.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Sends and receives, and asserts that neither side used the allocator after its warm-up.
fn no_allocations(
    payloads: Payloads,
    mut send: impl FnMut(&mut Link, Range<u64>),
    check: impl Fn(&Received<'_>, u64) + Send,
) {
    let _one = ONE_AT_A_TIME.lock();
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let builder = Hub::builder("b").domain(domain.domain()).payloads(payloads);
    let mut b = builder.connect().unwrap();
    // The first long sleep of a process starts a thread.
    assert!(b.recv_timeout(LONG_SLEEP).unwrap().is_none());
    let mut link = a.link_to("b").unwrap();
    std::thread::scope(|scope| {
        // The hub belongs to the thread: if the thread fails, the sender is told.
        let reader = scope.spawn(move || {
            let mut read = |range: Range<u64>| {
                let before = calls();
                for i in range {
                    let event = b.recv_timeout(LONG).unwrap().expect("an event in time");
                    assert_eq!(event.sequence(), i);
                    assert!(event.timestamp().is_some_and(|sent| sent.age_ns() < u64::MAX));
                    check(&event, i);
                }
                calls() - before
            };
            read(0..WARM_UP);
            (read(WARM_UP..WARM_UP + EVENTS), b)
        });
        send(&mut link, 0..WARM_UP);
        let before = calls();
        send(&mut link, WARM_UP..WARM_UP + EVENTS);
        assert_eq!(calls() - before, 0, "the sender used the allocator");
        assert_eq!(reader.join().unwrap().0, 0, "the receiver used the allocator");
    });
}

fn check_pose(event: &Received<'_>, i: u64) {
    let seen = event.get::<Pose>().unwrap();
    assert_eq!((seen.stamp_ns.to_native(), seen.frame.to_native()), (i, i ^ 0xFFFF));
    assert_eq!(seen.position[2], -2.0);
}

fn send_poses(link: &mut Link, range: Range<u64>) {
    for i in range {
        link.send(&pose(i)).unwrap();
    }
}

/// Up to a kilobyte, all bytes the same.
fn bytes_of(i: u64) -> (u8, usize) {
    (i as u8, (i * 37 % 1024) as usize)
}

fn check_bytes(event: &Received<'_>, i: u64) {
    let (byte, len) = bytes_of(i);
    assert_eq!(event.bytes().len(), len);
    assert!(event.bytes().iter().all(|seen| *seen == byte));
}

fn send_bytes(link: &mut Link, range: Range<u64>) {
    for i in range {
        let (byte, len) = bytes_of(i);
        link.send_bytes(&[byte; 1024][..len]).unwrap();
    }
}

#[test]
fn the_counter_counts() {
    let before = calls();
    drop(std::hint::black_box(Box::new(1_u64)));
    assert_eq!(calls() - before, 2, "one allocation, one release");
    // What is sent below for nothing does cost something when it is made anew.
    let before = calls();
    drop(std::hint::black_box(notes()));
    assert!(calls() - before > 100);
}

#[test]
fn sleeping() {
    let _one = ONE_AT_A_TIME.lock();
    let domain = Domain::new();
    let mut hub = domain.hub("a");
    let mut sleep = || {
        let before = calls();
        assert!(hub.recv_timeout(LONG_SLEEP).unwrap().is_none());
        calls() - before
    };
    // The first time starts a thread, and gives a queue its memory.
    for _ in 0..3 {
        sleep();
    }
    for _ in 0..5 {
        assert_eq!(sleep(), 0, "a sleep used the allocator");
    }
}

#[test]
fn flat_events() {
    no_allocations(Payloads::ByTrust, send_poses, check_pose);
}

#[test]
fn flat_events_copied_out() {
    no_allocations(Payloads::Copied, send_poses, check_pose);
}

#[test]
fn raw_bytes() {
    no_allocations(Payloads::ByTrust, send_bytes, check_bytes);
}

#[test]
fn raw_bytes_copied_out() {
    no_allocations(Payloads::Copied, send_bytes, check_bytes);
}

#[test]
fn loans() {
    let send = |link: &mut Link, range: Range<u64>| {
        for i in range {
            let (byte, len) = bytes_of(i);
            let _aborted = link.loan(len).unwrap(); // costs nothing either
            let mut loan = link.loan(1024).unwrap();
            loan[..len].fill(byte);
            loan.send_len(len);
        }
    };
    no_allocations(Payloads::ByTrust, send, check_bytes);
}

#[test]
fn batches() {
    let send = |link: &mut Link, range: Range<u64>| {
        for start in range.step_by(100) {
            let mut batch = link.batch();
            for i in start..start + 100 {
                batch.send(&pose(i)).unwrap();
            }
            batch.commit();
        }
    };
    no_allocations(Payloads::ByTrust, send, check_pose);
}

#[test]
fn batches_of_bytes() {
    let send = |link: &mut Link, range: Range<u64>| {
        for start in range.step_by(100) {
            let mut batch = link.batch();
            for i in start..start + 100 {
                let (byte, len) = bytes_of(i);
                batch.send_bytes(&[byte; 1024][..len]).unwrap();
            }
            batch.commit();
        }
    };
    no_allocations(Payloads::ByTrust, send, check_bytes);
}

/// Values with pointers, from empty to several kilobytes.
fn notes() -> Vec<Note> {
    let note = |lines: usize| Note { lines: (0..lines).map(|i| "x".repeat(i)).collect() };
    [0, 1, 3, 80, 7, 40].map(note).into()
}

fn send_notes(link: &mut Link, range: Range<u64>, notes: &[Note]) {
    for i in range {
        link.send(&notes[i as usize % notes.len()]).unwrap();
    }
}

fn check_note(event: &Received<'_>, i: u64, notes: &[Note]) {
    let seen = event.get::<Note>().unwrap();
    let sent = &notes[i as usize % notes.len()];
    assert_eq!(seen.lines.len(), sent.lines.len());
    let lines = seen.lines.iter().zip(&sent.lines);
    assert!(lines.into_iter().all(|(seen, sent)| seen.as_str() == sent));
}

#[test]
fn nested_events() {
    let notes = &notes();
    no_allocations(
        Payloads::ByTrust,
        |link, range| send_notes(link, range, notes),
        |event, i| check_note(event, i, notes),
    );
}

#[test]
fn nested_events_copied_out() {
    let notes = &notes();
    no_allocations(
        Payloads::Copied,
        |link, range| send_notes(link, range, notes),
        |event, i| check_note(event, i, notes),
    );
}
