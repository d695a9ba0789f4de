//! The protocol under the model checker: every interleaving, and every stale value that the C11
//! memory model lets a relaxed load see.
//!
//! The code is the real one, on heap memory whose words are loom's atomics. The bounds: rings of
//! four or eight lines and two to four records are enough for every relation that the protocol
//! has (behind, caught up, lapped, full), and loom needs seconds for them; preemptions are bounded
//! where a test says so, because faults of such protocols need two or three at most.
//!
//! Each `broken_…` test leaves one step out and must fail: it shows that the model sees it.

mod follower;
mod merge;

use super::heap::HeapMemory;
use super::layout::Kind;
use super::*;
use crate::sync::{AtomicU64, Ordering, heavy_fence, light_fence};
use loom::sync::Arc;
use loom::thread;

/// Two lines are one record of two lines, so that torn reads show themselves.
const CAPACITY: usize = 256;

fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

fn send(writer: &mut Writer<HeapMemory>, value: u64) -> Result<(), RingError> {
    let mut loan = writer.loan(16)?;
    loan[..8].copy_from_slice(&value.to_le_bytes());
    loan[8..].copy_from_slice(&(!value).to_le_bytes());
    loan.commit(16, Kind::Plain, value as u32);
    Ok(())
}

fn value(body: &[u8]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap());
    assert_eq!(word(0), !word(8), "half of one record and half of another");
    word(0)
}

fn read(reader: &mut Reader<HeapMemory>) -> Result<Option<u64>, RecordError> {
    Ok(reader.poll()?.map(|record| {
        assert_eq!(record.commit().len, 16);
        // SAFETY: the writer is this test.
        value(unsafe { record.body() })
    }))
}

fn pair() -> (Writer<HeapMemory>, Reader<HeapMemory>) {
    let memory = HeapMemory::new(CAPACITY);
    let reading = memory.share();
    let mut writer = Writer::format(memory, 0);
    let cursor = Position::on_heap();
    let start = writer.add_reader(1, cursor.clone()).unwrap();
    (writer, Reader::attach(reading, cursor, start, Fencing::Light))
}

/// Writer and gating reader, over more than a lap of a ring of four lines: every record that is
/// seen is whole, in order, and none is overwritten before it was read.
#[test]
fn model_gating() {
    check(Some(3), || {
        let (mut writer, mut reader) = pair();
        let thread = thread::spawn(move || {
            let mut sent = 0;
            for _ in 0..6 {
                if send(&mut writer, sent).is_ok() {
                    sent += 1;
                }
                thread::yield_now();
            }
            (writer, sent)
        });
        let mut seen = 0;
        for _ in 0..4 {
            while let Some(value) = read(&mut reader).unwrap() {
                assert_eq!(value, seen);
                seen += 1;
                reader.publish();
            }
            thread::yield_now();
        }
        let (_writer, sent) = thread.join().unwrap();
        while let Some(value) = read(&mut reader).unwrap() {
            assert_eq!(value, seen);
            seen += 1;
        }
        assert_eq!(seen, sent);
    });
}

/// A batch is seen whole or not at all.
#[test]
fn model_batch() {
    check(Some(3), || {
        let (mut writer, mut reader) = pair();
        let thread = thread::spawn(move || {
            let mut batch = writer.batch();
            for value in 0..2u64 {
                let mut loan = batch.loan(16).unwrap();
                loan[..8].copy_from_slice(&value.to_le_bytes());
                loan[8..].copy_from_slice(&(!value).to_le_bytes());
                loan.commit(16, Kind::Plain, 0);
            }
            batch.publish();
            send(&mut writer, 2).unwrap();
            writer
        });
        if read(&mut reader).unwrap() == Some(0) {
            assert_eq!(read(&mut reader).unwrap(), Some(1), "the rest of the batch");
        }
        drop(thread.join().unwrap());
    });
}

/// Closing: what was committed before is seen before.
#[test]
fn model_close() {
    check(None, || {
        let (mut writer, mut reader) = pair();
        let thread = thread::spawn(move || {
            send(&mut writer, 0).unwrap();
            send(&mut writer, 1).unwrap();
            writer.close();
        });
        let mut seen = 0;
        loop {
            match read(&mut reader) {
                Ok(Some(value)) => {
                    assert_eq!(value, seen);
                    seen += 1;
                }
                Ok(None) => thread::yield_now(),
                Err(RecordError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(seen, 2, "closed before everything was read");
        thread.join().unwrap();
    });
}

/// The sleep handshake, with the ring as it is and a doorbell that remembers that it was rung.
fn sleep_and_wake(fences: bool) {
    let (mut writer, mut reader) = pair();
    let asleep = Arc::new(AtomicU64::new(0));
    let rung = Arc::new(AtomicU64::new(0));
    let thread = thread::spawn({
        let (asleep, rung) = (Arc::clone(&asleep), Arc::clone(&rung));
        move || {
            send(&mut writer, 0).unwrap();
            if fences {
                light_fence();
            }
            if asleep.load(Ordering::Relaxed) == 1 {
                rung.store(1, Ordering::Relaxed);
            }
            writer
        }
    });
    asleep.store(1, Ordering::Relaxed);
    if fences {
        heavy_fence();
    }
    let found = read(&mut reader).unwrap().is_some();
    drop(thread.join().unwrap());
    assert!(found || rung.load(Ordering::Relaxed) == 1, "asleep for ever beside a record");
}

/// Who goes to sleep and who commits: one of them sees the other.
#[test]
fn model_sleep() {
    check(None, || sleep_and_wake(true));
}

/// Who waits for room and who makes it: one of them sees the other.
#[test]
fn model_room() {
    check(Some(3), || {
        let (mut writer, mut reader) = pair();
        while send(&mut writer, 7).is_ok() {}
        let thread = thread::spawn(move || {
            while let Some(record) = reader.poll().unwrap() {
                drop(record);
            }
            reader.publish();
            reader
        });
        let wait = writer.announce_wait(16).unwrap();
        let reader = thread.join().unwrap();
        let woken = reader.memory().writer_was_woken();
        assert!(matches!(wait, RoomWait::Ready) || woken, "asleep for ever beside an empty ring");
    });
}

/// A late reader that has been announced but has not begun holds the writer from where it joins.
#[test]
fn model_late_reader() {
    check(Some(3), || {
        let memory = HeapMemory::new(CAPACITY);
        let reading = memory.share();
        let mut writer = Writer::format(memory, 0);
        send(&mut writer, 0).unwrap();
        let cursor = Position::on_heap();
        let start = writer.add_reader(1, cursor.clone()).unwrap();
        let thread = thread::spawn(move || {
            let mut sent = 1;
            for _ in 0..4 {
                if send(&mut writer, sent).is_ok() {
                    sent += 1;
                }
            }
            writer
        });
        let mut reader = Reader::attach(reading, cursor, start, Fencing::Light);
        let mut seen = 1;
        for _ in 0..3 {
            if let Some(value) = read(&mut reader).unwrap() {
                assert_eq!(value, seen);
                seen += 1;
                reader.publish();
            }
            thread::yield_now();
        }
        drop(thread.join().unwrap());
    });
}

/// The canary: without the fences a wake-up is lost, and the model says so.
#[test]
#[should_panic(expected = "asleep for ever")]
fn broken_sleep_without_fences() {
    check(None, || sleep_and_wake(false));
}

/// The canary: a writer that does not zero ahead leads the reader into an old lap.
#[test]
#[should_panic]
fn broken_without_zero_ahead() {
    check(Some(3), || {
        let (mut writer, mut reader) = pair();
        writer.leave_out_zeroing();
        let thread = thread::spawn(move || {
            let mut sent = 0;
            for _ in 0..6 {
                if send(&mut writer, sent).is_ok() {
                    sent += 1;
                }
                thread::yield_now();
            }
            writer
        });
        let mut seen = 0;
        for _ in 0..6 {
            while let Some(value) = read(&mut reader).unwrap() {
                assert_eq!(value, seen, "a record of an old lap");
                seen += 1;
                reader.publish();
            }
            thread::yield_now();
        }
        drop(thread.join().unwrap());
    });
}
