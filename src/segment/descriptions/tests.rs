//! Descriptions as their writer and their readers see them, and as a hostile hub writes them.

use super::super::file;
use super::*;
use std::os::fd::OwnedFd;

/// Where they begin here; before it is something else.
const START: usize = 64;
const BYTES: usize = 68 << 10;

fn pair() -> (Descriptions, Mapping, OwnedFd) {
    let file = file::create("descriptions-test", BYTES, false).unwrap();
    let writer = Mapping::new(&file, BYTES, BYTES, Access::Write).unwrap();
    let reader = Mapping::new(&file, BYTES, BYTES, Access::Read).unwrap();
    (Descriptions::new(Arc::new(writer), START), reader, file)
}

fn description(id: u64, name: &str, version: u32, layout: &str) -> Description {
    Description { id, name: name.to_owned(), version, layout: layout.to_owned() }
}

#[test]
fn what_is_said_once_is_read_by_others() {
    let (writer, reader, _file) = pair();
    assert_eq!(read(&reader, START), []);
    assert!(!writer.has(7));
    assert!(writer.add(7, "robot.Pose", 2, "Pose{x:f64}"));
    assert!(writer.has(7) && !writer.has(8));
    let pose = description(7, "robot.Pose", 2, "Pose{x:f64}");
    assert_eq!(read(&reader, START), std::slice::from_ref(&pose));
    assert!(writer.add(7, "robot.Pose", 2, "Pose{x:f64}"));
    assert!(writer.add(u64::MAX, "ä", u32::MAX, "12345678"));
    let other = description(u64::MAX, "ä", u32::MAX, "12345678");
    assert_eq!(read(&reader, START), [pose, other]);
}

#[test]
fn it_has_a_bound_and_may_fill_it() {
    let (writer, reader, _file) = pair();
    let layout = "x".repeat(1000);
    let mut count = 0;
    while writer.add(count, "a.B", 1, &layout) {
        count += 1;
    }
    let each = HEAD + 8 + 1000;
    assert_eq!(count as usize, (DESCRIPTIONS_BYTES - FIRST) / each);
    assert_eq!(read(&reader, START).len(), count as usize);
    // Each is refused once; what is shorter may still fit, to the last word.
    assert!(writer.add(count, "a.B", 1, &layout));
    let left = DESCRIPTIONS_BYTES - FIRST - count as usize * each - HEAD - 8;
    assert!(!writer.add(1 << 32, "a.B", 1, &"y".repeat(left + 1)));
    assert!(writer.add(2 << 32, "a.B", 1, &"y".repeat(left)));
    assert_eq!(read(&reader, START).len(), count as usize + 1);
    assert!(!writer.add(3 << 32, &"z".repeat(1 << 20), 1, "Z"));
}

#[test]
fn garbage_is_passed_over_and_ends_nothing() {
    let (writer, reader, _file) = pair();
    // A control character, no text at all, and an empty name.
    assert!(writer.add(1, "a\x1b[2J", 1, "A"));
    assert!(writer.add(2, "", 1, "A"));
    assert!(writer.add(3, "a.Good", 1, "Good"));
    assert_eq!(read(&reader, START), [description(3, "a.Good", 1, "Good")]);
    let word = |at: usize| writer.mapping.word(START + at);
    for used in [0, 7, 8, 1 << 16, u64::MAX, u64::MAX - 7] {
        for lengths in [0, u64::MAX, 0xffff << 48, 1 << 32, 0x2000 << 32] {
            word(USED).store(used, Ordering::Relaxed);
            word(FIRST + 8).store(lengths, Ordering::Relaxed);
            assert!(read(&reader, START).len() <= DESCRIPTIONS_BYTES / HEAD);
        }
    }
    // Words that change at random: nothing is read outside, and it ends.
    let mut state = 88_172_645_463_325_252_u64;
    for round in 0..2_000 {
        for _ in 0..16 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = (state as usize % (DESCRIPTIONS_BYTES / 8)) * 8;
            let value = if round % 2 == 0 { state } else { state & 0x0001_0003_0000_ffff };
            word(at).store(value, Ordering::Relaxed);
        }
        word(USED).store(u64::MAX, Ordering::Relaxed);
        assert!(read(&reader, START).len() <= DESCRIPTIONS_BYTES / HEAD);
    }
}
