//! The writer against a reference: any sequence of loans, commits, aborts and batches, with one
//! honest reader and one whose position is whatever the input says. The honest one gets every
//! record that was published, whole and in order.
//!
//! # Safety
//!
//! The lying position is an atomic that the `Arc` beside it keeps alive.
#![no_main]

use ephapse::limits::LINE;
use ephapse::ring::layout::{Kind, max_body, stride};
use ephapse::ring::{Batch, Fencing, JOINING, LEFT, Position, Reader, RingError, RoomWait, Writer};
use ephapse::segment::{RingMemory, RingOptions};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 4096;
const HONEST: u64 = 1;
const LIAR: u64 = 2;

#[derive(Debug, Arbitrary)]
struct Input {
    start_line: u32,
    actions: Vec<Action>,
}

#[derive(Debug, Arbitrary)]
enum Action {
    Send { loaned: u16, part: u8 },
    Abort { loaned: u16 },
    Batch { steps: Vec<Step>, publish: bool },
    Read { count: u8 },
    Publish,
    AddLiar,
    RemoveLiar,
    Lie(Lie),
    Wait { len: u16 },
    Close,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Commit { loaned: u16, part: u8 },
    Abort { loaned: u16 },
    Flush,
}

#[derive(Debug, Arbitrary)]
enum Lie {
    Near(i16),
    Any(u64),
    Joining,
    Left,
}

fuzz_target!(|input: Input| {
    let mut ring = Ring::new(u64::from(input.start_line) * LINE as u64);
    for action in &input.actions {
        ring.act(action);
    }
    ring.end();
});

/// A record: its tag and the length of its body.
type Sent = (u32, usize);

struct Ring {
    writer: Writer<RingMemory>,
    reader: Reader<RingMemory>,
    lie: Arc<AtomicU64>,
    /// Whether the writer waits for the liar.
    liar: bool,
    closed: bool,
    unread: VecDeque<Sent>,
    next: u32,
}

impl Ring {
    fn new(start: u64) -> Self {
        let options = RingOptions { capacity: CAPACITY, start, ..RingOptions::default() };
        let (mut writer, shared) = RingMemory::create(options).expect("a ring");
        let memory = RingMemory::open(&shared.file, CAPACITY as u64).expect("the same ring");
        let cursor = Position::on_heap();
        let start = writer.add_reader(HONEST, cursor.clone()).expect("the first reader");
        let reader = Reader::attach(memory, cursor, start, Fencing::Light);
        let lie = Arc::new(AtomicU64::new(JOINING));
        let (liar, closed, unread) = (false, false, VecDeque::new());
        Self { writer, reader, lie, liar, closed, unread, next: 0 }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Send { loaned, part } => self.send(loaned.into(), part),
            Action::Abort { loaned } => {
                let result = self.writer.loan(loaned.into()).map(|mut loan| loan.fill(0xEE));
                self.note(loaned.into(), result);
            }
            Action::Batch { ref steps, publish } => self.batch(steps, publish),
            Action::Read { count } => self.read(count.into()),
            Action::Publish => self.reader.publish(),
            Action::AddLiar if !self.liar => self.add_liar(),
            Action::AddLiar => {}
            Action::RemoveLiar => {
                self.writer.remove_reader(LIAR);
                self.liar = false;
            }
            Action::Lie(ref lie) => self.tell(lie),
            Action::Wait { len } => self.wait(len.into()),
            Action::Close => {
                self.writer.close();
                self.closed = true;
            }
        }
    }

    fn send(&mut self, loaned: usize, part: u8) {
        let len = loaned * usize::from(part) / 255;
        let tag = self.next;
        let result = self.writer.loan(loaned).map(|mut loan| {
            assert_eq!(loan.len(), loaned);
            loan.fill(0xDD);
            fill(&mut loan[..len], tag);
            loan.commit(len, Kind::Plain, tag);
        });
        if self.note(loaned, result) {
            self.unread.push_back((tag, len));
            self.next += 1;
        }
    }

    fn batch(&mut self, steps: &[Step], publish: bool) {
        let (mut shown, mut pending) = (Vec::new(), Vec::new());
        let mut accused = false;
        let mut batch = self.writer.batch();
        for step in steps {
            let result = match *step {
                Step::Flush => {
                    batch.flush();
                    assert!(batch.is_empty());
                    shown.append(&mut pending);
                    continue;
                }
                Step::Abort { loaned } => batch.loan(loaned.into()).map(|mut loan| loan.fill(0xCC)),
                Step::Commit { loaned, part } => {
                    let tag = self.next + (shown.len() + pending.len()) as u32;
                    append(&mut batch, loaned.into(), part, tag).map(|sent| pending.push(sent))
                }
            };
            if let Err(RingError::ReaderLied { id, .. } | RingError::ReaderLeft { id }) = result {
                assert!(id == LIAR && self.liar && !accused);
                accused = true;
            }
        }
        if publish {
            batch.publish();
            shown.append(&mut pending);
        } else {
            drop(batch);
        }
        self.liar &= !accused;
        self.next += shown.len() as u32;
        self.unread.extend(shown);
    }

    fn add_liar(&mut self) {
        let word = Arc::as_ptr(&self.lie);
        // SAFETY: an aligned atomic that the `Arc` keeps alive.
        let position = unsafe { Position::within(word, false, Arc::clone(&self.lie) as _) };
        self.lie.store(JOINING, Ordering::Relaxed);
        self.writer.add_reader(LIAR, position).expect("two readers");
        self.liar = true;
    }

    fn tell(&self, lie: &Lie) {
        let value = match *lie {
            Lie::Near(by) => self.writer.position().wrapping_add_signed(by.into()),
            Lie::Any(value) => value,
            Lie::Joining => JOINING,
            Lie::Left => LEFT,
        };
        self.lie.store(value, Ordering::Relaxed);
    }

    fn wait(&mut self, len: usize) {
        match self.writer.announce_wait(len) {
            Ok(RoomWait::Ready) => assert!(self.writer.loan(len).is_ok(), "there was room"),
            Ok(RoomWait::Sleep(..)) => {}
            Err(RingError::Full) => panic!("a wait is never refused for being full"),
            Err(error) => drop(self.note(len, Err(error))),
        }
        self.writer.end_wait();
    }

    /// Whether it went well; if not, whether the reason is true.
    fn note(&mut self, len: usize, result: Result<(), RingError>) -> bool {
        match result {
            Ok(()) => {
                assert!(!self.closed && len <= max_body(CAPACITY));
                return true;
            }
            Err(RingError::Closed) => assert!(self.closed),
            Err(RingError::TooLarge { max, .. }) => {
                assert!(len > max && max == max_body(CAPACITY));
            }
            Err(RingError::Full) => {
                let used = self.writer.position() - self.reader.position();
                // The reader publishes once in an eighth of the ring; the liar may hold all back.
                let published = used + (CAPACITY / 8) as u64;
                let end = published + stride(len) + LINE as u64;
                assert!(self.liar || end > CAPACITY as u64, "there is room for {len} bytes");
            }
            Err(RingError::ReaderLied { id, claimed, low, high }) => {
                assert_eq!(id, LIAR, "the honest reader is accused");
                assert!(self.liar && (claimed < low || claimed > high));
                self.liar = false;
            }
            Err(RingError::ReaderLeft { id }) => {
                assert_eq!((id, self.lie.load(Ordering::Relaxed)), (LIAR, LEFT));
                self.liar = false;
            }
        }
        false
    }

    fn read(&mut self, count: usize) {
        for _ in 0..count {
            match self.reader.poll() {
                Ok(None) => assert!(self.unread.is_empty(), "a published record is not visible"),
                Err(error) => {
                    assert!(self.closed && self.unread.is_empty(), "{error}");
                    return;
                }
                Ok(Some(record)) => {
                    let (tag, len) = self.unread.pop_front().expect("a record that nobody sent");
                    assert_eq!((record.commit().tag, record.commit().len), (tag, len));
                    let mut body = vec![0; len];
                    record.copy_to(&mut body);
                    let mut wanted = vec![0; len];
                    fill(&mut wanted, tag);
                    assert!(body == wanted, "record {tag} of {len} bytes holds something else");
                }
            }
        }
    }

    /// All that was published arrives; then everything fits again.
    fn end(&mut self) {
        self.read(self.unread.len());
        self.reader.publish();
        self.writer.remove_reader(LIAR);
        let result = self.writer.loan(max_body(CAPACITY)).map(drop);
        let expected = if self.closed { Err(RingError::Closed) } else { Ok(()) };
        assert_eq!(result, expected, "an empty ring");
    }
}

fn append(
    batch: &mut Batch<'_, RingMemory>,
    loaned: usize,
    part: u8,
    tag: u32,
) -> Result<Sent, RingError> {
    let len = loaned * usize::from(part) / 255;
    let mut loan = batch.loan(loaned)?;
    fill(&mut loan[..len], tag);
    loan.commit(len, Kind::Extended, tag);
    Ok((tag, len))
}

/// Bytes that say which record and which place they belong to.
fn fill(body: &mut [u8], tag: u32) {
    for (place, byte) in body.iter_mut().enumerate() {
        *byte = (tag as usize).wrapping_mul(31).wrapping_add(place) as u8;
    }
}
