//! `ephapse up`: a supervisor in the foreground.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::builder::{OsStringValueParser, TypedValueParser};
use ephapse::{Domain, Hub, HubBuilder, Supervisor};
use serde::Serialize;

use crate::signals;
use crate::ui::Ui;

/// As `--dir`.
pub(crate) const DIR_VARIABLE: &str = "EPHAPSE_DIR";

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ephapse up                        in the usual place
  ephapse up --dir /run/plant       in a domain of its own
  ephapse up --json                 says on standard output when it is ready")]
pub(crate) struct UpArgs {
    /// The domain's directory; made if it does not exist [default: see `ephapse --help`].
    #[arg(long, value_name = "DIR", env = DIR_VARIABLE, hide_env_values = true)]
    #[arg(value_parser = directory())]
    dir: Option<PathBuf>,

    /// Print one line of JSON on standard output when ready.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Ready<'a> {
    listening: &'a Path,
    pid: u32,
}

/// Runs until SIGINT or SIGTERM. As a part of another process's run until SIGTERM, and then takes
/// the run's directory with it.
pub(crate) fn run(args: UpArgs, is_child: bool, ui: &Ui) -> Result<()> {
    raise_descriptor_limit();
    let domain = domain(args.dir);
    let supervisor = Supervisor::bind(domain)?;
    let directory = supervisor.domain().path().to_owned();
    let stopper = supervisor.stopper();
    let stop = move || stopper.stop();
    let watched = if is_child { signals::watch_parent(stop) } else { signals::watch_and(stop) };
    watched.context("cannot watch for signals")?;
    let pid = std::process::id();
    if args.json {
        ui.json(&Ready { listening: &directory, pid })?;
    }
    if !is_child {
        ui.note(format_args!("ephapse: supervisor {pid} listens in {}", directory.display()));
    }
    let ended = supervisor.run();
    if is_child {
        // Made for this run alone. Its parent would remove it too, unless it was killed.
        let _ = fs::remove_dir_all(&directory);
    }
    ended.with_context(|| format!("the supervisor in {} has failed", directory.display()))
}

/// Each hub takes two descriptors; the usual limit would do for 500.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With the old limit there is room for fewer hubs, and they are told so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// The domain of `--dir`, else the usual one.
pub(crate) fn domain(dir: Option<PathBuf>) -> Domain {
    let dir = dir.filter(|dir| !dir.as_os_str().is_empty());
    dir.map_or_else(Domain::from_env, Domain::at)
}

/// A domain's directory as an argument. A variable that is empty counts as one that is not set.
pub(crate) fn directory() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Joins a domain as `builder` says otherwise.
pub(crate) fn join(builder: HubBuilder, domain: Domain) -> Result<Hub> {
    let path = domain.path().to_owned();
    builder
        .domain(domain)
        .connect()
        .with_context(|| format!("cannot join the domain {}", path.display()))
}
