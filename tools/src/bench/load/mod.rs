//! `ephapse bench load`: events at fixed rates, one way, and how late they come.
//!
//! Reading order: `rate`, `schedule` (both sides), `flight` (one go), `course` (all rounds of all
//! rates), `report`.

mod course;
mod flight;
mod rate;
mod report;
mod schedule;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

pub(super) use self::course::{Courses, Goal};
pub(super) use self::flight::Flight;
pub(super) use self::rate::Rate;
pub(super) use self::report::{RateResult, print_rates, rate_row, series_of, verdict};
pub(super) use self::schedule::{Arrivals, Schedule, Sent};
use super::args::{Layer, Setup, Via};
use super::halt::Stop;
use super::output::{FileArgs, ResultArgs, Story, worse};
use super::session::Session;
use super::setup::Common;
use crate::ui::Ui;

/// More would be too much memory.
const EVENTS_MAX: f64 = 2e7;

/// What load and sweep are asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Events per second, one run for each: such as 250, 10k, 2.5M; `max` sends as fast as it goes.
    #[arg(long, value_name = "RATES", value_delimiter = ',', default_value = "10k,100k,1M")]
    rate: Vec<Rate>,

    /// How long each rate is sent in each round.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::cli::duration)]
    duration: Duration,

    /// By how much a rate may be missed before the run has failed, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    tolerance: f64,

    /// The receiver waits so long before it looks at the clock: shows that the clock is looked at.
    #[arg(long, hide = true, value_name = "TIME", default_value = "0s", value_parser = crate::cli::duration)]
    delay: Duration,

    #[command(flatten)]
    files: FileArgs,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(number) if (0.0..100.0).contains(&number) => Ok(number),
        _ => Err("expected a share from 0 to 100, such as 1 or 0.5".to_owned()),
    }
}

/// All that a run needs to know.
#[derive(Clone, Debug)]
pub(crate) struct LoadPlan {
    pub(super) setup: Setup,
    pub(super) goal: Goal,
    pub(super) files: FileArgs,
    pub(super) output: ResultArgs,
}

impl LoadArgs {
    /// Checked, and put together with what all benchmarks of two processes are asked for.
    pub(super) fn plan(self, common: &Common, setup: Setup) -> Result<LoadPlan> {
        ensure!(
            setup.layer == Layer::Hub && setup.via == Via::Rust,
            "events at a rate are measured through hubs: leave out --layer and --via"
        );
        ensure!(
            setup.cpus.0 != setup.cpus.1,
            "--cpus: a sender that spins needs a processor alone"
        );
        let seconds = self.duration.as_secs_f64();
        for rate in &self.rate {
            let events = rate.per_s.unwrap_or(0.0) * seconds;
            ensure!(
                events <= EVENTS_MAX,
                "--rate {} for {seconds} s are {events:.0} events in each round, of at most \
                 {EVENTS_MAX:.0}: shorten --duration",
                rate.name
            );
            ensure!(
                rate.per_s.is_some() || setup.timestamps,
                "--rate max counts from the events' own timestamps: leave out --timestamps off"
            );
            let same = self.rate.iter().filter(|other| other.name == rate.name).count();
            ensure!(same == 1, "--rate {} is there {same} times", rate.name);
        }
        let goal = Goal {
            rates: self.rate,
            duration: self.duration,
            rounds: common.rounds,
            tolerance: self.tolerance / 100.0,
            delay: self.delay,
        };
        Ok(LoadPlan { setup, goal, files: self.files, output: common.output.clone() })
    }
}

/// Measures, and prints what came out.
pub(super) fn run(plan: &LoadPlan, ui: &Ui) -> Result<ExitCode> {
    let names: Vec<String> = plan.goal.rates.iter().map(|rate| rate.name.clone()).collect();
    let files = plan.files.open(&names)?;
    let start = SystemTime::now();
    let mut session = Session::open(&plan.setup, ui)?;
    let mut courses = Courses::new(&plan.goal);
    let mut progress = ui.progress();
    let ended = courses.measure(&mut session, &plan.goal, &mut progress);
    drop(progress);
    let interrupted = session.stopped() == Some(Stop::Interrupted);
    let detours = session.detours();
    let closed = session.close();
    // What was complete before an interruption is still worth telling.
    if !(interrupted && courses.are_useful()) {
        ended?;
    }
    let result = report::Load::of(plan, &courses, interrupted, detours)?;
    let checked = plan.output.tell(&result, ui, || report::print(&result, ui))?;
    closed?;
    files.write(&Story {
        title: format!("Latency from the intended time, {}", result.what()),
        series: series_of(&courses),
        picture: None,
        table: result.table(),
        facts: result.conditions.facts(),
        start,
    })?;
    Ok(worse(verdict(&result.runs, ui)?, checked))
}
