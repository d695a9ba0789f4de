//! `ephapse bench latency`.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use ephapse_plot::{Interval, Series, Times};

use super::args::Plan;
use super::halt::Stop;
use super::history::History;
use super::output::{FileArgs, Files, Story, worse};
use super::report::{self, Latency, LatencyRound};
use super::session::{Measured, Session};
use super::times::{MiddleAndTail, Percentiles, median};
use crate::ui::Ui;
use crate::ui::format::count;

/// What only latency is asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LatencyArgs {
    /// Print a line for every interval until Ctrl-C, and the summary then.
    #[arg(long, conflicts_with_all = ["rounds", "count"])]
    history: bool,

    /// How long an interval of --history is.
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "history", value_parser = crate::cli::duration)]
    interval: Duration,

    #[command(flatten)]
    files: FileArgs,
}

/// Round trips between two looks at the clock, with --history.
const HISTORY_CHUNKS: u64 = 20;

/// What has been measured so far: floor, round, floor, round, floor …
#[derive(Default)]
struct Course {
    floors: Vec<MiddleAndTail>,
    rounds: Vec<MiddleAndTail>,
    floor: Times,
    intervals: Vec<Interval>,
    count: u64,
    lost: u64,
}

/// Measures, and prints what came out.
pub(super) fn run(plan: &Plan, extras: &LatencyArgs, ui: &Ui) -> Result<ExitCode> {
    let name = plan.setup.path.name().to_owned();
    let files = extras.files.open(std::slice::from_ref(&name))?;
    let start = SystemTime::now();
    let mut session = Session::open(&plan.setup, ui)?;
    let mut course = Course::default();
    let ended = match extras.history {
        true => course.go_on(&mut session, plan, extras.interval, ui),
        false => course.measure(&mut session, plan, ui),
    };
    let interrupted = session.stopped() == Some(Stop::Interrupted);
    let detours = session.detours();
    let closed = session.close();
    // What was complete before an interruption is still worth telling.
    if !(interrupted && course.is_useful()) {
        ended?;
    }
    // History has no other end.
    let mut result = course.result(plan, interrupted && !extras.history)?;
    result.conditions.detours = detours;
    let checked = plan.output.tell(&result, ui, || report::latency(&result, ui))?;
    closed?;
    course.write(files, name, &result, start)?;
    Ok(worse(report::verdict(result.lost, ui)?, checked))
}

impl Course {
    fn measure(&mut self, session: &mut Session, plan: &Plan, ui: &Ui) -> Result<()> {
        let mut progress = ui.progress();
        progress.set("measuring the floor");
        self.add_floor(&session.floor(plan.per_round)?);
        for round in 1..=plan.rounds {
            let measured = session.round_trips(plan.per_round)?;
            let floor = session.floor(plan.per_round)?;
            // Only now: a round without the floor after it does not count.
            self.add(vec![measured], &floor);
            tracing::debug!(round, "complete");
            let (rounds, trips) = (plan.rounds, count(u64::from(round) * plan.per_round));
            progress.set(format_args!("round {round} of {rounds}, {trips} round trips"));
        }
        Ok(())
    }

    /// A round for each interval, until somebody interrupts.
    fn go_on(
        &mut self,
        session: &mut Session,
        plan: &Plan,
        interval: Duration,
        ui: &Ui,
    ) -> Result<()> {
        let mut history = History::begin(plan, ui)?;
        // About a twentieth of the interval, as fast as the first thousand went.
        let trial = 1000.min(plan.per_round);
        let begun = Instant::now();
        self.add_floor(&session.floor(trial)?);
        session.round_trips(trial)?;
        let parts = interval.as_secs_f64() / begun.elapsed().as_secs_f64().max(1e-6);
        let chunk = (parts * trial as f64) as u64 / HISTORY_CHUNKS;
        let chunk = chunk.clamp(1, plan.per_round.max(trial));
        loop {
            let begun = Instant::now();
            let before = self.intervals.len();
            let mut chunks = Vec::new();
            while begun.elapsed() < interval.mul_f64(1.0 - 1.0 / HISTORY_CHUNKS as f64) {
                chunks.push(session.round_trips(chunk)?);
            }
            let floor = session.floor(chunk)?;
            self.add(chunks, &floor);
            history.row(&self.intervals[before..], &MiddleAndTail::of(&floor))?;
            tracing::debug!(round = self.rounds.len(), "complete");
        }
    }

    /// A round, in one portion or several, and the floor after it.
    fn add(&mut self, portions: Vec<Measured<Vec<Interval>>>, floor: &Times) {
        self.lost += portions.iter().map(|portion| portion.lost).sum::<u64>();
        let intervals = portions.into_iter().flat_map(|portion| portion.result).collect();
        let round = Series::of_intervals("", intervals);
        self.count += round.times.count();
        self.rounds.push(MiddleAndTail::of(&round.times));
        self.intervals.extend(round.intervals);
        self.add_floor(floor);
    }

    fn add_floor(&mut self, floor: &Times) {
        self.floors.push(MiddleAndTail::of(floor));
        self.floor.add(floor);
    }

    fn is_useful(&self) -> bool {
        !self.rounds.is_empty()
    }

    fn result(&self, plan: &Plan, interrupted: bool) -> Result<Latency> {
        let rounds: Vec<LatencyRound> =
            self.floors.windows(2).zip(&self.rounds).map(LatencyRound::new).collect();
        let all = Series::of_intervals("", self.intervals.clone()).times;
        let mut result = Latency::of(plan, interrupted);
        result.count = self.count;
        result.lost = self.lost;
        result.one_way_ns = Percentiles::of(&all);
        result.histogram = all.encode()?;
        result.floor_ns = MiddleAndTail::of(&self.floor);
        result.conditions.placement.floor_ns = Some(result.floor_ns.p50);
        result.ratio_p50 = report::ratio(median(rounds.iter().map(|round| round.ratio_p50)));
        result.ratio_p99 = report::ratio(median(rounds.iter().map(|round| round.ratio_p99)));
        result.rounds = rounds;
        Ok(result)
    }

    fn write(self, files: Files, name: String, result: &Latency, start: SystemTime) -> Result<()> {
        files.write(&Story {
            title: format!("One-way latency, {}", result.what()),
            series: vec![Series::of_intervals(name.clone(), self.intervals)],
            picture: None,
            table: report::percentile_table([(name, result.one_way_ns)]),
            facts: result.conditions.facts(),
            start,
        })
    }
}
