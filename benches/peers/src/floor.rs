//! The floor: the least that it takes to tell another process something and to hear back.
//!
//! Two words on two cache lines of a page that both sides map. Each writes a number into its own
//! and waits for that number in the other's: by looking again and again, or asleep on a futex.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use ephapse::event::Timestamp;

use crate::page::{Page, Word};
use crate::peer::{SILENCE, Wait, spin_until};

/// How long a futex sleeps before it looks whether all is lost.
const SLEEP: Duration = Duration::from_millis(200);
const SLEEPS: u32 = (SILENCE.as_millis() / SLEEP.as_millis()) as u32 + 1;

/// Ends a phase: no number gets there.
const OVER: u64 = u64::MAX;

/// One side of the floor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor<'a> {
    pub(crate) page: &'a Page,
    pub(crate) wait: Wait,
}

impl Floor<'_> {
    /// Side A: round trips until the time is over or there is no more room for samples.
    pub(crate) fn ping(&self, samples: &mut Vec<u32>, ticks: u64) -> Result<()> {
        let mut number = 0;
        let mut before = Timestamp::now().ticks();
        let deadline = before + ticks;
        while before < deadline && samples.len() < samples.capacity() {
            number += 1;
            self.tell(Word::Ping, number);
            self.hear(Word::Pong, |word| word == number)?;
            let after = Timestamp::now().ticks();
            samples.push(u32::try_from(after.wrapping_sub(before)).unwrap_or(u32::MAX));
            before = after;
        }
        self.tell(Word::Ping, OVER);
        self.hear(Word::Pong, |word| word == OVER)?;
        // For the next time.
        self.tell(Word::Ping, 0);
        self.hear(Word::Pong, |word| word == 0)?;
        Ok(())
    }

    /// Side B.
    pub(crate) fn pong(&self) -> Result<()> {
        let mut last = 0;
        loop {
            let number = self.hear(Word::Ping, |word| word != last)?;
            self.tell(Word::Pong, number);
            if last == OVER {
                return Ok(());
            }
            last = number;
        }
    }

    #[inline(always)]
    fn tell(&self, word: Word, number: u64) {
        // SYNC(floor): pairs with the loads in `hear` of the other process.
        self.page.word(word).store(number, Ordering::Release);
        if self.wait == Wait::Block {
            self.page.futex_wake(word);
        }
    }

    #[inline(always)]
    fn hear(&self, word: Word, awaited: impl Fn(u64) -> bool) -> Result<u64> {
        // SYNC(floor): pairs with the store in `tell` of the other process.
        let look = || self.page.word(word).load(Ordering::Acquire);
        if self.wait == Wait::Spin {
            let found = spin_until(|| Ok(Some(look()).filter(|&seen| awaited(seen))))?;
            return found.ok_or_else(|| anyhow::anyhow!("the other side of the floor is silent"));
        }
        for _ in 0..SLEEPS {
            let mut seen = look();
            while !awaited(seen) {
                self.page.futex_wait(word, seen, SLEEP);
                let again = look();
                if again == seen {
                    break;
                }
                seen = again;
            }
            if awaited(seen) {
                return Ok(seen);
            }
        }
        bail!("the other side of the floor is silent")
    }
}
