//! Ephapse beside others: all of them measured in turn, on the same two processors, between two
//! processes, with every byte verified.
//!
//! In reading order: `message` (what is sent), `page` and `floor`, `peer` (what a system must be
//! able to do), `peers` (the systems), `serve` (what a side does), `orders`, `janitor` and `pair`
//! (the processes), `measure` and `check`, `result`, `report`.
//!
//! The exit code is 0 when all is well, 1 when something failed, 2 for wrong use.

#![deny(unsafe_code)]

mod args;
mod check;
mod clock;
mod floor;
mod host;
mod interrupt;
mod janitor;
mod measure;
mod message;
mod orders;
mod page;
mod pair;
mod peer;
mod peers;
mod report;
mod result;
mod serve;

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use args::{Cli, Command, RunArgs, ServeArgs};
use result::Results;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Check(args) => args.plan().and_then(|plan| check::run(&plan, args.trips)),
        Command::List => list(),
        Command::Render { results } => render(&results),
        Command::Serve(args) => serve(&args),
        Command::Janitor { dir } => janitor::run(&dir),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever read the output has enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::BrokenPipe)
}

fn run(args: &RunArgs) -> Result<()> {
    let words = std::iter::once("peers".to_owned()).chain(std::env::args().skip(1));
    let command = words.collect::<Vec<_>>().join(" ");
    let results = args.plan()?.run(command)?;
    ensure!(!results.visits.is_empty(), "nothing was measured: {}", report::reasons(&results));
    let date = results.date.split('T').next().unwrap_or_default();
    let dir = args.out.join(format!("{date}-{}", results.machine.slug()));
    report::write(&results, &dir)?;
    if let Some(file) = &args.json {
        let text = serde_json::to_vec_pretty(&results).context("cannot write results")?;
        fs::write(file, text).with_context(|| format!("cannot write {file:?}"))?;
    }
    let text = report::markdown(&results)?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    measure::note(&format!("page, plots and results are in {}", dir.display()));
    let wrong: u64 =
        results.visits.iter().flat_map(|visit| &visit.cells).map(|cell| cell.wrong).sum();
    ensure!(wrong == 0, "{wrong} messages were damaged or came twice");
    Ok(())
}

fn render(file: &std::path::Path) -> Result<()> {
    let text = fs::read(file).with_context(|| format!("cannot read {file:?}"))?;
    let results: Results = serde_json::from_slice(&text)
        .with_context(|| format!("{file:?} does not hold results of a run"))?;
    let dir = file.parent().context("a file without a folder")?;
    report::write(&results, dir)?;
    measure::note(&format!("page and plots are in {}", dir.display()));
    Ok(())
}

fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for system in peers::all() {
        let version = (system.version)().unwrap_or_else(|error| format!("not here: {error:#}"));
        let waits: Vec<&str> = system.modes.iter().map(|mode| mode.wait.name()).collect();
        writeln!(out, "{:<18} {version}; {}", system.name, waits.join(", "))?;
        writeln!(out, "{:<18} {}", "", system.about)?;
    }
    Ok(())
}

fn serve(args: &ServeArgs) -> Result<()> {
    pair::die_with_parent(args.parent)?;
    let system = args.system()?;
    let duty = |side| serve::Duty {
        setup: peer::Setup { dir: args.dir.clone(), side, wait: args.wait, longest: args.longest },
        cpu: args.cpus[usize::from(side == peer::Side::B)],
        helpers: args.helpers.clone(),
        damaged: args.damaged,
    };
    pair::serve(&system, args.role, duty, &args.dir)
}
