//! The ring on the heap and in a real segment: random sizes, capacities and interleavings, every
//! byte verified.

mod follower;
mod scribbled;

use super::heap::HeapMemory;
use super::layout::{Kind, max_body};
use super::*;
use crate::segment::{RingMemory, RingOptions};
use crate::sync::Ordering;
use proptest::prelude::*;
use std::collections::VecDeque;

/// What a test does to a ring.
#[derive(Debug, Clone)]
enum Action {
    /// Loan so many bytes, write them, commit part of them.
    Send { loaned: usize, part: u8 },
    /// Loan, write, and drop.
    Abort { loaned: usize },
    /// Send several in a batch, or discard it.
    Batch { sizes: Vec<usize>, publish: bool },
    /// Read so many records.
    Read { count: usize },
}

fn actions(max: usize) -> impl Strategy<Value = Vec<Action>> {
    let size = prop_oneof![4 => 0..120usize, 2 => 0..max / 4, 1 => 0..=max];
    let action = prop_oneof![
        5 => (size.clone(), any::<u8>()).prop_map(|(loaned, part)| Action::Send { loaned, part }),
        1 => size.clone().prop_map(|loaned| Action::Abort { loaned }),
        2 => (prop::collection::vec(0..150usize, 0..12), any::<bool>())
            .prop_map(|(sizes, publish)| Action::Batch { sizes, publish }),
        5 => (0..8usize).prop_map(|count| Action::Read { count }),
    ];
    prop::collection::vec(action, 1..200)
}

/// Bytes that say which record and which place they belong to.
fn fill(body: &mut [u8], record: u32) {
    for (place, byte) in body.iter_mut().enumerate() {
        *byte = (record as usize).wrapping_mul(31).wrapping_add(place) as u8;
    }
}

/// A writer, and what its reader must see.
struct Pair<W: Memory, R: Memory> {
    writer: Writer<W>,
    reader: Reader<R>,
    expected: VecDeque<(u32, usize)>,
    next: u32,
}

impl<W: Memory, R: Memory> Pair<W, R> {
    fn new(mut writer: Writer<W>, memory: R) -> Self {
        let cursor = Position::on_heap();
        let start = writer.add_reader(1, cursor.clone()).unwrap();
        let reader = Reader::attach(memory, cursor, start, Fencing::Light);
        Self { writer, reader, expected: VecDeque::new(), next: 0 }
    }

    fn run(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { loaned, part } => self.send(loaned, part),
                Action::Abort { loaned } => {
                    if let Ok(mut loan) = self.writer.loan(loaned) {
                        loan.fill(0xEE);
                    }
                }
                Action::Batch { sizes, publish } => self.batch(&sizes, publish),
                Action::Read { count } => self.read(count),
            }
        }
        self.read(usize::MAX);
        assert!(self.expected.is_empty(), "records were lost");
    }

    fn send(&mut self, loaned: usize, part: u8) {
        let len = loaned * usize::from(part) / 255;
        let Ok(mut loan) = self.writer.loan(loaned) else { return };
        loan.fill(0xDD);
        fill(&mut loan[..len], self.next);
        loan.commit(len, Kind::Plain, self.next);
        self.expected.push_back((self.next, len));
        self.next += 1;
    }

    fn batch(&mut self, sizes: &[usize], publish: bool) {
        let mut next = self.next;
        let mut written = Vec::new();
        let mut batch = self.writer.batch();
        for &len in sizes {
            let Ok(mut loan) = batch.loan(len) else { break };
            fill(&mut loan, next);
            loan.commit(len, Kind::Extended, next);
            written.push((next, len));
            next += 1;
        }
        if self.expected.is_empty() {
            assert_eq!(
                self.reader.peek(),
                Ok(None),
                "a batch is not visible before it is published"
            );
        }
        if publish {
            batch.publish();
            self.expected.extend(written);
            self.next = next;
        }
    }

    fn read(&mut self, count: usize) {
        for _ in 0..count {
            let Some(record) = self.reader.poll().unwrap() else {
                assert!(self.expected.is_empty(), "a committed record is not visible");
                self.reader.publish();
                return;
            };
            let (tag, len) = self.expected.pop_front().expect("a record that nobody sent");
            assert_eq!((record.commit().tag, record.commit().len), (tag, len));
            let mut wanted = vec![0; len];
            fill(&mut wanted, tag);
            // SAFETY: the writer is this test.
            assert_eq!(unsafe { record.body() }, wanted);
            let mut copy = vec![0; len];
            record.copy_to(&mut copy);
            assert_eq!(copy, wanted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_record_arrives_whole_and_in_order_on_the_heap(
        (capacity, start, actions) in (8..13u32, 0..3000u64).prop_flat_map(|(bits, start)| {
            (Just(1usize << bits), Just(start * 64), actions(max_body(1 << bits)))
        }),
    ) {
        let memory = HeapMemory::new(capacity);
        let reading = memory.share();
        Pair::new(Writer::format(memory, start), reading).run(actions);
    }

    #[test]
    fn every_record_arrives_whole_and_in_order_in_a_segment(
        start in 0..100u64,
        actions in actions(max_body(4096)),
    ) {
        let options = RingOptions { capacity: 4096, start: start * 64, ..Default::default() };
        let (writer, shared) = RingMemory::create(options).unwrap();
        let reading = RingMemory::open(&shared.file, 4096).unwrap();
        Pair::new(writer, reading).run(actions);
    }
}

fn pair(capacity: usize) -> (Writer<HeapMemory>, Reader<HeapMemory>) {
    let memory = HeapMemory::new(capacity);
    let reading = memory.share();
    let mut writer = Writer::format(memory, 0);
    let cursor = Position::on_heap();
    let start = writer.add_reader(1, cursor.clone()).unwrap();
    (writer, Reader::attach(reading, cursor, start, Fencing::Light))
}

fn send<M: Memory>(writer: &mut Writer<M>, len: usize) -> Result<(), RingError> {
    writer.loan(len).map(|loan| loan.commit(len, Kind::Plain, 7))
}

#[test]
fn the_largest_record_fits_and_one_byte_more_does_not() {
    let (mut writer, mut reader) = pair(4096);
    assert_eq!(writer.max_body(), 2040);
    for _ in 0..10 {
        send(&mut writer, 2040).unwrap();
        assert_eq!(reader.poll().unwrap().unwrap().commit().len, 2040);
    }
    let error = send(&mut writer, 2041).unwrap_err();
    assert_eq!(error, RingError::TooLarge { len: 2041, max: 2040, capacity: 4096 });
}

#[test]
fn room_for_another_record_is_claimed_before_it_is_sent() {
    let (mut writer, mut reader) = pair(4096);
    send(&mut writer, 56).unwrap();
    for count in 0..200 {
        assert!(writer.has_room(56), "to be claimed in front of record {count}");
        send(&mut writer, 56).unwrap();
        while reader.poll().unwrap().is_some() {}
        reader.publish();
    }
}

#[test]
fn an_aborted_record_leaves_no_trace_also_in_a_batch() {
    for in_batch in [false, true] {
        let options = RingOptions { capacity: 4096, ..Default::default() };
        let (writer, shared) = RingMemory::create(options).unwrap();
        let reading = RingMemory::open(&shared.file, 4096).unwrap();
        let mut pair = Pair::new(writer, reading);
        pair.send(8, 255);
        if in_batch {
            pair.writer.batch().loan(500).unwrap().fill(0x21);
        } else {
            pair.writer.loan(500).unwrap().fill(0x21);
        }
        pair.send(8, 255);
        pair.read(usize::MAX);
    }
}

#[test]
fn a_reader_that_has_left_is_not_waited_for() {
    let (mut writer, _reader) = pair(4096);
    let cursor = Position::on_heap();
    writer.add_reader(3, cursor.clone()).unwrap();
    cursor.publish(LEFT);
    assert_eq!(send(&mut writer, 56), Err(RingError::ReaderLeft { id: 3 }));
    send(&mut writer, 56).unwrap();
}

#[test]
fn a_closed_ring_is_read_to_its_end_also_when_it_was_full() {
    let (mut writer, mut reader) = pair(4096);
    let mut sent = 0;
    while send(&mut writer, 56).is_ok() {
        sent += 1;
    }
    writer.close();
    writer.close();
    assert_eq!(send(&mut writer, 0), Err(RingError::Closed));
    for _ in 0..sent {
        assert!(reader.poll().unwrap().is_some());
    }
    assert_eq!(reader.poll().unwrap_err(), RecordError::Closed);
    assert_eq!(reader.poll().unwrap_err(), RecordError::Closed);
}

#[test]
fn the_slowest_of_several_gating_readers_counts() {
    let (mut writer, mut fast) = pair(4096);
    let cursor = Position::on_heap();
    send(&mut writer, 56).unwrap();
    let start = writer.add_reader(2, cursor.clone()).unwrap();
    assert_eq!(start, 64, "a late reader starts where it was added");
    while send(&mut writer, 56).is_ok() {
        while let Ok(Some(_)) = fast.poll() {}
        fast.publish();
    }
    // The late one has not even begun, and nothing of what it is to read was overwritten.
    assert_eq!(writer.position(), start + 4096 - 64);
    let memory = writer.memory().share();
    let mut slow = Reader::attach(memory, cursor, start, Fencing::Light);
    for _ in 0..63 {
        assert!(slow.poll().unwrap().is_some());
    }
    slow.publish();
    send(&mut writer, 56).unwrap();
    writer.remove_reader(2);
    while send(&mut writer, 56).is_ok() {
        while let Ok(Some(_)) = fast.poll() {}
        fast.publish();
        if writer.position() > 100_000 {
            return;
        }
    }
    panic!("a removed reader still holds the writer back");
}

#[test]
fn positions_that_cannot_be_true_are_not_believed() {
    // Backwards, ahead by a byte, wild.
    for lie in [64, 63 * 64 + 1, 100_000, 1 << 63, u64::MAX - 2] {
        let (mut writer, mut honest) = pair(4096);
        let liar = Position::on_heap();
        writer.add_reader(9, liar.clone()).unwrap();
        send(&mut writer, 56).unwrap();
        send(&mut writer, 56).unwrap();
        liar.publish(128);
        while send(&mut writer, 56).is_ok() {}
        let high = writer.position();
        liar.publish(lie);
        let error = send(&mut writer, 56).unwrap_err();
        assert_eq!(error, RingError::ReaderLied { id: 9, claimed: lie, low: 128, high });
        assert_eq!(send(&mut writer, 56), Err(RingError::Full), "the honest one still counts");
        for _ in 0..63 {
            assert!(honest.poll().unwrap().is_some());
        }
    }
}

#[test]
fn a_writer_that_waits_is_told_when_there_is_room() {
    let (mut writer, mut reader) = pair(4096);
    while send(&mut writer, 56).is_ok() {}
    let RoomWait::Sleep(_, seen) = writer.announce_wait(56).unwrap() else {
        panic!("there is no room");
    };
    assert_eq!(seen, 0);
    let wanted =
        writer.memory().header_word(layout::HeaderWord::RoomWanted).load(Ordering::Relaxed);
    let mut read = 0;
    while reader.position() < wanted {
        assert!(reader.poll().unwrap().is_some());
        read += 1;
    }
    assert_eq!(read, 15, "a quarter of the ring, less the line that is always free");
    reader.publish();
    assert!(matches!(writer.announce_wait(56), Ok(RoomWait::Ready)));
    writer.end_wait();
}
