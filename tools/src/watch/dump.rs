//! `ephapse dump`: all that can be known of a domain, as one document.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use ephapse::limits;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::utsname::uname;
use procfs::{Current, Meminfo};
use serde::Serialize;

use super::WhereArgs;
use super::asking::{self, Listing};
use super::model::Model;
use super::report::{Report, time};
use super::sight::Sight;
use crate::cli::duration;
use crate::ui::{Stream, Ui, with_causes};

/// Arguments of `dump`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything at one moment, for a report or to compare with later: the counters of all hubs, rates over
an interval, what the supervisor has counted and its last troubles, what it lists if it answers in
time, versions, machine and limits. To ask the supervisor is to join for a moment.

Examples:
  ephapse dump > before.json
  ephapse dump --no-ask --interval 0s | jq '.hubs[] | {name, missed: .counters.missed}'
  ephapse dump -o state.json --timeout 500ms")]
pub(crate) struct DumpArgs {
    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// How long the supervisor may take to answer.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    timeout: Duration,

    /// Do not ask the supervisor: only look.
    #[arg(long)]
    no_ask: bool,

    /// How long to watch for rates; 0s for totals only.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    interval: Duration,

    /// What is printed is JSON anyway.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: WhereArgs,
}

/// The document. Its names are an interface.
#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    taken: String,
    domain: &'a Path,
    machine: Machine,
    limits: Limits,
    /// Why there is nothing to see of a supervisor.
    supervisor_error: Option<String>,
    #[serde(flatten)]
    report: Report<'a>,
    traffic: &'a Model,
    /// Nothing if it was not asked for.
    listing: Option<Answer>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Listing(Listing),
    Error { error: String },
}

#[derive(Serialize)]
struct Machine {
    kernel: String,
    architecture: String,
    cores: usize,
    memory_bytes: Option<u64>,
    available_bytes: Option<u64>,
}

/// Of this process, and of the library.
#[derive(Serialize)]
struct Limits {
    descriptors: Option<u64>,
    descriptors_at_most: Option<u64>,
    hubs: usize,
    links_of_a_hub: usize,
    ring_bytes: usize,
    name_bytes: usize,
}

/// Prints the document.
pub(crate) fn run(args: DumpArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = args.place.domain();
    // Before anybody is asked: who asks joins, and would be seen.
    let sights = Sight::pair(&domain, args.interval);
    let sight = &sights.now;
    let asked = !args.no_ask && sight.supervisor.is_ok();
    let listing = asked.then(|| match asking::ask(&domain, "dump", args.timeout) {
        Ok(listing) => Answer::Listing(listing),
        Err(error) => Answer::Error { error: with_causes(&error) },
    });
    let document = Document {
        version: env!("CARGO_PKG_VERSION"),
        taken: time(SystemTime::now()),
        domain: domain.path(),
        machine: Machine::this()?,
        limits: Limits::here(),
        supervisor_error: sight.supervisor.as_ref().err().map(ToString::to_string),
        report: Report::of(sight),
        traffic: &sights.model(),
        listing,
    };
    let to_terminal = args.output.is_none() && ui.is_terminal(Stream::Out);
    let text = if to_terminal {
        serde_json::to_string_pretty(&document)
    } else {
        serde_json::to_string(&document)
    };
    let text = text.context("cannot write the state as JSON")?;
    ui.put(args.output.as_deref(), &text)?;
    Ok(ExitCode::SUCCESS)
}

impl Machine {
    fn this() -> Result<Machine> {
        let names = uname().context("cannot tell which kernel runs")?;
        let memory = Meminfo::current().ok();
        Ok(Machine {
            kernel: names.release().to_string_lossy().into_owned(),
            architecture: names.machine().to_string_lossy().into_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.as_ref().map(|memory| memory.mem_total),
            available_bytes: memory.as_ref().and_then(|memory| memory.mem_available),
        })
    }
}

impl Limits {
    fn here() -> Limits {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).ok();
        Limits {
            descriptors: descriptors.map(|(now, _)| now),
            descriptors_at_most: descriptors.map(|(_, most)| most),
            hubs: limits::HUBS_MAX,
            links_of_a_hub: limits::LINKS_PER_HUB_MAX,
            ring_bytes: limits::RING_CAPACITY_MAX,
            name_bytes: limits::NAME_MAX,
        }
    }
}
