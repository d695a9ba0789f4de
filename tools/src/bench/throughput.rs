//! `ephapse bench throughput`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::args::Plan;
use super::halt::Stop;
use super::output::worse;
use super::report::{self, Throughput, ThroughputRound};
use super::session::Session;
use super::times::median;
use crate::ui::Ui;
use crate::ui::format::rate;

/// What has been measured so far, in events per second: rival, round, rival, round, rival …
#[derive(Default)]
struct Course {
    rivals: Vec<f64>,
    rounds: Vec<f64>,
    lost: u64,
}

/// Measures, and prints what came out.
pub(super) fn run(plan: &Plan, ui: &Ui) -> Result<ExitCode> {
    let mut session = Session::open(&plan.setup, ui)?;
    let mut course = Course::default();
    let ended = course.measure(&mut session, plan, ui);
    let interrupted = session.stopped() == Some(Stop::Interrupted);
    let detours = session.detours();
    let closed = session.close();
    // What was complete before an interruption is still worth telling.
    if !interrupted || course.rounds.is_empty() {
        ended?;
    }
    let mut result = course.result(plan, interrupted);
    result.conditions.detours = detours;
    let checked = plan.output.tell(&result, ui, || report::throughput(&result, ui))?;
    closed?;
    Ok(worse(report::verdict(result.lost, ui)?, checked))
}

impl Course {
    fn measure(&mut self, session: &mut Session, plan: &Plan, ui: &Ui) -> Result<()> {
        let mut progress = ui.progress();
        progress.set("measuring rtrb");
        self.rivals.push(rival(session, plan)?);
        for round in 1..=plan.rounds {
            let measured = session.stream(plan.per_round, plan.batch)?;
            let rival = rival(session, plan)?;
            // Only now: a round without the rival after it does not count.
            self.lost += measured.lost;
            let ours = per_second(plan.per_round, measured.result);
            self.rounds.push(ours);
            self.rivals.push(rival);
            tracing::debug!(round, "complete");
            progress.set(format_args!("round {round} of {}, {}", plan.rounds, rate(ours)));
        }
        Ok(())
    }

    fn result(&self, plan: &Plan, interrupted: bool) -> Throughput {
        let rounds: Vec<ThroughputRound> =
            self.rivals.windows(2).zip(&self.rounds).map(ThroughputRound::new).collect();
        let messages_per_s = median(self.rounds.iter().copied());
        let mut result = Throughput::of(plan, interrupted);
        result.count = self.rounds.len() as u64 * plan.per_round;
        result.lost = self.lost;
        result.messages_per_s = messages_per_s.round();
        result.bytes_per_s = (messages_per_s * plan.setup.size as f64).round();
        result.rtrb_messages_per_s = median(self.rivals.iter().copied()).round();
        result.ratio = report::ratio(median(rounds.iter().map(|round| round.ratio)));
        result.rounds = rounds;
        result
    }
}

fn rival(session: &mut Session, plan: &Plan) -> Result<f64> {
    let moved = session.rival(plan.per_round)?;
    ensure!(moved.lost == 0, "rtrb has delivered {} wrong records", moved.lost);
    Ok(per_second(plan.per_round, moved.result))
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}
