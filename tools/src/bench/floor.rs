//! The floor: the least that it takes to tell another process something and to hear back.
//!
//! Two words on two cache lines of a page that both processes map. Each side stores a number into
//! its own word and waits for that number in the other's: by looking again and again, without a
//! pause in between; or asleep on a futex.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ephapse::event::Timestamp;

use super::args::WaitMode;
use super::halt::{Halt, Stop};
use super::shared::{Page, Word};

/// Looks between two questions whether to go on: about a tenth of a millisecond.
const LOOKS: u32 = 1 << 16;

/// Round trips between two such questions.
const TRIPS: usize = 1 << 10;

/// How long a futex sleeps before the same question.
const SLEEP: Duration = Duration::from_millis(200);

/// One side of the floor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor<'a> {
    page: &'a Page,
    asleep: bool,
}

impl<'a> Floor<'a> {
    /// The floor for readers that wait like this: a futex for those that sleep at once.
    pub(crate) fn new(page: &'a Page, wait: WaitMode) -> Floor<'a> {
        Floor { page, asleep: wait == WaitMode::Block }
    }

    /// The parent's side: as many round trips as there are samples, in ticks. The words stand at
    /// `from` before.
    pub(crate) fn ping(&self, from: u64, samples: &mut [u64], halt: &Halt) -> Result<(), Stop> {
        let mut number = from;
        let mut before = Timestamp::now().ticks();
        for samples in samples.chunks_mut(TRIPS) {
            halt.check()?;
            for sample in samples {
                number += 1;
                self.tell(Word::Ping, number);
                self.hear(Word::Pong, number, halt)?;
                let after = Timestamp::now().ticks();
                *sample = after.wrapping_sub(before);
                before = after;
            }
        }
        Ok(())
    }

    /// The child's side.
    pub(crate) fn pong(&self, from: u64, trips: u64, halt: &Halt) -> Result<(), Stop> {
        for number in from + 1..=from + trips {
            self.hear(Word::Ping, number, halt)?;
            self.tell(Word::Pong, number);
        }
        Ok(())
    }

    #[inline(always)]
    fn tell(&self, word: Word, number: u64) {
        self.page.word(word).store(number, Ordering::Release);
        if self.asleep {
            self.page.futex_wake(word);
        }
    }

    #[inline(always)]
    fn hear(&self, word: Word, number: u64, halt: &Halt) -> Result<(), Stop> {
        if self.asleep {
            self.sleep_for(word, number, halt)
        } else {
            self.spin_for(word, number, halt)
        }
    }

    #[inline(always)]
    fn spin_for(&self, word: Word, number: u64, halt: &Halt) -> Result<(), Stop> {
        spin_until(self.page.word(word), number, halt)
    }

    fn sleep_for(&self, word: Word, number: u64, halt: &Halt) -> Result<(), Stop> {
        loop {
            let seen = self.page.word(word).load(Ordering::Acquire);
            if seen == number {
                return Ok(());
            }
            halt.check()?;
            self.page.futex_wait(word, seen, SLEEP);
        }
    }
}

/// Looks at a word until it holds `number`.
#[inline(always)]
pub(crate) fn spin_until(word: &AtomicU64, number: u64, halt: &Halt) -> Result<(), Stop> {
    loop {
        for _ in 0..LOOKS {
            if word.load(Ordering::Acquire) == number {
                return Ok(());
            }
        }
        halt.check()?;
    }
}
