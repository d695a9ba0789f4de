//! What became of the events of one schedule.

use std::time::Duration;

use ephapse_plot::{Interval, Times};

use super::schedule::{MISSING, Schedule, Sent};
use crate::bench::times::TickRate;

/// Intervals of one schedule: enough to see a stall of a few hundredths of it.
const INTERVALS: usize = 50;

/// See the module. All clocks are ticks.
pub(in crate::bench) struct Flight {
    pub(in crate::bench) schedule: Schedule,
    /// When the first event was due.
    pub(in crate::bench) start: u64,
    pub(in crate::bench) sent: Sent,
    /// When the sender knew that the last one was there.
    pub(in crate::bench) received: u64,
    /// When the first one was due, since the beginning of the session.
    pub(in crate::bench) begun: Duration,
    /// For each event, how long after it was due (or sent) it was there.
    pub(in crate::bench) ticks: Vec<u64>,
    pub(in crate::bench) rate: TickRate,
}

impl Flight {
    /// Events per second, from when the first one was due until the last one was sent. Where the
    /// receiver does not keep up, this is at its pace as soon as the ring is full.
    pub(in crate::bench) fn achieved_per_s(&self) -> f64 {
        // The last event has its step too.
        let end = self.sent.end as f64 + self.schedule.step.unwrap_or(0.0);
        let ticks = match self.schedule.step {
            Some(_) => end - self.start as f64,
            // As fast as it goes: until the last one was there.
            None => self.received.saturating_sub(self.start) as f64,
        };
        self.schedule.count as f64 * 1e9 / self.rate.ns_of(ticks).max(1.0)
    }

    /// Nanoseconds by which the sender itself was late, at worst.
    pub(in crate::bench) fn latest_ns(&self) -> f64 {
        self.rate.ns_of(self.sent.latest as f64)
    }

    /// The times of all events, in intervals of the same length.
    pub(in crate::bench) fn intervals(&self) -> Vec<Interval> {
        let whole = self.received.saturating_sub(self.start);
        let whole = self.schedule.step.map_or(whole as f64, |step| step * self.ticks.len() as f64);
        let each = whole / self.ticks.len().max(1) as f64;
        let size = self.ticks.len().div_ceil(INTERVALS).max(1);
        let span =
            |events: usize| Duration::from_nanos(self.rate.ns_of(each * events as f64) as u64);
        let slices = self.ticks.chunks(size).enumerate();
        slices
            .map(|(index, ticks)| {
                let mut times = Times::new();
                let there = ticks.iter().filter(|ticks| **ticks != MISSING);
                there.for_each(|ticks| times.record_ps(self.rate.ps(*ticks)));
                Interval {
                    start: self.begun + span(index * size),
                    length: span(ticks.len()),
                    times,
                }
            })
            .collect()
    }
}
