//! What to do while there is nothing to read.

use crossbeam_utils::Backoff;
use std::time::{Duration, Instant};

/// How a hub waits for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Look again at once, for ever: lowest latency, one core fully used.
    Spin,
    /// Spin with growing pauses, then give the core to others between looks: for more spinning
    /// threads than cores.
    Backoff,
    /// Sleep at once: no processor time while idle; waking an idle core takes tens of µs.
    Block,
    /// Spin for so long, then sleep. The default, with 50 µs: about what waking up would cost.
    Adaptive {
        /// How long to spin.
        spin: Duration,
    },
}

impl Default for Wait {
    fn default() -> Self {
        Self::Adaptive { spin: Duration::from_micros(50) }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Look,
    Sleep,
    TimedOut,
}

/// One wait, from its first unsuccessful look.
pub(crate) struct Waiter {
    wait: Wait,
    deadline: Option<Instant>,
    sleep_at: Option<Instant>,
    backoff: Backoff,
    looks: u32,
}

/// Pause instructions of between 15 and 50 ns each, by processor.
const PAUSES: u32 = 48;

/// The clock costs as much as many looks; it is asked once in so many.
const LOOKS_PER_CLOCK: u32 = 64;

impl Waiter {
    pub(crate) fn new(wait: Wait, deadline: Option<Instant>) -> Self {
        Self { wait, deadline, sleep_at: None, backoff: Backoff::new(), looks: 0 }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// After an unsuccessful look.
    #[inline]
    pub(crate) fn step(&mut self) -> Step {
        self.looks = self.looks.wrapping_add(1);
        match self.wait {
            Wait::Block => return self.timed_out().unwrap_or(Step::Sleep),
            Wait::Backoff => self.backoff.snooze(),
            Wait::Spin | Wait::Adaptive { .. } => {}
        }
        if self.looks.is_multiple_of(LOOKS_PER_CLOCK) { self.look_at_clock() } else { Step::Look }
    }

    fn timed_out(&self) -> Option<Step> {
        let deadline = self.deadline?;
        (Instant::now() >= deadline).then_some(Step::TimedOut)
    }

    #[cold]
    fn look_at_clock(&mut self) -> Step {
        if let Some(step) = self.timed_out() {
            return step;
        }
        let Wait::Adaptive { spin } = self.wait else { return Step::Look };
        let now = Instant::now();
        match self.sleep_at {
            None => self.sleep_at = now.checked_add(spin),
            Some(at) if now >= at => return Step::Sleep,
            Some(_) => {}
        }
        Step::Look
    }

    /// Lets a writer get ahead, one or two microseconds.
    pub(crate) fn pause(&self) {
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
    }

    /// After waking up: spin again before the next sleep.
    pub(crate) fn woke(&mut self) {
        self.sleep_at = None;
        self.looks = 0;
    }
}
