//! Readers that copy: gating, lossy, given up, skipping.

use super::*;
use layout::HeaderWord;

/// A writer and a follower for which it waits, under the id 1.
fn gating(capacity: usize) -> (Writer<HeapMemory>, Follower<HeapMemory>, Position) {
    let mut writer = Writer::format(HeapMemory::new(capacity), 0);
    let (follower, cursor) = join(&mut writer, 1);
    (writer, follower, cursor)
}

fn join(writer: &mut Writer<HeapMemory>, id: u64) -> (Follower<HeapMemory>, Position) {
    let cursor = Position::on_heap();
    let start = writer.add_reader(id, cursor.clone()).unwrap();
    let memory = writer.memory().share();
    (Follower::gating(memory, cursor.clone(), start, Fencing::Light), cursor)
}

fn put<M: Memory>(writer: &mut Writer<M>, tag: u32, len: usize) -> Result<(), RingError> {
    let mut loan = writer.loan(len)?;
    fill(&mut loan, tag);
    loan.commit(len, Kind::Plain, tag);
    Ok(())
}

/// Reads the next record in parts and compares every byte; its tag.
fn take<M: Memory>(follower: &mut Follower<M>) -> Result<Option<u32>, FollowError> {
    let Some(commit) = follower.peek()? else { return Ok(None) };
    let mut wanted = vec![0; commit.len];
    fill(&mut wanted, commit.tag);
    let mut start = vec![0; commit.len.min(24)];
    follower.copy_prefix(&mut start)?;
    assert_eq!(start, wanted[..start.len()]);
    let mut body = vec![0xEE; commit.len + 3];
    follower.copy_body(commit, &mut body)?;
    assert_eq!(body[..commit.len], wanted);
    assert_eq!(body[commit.len..], [0xEE; 3], "only the record is copied");
    assert_eq!(follower.peek(), Ok(Some(commit)), "it has not moved on");
    follower.advance(commit);
    Ok(Some(commit.tag))
}

fn every_record<M: Memory>(writer: &mut Writer<M>, reading: M, steps: &[(usize, usize, usize)]) {
    let cursor = Position::on_heap();
    let start = writer.add_reader(1, cursor.clone()).unwrap();
    let mut follower = Follower::gating(reading, cursor, start, Fencing::Full);
    assert!(follower.is_gating());
    let (mut sent, mut seen) = (0, 0);
    for &(send, read, len) in steps {
        for _ in 0..send {
            match put(writer, sent, len) {
                Ok(()) => sent += 1,
                Err(error) => assert_eq!(error, RingError::Full),
            }
        }
        for _ in 0..read {
            match take(&mut follower).unwrap() {
                Some(tag) => assert_eq!(tag, seen),
                None => break,
            }
            seen += 1;
        }
        follower.publish();
    }
    while take(&mut follower).unwrap().is_some() {
        seen += 1;
    }
    assert_eq!(seen, sent);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_gating_follower_sees_every_record(
        start in 0..3000u64,
        steps in prop::collection::vec((0..40usize, 0..40usize, 0..=2040usize), 1..60),
        in_a_segment in any::<bool>(),
    ) {
        if in_a_segment {
            let options = RingOptions { capacity: 4096, start: start * 64, ..Default::default() };
            let (mut writer, shared) = RingMemory::create(options).unwrap();
            let reading = RingMemory::open(&shared.file, 4096).unwrap();
            every_record(&mut writer, reading, &steps);
        } else {
            let memory = HeapMemory::new(4096);
            let reading = memory.share();
            every_record(&mut Writer::format(memory, start * 64), reading, &steps);
        }
    }

    /// A lossy follower sees a subsequence, whole records only, and is told of every gap.
    #[test]
    fn a_lossy_follower_is_told_what_it_missed(
        steps in prop::collection::vec((0..40usize, 0..6usize, 0..120usize), 1..60),
    ) {
        let memory = HeapMemory::new(4096);
        let mut lossy = Follower::lossy(memory.share(), None);
        let mut writer = Writer::format(memory, 0);
        let (mut next, mut seen, mut body) = (0u32, 0u64, Vec::new());
        let mut expected: Option<u32> = Some(0);
        for (send, read, len) in steps {
            for _ in 0..send {
                let mut loan = writer.loan(len).unwrap();
                fill(&mut loan, next);
                loan.commit(len, Kind::Plain, next);
                next += 1;
            }
            for _ in 0..read {
                match lossy.poll(&mut body) {
                    Ok(None) => prop_assert!(expected.is_none_or(|tag| tag == next)),
                    Ok(Some(commit)) => {
                        prop_assert!(expected.is_none_or(|tag| tag == commit.tag));
                        prop_assert!(u64::from(commit.tag) >= seen);
                        let mut wanted = vec![0; commit.len];
                        fill(&mut wanted, commit.tag);
                        prop_assert_eq!(&body, &wanted);
                        (seen, expected) = (u64::from(commit.tag) + 1, Some(commit.tag + 1));
                    }
                    Err(FollowError::Overrun { missed_bytes }) => {
                        prop_assert!(missed_bytes > 0);
                        expected = None;
                    }
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
        }
    }
}

#[test]
fn a_follower_that_was_given_up_is_overtaken_and_goes_on() {
    let (mut writer, mut slow, _) = gating(4096);
    let (mut fast, _) = join(&mut writer, 2);
    let mut sent = 0;
    while put(&mut writer, sent, 56).is_ok() {
        sent += 1;
        while take(&mut fast).unwrap().is_some() {}
        fast.publish();
    }
    assert_eq!((writer.readers(), writer.slowest_reader()), (2, Some((1, 0))));
    assert_eq!(writer.evict_slowest(), Some(1));
    assert_eq!((writer.readers(), writer.has_reader(1), writer.has_reader(2)), (1, false, true));
    assert_eq!(take(&mut slow), Ok(Some(0)), "nothing has been overwritten yet");
    for _ in 0..200 {
        put(&mut writer, sent, 56).unwrap();
        sent += 1;
        assert_eq!(take(&mut fast), Ok(Some(sent - 1)), "the other one loses nothing");
    }
    let Err(FollowError::Overrun { missed_bytes }) = slow.peek() else {
        panic!("not told of what it missed");
    };
    assert_eq!(slow.position(), 64 + missed_bytes);
    let mut next = (slow.position() / 64) as u32;
    while let Some(tag) = take(&mut slow).unwrap() {
        assert_eq!(tag, next);
        next += 1;
    }
    assert_eq!(next, sent);
    assert!(slow.is_gating(), "as it was made");
}

#[test]
fn the_slowest_is_given_up_first() {
    let (mut writer, mut first, _) = gating(4096);
    let (mut second, _) = join(&mut writer, 2);
    let _silent = join(&mut writer, 3);
    while put(&mut writer, 0, 56).is_ok() {}
    for (follower, count) in [(&mut first, 40), (&mut second, 20)] {
        for _ in 0..count {
            let commit = follower.peek().unwrap().unwrap();
            follower.advance(commit);
        }
        follower.publish();
    }
    assert_eq!(put(&mut writer, 0, 56), Err(RingError::Full));
    assert_eq!(writer.slowest_reader(), Some((3, 0)));
    assert_eq!(writer.evict_slowest(), Some(3));
    assert_eq!(writer.slowest_reader(), Some((2, 20 * 64)));
    let mut more = 0;
    while put(&mut writer, 0, 56).is_ok() {
        more += 1;
    }
    assert_eq!(more, 20, "as much as the second has given back");
    assert_eq!((writer.evict_slowest(), writer.evict_slowest()), (Some(2), Some(1)));
    assert_eq!(
        (writer.evict_slowest(), writer.slowest_reader(), writer.readers()),
        (None, None, 0)
    );
    for _ in 0..200 {
        put(&mut writer, 0, 56).unwrap();
    }
}

#[test]
fn a_gating_follower_tells_its_writer_by_itself() {
    let (mut writer, mut follower, cursor) = gating(4096);
    let told = || cursor.word().load(Ordering::Relaxed);
    assert_eq!(told(), 0, "where it begins");
    for tag in 0..63 {
        put(&mut writer, tag, 56).unwrap();
    }
    for read in 1..=63 {
        take(&mut follower).unwrap();
        assert_eq!(told(), read / 8 * 512);
    }
    follower.publish();
    assert_eq!(told(), 63 * 64);
}

#[test]
fn a_copy_that_was_overtaken_is_not_believed() {
    let mut writer = Writer::format(HeapMemory::new(4096), 0);
    let mut follower = Follower::lossy(writer.memory().share(), Some(0));
    assert!(!follower.is_gating());
    put(&mut writer, 0, 56).unwrap();
    let commit = follower.peek().unwrap().unwrap();
    for tag in 1..100 {
        put(&mut writer, tag, 56).unwrap();
    }
    let mut body = [0; 56];
    let Err(FollowError::Overrun { missed_bytes }) = follower.copy_body(commit, &mut body) else {
        panic!("the bytes of another record");
    };
    assert_eq!(follower.position(), missed_bytes);
    assert_eq!(take(&mut follower), Ok(Some((missed_bytes / 64) as u32)));
    put(&mut writer, 100, 56).unwrap();
    let memory = writer.memory();
    // As if the writer had stopped between announcing the claim and the boundary behind it.
    let claim = follower.position() + 4096 + 64;
    let commit = follower.peek().unwrap().unwrap();
    memory.header_word(HeaderWord::Claim).store(claim, Ordering::Relaxed);
    memory.header_word(HeaderWord::Boundary).store(follower.position(), Ordering::Relaxed);
    let unseen = FollowError::Overrun { missed_bytes: 0 };
    assert_eq!(follower.copy_prefix(&mut body), Err(unseen));
    assert_eq!(follower.copy_body(commit, &mut body), Err(unseen));
    assert_eq!(follower.peek(), Ok(None));
    memory.header_word(HeaderWord::Boundary).store(follower.position() + 128, Ordering::Relaxed);
    assert_eq!(follower.peek(), Err(FollowError::Overrun { missed_bytes: 128 }));
}

#[test]
fn skipping_ends_where_nothing_is_committed() {
    for records in [0, 1, 3, 63, 64, 500] {
        let mut writer = Writer::format(HeapMemory::new(4096), 640);
        let mut follower = Follower::lossy(writer.memory().share(), None);
        for tag in 0..records {
            put(&mut writer, tag, 56).unwrap();
        }
        assert_eq!(follower.skip_to_end(), Ok(()));
        assert_eq!(follower.position(), writer.position());
        assert_eq!(follower.peek(), Ok(None));
        put(&mut writer, records, 56).unwrap();
        assert_eq!(take(&mut follower), Ok(Some(records)));
        writer.close();
        assert_eq!(follower.skip_to_end(), Err(FollowError::Closed));
        assert_eq!(follower.peek(), Err(FollowError::Closed));
    }
}

#[test]
fn a_gating_follower_that_skips_makes_room() {
    let (mut writer, mut follower, _) = gating(4096);
    while put(&mut writer, 0, 56).is_ok() {}
    assert_eq!(follower.skip_to_end(), Ok(()));
    assert_eq!(follower.position(), writer.position());
    for _ in 0..63 {
        put(&mut writer, 0, 56).unwrap();
    }
}

#[test]
#[should_panic(expected = "records start at multiples of 64")]
fn a_start_that_is_none_is_refused() {
    let _ = Follower::lossy(HeapMemory::new(4096), Some(65));
}

/// The writer may take a break, be killed or give up what it has begun, after each of them.
#[test]
fn who_is_overtaken_finds_the_newest_record_though_none_follows() {
    for count in 1..300 {
        for begun in [None, Some(1), Some(40), Some(500), Some(max_body(4096) - 100)] {
            let memory = HeapMemory::new(4096);
            let mut writer = Writer::format(memory.share(), 0);
            let mut follower = Follower::lossy(memory, None);
            for tag in 0..count {
                put(&mut writer, tag, 40).unwrap();
            }
            let _given_up = begun.map(|len| writer.loan(len).unwrap());
            assert_eq!(newest(&mut follower), Some(count - 1), "of {count}, then {begun:?}");
            put(&mut writer, count, 40).unwrap();
            assert_eq!(newest(&mut follower), Some(count), "after {count} and {begun:?}");
        }
    }
}

/// The tag of the last record, however many are missed before it.
fn newest<M: Memory>(follower: &mut Follower<M>) -> Option<u32> {
    let mut newest = None;
    loop {
        match take(follower) {
            Ok(Some(tag)) => newest = Some(tag),
            Ok(None) => return newest,
            Err(error) => assert!(matches!(error, FollowError::Overrun { .. }), "{error}"),
        }
    }
}

#[test]
fn the_newest_record_is_found_however_long_it_is() {
    let memory = HeapMemory::new(4096);
    let mut writer = Writer::format(memory.share(), 0);
    let mut follower = Follower::lossy(memory, None);
    let lens = (0..200).map(|count| count * 11 % 400).chain([0, 1000, max_body(4096), 1, 2000]);
    for (tag, len) in (0..).zip(lens) {
        put(&mut writer, tag, len).unwrap();
        assert_eq!(take(&mut follower), Ok(Some(tag)), "{len} bytes");
    }
}
