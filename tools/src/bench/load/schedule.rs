//! When events are due, and how late they come.
//!
//! The time of an event counts from the moment at which it *should* have been sent. Both processes
//! know it from the event's number, so that nothing is left out when the sender itself is held
//! back: an event that could not be sent because the one before it was not received yet is late
//! too, by all that it has waited.

use std::sync::atomic::Ordering;

use ephapse::event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bench::halt::{Halt, Stop};
use crate::bench::shared::{Page, Word};

/// Events between two questions whether to go on.
const EVENTS: u64 = 1 << 10;

/// Looks at the clock between two such questions.
const LOOKS: u32 = 1 << 16;

/// What is sent in one go.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Schedule {
    /// Events.
    pub(in crate::bench) count: u64,
    /// Ticks from one to the next; `None` for as fast as it goes.
    pub(in crate::bench) step: Option<f64>,
    /// Ticks that the receiver lets pass before it looks at the clock.
    pub(in crate::bench) delay: u64,
}

/// What became of it, at the sender.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::bench) struct Sent {
    /// Ticks by which the sender itself was late, at worst.
    pub(in crate::bench) latest: u64,
    /// When it had sent the last one.
    pub(in crate::bench) end: u64,
}

impl Schedule {
    /// The tick at which an event is due if the first one is due at `start`.
    #[inline(always)]
    fn due(step: f64, start: u64, index: u64) -> u64 {
        start + (index as f64 * step) as u64
    }

    /// Sends each event when it is due, or at once when that has passed.
    pub(in crate::bench) fn send<E: From<Stop>>(
        &self,
        start: u64,
        halt: &Halt,
        mut send: impl FnMut() -> Result<(), E>,
    ) -> Result<Sent, E> {
        let mut latest = 0;
        for index in 0..self.count {
            if index % EVENTS == 0 {
                halt.check()?;
            }
            if let Some(step) = self.step {
                let due = Schedule::due(step, start, index);
                latest = latest.max(wait_until(due, halt)? - due);
            }
            send()?;
            if index == 0 {
                tracing::debug!("the first event is under way");
            }
        }
        Ok(Sent { latest, end: Timestamp::now().ticks() })
    }
}

/// Spins until this tick; returns the one that it has become.
#[inline(always)]
fn wait_until(tick: u64, halt: &Halt) -> Result<u64, Stop> {
    loop {
        for _ in 0..LOOKS {
            let now = Timestamp::now().ticks();
            if now >= tick {
                return Ok(now);
            }
        }
        halt.check()?;
    }
}

/// What the receiver notes: for each event, the ticks from when it was due until it was there.
pub(in crate::bench) struct Arrivals<'a> {
    pub(in crate::bench) schedule: Schedule,
    pub(in crate::bench) page: &'a Page,
    /// When the first one was due; known when it has come.
    start: u64,
    /// One for each event; [`MISSING`] until it has come.
    pub(in crate::bench) ticks: Vec<u64>,
}

/// What stands for an event that did not come.
pub(in crate::bench) const MISSING: u64 = u64::MAX;

impl<'a> Arrivals<'a> {
    /// None yet. The memory is there.
    pub(in crate::bench) fn new(schedule: Schedule, page: &'a Page) -> Arrivals<'a> {
        Arrivals { schedule, page, start: 0, ticks: vec![MISSING; schedule.count as usize] }
    }

    /// Notes that the event with this number is there, now. `sent` is asked for only if there is no
    /// schedule: then the time counts from there.
    #[inline(always)]
    pub(in crate::bench) fn note(&mut self, index: u64, sent: impl FnOnce() -> Option<Timestamp>) {
        let mut now = Timestamp::now().ticks();
        if self.schedule.delay > 0 {
            let until = now + self.schedule.delay;
            while now < until {
                now = Timestamp::now().ticks();
            }
        }
        if self.start == 0 {
            // Acquire: it was stored before the first event, which is here.
            self.start = self.page.word(Word::Start).load(Ordering::Acquire);
        }
        let from = match self.schedule.step {
            Some(step) => Some(Schedule::due(step, self.start, index)),
            None => sent().map(Timestamp::ticks),
        };
        if let (Some(ticks), Some(from)) = (self.ticks.get_mut(index as usize), from) {
            *ticks = now.saturating_sub(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_before_its_time_and_nothing_is_forgotten() {
        let step = 30_000.0;
        let schedule = Schedule { count: 50, step: Some(step), delay: 0 };
        let start = Timestamp::now().ticks() + 100_000;
        let mut sent = Vec::new();
        let outcome = schedule.send::<Stop>(start, &Halt::default(), || {
            sent.push(Timestamp::now().ticks());
            if sent.len() == 10 {
                // Held back for five steps: those that follow are late, and sent at once.
                let until = Timestamp::now().ticks() + 5 * step as u64;
                while Timestamp::now().ticks() < until {}
            }
            Ok(())
        });
        let outcome = outcome.unwrap();
        assert_eq!(sent.len(), 50);
        for (index, tick) in sent.iter().enumerate() {
            assert!(*tick >= Schedule::due(step, start, index as u64), "event {index}");
        }
        // The one after the pause was due one step after the one that paused.
        assert!(outcome.latest >= 4 * step as u64, "{outcome:?}");
        assert!(outcome.end >= sent[49]);
    }

    #[test]
    fn an_end_is_heard_while_waiting() {
        let schedule = Schedule { count: 2, step: Some(1e15), delay: 0 };
        let halt = Halt::default();
        let start = Timestamp::now().ticks();
        let outcome = schedule.send::<Stop>(start, &halt, || {
            halt.stop(Stop::Interrupted);
            Ok(())
        });
        assert_eq!(outcome.unwrap_err(), Stop::Interrupted);
    }

    #[test]
    fn arrivals_count_from_when_they_were_due() {
        let (page, _file) = Page::create().unwrap();
        let step = 1000.0;
        let start = Timestamp::now().ticks() - 1_000_000;
        page.word(Word::Start).store(start, Ordering::Release);
        let schedule = Schedule { count: 3, step: Some(step), delay: 50_000 };
        let mut arrivals = Arrivals::new(schedule, &page);
        arrivals.note(0, || None);
        arrivals.note(2, || None);
        assert!(arrivals.ticks[0] >= 1_050_000, "{:?}", arrivals.ticks);
        assert!(arrivals.ticks[2] >= 1_098_000, "{:?}", arrivals.ticks);
        assert_eq!(arrivals.ticks[1], MISSING);
        // Without a schedule, from when they were sent.
        let sent = Timestamp::now();
        let mut arrivals = Arrivals::new(Schedule { step: None, ..schedule }, &page);
        arrivals.note(1, || Some(sent));
        assert!((50_000..1_000_000_000).contains(&arrivals.ticks[1]), "{:?}", arrivals.ticks);
    }
}
