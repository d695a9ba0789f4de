//! `ephapse bench`: how fast events travel here, beside the fastest that this machine can do.
//!
//! Two processes, each pinned to a processor of its own: this one (`ping`) and a child of it
//! (`echo`). What is measured alternates in short rounds with something that cannot be beaten or
//! is hard to beat, on the same two processors: for latency the *floor*, a bare ping-pong of a
//! cache line or a futex between the same two processes; for throughput the ring of the crate
//! `rtrb` between two threads. A virtual machine changes its speed within seconds, so only ratios
//! within one run mean anything.
//!
//! ```text
//!   floor │ measured │ floor │ measured │ floor …      ratio of a round: measured ÷ mean of the
//!     0        1         1        2         2          floors before and after it
//! ```
//!
//! Reading order: `args` and `setup` (what is asked for), `events` (what is sent), `floor`, `shared`,
//! `hub_side`, `bus_side`, `c_side` and `bare_side` (what can be measured), `rival`, `echo` (the child),
//! `session` (parent and child together), `latency`, `throughput`, `load` (at fixed rates), `sweep`,
//! `report`, `conditions`, `origin`, `topology` and `output` (what is told, and where). Without a
//! child: `intrinsic` (the machine alone) and `compare` (two results). The other benchmarks
//! (`fanout`, `failover`, `reconnect`, `join`) have a file each, with its part of the child, and
//! share `company` (parent and child together) and `crowd` (a child that is many hubs).

mod args;
mod bare_side;
mod bus_side;
mod c_side;
mod company;
mod compare;
mod conditions;
mod control;
mod crowd;
mod echo;
mod events;
mod failover;
mod fanout;
mod floor;
mod halt;
mod history;
mod host;
mod hub_side;
mod intrinsic;
mod join;
mod latency;
mod load;
mod modes;
mod origin;
mod output;
mod reconnect;
mod report;
mod rival;
mod session;
mod setup;
mod shared;
mod side;
mod sweep;
mod throughput;
mod times;
mod topology;
mod watchdog;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

pub(crate) use self::args::BenchArgs;
use self::args::Request;
use crate::ui::Ui;

/// Arguments of the child.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// What it does.
    #[arg(value_enum)]
    role: Role,

    /// The domain's directory.
    #[arg(long)]
    dir: PathBuf,
}

/// What a child does.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Role {
    Echo,
    Fanout,
    Failover,
    Crowd,
}

impl Role {
    /// As the child's argument.
    fn name(self) -> &'static str {
        match self {
            Role::Echo => "echo",
            Role::Fanout => "fanout",
            Role::Failover => "failover",
            Role::Crowd => "crowd",
        }
    }
}

/// Measures, and says what came out. Fails if an event was lost.
pub(crate) fn run(args: BenchArgs, ui: &Ui) -> Result<ExitCode> {
    let cpus = host::available_cpus()?;
    match args.into_request(&cpus) {
        Ok(Request::Latency(plan, extras)) => latency::run(&plan, &extras, ui),
        Ok(Request::Throughput(plan)) => throughput::run(&plan, ui),
        Ok(Request::Load(plan)) => load::run(&plan, ui),
        Ok(Request::Sweep(plan, args)) => sweep::run(&plan, &args, ui),
        Ok(Request::Intrinsic(args)) => intrinsic::run(&args, &cpus, ui),
        Ok(Request::Compare(args)) => compare::run(&args, ui),
        Ok(Request::Fanout(args)) => fanout::run(&args, &cpus, ui),
        Ok(Request::Failover(args)) => failover::run(&args, ui),
        Ok(Request::Reconnect(args)) => reconnect::run(&args, ui),
        Ok(Request::Join(args)) => join::run(&args, ui),
        Err(wrong_use) => {
            ui.error(&wrong_use);
            Ok(ExitCode::from(2))
        }
    }
}

/// The child: does what its parent orders, until the parent hangs up.
pub(crate) fn role(args: RoleArgs) -> Result<()> {
    match args.role {
        Role::Echo => echo::run(&args.dir),
        Role::Fanout => fanout::child(&args.dir),
        Role::Failover => failover::child(&args.dir),
        Role::Crowd => crowd::child(&args.dir),
    }
}
