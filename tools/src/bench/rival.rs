//! What throughput is compared with: the ring of the crate `rtrb` between two threads of one
//! process, on the same two processors, with records and a ring of the same size.
//!
//! Equal work: all words of a record are built from its number, and all are checked. Records of
//! one cache line are pushed and popped one by one, which is how that ring is used; longer ones
//! go through its chunks of lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rtrb::{Consumer, Producer, RingBuffer};

use super::floor::spin_until;
use super::halt::{Halt, Stop};
use super::host::pin;

const LINE_WORDS: usize = 8;
type Line = [u64; LINE_WORDS];

/// Unsuccessful tries between two questions whether to go on.
const TRIES: u32 = 1 << 16;

/// What to move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// How many records.
    pub(super) count: u64,
    /// Cache lines of a record.
    pub(super) lines: usize,
    /// Bytes of the ring.
    pub(super) capacity_bytes: usize,
    /// Where the consumer runs; the producer is the calling thread.
    pub(super) consumer_cpu: usize,
}

impl Load {
    /// Moves it once; how long that took, and how many records were wrong.
    pub(super) fn run(self, halt: &Halt) -> Result<(Duration, u64)> {
        let lines = self.capacity_bytes / size_of::<Line>();
        let (producer, consumer) = RingBuffer::<Line>::new(lines);
        // 1: the consumer is there. 2: it has everything.
        let progress = AtomicU64::new(0);
        thread::scope(|scope| {
            let consumer = scope.spawn(|| -> Result<u64> {
                let received =
                    pin(self.consumer_cpu).and_then(|()| self.consume(consumer, &progress, halt));
                progress.store(2, Ordering::Release);
                received
            });
            let moved = self.produce(producer, &progress, halt);
            let wrong = consumer.join().map_err(|_| anyhow!("the consumer has panicked"))?;
            Ok((moved?, wrong.context("the consumer has failed")?))
        })
    }

    fn produce(
        self,
        mut producer: Producer<Line>,
        progress: &AtomicU64,
        halt: &Halt,
    ) -> Result<Duration> {
        while progress.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        let start = Instant::now();
        for number in 0..self.count {
            if self.lines == 1 {
                push(&mut producer, line(number, 0), halt)?;
            } else {
                self.push_lines(&mut producer, number, halt)?;
            }
        }
        spin_until(progress, 2, halt)?;
        Ok(start.elapsed())
    }

    fn consume(
        self,
        mut consumer: Consumer<Line>,
        progress: &AtomicU64,
        halt: &Halt,
    ) -> Result<u64> {
        progress.store(1, Ordering::Release);
        let mut wrong = 0;
        for number in 0..self.count {
            let right = if self.lines == 1 {
                same(&pop(&mut consumer, halt)?, number, 0)
            } else {
                self.pop_lines(&mut consumer, number, halt)?
            };
            wrong += u64::from(!right);
        }
        Ok(wrong)
    }

    fn push_lines(
        self,
        producer: &mut Producer<Line>,
        number: u64,
        halt: &Halt,
    ) -> Result<(), Stop> {
        loop {
            for _ in 0..TRIES {
                if let Ok(chunk) = producer.write_chunk_uninit(self.lines) {
                    chunk.fill_from_iter((0..self.lines).map(|index| line(number, index)));
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            halt.check()?;
        }
    }

    fn pop_lines(
        self,
        consumer: &mut Consumer<Line>,
        number: u64,
        halt: &Halt,
    ) -> Result<bool, Stop> {
        loop {
            for _ in 0..TRIES {
                if let Ok(chunk) = consumer.read_chunk(self.lines) {
                    let (first, second) = chunk.as_slices();
                    let mut right = true;
                    for (index, line) in first.iter().chain(second).enumerate() {
                        right &= same(line, number, index);
                    }
                    chunk.commit_all();
                    return Ok(right);
                }
            }
            halt.check()?;
        }
    }
}

/// One line of the record with this number.
#[inline(always)]
fn line(number: u64, index: usize) -> Line {
    std::array::from_fn(|word| word_of(number, index * LINE_WORDS + word))
}

#[inline(always)]
fn word_of(number: u64, index: usize) -> u64 {
    number.wrapping_add(index as u64)
}

#[inline(always)]
fn same(found: &Line, number: u64, index: usize) -> bool {
    let expected = line(number, index);
    found.iter().zip(expected).fold(0, |all, (found, expected)| all | (found ^ expected)) == 0
}

#[inline(always)]
fn push(producer: &mut Producer<Line>, mut line: Line, halt: &Halt) -> Result<(), Stop> {
    loop {
        for _ in 0..TRIES {
            match producer.push(line) {
                Ok(()) => return Ok(()),
                Err(rtrb::PushError::Full(back)) => line = back,
            }
            std::hint::spin_loop();
        }
        halt.check()?;
    }
}

#[inline(always)]
fn pop(consumer: &mut Consumer<Line>, halt: &Halt) -> Result<Line, Stop> {
    loop {
        for _ in 0..TRIES {
            if let Ok(line) = consumer.pop() {
                return Ok(line);
            }
        }
        halt.check()?;
    }
}
