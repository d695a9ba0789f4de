//! What is told of events at fixed rates.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use ephapse_plot::{Series, Table as PageTable};
use serde::Serialize;

use super::course::{Course, Courses, Round};
use super::{Goal, LoadPlan, rate as rates};
use crate::bench::args::WaitMode;
use crate::bench::conditions::Conditions;
use crate::bench::output::worse;
use crate::bench::report::{self, time};
use crate::bench::times::Percentiles;
use crate::ui::format::rate;
use crate::ui::{Stream, Table, Ui};

/// The result of `bench load`.
#[derive(Debug, Serialize)]
pub(super) struct Load {
    bench: &'static str,
    wait: WaitMode,
    payload_bytes: usize,
    links: u32,
    /// Events of all runs, warm-ups not counted.
    count: u64,
    /// Events that were missing, repeated or wrong.
    lost: u64,
    /// Whether all rates were kept.
    met: bool,
    /// How long each rate was sent in each round.
    seconds: f64,
    /// One for each rate.
    pub(super) runs: Vec<RateResult>,
    #[serde(flatten)]
    pub(super) conditions: Conditions,
}

/// The result of one rate.
#[derive(Clone, Debug, Serialize)]
pub(in crate::bench) struct RateResult {
    /// As it was asked for.
    pub(in crate::bench) rate: String,
    /// Absent for `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted_per_s: Option<f64>,
    /// Median of the rounds'.
    pub(in crate::bench) achieved_per_s: f64,
    /// Whether every round has kept its rate.
    pub(in crate::bench) met: bool,
    /// From when the time of an event counts: `schedule`, or `send` for `max`.
    counted_from: &'static str,
    pub(in crate::bench) count: u64,
    pub(in crate::bench) lost: u64,
    /// From when an event was due until it was there, all rounds together.
    pub(in crate::bench) latency_ns: Percentiles,
    /// By how much the sender itself was late, at worst.
    sender_late_ns: f64,
    rounds: Vec<RoundResult>,
    /// All of them: HdrHistogram V2 of picoseconds, compressed, base64.
    histogram: String,
}

#[derive(Clone, Debug, Serialize)]
struct RoundResult {
    achieved_per_s: f64,
    latency_ns: Percentiles,
}

impl RateResult {
    /// For people: `10k/s`, `max`.
    pub(in crate::bench) fn label(&self) -> String {
        rates::label(&self.rate)
    }

    /// Of all rounds of one rate.
    pub(in crate::bench) fn of(course: &Course, goal: &Goal) -> Result<RateResult> {
        let all = Series::of_intervals("", course.intervals.clone()).times;
        let round = |round: &Round| RoundResult {
            achieved_per_s: round.achieved_per_s.round(),
            latency_ns: Percentiles::of(&round.series.times),
        };
        let late = course.rounds.iter().map(|round| round.sender_late_ns).fold(0.0, f64::max);
        Ok(RateResult {
            rate: course.rate.name.clone(),
            wanted_per_s: course.rate.per_s,
            achieved_per_s: course.achieved_per_s().round(),
            met: course.is_met(goal.tolerance),
            counted_from: if course.rate.per_s.is_some() { "schedule" } else { "send" },
            count: all.count(),
            lost: course.rounds.iter().map(|round| round.lost).sum(),
            latency_ns: Percentiles::of(&all),
            sender_late_ns: late.round(),
            rounds: course.rounds.iter().map(round).collect(),
            histogram: all.encode()?,
        })
    }
}

impl Load {
    pub(super) fn of(
        plan: &LoadPlan,
        courses: &Courses,
        interrupted: bool,
        detours: u64,
    ) -> Result<Load> {
        let runs = courses.all.iter().map(|course| RateResult::of(course, &plan.goal));
        let runs: Vec<RateResult> = runs.collect::<Result<_>>()?;
        let mut conditions = Conditions::of(&plan.setup, interrupted);
        conditions.placement.floor_ns = courses.floor_ns;
        conditions.detours = detours;
        Ok(Load {
            bench: "load",
            wait: plan.setup.wait,
            payload_bytes: plan.setup.size,
            links: plan.setup.links,
            count: runs.iter().map(|run| run.count).sum(),
            lost: runs.iter().map(|run| run.lost).sum(),
            met: runs.iter().all(|run| run.met),
            seconds: plan.goal.duration.as_secs_f64(),
            runs,
            conditions,
        })
    }

    /// What events these are.
    pub(super) fn what(&self) -> String {
        self.conditions.what(self.wait, self.payload_bytes, self.links)
    }

    /// The figures of a page.
    pub(super) fn table(&self) -> PageTable {
        let row = |run: &RateResult| rate_row(&run.label(), run);
        PageTable {
            head: HEAD.map(str::to_owned).to_vec(),
            rows: self.runs.iter().map(row).collect(),
        }
    }
}

const HEAD: [&str; 9] =
    ["rate", "achieved", "p50", "p90", "p99", "p99.9", "p99.99", "max", "verdict"];

/// A row under that head.
pub(in crate::bench) fn rate_row(name: &str, run: &RateResult) -> Vec<String> {
    let all = &run.latency_ns;
    let times = [all.p50, all.p90, all.p99, all.p999, all.p9999, all.max].map(time);
    let verdict = match (run.met, run.lost) {
        (true, 0) => "ok".to_owned(),
        (false, 0) => "FAIL: rate missed".to_owned(),
        (_, lost) => format!("FAIL: {lost} lost"),
    };
    let achieved = rate(run.achieved_per_s);
    [name.to_owned(), achieved].into_iter().chain(times).chain([verdict]).collect()
}

/// A table with a row for each rate; the names of the rows are in the first column.
pub(in crate::bench) fn print_rates(
    first: &str,
    rows: impl Iterator<Item = Vec<String>>,
    ui: &Ui,
) -> Result<()> {
    let head: Vec<String> =
        [first].iter().chain(&HEAD[1..]).map(|cell| (*cell).to_owned()).collect();
    let mut table = Table::with_head(head, 1);
    rows.for_each(|row| table.row(row));
    ui.table(Stream::Out, table)
}

/// Prints the result for people.
pub(super) fn print(result: &Load, ui: &Ui) -> Result<()> {
    let Load { conditions, wait, payload_bytes, links, .. } = result;
    ui.line(Stream::Out, conditions.text(*wait, *payload_bytes, *links))?;
    print_rates("rate", result.runs.iter().map(|run| rate_row(&run.label(), run)), ui)?;
    let floor = conditions.placement.floor_ns.map_or_else(|| "unknown".to_owned(), time);
    let from = match result.runs.iter().any(|run| run.wanted_per_s.is_none()) {
        true => "times count from when events were due (max: sent)",
        false => "times count from when events were due",
    };
    let (count, lost) = (crate::ui::format::count(result.count), result.lost);
    ui.line(Stream::Out, format_args!("{from}; floor {floor}; {count} events, {lost} lost"))
}

/// Fails if a rate was missed, or anything lost.
pub(in crate::bench) fn verdict(runs: &[RateResult], ui: &Ui) -> Result<ExitCode> {
    let mut worst = ExitCode::SUCCESS;
    for run in runs {
        if let (false, Some(wanted)) = (run.met, run.wanted_per_s) {
            let (wanted, achieved) = (rate(wanted), rate(run.achieved_per_s));
            let name = &run.rate;
            let text = format!("median of its rounds {achieved} of {wanted}");
            ui.error(&anyhow!("FAIL: rate {name} was missed in at least one round; {text}"));
            worst = ExitCode::FAILURE;
        }
        worst = worse(worst, report::verdict(run.lost, ui)?);
    }
    Ok(worst)
}

/// What pictures and logs tell: a series for each rate.
pub(in crate::bench) fn series_of(courses: &Courses) -> Vec<Series> {
    let series =
        |course: &Course| Series::of_intervals(course.rate.label(), course.intervals.clone());
    courses.all.iter().map(series).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ephapse_plot::{Interval, Times};
    use std::time::Duration;

    /// A course of one round, of a thousand times from 1 to 1000 µs.
    fn course(rate: &str, achieved_per_s: f64, lost: u64) -> Course {
        let mut times = Times::new();
        (1..=1000).for_each(|us| times.record_ns(f64::from(us) * 1e3));
        let (start, length) = (Duration::ZERO, Duration::from_secs(1));
        let series = Series::of_intervals(rate, vec![Interval { start, length, times }]);
        let intervals = series.intervals.clone();
        let round = Round { achieved_per_s, sender_late_ns: 1234.5, lost, series };
        Course { rate: rate.parse().unwrap(), rounds: vec![round], intervals }
    }

    fn row(rate: &str, achieved_per_s: f64, lost: u64) -> (Vec<String>, bool) {
        let goal = Goal {
            rates: Vec::new(),
            duration: Duration::from_secs(1),
            rounds: 1,
            tolerance: 0.01,
            delay: Duration::ZERO,
        };
        let result = RateResult::of(&course(rate, achieved_per_s, lost), &goal).unwrap();
        (rate_row(&result.label(), &result), result.met)
    }

    #[test]
    fn rows_are_as_they_were() {
        let times = ["500 µs", "900 µs", "990 µs", "999 µs", "1.00 ms", "1.00 ms"];
        for (rate, achieved, lost, first, verdict, met) in [
            ("1k", 995.4, 0, ["1k/s", "995 /s"], "ok", true),
            ("1k", 989.0, 0, ["1k/s", "989 /s"], "FAIL: rate missed", false),
            ("1k", 1000.0, 3, ["1k/s", "1.00 k/s"], "FAIL: 3 lost", true),
            ("max", 2.5e6, 0, ["max", "2.50 M/s"], "ok", true),
        ] {
            let expected: Vec<&str> = [&first[..], &times, &[verdict]].concat();
            assert_eq!(
                row(rate, achieved, lost),
                (expected.iter().map(|s| (*s).to_owned()).collect(), met)
            );
        }
    }
}
