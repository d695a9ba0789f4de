//! `ephapse bench sweep`: every size with every rate and every number of hubs.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use ephapse_plot::{Axis, Line, Panel, Picture, Scale, Series, Table as PageTable, Unit};
use serde::Serialize;

use super::args::WaitMode;
use super::conditions::Conditions;
use super::halt::Stop;
use super::load::{Courses, LoadPlan, RateResult, print_rates, rate_row, verdict};
use super::output::{Story, worse};
use super::session::Session;
use crate::ui::{Stream, Ui};

/// What is swept over, beside the rates.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SweepArgs {
    /// Payload bytes, one point for each.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "8,64,1024,16384", value_parser = clap::value_parser!(u32).range(8..=1 << 20))]
    sizes: Vec<u32>,

    /// Hubs in the domain, one point for each; more than two with --path broadcast or auto.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "2", value_parser = clap::value_parser!(u32).range(2..=1000))]
    domain_hubs: Vec<u32>,
}

#[derive(Serialize)]
struct Sweep {
    bench: &'static str,
    wait: WaitMode,
    links: u32,
    lost: u64,
    /// Whether all rates were kept.
    met: bool,
    /// By hubs, then size, then rate.
    points: Vec<Point>,
    #[serde(flatten)]
    conditions: Conditions,
}

#[derive(Clone, Serialize)]
struct Point {
    domain_hubs: u32,
    size: u32,
    #[serde(flatten)]
    result: RateResult,
}

/// What has been measured so far.
#[derive(Default)]
struct Course {
    points: Vec<Point>,
    series: Vec<Series>,
    floor_ns: Option<f64>,
    detours: u64,
    interrupted: bool,
}

/// Measures, and prints what came out.
pub(super) fn run(plan: &LoadPlan, args: &SweepArgs, ui: &Ui) -> Result<ExitCode> {
    let names = |(hubs, size): (u32, u32)| {
        plan.goal.rates.iter().map(move |rate| point_name(args, hubs, size, &rate.label()))
    };
    let names: Vec<String> = args.places().flat_map(names).collect();
    let files = plan.files.open(&names)?;
    let start = SystemTime::now();
    let mut course = Course::default();
    let ended = course.measure(plan, args, ui);
    // What was complete before an interruption is still worth telling.
    if !course.interrupted || course.points.is_empty() {
        ended?;
    }
    let runs: Vec<RateResult> = course.points.iter().map(|point| point.result.clone()).collect();
    let mut conditions = Conditions::of(&plan.setup, course.interrupted);
    conditions.placement.floor_ns = course.floor_ns;
    conditions.detours = course.detours;
    let result = Sweep {
        bench: "sweep",
        wait: plan.setup.wait,
        links: plan.setup.links,
        lost: runs.iter().map(|run| run.lost).sum(),
        met: runs.iter().all(|run| run.met),
        points: course.points,
        conditions,
    };
    let rows = || {
        let row = |point: &Point| rate_row(&point.name(args), &point.result);
        result.points.iter().map(row).collect::<Vec<_>>()
    };
    let checked = plan.output.tell(&result, ui, || {
        let text = result.conditions.text(result.wait, plan.setup.size, result.links);
        // The size is that of the points.
        let text = text.replacen(&format!("{}-byte ", plan.setup.size), "", 1);
        ui.line(Stream::Out, text)?;
        print_rates("hubs, size, rate", rows().into_iter(), ui)
    })?;
    let head =
        ["hubs, size, rate", "achieved", "p50", "p90", "p99", "p99.9", "p99.99", "max", "verdict"];
    files.write(&Story {
        title: format!("Latency by size and rate, {}", plan.setup.path.name()),
        series: course.series,
        picture: Some(picture(plan, args, &result.points)),
        table: PageTable { head: head.map(str::to_owned).to_vec(), rows: rows() },
        facts: result.conditions.facts(),
        start,
    })?;
    Ok(worse(verdict(&runs, ui)?, checked))
}

impl SweepArgs {
    /// The largest of everything: what must be possible.
    pub(super) fn largest(&self) -> (u32, u32) {
        let largest = |list: &[u32]| list.iter().copied().max().unwrap_or(0);
        (largest(&self.domain_hubs), largest(&self.sizes))
    }

    fn places(&self) -> impl Iterator<Item = (u32, u32)> {
        self.domain_hubs.iter().flat_map(|hubs| self.sizes.iter().map(move |size| (*hubs, *size)))
    }
}

fn point_name(args: &SweepArgs, hubs: u32, size: u32, rate: &str) -> String {
    match args.domain_hubs.len() {
        1 => format!("{size} B, {rate}"),
        _ => format!("{hubs} hubs, {size} B, {rate}"),
    }
}

impl Point {
    fn name(&self, args: &SweepArgs) -> String {
        point_name(args, self.domain_hubs, self.size, &self.result.label())
    }
}

impl Course {
    fn measure(&mut self, plan: &LoadPlan, args: &SweepArgs, ui: &Ui) -> Result<()> {
        let mut progress = ui.progress();
        for (hubs, size) in args.places() {
            let mut setup = plan.setup;
            (setup.hubs, setup.size) = (hubs, size as usize);
            let mut session = Session::open(&setup, ui)?;
            let mut courses = Courses::new(&plan.goal);
            let ended = courses.measure(&mut session, &plan.goal, &mut progress);
            self.interrupted |= session.stopped() == Some(Stop::Interrupted);
            self.detours += session.detours();
            session.close()?;
            ended?;
            self.floor_ns = courses.floor_ns;
            for course in &courses.all {
                let result = RateResult::of(course, &plan.goal)?;
                let point = Point { domain_hubs: hubs, size, result };
                let mut series = Series::of_intervals(point.name(args), course.intervals.clone());
                // Each place has a beginning of its own.
                series.intervals.clear();
                self.series.push(series);
                self.points.push(point);
            }
        }
        Ok(())
    }
}

/// A line for each rate (and number of hubs) over the sizes; or, of one size, over the hubs.
fn picture(plan: &LoadPlan, args: &SweepArgs, points: &[Point]) -> Picture {
    let by_size = args.sizes.len() > 1 || args.domain_hubs.len() == 1;
    let others = if by_size { &args.domain_hubs } else { &args.sizes };
    let (mut legend, mut lines) = (Vec::new(), [Vec::new(), Vec::new()]);
    for other in others {
        for rate in &plan.goal.rates {
            let name = rate.label();
            legend.push(match (others.len(), by_size) {
                (1, _) => name,
                (_, true) => format!("{other} hubs, {name}"),
                (_, false) => format!("{other} B, {name}"),
            });
            let of_line = |point: &&Point| {
                let side = if by_size { point.domain_hubs } else { point.size };
                side == *other && point.result.rate == rate.name
            };
            let along =
                |point: &Point| f64::from(if by_size { point.size } else { point.domain_hubs });
            let parts =
                [|one: &RateResult| one.latency_ns.p50, |one: &RateResult| one.latency_ns.p99];
            for (lines, part) in lines.iter_mut().zip(parts) {
                let found = points.iter().filter(of_line);
                let mut path: Vec<_> = found.map(|one| (along(one), part(&one.result))).collect();
                path.sort_by(|one, other| one.0.total_cmp(&other.0));
                lines.push(Line { series: legend.len() - 1, marks: path.clone(), path });
            }
        }
    }
    let x = match by_size {
        true => Axis { label: "payload (log scale)", scale: Scale::Log, unit: Unit::Bytes },
        false => Axis { label: "hubs (log scale)", scale: Scale::Log, unit: Unit::Plain },
    };
    let y = Axis { label: "latency (log scale)", scale: Scale::Log, unit: Unit::Nanoseconds };
    let titles = ["Median", "99th percentile"].map(str::to_owned);
    let panel = |(title, lines)| Panel { title, x, y, lines };
    let panels = titles.into_iter().zip(lines).map(panel).collect();
    let over = if by_size { "size" } else { "number of hubs" };
    let title = format!("Latency by {over}, {}", plan.setup.path.name());
    Picture { title, note: String::new(), legend, panels }
}
