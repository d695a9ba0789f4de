//! Readers that copy and may be overtaken.

use super::super::follower::Look;
use super::*;

/// A writer, which waits for nobody, and a follower.
fn lossy() -> (Writer<HeapMemory>, Follower<HeapMemory>) {
    let memory = HeapMemory::new(CAPACITY);
    let reading = memory.share();
    let writer = Writer::format(memory, 0);
    (writer, Follower::lossy(reading, None))
}

/// A writer and a follower for which it waits.
fn gating() -> (Writer<HeapMemory>, Follower<HeapMemory>) {
    let memory = HeapMemory::new(CAPACITY);
    let reading = memory.share();
    let mut writer = Writer::format(memory, 0);
    let cursor = Position::on_heap();
    let start = writer.add_reader(1, cursor.clone()).unwrap();
    (writer, Follower::gating(reading, cursor, start, Fencing::Light))
}

/// What must come: the next value, or a higher one behind a gap that was announced.
#[derive(Default)]
struct Expected {
    next: u64,
    gap: bool,
}

impl Expected {
    fn see(&mut self, value: u64) {
        let Self { next, gap } = *self;
        assert!(value == next || (gap && value > next), "{value} after {next}");
        *self = Self { next: value + 1, gap: false };
    }

    /// Whether there was nothing.
    fn take(&mut self, seen: Result<Option<u64>, FollowError>) -> bool {
        match seen {
            Ok(Some(value)) => self.see(value),
            Ok(None) => return true,
            Err(FollowError::Overrun { .. }) => self.gap = true,
            Err(error) => panic!("{error}"),
        }
        false
    }
}

fn poll(follower: &mut Follower<HeapMemory>) -> Result<Option<u64>, FollowError> {
    let mut body = Vec::new();
    let commit = follower.poll(&mut body)?;
    Ok(commit.map(|_| value(&body)))
}

/// The same in its parts: all of them tell of one record.
fn step(follower: &mut Follower<HeapMemory>) -> Result<Option<u64>, FollowError> {
    let Some(commit) = follower.peek()? else { return Ok(None) };
    assert_eq!(commit.len, 16);
    let (mut start, mut body) = ([0; 8], [0; 16]);
    follower.copy_prefix(&mut start)?;
    follower.copy_body(commit, &mut body)?;
    assert_eq!(start, body[..8], "the start of another record");
    let value = value(&body);
    assert_eq!(commit.tag, value as u32, "the commit word of another record");
    follower.advance(commit);
    Ok(Some(value))
}

/// Writer and lossy follower: what is seen is whole; a gap is announced.
#[test]
fn model_lossy() {
    check(Some(2), || {
        let (mut writer, mut follower) = lossy();
        let thread = thread::spawn(move || {
            for value in 0..5 {
                send(&mut writer, value).unwrap();
            }
            writer
        });
        let mut expected = Expected::default();
        for _ in 0..4 {
            if expected.take(poll(&mut follower)) {
                thread::yield_now();
            }
        }
        drop(thread.join().unwrap());
        while !expected.take(poll(&mut follower)) {}
        assert_eq!(expected.next, 5, "the newest record was not found");
    });
}

/// A follower that goes by what the commit word says, and copies nothing.
fn pass_by(follower: &mut Follower<HeapMemory>) -> Result<Option<u64>, FollowError> {
    let Some(commit) = follower.peek()? else { return Ok(None) };
    follower.advance(commit);
    Ok(Some(commit.tag.into()))
}

/// A commit word alone can be believed.
#[test]
fn model_passing_by() {
    check(Some(2), || {
        let (mut writer, mut follower) = lossy();
        let thread = thread::spawn(move || {
            for value in 0..6 {
                send(&mut writer, value).unwrap();
            }
            writer
        });
        let mut expected = Expected::default();
        for _ in 0..4 {
            if expected.take(pass_by(&mut follower)) {
                thread::yield_now();
            }
        }
        drop(thread.join().unwrap());
    });
}

/// Sends five values and gives up its reader where there is no room. Whether it had to.
fn send_anyway(writer: &mut Writer<HeapMemory>) -> bool {
    let mut evicted = false;
    for value in 0..5 {
        if send(writer, value) == Err(RingError::Full) {
            assert_eq!(writer.evict_slowest(), Some(1), "nobody else is waited for");
            evicted = true;
            send(writer, value).unwrap();
        }
    }
    evicted
}

/// A gating follower that is given up in the middle: until then nothing is lost, then a gap is
/// announced, and what is seen is whole all the time.
#[test]
fn model_evicted() {
    check(Some(2), || {
        let (mut writer, mut follower) = gating();
        let thread = thread::spawn(move || send_anyway(&mut writer));
        let mut expected = Expected::default();
        let mut overtaken = false;
        for _ in 0..3 {
            if expected.take(step(&mut follower)) {
                thread::yield_now();
            }
            overtaken |= expected.gap;
            follower.publish();
        }
        let evicted = thread.join().unwrap();
        while !expected.take(step(&mut follower)) {
            overtaken |= expected.gap;
        }
        assert_eq!(expected.next, 5, "the newest record was not found");
        assert!(evicted || !overtaken, "overtaken while it was waited for");
    });
}

/// As `model_room`, with a follower: who waits for room and who makes it see one another.
#[test]
fn model_room_of_follower() {
    check(Some(3), || {
        let (mut writer, mut follower) = gating();
        while send(&mut writer, 7).is_ok() {}
        let thread = thread::spawn(move || {
            while let Some(commit) = follower.peek().unwrap() {
                follower.advance(commit);
            }
            follower.publish();
            follower
        });
        let wait = writer.announce_wait(16).unwrap();
        let follower = thread.join().unwrap();
        let woken = follower.memory().writer_was_woken();
        assert!(matches!(wait, RoomWait::Ready) || woken, "asleep for ever beside an empty ring");
    });
}

/// Skipping leads to a place where a record starts, and past nothing that is newer than the skip.
#[test]
fn model_skip_to_end() {
    check(Some(2), || {
        let (mut writer, mut follower) = lossy();
        send(&mut writer, 0).unwrap();
        send(&mut writer, 1).unwrap();
        let thread = thread::spawn(move || {
            for value in 2..6 {
                send(&mut writer, value).unwrap();
            }
            writer
        });
        follower.skip_to_end().unwrap();
        let mut expected = Expected { next: 2, gap: true };
        if let Ok(Some(value)) = step(&mut follower) {
            assert!(value >= 2, "committed before the skip");
            expected.see(value);
        }
        drop(thread.join().unwrap());
        while !expected.take(step(&mut follower)) {}
        assert_eq!(follower.position(), 6 * 64);
    });
}

fn without(
    look: Look,
    read: impl Fn(&mut Follower<HeapMemory>) -> Result<Option<u64>, FollowError>,
) {
    let (mut writer, mut follower) = lossy();
    follower.leave_out(look);
    let thread = thread::spawn(move || {
        for value in 0..6 {
            send(&mut writer, value).unwrap();
        }
        writer
    });
    let mut expected = Expected::default();
    for _ in 0..4 {
        expected.take(read(&mut follower));
    }
    drop(thread.join().unwrap());
}

/// The canary: a follower that does not look at the claim again takes torn copies for records.
#[test]
#[should_panic]
fn broken_follower_without_the_look_at_the_body() {
    check(Some(3), || without(Look::AtBody, poll));
}

/// The canary: a follower that looks at the claim only after a copy takes the commit word of a
/// later lap for the next one.
#[test]
#[should_panic(expected = " after ")]
fn broken_follower_without_the_look_at_the_word() {
    check(Some(3), || without(Look::AtWord, pass_by));
}

/// The canary: a gating follower that believes that it is waited for.
#[test]
#[should_panic]
fn broken_evicted_without_the_look_at_the_body() {
    check(Some(3), || {
        let (mut writer, mut follower) = gating();
        follower.leave_out(Look::AtBody);
        let thread = thread::spawn(move || send_anyway(&mut writer));
        let mut expected = Expected::default();
        for _ in 0..3 {
            expected.take(poll(&mut follower));
        }
        thread.join().unwrap();
    });
}
