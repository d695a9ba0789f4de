//! Both readers against a writer that scribbles over its own ring: commit words, header words and
//! bodies, between polls and while a record is held. What comes out is a record that lies in the
//! ring, nothing, or an error; never an access outside.
//!
//! # Safety
//!
//! The scribbling goes through the writer's own mapping, by atomics, in the writer's place.
#![no_main]

use ephapse::ring::layout::{CommitWord, HeaderWord, max_body};
use ephapse::ring::{
    Fencing, LossyError, LossyReader, Memory, Position, Reader, Record, RecordError,
};
use ephapse::segment::{RingMemory, RingOptions};
use ephapse_fuzz::heap::HeapRing;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 4096;

/// Whoever opens a segment refuses a ring that begins further on; here nobody opens one.
const MAX_START: u64 = 1 << 62;

#[derive(Debug, Arbitrary)]
struct Input {
    on_heap: bool,
    /// Where the readers begin: near the end of the numbers, or at a line near zero.
    start: Start,
    actions: Vec<Action>,
}

#[derive(Debug, Arbitrary)]
enum Start {
    Line(u8),
    BeforeTheEnd(u8),
    Anywhere(u64),
}

#[derive(Debug, Arbitrary)]
enum Action {
    /// A commit word as a writer would write it, or nearly so, some lines after the reader.
    Commit {
        lines_ahead: u8,
        len: u16,
        kind: u8,
        tag: u32,
    },
    /// Any commit word.
    Word {
        lines_ahead: u8,
        word: u64,
    },
    /// Any bytes in a body.
    Body {
        line: u8,
        word: u8,
        value: u64,
    },
    /// A header word near the lossy reader's position, or anything.
    Header {
        which: u8,
        near: i16,
        or: Option<u64>,
    },
    Poll {
        scribble: Option<(u8, u64)>,
    },
    PollLossy,
    Publish,
    Join,
}

fuzz_target!(|input: Input| {
    let start = match input.start {
        Start::Line(line) => u64::from(line) * 64,
        Start::BeforeTheEnd(lines) => u64::MAX - 63 - u64::from(lines) * 64,
        Start::Anywhere(position) => position & !63,
    };
    if input.on_heap {
        let memory = HeapRing::new(CAPACITY);
        let start = start % MAX_START;
        Attack::new(&memory, start, || memory.clone()).run(&input.actions);
    } else {
        let options = RingOptions { capacity: CAPACITY, start, ..RingOptions::default() };
        let (writer, shared) = RingMemory::create(options).expect("a ring");
        let open = || RingMemory::open(&shared.file, CAPACITY as u64);
        // The header may say that the ring begins where none can: then it is refused.
        if open().is_ok() {
            Attack::new(writer.memory(), start, || open().expect("as before")).run(&input.actions);
        }
    }
});

/// A word of a body, to be scribbled over.
fn body_word<M: Memory>(memory: &M, position: u64, index: usize) -> &AtomicU64 {
    let body = memory.record(position, 56).cast::<AtomicU64>();
    // SAFETY: a line holds seven words of a body, aligned to eight; all access is atomic.
    unsafe { &*body.wrapping_add(index % 7) }
}

/// The hostile writer's handle on the ring, and its victims.
struct Attack<'a, M: Memory, F> {
    hostile: &'a M,
    open: F,
    reader: Reader<M>,
    lossy: LossyReader<M>,
    copy: Vec<u8>,
}

impl<'a, M: Memory, F: Fn() -> M> Attack<'a, M, F> {
    fn new(hostile: &'a M, start: u64, open: F) -> Self {
        let reader = Reader::attach(open(), Position::on_heap(), start, Fencing::Light);
        let lossy = LossyReader::join(open());
        Self { hostile, open, reader, lossy, copy: Vec::new() }
    }

    fn run(&mut self, actions: &[Action]) {
        for action in actions {
            match *action {
                Action::Commit { lines_ahead, len, kind, tag } => {
                    let word = u64::from(len) | u64::from(kind & 7) << 29 | u64::from(tag) << 32;
                    self.commit(lines_ahead, word);
                }
                Action::Word { lines_ahead, word } => self.commit(lines_ahead, word),
                Action::Body { line, word, value } => {
                    let body = body_word(self.hostile, u64::from(line) * 64, word.into());
                    body.store(value, Ordering::Relaxed);
                }
                Action::Header { which, near, or } => self.header(which, near, or),
                Action::Poll { scribble } => self.poll(scribble),
                Action::PollLossy => self.poll_lossy(),
                Action::Publish => self.reader.publish(),
                Action::Join => self.lossy = LossyReader::join((self.open)()),
            }
        }
    }

    fn commit(&self, lines_ahead: u8, word: u64) {
        let ahead = u64::from(lines_ahead % 64) * 64;
        for position in [self.reader.position(), self.lossy.position()] {
            self.hostile.word(position.wrapping_add(ahead)).store(word, Ordering::Release);
        }
    }

    fn header(&self, which: u8, near: i16, or: Option<u64>) {
        let word = match which % 3 {
            0 => HeaderWord::Claim,
            1 => HeaderWord::Boundary,
            _ => HeaderWord::RoomWanted,
        };
        let near = self.lossy.position().wrapping_add_signed(near.into());
        self.hostile.header_word(word).store(or.unwrap_or(near), Ordering::Release);
    }

    fn poll(&mut self, scribble: Option<(u8, u64)>) {
        let before = self.reader.position();
        let seen = match self.reader.poll() {
            Ok(record) => Ok(record.map(|record| {
                look(&record, &mut self.copy);
                if let Some((line, value)) = scribble {
                    // Also over the record that is held, and its commit word.
                    self.hostile.word(before).store(value, Ordering::Release);
                    let body = body_word(self.hostile, u64::from(line) * 64, 0);
                    body.store(value, Ordering::Relaxed);
                    look(&record, &mut self.copy);
                }
                record.commit()
            })),
            Err(error) => Err(error),
        };
        let after = self.reader.position();
        match seen {
            Ok(Some(commit)) => check_step(before, after, commit),
            Ok(None) => assert_eq!(after, before),
            Err(error) => {
                assert_eq!(after, before);
                assert_eq!(self.reader.poll().err(), Some(error), "an error stays");
                if let RecordError::Corrupt { position, max, .. } = error {
                    assert_eq!((position, max), (before, max_body(CAPACITY)));
                }
            }
        }
    }

    fn poll_lossy(&mut self) {
        let before = self.lossy.position();
        let result = self.lossy.poll(&mut self.copy);
        let after = self.lossy.position();
        match result {
            Ok(Some(commit)) => {
                assert_eq!(self.copy.len(), commit.len);
                check_step(before, after, commit);
                black_box(sum(&self.copy));
            }
            Err(LossyError::Overrun { missed_bytes }) => {
                assert!(
                    after > before && after - before == missed_bytes && after.is_multiple_of(64)
                );
            }
            Ok(None) | Err(LossyError::Closed | LossyError::Corrupt { .. }) => {
                assert_eq!(after, before);
            }
        }
    }
}

/// A record that was accepted fits the ring, and the reader goes on behind it.
fn check_step(before: u64, after: u64, commit: CommitWord) {
    assert!(commit.len <= max_body(CAPACITY), "longer than any record: {commit:?}");
    let step = after.wrapping_sub(before);
    assert!(
        step.is_multiple_of(64) && step >= commit.len as u64 + 8 && step <= CAPACITY as u64 / 2
    );
}

/// Reads every byte of a record, in place and copied.
fn look<M: Memory>(record: &Record<'_, M>, copy: &mut Vec<u8>) {
    copy.clear();
    copy.resize(record.commit().len, 0);
    record.copy_to(copy);
    // SAFETY: nobody writes while this function runs, which is all that is asked of the writer.
    let body = unsafe { record.body() };
    assert!(body == &copy[..], "the copy is not what is in the ring");
    black_box(sum(body));
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte))
}
