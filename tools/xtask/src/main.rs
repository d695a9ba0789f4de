//! The project's chores. `cargo xtask test` sets up what is missing and runs all checks.
//!
//! In reading order: `steps` (the table of checks), `command` (one line of a check, and what is
//! expected of it), `setup` (what a machine may lack), `fuzz`, `run`; `install`.
//!
//! The exit code is 0 when all is well, 1 when a check failed, 2 for wrong use.

mod command;
mod fuzz;
mod install;
mod place;
mod run;
mod setup;
mod steps;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Set up what is missing and run all checks, or some of them.
    Test {
        /// Only these steps, in the order of the table.
        #[arg(long, value_name = "STEP[,STEP]", value_delimiter = ',', value_parser = PossibleValuesParser::new(steps::names()))]
        only: Vec<String>,
        /// Show the steps and run none.
        #[arg(long)]
        list: bool,
    },
    /// Run one fuzz target, or all in turn.
    Fuzz {
        /// The target's name; all if left out.
        #[arg(value_parser = fuzz::known)]
        target: Option<String>,
        /// How long for each.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        seconds: u32,
    },
    /// Build the command and the C library, and install them with manual pages, completions and
    /// header, or remove what was installed.
    Install {
        /// The folder below which `bin`, `include`, `lib` and `share` are.
        #[arg(long, value_name = "FOLDER")]
        prefix: PathBuf,
        /// Remove instead.
        #[arg(long)]
        remove: bool,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test { list: true, .. } => list(),
        Task::Test { only, .. } => run::steps(&steps::chosen(&only)),
        Task::Install { prefix, remove: false } => install::install(&prefix),
        Task::Install { prefix, remove: true } => install::remove(&prefix),
        Task::Fuzz { target, seconds } => run::fuzzing(target.as_deref(), seconds),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for step in steps::STEPS {
        writeln!(out, "{:<8} {}", step.name, step.about)?;
    }
    Ok(())
}
