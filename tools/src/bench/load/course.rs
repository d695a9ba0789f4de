//! All rounds of all rates, in turn: a round of each, and again.

use std::time::Duration;

use anyhow::Result;
use ephapse_plot::{Interval, Series};

use super::{Flight, Rate, Schedule};
use crate::bench::args::WaitMode;
use crate::bench::session::Session;
use crate::bench::times::{MiddleAndTail, median};
use crate::ui::Progress;
use crate::ui::format::rate;

/// Round trips of the floor, which is measured once before.
const FLOOR_TRIPS: u64 = 20_000;
const FLOOR_TRIPS_ASLEEP: u64 = 2_000;

/// Events that show how fast it goes.
const TRIAL: u64 = 20_000;

/// Events of a round at most, as fast as it goes.
const ROUND_MAX: f64 = 4e6;

/// What is to be measured.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Goal {
    pub(in crate::bench) rates: Vec<Rate>,
    /// Of each rate, in each round.
    pub(in crate::bench) duration: Duration,
    pub(in crate::bench) rounds: u32,
    /// The share by which a rate may be missed.
    pub(in crate::bench) tolerance: f64,
    /// What the receiver waits before it looks at the clock.
    pub(in crate::bench) delay: Duration,
}

/// What has been measured so far.
pub(in crate::bench) struct Courses {
    /// One for each rate.
    pub(in crate::bench) all: Vec<Course>,
    /// Half of a round trip of the floor, in nanoseconds.
    pub(in crate::bench) floor_ns: Option<f64>,
}

/// What has been measured of one rate.
pub(in crate::bench) struct Course {
    pub(in crate::bench) rate: Rate,
    pub(in crate::bench) rounds: Vec<Round>,
    pub(in crate::bench) intervals: Vec<Interval>,
}

/// One round of one rate.
pub(in crate::bench) struct Round {
    pub(in crate::bench) achieved_per_s: f64,
    pub(in crate::bench) sender_late_ns: f64,
    pub(in crate::bench) lost: u64,
    pub(in crate::bench) series: Series,
}

impl Courses {
    pub(in crate::bench) fn new(goal: &Goal) -> Courses {
        let course =
            |rate: &Rate| Course { rate: rate.clone(), rounds: Vec::new(), intervals: Vec::new() };
        Courses { all: goal.rates.iter().map(course).collect(), floor_ns: None }
    }

    /// Measures all of it, or until somebody interrupts.
    pub(in crate::bench) fn measure(
        &mut self,
        session: &mut Session,
        goal: &Goal,
        progress: &mut Progress,
    ) -> Result<()> {
        progress.set("measuring the floor");
        let asleep = session.setup().wait == WaitMode::Block;
        let floor = session.floor(if asleep { FLOOR_TRIPS_ASLEEP } else { FLOOR_TRIPS })?;
        self.floor_ns = Some(MiddleAndTail::of(&floor).p50);
        for round in 1..=goal.rounds {
            for course in &mut self.all {
                let name = course.rate.name.clone();
                progress.set(format_args!("round {round} of {}, rate {name}", goal.rounds));
                let schedule = schedule(session, goal, &course.rate)?;
                let measured = session.load(&schedule)?;
                course.add(&measured.result, measured.lost);
                tracing::debug!(round, rate = &*name, "complete");
            }
        }
        Ok(())
    }

    /// Whether every rate has a round.
    pub(in crate::bench) fn are_useful(&self) -> bool {
        self.all.iter().all(|course| !course.rounds.is_empty())
    }
}

fn schedule(session: &mut Session, goal: &Goal, wanted: &Rate) -> Result<Schedule> {
    let delay = session.ticks_of(goal.delay) as u64;
    let seconds = goal.duration.as_secs_f64();
    Ok(match wanted.per_s {
        Some(per_s) => Schedule {
            count: (per_s * seconds).round().max(1.0) as u64,
            step: Some(session.ticks_of(Duration::from_secs(1)) / per_s),
            delay,
        },
        None => {
            let took = session.stream(TRIAL, 1)?.result.as_secs_f64();
            let per_s = TRIAL as f64 / took.max(1e-9);
            tracing::debug!("about {}", rate(per_s));
            Schedule { count: (per_s * seconds).clamp(1000.0, ROUND_MAX) as u64, step: None, delay }
        }
    })
}

impl Course {
    fn add(&mut self, flight: &Flight, lost: u64) {
        let series = Series::of_intervals(&self.rate.name, flight.intervals());
        self.intervals.extend(series.intervals.iter().cloned());
        self.rounds.push(Round {
            achieved_per_s: flight.achieved_per_s(),
            sender_late_ns: flight.latest_ns(),
            lost,
            series,
        });
    }

    /// The median of the rounds'.
    pub(in crate::bench) fn achieved_per_s(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.achieved_per_s))
    }

    /// Whether every round has kept its rate.
    pub(in crate::bench) fn is_met(&self, tolerance: f64) -> bool {
        let least = self.rate.per_s.unwrap_or(0.0) * (1.0 - tolerance);
        self.rounds.iter().all(|round| round.achieved_per_s >= least)
    }
}
