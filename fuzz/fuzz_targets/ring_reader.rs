//! All readers against a writer that scribbles over its own ring: commit words, header words and
//! bodies, between polls and while a record is held. What comes out is a record that lies in the
//! ring, nothing, or an error; never an access outside.
//!
//! # Safety
//!
//! The scribbling goes through the writer's own mapping, by atomics, in the writer's place.
#![no_main]

use ephapse::ring::layout::{CommitWord, HeaderWord, max_body};
use ephapse::ring::{
    Fencing, FollowError, Follower, Memory, Position, Reader, Record, RecordError,
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
    /// A header word near a follower's position, or anything.
    Header {
        which: u8,
        near: i16,
        or: Option<u64>,
    },
    Poll {
        scribble: Option<(u8, u64)>,
    },
    /// Polls a follower.
    Follow {
        which: u8,
    },
    /// The same in parts, while the writer goes on.
    FollowInParts {
        which: u8,
        prefix: u16,
        word: Option<u64>,
        claim: Option<u64>,
    },
    SkipToEnd {
        which: u8,
    },
    Publish,
    Join {
        start: Option<u16>,
    },
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
    /// A gating one and a lossy one.
    followers: [Follower<M>; 2],
    copy: Vec<u8>,
}

impl<'a, M: Memory, F: Fn() -> M> Attack<'a, M, F> {
    fn new(hostile: &'a M, start: u64, open: F) -> Self {
        let reader = Reader::attach(open(), Position::on_heap(), start, Fencing::Light);
        let gating = Follower::gating(open(), Position::on_heap(), start, Fencing::Full);
        let followers = [gating, Follower::lossy(open(), None)];
        Self { hostile, open, reader, followers, copy: Vec::new() }
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
                Action::Follow { which } => self.follow(which),
                Action::FollowInParts { which, prefix, word, claim } => {
                    self.follow_in_parts(which, prefix, word, claim);
                }
                Action::SkipToEnd { which } => self.skip_to_end(which),
                Action::Publish => {
                    self.reader.publish();
                    self.followers.iter_mut().for_each(Follower::publish);
                }
                Action::Join { start } => {
                    let start = start.map(|line| u64::from(line) * 64);
                    self.followers[1] = Follower::lossy((self.open)(), start);
                }
            }
        }
    }

    fn commit(&self, lines_ahead: u8, word: u64) {
        let ahead = u64::from(lines_ahead % 64) * 64;
        let [gating, lossy] = &self.followers;
        for position in [self.reader.position(), gating.position(), lossy.position()] {
            self.hostile.word(position.wrapping_add(ahead)).store(word, Ordering::Release);
        }
    }

    fn header(&self, which: u8, near: i16, or: Option<u64>) {
        let word = match which % 3 {
            0 => HeaderWord::Claim,
            1 => HeaderWord::Boundary,
            _ => HeaderWord::RoomWanted,
        };
        let follower = &self.followers[usize::from(which / 3 % 2)];
        let near = follower.position().wrapping_add_signed(near.into());
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

    fn follow(&mut self, which: u8) {
        let follower = &mut self.followers[usize::from(which % 2)];
        let before = follower.position();
        let result = follower.poll(&mut self.copy);
        check_follower(before, follower.position(), &self.copy, result);
    }

    fn follow_in_parts(&mut self, which: u8, prefix: u16, word: Option<u64>, claim: Option<u64>) {
        let follower = &mut self.followers[usize::from(which % 2)];
        let before = follower.position();
        let commit = match follower.peek() {
            Ok(Some(commit)) => commit,
            result => return check_follower(before, follower.position(), &self.copy, result),
        };
        assert_eq!(follower.position(), before);
        assert!(commit.len <= max_body(CAPACITY), "longer than any record: {commit:?}");
        if let Some(word) = word {
            self.hostile.word(before).store(word, Ordering::Release);
        }
        if let Some(claim) = claim {
            self.hostile.header_word(HeaderWord::Claim).store(claim, Ordering::Release);
        }
        self.copy.clear();
        self.copy.resize(commit.len, 0);
        let prefix = commit.len.min(prefix.into());
        let copied = follower
            .copy_prefix(&mut self.copy[..prefix])
            .and_then(|()| follower.copy_body(commit, &mut self.copy));
        let result = match copied {
            Ok(()) => {
                let reach = before.saturating_add(CAPACITY as u64);
                assert!(claim.is_none_or(|claim| claim <= reach), "believed what was overtaken");
                follower.advance(commit);
                Ok(Some(commit))
            }
            Err(FollowError::Overrun { missed_bytes: 0 }) => Ok(None),
            Err(error) => Err(error),
        };
        check_follower(before, follower.position(), &self.copy, result);
    }

    fn skip_to_end(&mut self, which: u8) {
        let follower = &mut self.followers[usize::from(which % 2)];
        let before = follower.position();
        let result = follower.skip_to_end();
        let after = follower.position();
        assert!(after >= before && after.is_multiple_of(64));
        match result {
            Ok(()) => {}
            // Said again when it is read.
            Err(error) => assert_eq!(follower.peek(), Err(error)),
        }
    }
}

/// What a follower said is what it did.
fn check_follower(
    before: u64,
    after: u64,
    copy: &[u8],
    result: Result<Option<CommitWord>, FollowError>,
) {
    match result {
        Ok(Some(commit)) => {
            assert_eq!(copy.len(), commit.len);
            check_step(before, after, commit);
            black_box(sum(copy));
        }
        Err(FollowError::Overrun { missed_bytes }) => {
            assert!(missed_bytes > 0 && after.is_multiple_of(64));
            assert_eq!(after.checked_sub(before), Some(missed_bytes));
        }
        Ok(None) | Err(FollowError::Closed | FollowError::Corrupt { .. }) => {
            assert_eq!(after, before);
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
