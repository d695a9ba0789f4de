//! What is told of a result: one JSON object, or a table and a line.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::args::{Plan, WaitMode};
use super::conditions::Conditions;
use super::times::{MiddleAndTail, Percentiles};
use crate::ui::format::{bytes, count, nanoseconds, rate};
use crate::ui::{Stream, Table, Ui};

/// The result of `bench latency`.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    bench: &'static str,
    wait: WaitMode,
    payload_bytes: usize,
    links: u32,
    /// Round trips, warm-ups not counted.
    pub(super) count: u64,
    /// Events that were missing, repeated or wrong.
    pub(super) lost: u64,
    /// Half of the round trips of all rounds together.
    pub(super) one_way_ns: Percentiles,
    /// All of them: HdrHistogram V2 of picoseconds, compressed, base64.
    pub(super) histogram: String,
    /// Half of the floor's, all together.
    pub(super) floor_ns: MiddleAndTail,
    /// Median of the rounds'.
    pub(super) ratio_p50: f64,
    /// Median of the rounds'.
    pub(super) ratio_p99: f64,
    /// One by one.
    pub(super) rounds: Vec<LatencyRound>,
    #[serde(flatten)]
    pub(super) conditions: Conditions,
}

impl Latency {
    /// Nothing measured yet.
    pub(super) fn of(plan: &Plan, interrupted: bool) -> Latency {
        Latency {
            bench: "latency",
            wait: plan.setup.wait,
            payload_bytes: plan.setup.size,
            links: plan.setup.links,
            count: 0,
            lost: 0,
            one_way_ns: Percentiles::default(),
            histogram: String::new(),
            floor_ns: MiddleAndTail::default(),
            ratio_p50: 0.0,
            ratio_p99: 0.0,
            rounds: Vec::new(),
            conditions: Conditions::of(&plan.setup, interrupted),
        }
    }

    /// What events these are.
    pub(super) fn what(&self) -> String {
        self.conditions.what(self.wait, self.payload_bytes, self.links)
    }
}

/// One round of `bench latency`.
#[derive(Debug, Serialize)]
pub(super) struct LatencyRound {
    /// Mean of the floors before and after.
    floor_ns: MiddleAndTail,
    one_way_ns: MiddleAndTail,
    pub(super) ratio_p50: f64,
    pub(super) ratio_p99: f64,
}

impl LatencyRound {
    /// From the floors around it, and itself.
    pub(super) fn new((floors, one_way): (&[MiddleAndTail], &MiddleAndTail)) -> LatencyRound {
        let mean = |part: fn(&MiddleAndTail) -> f64| {
            floors.iter().map(part).sum::<f64>() / floors.len() as f64
        };
        let floor_ns = MiddleAndTail { p50: mean(|floor| floor.p50), p99: mean(|floor| floor.p99) };
        LatencyRound {
            floor_ns,
            one_way_ns: *one_way,
            ratio_p50: ratio(one_way.p50 / floor_ns.p50),
            ratio_p99: ratio(one_way.p99 / floor_ns.p99),
        }
    }
}

/// The result of `bench throughput`.
#[derive(Debug, Serialize)]
pub(super) struct Throughput {
    bench: &'static str,
    wait: WaitMode,
    payload_bytes: usize,
    links: u32,
    batch: u32,
    /// Events, warm-ups not counted.
    pub(super) count: u64,
    /// Events that were missing, repeated or wrong.
    pub(super) lost: u64,
    /// Median of the rounds'.
    pub(super) messages_per_s: f64,
    /// Of payload.
    pub(super) bytes_per_s: f64,
    /// Median of its runs.
    pub(super) rtrb_messages_per_s: f64,
    /// Median of the rounds'.
    pub(super) ratio: f64,
    /// One by one.
    pub(super) rounds: Vec<ThroughputRound>,
    #[serde(flatten)]
    pub(super) conditions: Conditions,
}

impl Throughput {
    /// Nothing measured yet.
    pub(super) fn of(plan: &Plan, interrupted: bool) -> Throughput {
        Throughput {
            bench: "throughput",
            wait: plan.setup.wait,
            payload_bytes: plan.setup.size,
            links: plan.setup.links,
            batch: plan.batch,
            count: 0,
            lost: 0,
            messages_per_s: 0.0,
            bytes_per_s: 0.0,
            rtrb_messages_per_s: 0.0,
            ratio: 0.0,
            rounds: Vec::new(),
            conditions: Conditions::of(&plan.setup, interrupted),
        }
    }
}

/// One round of `bench throughput`.
#[derive(Debug, Serialize)]
pub(super) struct ThroughputRound {
    messages_per_s: f64,
    /// Mean of the runs before and after.
    rtrb_messages_per_s: f64,
    pub(super) ratio: f64,
}

impl ThroughputRound {
    /// From the rival's runs around it, and itself.
    pub(super) fn new((rivals, ours): (&[f64], &f64)) -> ThroughputRound {
        let rival = rivals.iter().sum::<f64>() / rivals.len() as f64;
        ThroughputRound {
            messages_per_s: ours.round(),
            rtrb_messages_per_s: rival.round(),
            ratio: ratio(ours / rival),
        }
    }
}

/// To three places.
pub(super) fn ratio(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Prints the result of `bench latency` for people.
pub(super) fn latency(result: &Latency, ui: &Ui) -> Result<()> {
    let floor = if result.wait == WaitMode::Block { "futex" } else { "floor" };
    let head = [
        "round",
        &format!("{floor} p50"),
        &format!("{floor} p99"),
        "event p50",
        "event p99",
        "ratio p50",
        "ratio p99",
    ];
    let mut table = Table::new(head, 1);
    for (index, round) in result.rounds.iter().enumerate() {
        table.row([
            (index + 1).to_string(),
            time(round.floor_ns.p50),
            time(round.floor_ns.p99),
            time(round.one_way_ns.p50),
            time(round.one_way_ns.p99),
            format!("{:.2}", round.ratio_p50),
            format!("{:.2}", round.ratio_p99),
        ]);
    }
    ui.line(Stream::Out, result.conditions.text(result.wait, result.payload_bytes, result.links))?;
    ui.table(Stream::Out, table)?;
    let all = &result.one_way_ns;
    ui.line(
        Stream::Out,
        format_args!(
            "one way: p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
            time(all.p50),
            time(all.p90),
            time(all.p99),
            time(all.p999),
            time(all.max)
        ),
    )?;
    let ratio = ui.strong(Stream::Out, &format!("{:.2}", result.ratio_p50));
    let (tail, trips) = (result.ratio_p99, count(result.count));
    ui.line(
        Stream::Out,
        format_args!(
            "{ratio} times the {floor} at p50, {tail:.2} at p99 (medians of rounds); {trips} round \
             trips, {} lost",
            result.lost
        ),
    )
}

/// Prints the result of `bench throughput` for people.
pub(super) fn throughput(result: &Throughput, ui: &Ui) -> Result<()> {
    let mut table = Table::new(["round", "events", "rtrb", "ratio"], 1);
    for (index, round) in result.rounds.iter().enumerate() {
        table.row([
            (index + 1).to_string(),
            rate(round.messages_per_s),
            rate(round.rtrb_messages_per_s),
            format!("{:.2}", round.ratio),
        ]);
    }
    let what = result.conditions.text(result.wait, result.payload_bytes, result.links);
    let together = match result.batch {
        1 => "one by one".to_owned(),
        batch => format!("{batch} at once"),
    };
    ui.line(Stream::Out, format_args!("{what}, {together}"))?;
    ui.table(Stream::Out, table)?;
    let ratio = ui.strong(Stream::Out, &format!("{:.2}", result.ratio));
    ui.line(
        Stream::Out,
        format_args!(
            "{} of payload/s; {ratio} times rtrb between two threads (median of rounds); {} \
             events, {} lost",
            bytes(result.bytes_per_s as u64),
            count(result.count),
            result.lost
        ),
    )
}

/// Fails if anything was lost.
pub(super) fn verdict(lost: u64, ui: &Ui) -> Result<ExitCode> {
    if lost == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    ui.error(&anyhow!("{lost} events were missing, repeated or wrong"));
    Ok(ExitCode::FAILURE)
}

/// With tenths of nanoseconds while those matter.
pub(super) fn time(ns: f64) -> String {
    if ns < 999.95 { format!("{ns:.1} ns") } else { nanoseconds(ns.round() as u64) }
}

/// The figures of a page: a row of percentiles for each name.
pub(super) fn percentile_table(
    rows: impl IntoIterator<Item = (String, Percentiles)>,
) -> ephapse_plot::Table {
    let head = ["", "min", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"];
    let row = |(name, all): (String, Percentiles)| {
        let times =
            [all.min, all.mean, all.p50, all.p90, all.p99, all.p999, all.p9999, all.max].map(time);
        [name].into_iter().chain(times).collect()
    };
    ephapse_plot::Table {
        head: head.map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(row).collect(),
    }
}
