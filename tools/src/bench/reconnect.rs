//! `ephapse bench reconnect`: a supervisor is killed and another one started, again and again.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::value_parser;
use ephapse::{Domain, Hub};
use serde::Serialize;

use super::Role;
use super::company::{Circumstances, Company, Done, Outcome, verdict, wait_until};
use super::crowd::Gather;
use super::output::{ResultArgs, worse};
use super::times::Spread;
use crate::ui::format::nanoseconds;
use crate::ui::{Stream, Ui};

/// Arguments of `bench reconnect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The supervisor is killed (SIGKILL) and started again at once; the time is from before the new
process is started until a hub that joins it sees all others.

Examples:
  ephapse bench reconnect
  ephapse bench reconnect --hubs 500 --count 10 --json | jq .ns.p50")]
pub(crate) struct ReconnectArgs {
    /// Hubs that come back, all of one process.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=2000))]
    hubs: u32,

    /// How many times.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u32).range(1..=10_000))]
    count: u32,

    #[command(flatten)]
    output: ResultArgs,
}

#[derive(Serialize)]
struct Reconnect {
    bench: &'static str,
    hubs: u32,
    count: usize,
    /// Hubs that did not come back.
    lost: u64,
    ns: Spread,
    #[serde(flatten)]
    circumstances: Circumstances,
}

/// Measures, and prints what came out.
pub(super) fn run(args: &ReconnectArgs, ui: &Ui) -> Result<ExitCode> {
    let mut company = Company::open(Role::Crowd, ui)?;
    let mut times = Vec::new();
    let ended = measure(&mut company, args, &mut times, ui);
    let interrupted = company.close(ended, !times.is_empty())?;
    // Whoever does not come back is waited for in vain, which is an error.
    let outcome = Outcome { interrupted, lost: 0 };
    let result = Reconnect {
        bench: "reconnect",
        hubs: args.hubs,
        count: times.len(),
        lost: outcome.lost,
        ns: Spread::of(&times),
        circumstances: Circumstances::of(&outcome),
    };
    let checked = args.output.tell(&result, ui, || print(&result, ui))?;
    Ok(worse(verdict(outcome.lost, ui)?, checked))
}

fn print(result: &Reconnect, ui: &Ui) -> Result<()> {
    let [p50, p99, max] = [result.ns.p50, result.ns.p99, result.ns.max].map(nanoseconds);
    let (hubs, count) = (result.hubs, result.count);
    let p50 = ui.strong(Stream::Out, &p50);
    ui.line(
        Stream::Out,
        format_args!(
            "{hubs} hubs are known to a new supervisor {p50} after its start (median of {count}; \
             p99 {p99}, max {max})\n{}",
            result.circumstances.text()
        ),
    )
}

fn measure(
    company: &mut Company,
    args: &ReconnectArgs,
    times: &mut Vec<u64>,
    ui: &Ui,
) -> Result<()> {
    let mut progress = ui.progress();
    progress.set("waiting for the hubs");
    let Done = company.ask(&Gather { hubs: args.hubs })?;
    for round in 1..=args.count {
        company.halt.check()?;
        company.stage.kill_supervisor()?;
        let start = Instant::now();
        company.stage.restart_supervisor()?;
        let back = until_back(company, args.hubs);
        let took = start.elapsed();
        // Before that it cannot be ended in order.
        company.stage.await_supervisor()?;
        back?;
        times.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        tracing::debug!(round, "complete");
        progress.set(format_args!("{round} of {}", args.count));
    }
    Ok(())
}

/// Waits until the new supervisor knows all hubs.
fn until_back(company: &Company, hubs: u32) -> Result<()> {
    let observer = observe(company)?;
    wait_until("all hubs are back", &company.halt, || {
        // The observer is one of them.
        Ok(observer.hubs()?.len() > hubs as usize)
    })
}

/// Joins as soon as there is a supervisor.
fn observe(company: &Company) -> Result<Hub> {
    let mut observer = None;
    wait_until("a supervisor listens", &company.halt, || {
        let hub = Hub::builder("observer").domain(Domain::at(company.stage.path()));
        observer = hub.connect().ok();
        Ok(observer.is_some())
    })?;
    observer.ok_or_else(|| anyhow::anyhow!("nobody has joined"))
}
