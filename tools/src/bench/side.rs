//! What each layer must be able to do to be measured.

use anyhow::{Result, bail};

use super::halt::Halt;
use super::load::{Arrivals, Schedule, Sent};
use super::shared::Page;

/// The parent's side: asks, and sends.
pub(super) trait PingSide {
    /// As many round trips as there are samples, each in ticks of the clock, one after another:
    /// the end of one is the start of the next. Returns how many answers were not what they
    /// should have been.
    fn ping(&mut self, samples: &mut [u64], halt: &Halt) -> Result<u64>;

    /// Sends so many events, with a commit for every `batch` of them.
    fn stream(&mut self, count: u64, batch: u32, halt: &Halt) -> Result<()>;

    /// Sends events by a schedule, the first of which is due at the tick `start`.
    fn send_on_schedule(&mut self, _: &Schedule, _start: u64, _: &Halt) -> Result<Sent> {
        bail!("events at a rate are measured through hubs")
    }

    /// Bytes of the ring that events are sent through.
    fn capacity_bytes(&self) -> usize;

    /// Events that were sent, and went another way than was asked for.
    fn detours(&self) -> u64 {
        0
    }
}

/// The child's side: answers, and receives.
pub(super) trait EchoSide {
    /// Answers so many events, each with one that is built from it. Returns how many questions
    /// were not what they should have been.
    fn echo(&mut self, trips: u64) -> Result<u64>;

    /// Receives so many events, and says in the page when it has the last. Returns how many were
    /// missing, repeated or wrong.
    fn receive(&mut self, count: u64, page: &Page) -> Result<u64>;

    /// The same, for events that are sent by a schedule: notes when each of them was there.
    fn receive_on_schedule(&mut self, _: &mut Arrivals<'_>) -> Result<u64> {
        bail!("events at a rate are measured through hubs")
    }
}

/// What a receiver has seen of a sequence.
#[derive(Debug)]
pub(super) struct Tally {
    /// The number of the next event.
    pub(super) next: u64,
    /// Events that were missing, repeated or wrong.
    pub(super) lost: u64,
}

impl Tally {
    /// Counts an event that had this number, and was what it should be or not.
    #[inline(always)]
    pub(super) fn see(&mut self, sequence: u64, is_right: bool) {
        if sequence == self.next && is_right {
            self.next += 1;
        } else {
            self.wrong(sequence);
        }
    }

    /// Counts an event that was not the right one.
    #[cold]
    pub(super) fn wrong(&mut self, sequence: u64) {
        self.lost += sequence.saturating_sub(self.next).max(1);
        self.next = self.next.max(sequence.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_repetitions_are_counted() {
        let mut tally = Tally { next: 5, lost: 0 };
        tally.wrong(8); // 5, 6, 7 are missing
        assert_eq!((tally.next, tally.lost), (9, 3));
        tally.wrong(8); // again
        assert_eq!((tally.next, tally.lost), (9, 4));
        tally.wrong(9); // the right number with the wrong contents
        assert_eq!((tally.next, tally.lost), (10, 5));
    }
}
