//! `ephapse demo`: the runtime at work on something real.
//!
//! ```text
//!              samples or lines           decisions or lines
//!    sensor ───────────────────▶ planner ─────────────────────▶ actuator
//!                                   ◀───── acknowledgements ─────┘
//!       ┊                           ┊                            ┊
//!       └┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ notes, published ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┘┄▶ logger
//! ```
//!
//! Four processes and a supervisor, in a domain of their own that vanishes with the run. The
//! parent starts them, listens to their reports, and compares the books of both ends of each link,
//! and those of the logger. With `--kill` the supervisor and a guest do not live as long.

mod actuator;
mod averages;
mod beside;
mod conductor;
mod counted;
mod events;
mod files;
mod guest;
mod kills;
mod logger;
mod planner;
mod report;
mod sampler;
mod sensor;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Result;
use ephapse::{Domain, Error, Hub, LinkOptions, Timestamp, Wait};

use crate::cli::duration;
use crate::ui::Ui;

const SENSOR: &str = "sensor";
const PLANNER: &str = "planner";
const ACTUATOR: &str = "actuator";
const LOGGER: &str = "logger";
const GUEST: &str = "guest";

/// How long the processes may take to find one another.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Nobody who lives is overtaken, however crowded the machine is.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the planner and the actuator say how far they are.
const LIVE_EVERY: Duration = Duration::from_millis(100);

/// Looking at the clock for every event would be measurable.
const LIVE_STRIDE: u64 = 256;

/// One for each of the three that are linked, and one for whatever else goes on.
const CORES_TO_SPIN: usize = 4;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ephapse demo                                     sample this host for five seconds
  ephapse demo --duration 1m
  ephapse demo --kill                              while others are killed
  ephapse demo --json | jq '.links[].one_way_ns'
  ephapse demo --input access.log --output copy    pass a file's lines through
  journalctl -f | ephapse demo --input - | grep -i error")]
pub(crate) struct DemoArgs {
    /// How long to sample this host, such as `200ms`, `5s`, `2m`; without meaning for --input,
    /// which is passed through to its end.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    duration: Duration,

    /// Pass the lines of this file through instead; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Write what arrives to this file, which is replaced when all has arrived; `-` is standard
    /// output. The summary then goes to standard error.
    #[arg(long, value_name = "FILE", requires = "input", default_value = "-")]
    output: PathBuf,

    /// Again and again kill the supervisor, and a bystander that follows everything; nothing may
    /// be lost, repeated or out of order among the others.
    #[arg(long, conflicts_with = "input")]
    kill: bool,

    /// Print the summary as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Arguments of one process of the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// Which one.
    #[arg(value_enum)]
    role: Role,

    /// The domain's directory.
    #[arg(long)]
    dir: PathBuf,

    /// Sample for so long; without it, pass lines through.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,

    /// The output is the command's standard output.
    #[arg(long)]
    to_stdout: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Role {
    Sensor,
    Planner,
    Actuator,
    Logger,
    Guest,
}

/// Runs the demo.
pub(crate) fn run(args: DemoArgs, ui: &Ui) -> Result<ExitCode> {
    conductor::run(args, ui)
}

/// Runs one of its processes; how that ended is for the parent to print.
pub(crate) fn role(args: RoleArgs) -> Result<ExitCode> {
    let outcome = match args.role {
        Role::Sensor => sensor::run(&args),
        Role::Planner => planner::run(&args),
        Role::Actuator => actuator::run(&args),
        Role::Logger => logger::run(&args),
        Role::Guest => guest::run(&args),
    };
    report::conclude(&outcome)?;
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn join(name: &str, args: &RoleArgs) -> Result<Hub, Error> {
    // The first age that is asked for measures the host's counter for 10 ms: not while events wait.
    let _ = Timestamp::now().age_ns();
    let builder = Hub::builder(name).domain(Domain::at(&args.dir)).wait(wait());
    builder.patience(PATIENCE).connect()
}

/// One that spins before it sleeps is the quickest to see an event, as long as it has a core to
/// itself. With three on two busy cores it spins on the very core that the next one needs: the
/// median one-way time was then 80 to 300 µs, against 6 to 24 µs when all sleep at once.
fn wait() -> Wait {
    match available_parallelism() {
        Ok(cores) if cores.get() >= CORES_TO_SPIN => Wait::default(),
        _ => Wait::Block,
    }
}

/// Room for some 16 000 samples, or for a few of the largest pieces of a line; acknowledgements
/// need little.
fn link_options() -> LinkOptions {
    LinkOptions::default().send_capacity(1 << 20).receive_capacity(1 << 16)
}
