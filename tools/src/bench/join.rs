//! `ephapse bench join`: what it takes to become part of a domain with many hubs.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::value_parser;
use ephapse::{Domain, Hub};
use serde::Serialize;

use super::Role;
use super::company::{Circumstances, Company, Done, Outcome};
use super::crowd::{self, Gather};
use super::output::ResultArgs;
use super::times::Spread;
use crate::ui::format::nanoseconds;
use crate::ui::{Stream, Table, Ui};

/// Arguments of `bench join`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Again and again a hub joins, asks for the list of all hubs, opens a link with one of them, and
leaves.

Examples:
  ephapse bench join
  ephapse bench join --hubs 1000 --json | jq .link_ns.p99")]
pub(crate) struct JoinArgs {
    /// Hubs that are there already, all of another process.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=2000))]
    hubs: u32,

    /// How many times.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u32).range(1..=100_000))]
    count: u32,

    #[command(flatten)]
    output: ResultArgs,
}

#[derive(Serialize)]
struct Join {
    bench: &'static str,
    hubs: u32,
    count: usize,
    connect_ns: Spread,
    discover_ns: Spread,
    link_ns: Spread,
    #[serde(flatten)]
    circumstances: Circumstances,
}

/// One list for each of the three steps.
#[derive(Default)]
struct Times([Vec<u64>; 3]);

const STEPS: [&str; 3] = ["connect", "discover", "link"];

/// Measures, and prints what came out.
pub(super) fn run(args: &JoinArgs, ui: &Ui) -> Result<ExitCode> {
    let company = Company::open(Role::Crowd, ui)?;
    let mut times = Times::default();
    let ended = measure(&company, args, &mut times, ui);
    let count = times.0[2].len();
    let interrupted = company.close(ended, count > 0)?;
    // Of a round that was interrupted nothing counts.
    let [connect_ns, discover_ns, link_ns] = times.0.map(|times| Spread::of(&times[..count]));
    let result = Join {
        bench: "join",
        hubs: args.hubs,
        count,
        connect_ns,
        discover_ns,
        link_ns,
        circumstances: Circumstances::of(&Outcome { interrupted, lost: 0 }),
    };
    args.output.tell(&result, ui, || print(&result, ui))
}

fn print(result: &Join, ui: &Ui) -> Result<()> {
    let mut table = Table::new(["step", "p50", "p99", "max"], 1);
    let steps = [result.connect_ns, result.discover_ns, result.link_ns];
    for (step, ns) in STEPS.into_iter().zip(steps) {
        let times = [ns.p50, ns.p99, ns.max].map(nanoseconds);
        table.row([step.to_owned()].into_iter().chain(times));
    }
    let (count, hubs, text) = (result.count, result.hubs, result.circumstances.text());
    ui.line(Stream::Out, format_args!("{count} times, with {hubs} hubs present, {text}"))?;
    ui.table(Stream::Out, table)
}

fn measure(company: &Company, args: &JoinArgs, times: &mut Times, ui: &Ui) -> Result<()> {
    let mut progress = ui.progress();
    progress.set("waiting for the hubs");
    let Done = company.ask(&Gather { hubs: args.hubs })?;
    // The first hub of a process starts its control thread.
    round(company, args, 0)?;
    for number in 1..=args.count {
        company.halt.check()?;
        let steps = round(company, args, number)?;
        times.0.iter_mut().zip(steps).for_each(|(times, ns)| times.push(ns));
        progress.set(format_args!("{number} of {}", args.count));
    }
    Ok(())
}

/// Nanoseconds of each step.
fn round(company: &Company, args: &JoinArgs, number: u32) -> Result<[u64; 3]> {
    let domain = Domain::at(company.stage.path());
    let mut lap = Instant::now();
    let mut took = || {
        let ns = u64::try_from(lap.elapsed().as_nanos()).unwrap_or(u64::MAX);
        lap = Instant::now();
        ns
    };
    // Each with a name of its own: that of the last one may not be free yet.
    let mut hub = Hub::builder(&format!("joiner-{number}")).domain(domain).connect()?;
    let connect = took();
    let present = hub.hubs()?.len();
    let discover = took();
    let to = crowd::name(number % args.hubs);
    let link = hub.link_to(&to).with_context(|| format!("cannot link to \"{to}\""))?;
    let linked = took();
    drop(link);
    ensure!(present > args.hubs as usize, "only {present} hubs, not {}", args.hubs + 1);
    Ok([connect, discover, linked])
}
