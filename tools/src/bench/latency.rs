//! `ephapse bench latency`.

use std::process::ExitCode;

use anyhow::Result;

use super::args::Plan;
use super::halt::Stop;
use super::report::{self, Latency, LatencyRound};
use super::session::Session;
use super::times::{MiddleAndTail, Times, median};
use crate::ui::Ui;
use crate::ui::format::count;

/// What has been measured so far: floor, round, floor, round, floor …
struct Course {
    floors: Vec<MiddleAndTail>,
    rounds: Vec<MiddleAndTail>,
    floor: Times,
    one_way: Times,
    lost: u64,
}

/// Measures, and prints what came out.
pub(super) fn run(plan: &Plan, ui: &Ui) -> Result<ExitCode> {
    let mut session = Session::open(&plan.setup, ui)?;
    let mut course = Course {
        floors: Vec::new(),
        rounds: Vec::new(),
        floor: Times::new()?,
        one_way: Times::new()?,
        lost: 0,
    };
    let ended = course.measure(&mut session, plan, ui);
    let interrupted = session.stopped() == Some(Stop::Interrupted);
    let detours = session.detours();
    let closed = session.close();
    // What was complete before an interruption is still worth telling.
    if !(interrupted && course.is_useful()) {
        ended?;
    }
    let mut result = course.result(plan, interrupted);
    result.conditions.detours = detours;
    report::latency(&result, plan, ui)?;
    closed?;
    report::verdict(result.lost, ui)
}

impl Course {
    fn measure(&mut self, session: &mut Session, plan: &Plan, ui: &Ui) -> Result<()> {
        let mut progress = ui.progress();
        progress.set("measuring the floor");
        self.add_floor(&session.floor(plan.per_round)?)?;
        for round in 1..=plan.rounds {
            let measured = session.round_trips(plan.per_round)?;
            let floor = session.floor(plan.per_round)?;
            // Only now: a round without the floor after it does not count.
            self.lost += measured.lost;
            self.rounds.push(measured.result.middle_and_tail());
            self.one_way.add(&measured.result)?;
            self.add_floor(&floor)?;
            tracing::debug!(round, "complete");
            let (rounds, trips) = (plan.rounds, count(u64::from(round) * plan.per_round));
            progress.set(format_args!("round {round} of {rounds}, {trips} round trips"));
        }
        Ok(())
    }

    fn add_floor(&mut self, floor: &Times) -> Result<()> {
        self.floors.push(floor.middle_and_tail());
        self.floor.add(floor)
    }

    fn is_useful(&self) -> bool {
        !self.rounds.is_empty()
    }

    fn result(&self, plan: &Plan, interrupted: bool) -> Latency {
        let rounds: Vec<LatencyRound> =
            self.floors.windows(2).zip(&self.rounds).map(LatencyRound::new).collect();
        let mut result = Latency::of(plan, interrupted);
        result.count = self.rounds.len() as u64 * plan.per_round;
        result.lost = self.lost;
        result.one_way_ns = self.one_way.all();
        result.floor_ns = self.floor.middle_and_tail();
        result.ratio_p50 = report::ratio(median(rounds.iter().map(|round| round.ratio_p50)));
        result.ratio_p99 = report::ratio(median(rounds.iter().map(|round| round.ratio_p99)));
        result.rounds = rounds;
        result
    }
}
