//! The ring alone: two rings between two processes, without hubs, events or doorbells.
//!
//! A record is seven words, so that it is one cache line with its commit word. Each process makes
//! a ring and a segment for its positions, and gives the other their descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow};
use ephapse::event::Timestamp;
use ephapse::ring::{Kind, Reader, RingError, Writer};
use ephapse::segment::{Cursors, PeerCursors, RingMemory, RingOptions, SharedRing};

use super::halt::Halt;
use super::shared::{Page, Word, body};
use super::side::{EchoSide, PingSide, Tally};

const WORDS: usize = 7;
const BODY: usize = WORDS * size_of::<u64>();

/// Unsuccessful looks between two questions whether to go on.
const LOOKS: u32 = 1 << 16;

/// Records between two such questions.
const CHUNK: usize = 1 << 10;

/// What one process makes and the other gets.
pub(super) struct Own {
    writer: Writer<RingMemory>,
    ring: SharedRing,
    cursors: Cursors,
    /// Where among the cursors the position in the other's ring is.
    pub(super) slot: u32,
}

impl Own {
    /// A ring of the usual size, and a place for a position.
    pub(super) fn create() -> Result<Own> {
        let (writer, ring) = RingMemory::create(RingOptions::default())?;
        let cursors = Cursors::create()?;
        let slot = cursors.take().context("no room for a position")?;
        Ok(Own { writer, ring, cursors, slot })
    }

    /// What the other process needs, beside the slot.
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.ring.file.as_fd(), self.cursors.as_fd()]
    }

    /// Connects with what the other process has made.
    pub(super) fn join(mut self, ring: &OwnedFd, cursors: &OwnedFd, slot: u32) -> Result<Bare> {
        let peer = PeerCursors::open(cursors)?;
        self.writer
            .add_reader(1, peer.slot(slot)?)
            .map_err(|_| anyhow!("the ring takes no reader"))?;
        let memory = RingMemory::open(ring, self.ring.capacity as u64)?;
        let start = memory.start();
        let reader = Reader::attach(memory, self.cursors.slot(self.slot), start, peer.fencing());
        Ok(Bare { writer: self.writer, reader, asked: 0, heard: 0 })
    }
}

/// One side.
pub(super) struct Bare {
    writer: Writer<RingMemory>,
    reader: Reader<RingMemory>,
    /// Questions that were sent: the number of the next one.
    asked: u64,
    /// Records that have come: the number of the next one.
    heard: u64,
}

/// The word at an index of the question with this number.
#[inline(always)]
fn word_of(number: u64, index: usize) -> u64 {
    number.wrapping_add(index as u64)
}

#[inline(always)]
fn question(number: u64) -> [u64; WORDS] {
    std::array::from_fn(|index| word_of(number, index))
}

#[inline(always)]
fn answer(question: [u64; WORDS]) -> [u64; WORDS] {
    question.map(|word| !word)
}

#[inline(always)]
fn write(body: &mut [u8], words: [u64; WORDS]) {
    for (bytes, word) in body.chunks_exact_mut(size_of::<u64>()).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
}

/// All words of a record; `None` if it has not the right length.
#[inline(always)]
fn read(body: &[u8]) -> Option<[u64; WORDS]> {
    let body: &[u8; BODY] = body.try_into().ok()?;
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(body.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Some(words)
}

#[inline(always)]
fn same(found: Option<[u64; WORDS]>, expected: [u64; WORDS]) -> bool {
    found.is_some_and(|found| {
        found.iter().zip(expected).fold(0, |all, (found, expected)| all | (found ^ expected)) == 0
    })
}

#[inline(always)]
fn send(writer: &mut Writer<RingMemory>, words: [u64; WORDS]) -> Result<(), RingError> {
    let mut loan = writer.loan(BODY)?;
    write(&mut loan, words);
    loan.commit(BODY, Kind::Plain, 0);
    Ok(())
}

/// Waits for the next record and reads it.
#[inline(always)]
fn hear(reader: &mut Reader<RingMemory>, halt: &Halt) -> Result<Option<[u64; WORDS]>> {
    loop {
        for _ in 0..LOOKS {
            if let Some(record) = reader.poll()? {
                return Ok(read(body(&record)));
            }
            reader.publish();
        }
        halt.check()?;
    }
}

impl PingSide for Bare {
    fn ping(&mut self, samples: &mut [u64], halt: &Halt) -> Result<u64> {
        let mut lost = 0;
        let mut before = Timestamp::now().ticks();
        for samples in samples.chunks_mut(CHUNK) {
            halt.check()?;
            for sample in samples {
                let words = question(self.asked);
                send(&mut self.writer, words)?;
                let found = hear(&mut self.reader, halt)?;
                lost += u64::from(!same(found, answer(words)));
                self.asked += 1;
                let after = Timestamp::now().ticks();
                *sample = after.wrapping_sub(before);
                before = after;
            }
        }
        Ok(lost)
    }

    fn stream(&mut self, count: u64, batch: u32, halt: &Halt) -> Result<()> {
        let end = self.asked + count;
        while self.asked < end {
            halt.check()?;
            let chunk_end = end.min(self.asked + (CHUNK as u64).max(u64::from(batch)));
            while self.asked < chunk_end {
                let sent = match batch {
                    1 => send(&mut self.writer, question(self.asked)).map(|()| 1),
                    _ => send_batch(
                        &mut self.writer,
                        self.asked,
                        chunk_end.min(self.asked + u64::from(batch)),
                    ),
                };
                match sent {
                    Ok(sent) => self.asked += sent,
                    Err(RingError::Full) => {
                        std::hint::spin_loop();
                        halt.check()?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn capacity_bytes(&self) -> usize {
        self.writer.capacity()
    }
}

/// Sends a batch, or as much of it as there is room for. Returns how many records that is.
fn send_batch(writer: &mut Writer<RingMemory>, first: u64, end: u64) -> Result<u64, RingError> {
    let mut batch = writer.batch();
    let mut number = first;
    while number < end {
        match batch.loan(BODY) {
            Ok(mut loan) => {
                write(&mut loan, question(number));
                loan.commit(BODY, Kind::Plain, 0);
                number += 1;
            }
            Err(RingError::Full) if number > first => break,
            Err(error) => return Err(error),
        }
    }
    batch.publish();
    Ok(number - first)
}

impl EchoSide for Bare {
    fn echo(&mut self, trips: u64) -> Result<u64> {
        let halt = Halt::default();
        let mut lost = 0;
        for _ in 0..trips {
            let found = hear(&mut self.reader, &halt)?;
            send(&mut self.writer, answer(found.unwrap_or_default()))?;
            lost += u64::from(!same(found, question(self.heard)));
            self.heard += 1;
        }
        Ok(lost)
    }

    fn receive(&mut self, count: u64, page: &Page) -> Result<u64> {
        let halt = Halt::default();
        let end = self.heard + count;
        let mut tally = Tally { next: self.heard, lost: 0 };
        while tally.next < end {
            let found = hear(&mut self.reader, &halt)?;
            if same(found, question(tally.next)) {
                tally.next += 1;
            } else {
                tally.wrong(found.map_or(tally.next, |words| words[0]));
            }
        }
        page.word(Word::Received).store(end, Ordering::Release);
        self.heard = tally.next;
        Ok(tally.lost)
    }
}
