//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use clap::{Args, Parser, Subcommand};

use crate::host::Machine;
use crate::measure::Plan;
use crate::message::SHORTEST;
use crate::pair::Role;
use crate::peer::{System, Wait};
use crate::peers;

/// The longest message.
const LONGEST: usize = 1 << 20;

const EXAMPLES: &str = "Examples:
  peers run                                   all systems, five rounds, about eight minutes
  peers run --only ephapse-link,iceoryx2 --rounds 1 --seconds 0.2
  peers check                                 does everything here work and deliver every byte?
  peers render benches/runs/NAME/results.json write table, plots and page again";

/// Ephapse beside others that move messages between the processes of one Linux host.
#[derive(Debug, Parser)]
#[command(name = "peers", arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure all, side by side, and write table, plots and page.
    Run(RunArgs),
    /// Make some round trips with each system, and verify every byte.
    Check(CheckArgs),
    /// Name the systems, their versions and settings.
    List,
    /// Write table, plots and page of results again, beside them.
    Render {
        /// A file that a run has written.
        results: PathBuf,
    },
    #[command(hide = true)]
    Serve(ServeArgs),
    #[command(hide = true)]
    Janitor { dir: PathBuf },
}

/// Which systems, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Only these.
    #[arg(long, value_name = "NAME[,NAME]", value_delimiter = ',')]
    only: Vec<String>,
    /// Bytes of the messages, multiples of 8.
    #[arg(long, value_name = "BYTES[,BYTES]", value_delimiter = ',', default_values_t = [64, 1024, 4096, 65536], value_parser = size)]
    sizes: Vec<usize>,
    /// Processors of the two sides [default: the first two].
    #[arg(long, value_name = "A,B", value_delimiter = ',', num_args = 2)]
    cpus: Vec<usize>,
    /// Why a system was left out of this program.
    #[arg(long, value_name = "NAME=REASON", hide = true, value_parser = reason)]
    not_built: Vec<(String, String)>,
    /// Damage the message with this number, to see that it is found.
    #[arg(long, value_name = "NUMBER", hide = true)]
    damaged: Option<u64>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    selection: Selection,
    /// How often all of it is measured, in turn.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How long each latency and each throughput is measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.35, value_parser = seconds)]
    seconds: f64,
    /// Write the results there too, for programs.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Where to make the folder of this run, named by date and machine.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../runs"))]
    pub(crate) out: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    selection: Selection,
    /// Round trips of each size.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) trips: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    #[arg(long)]
    pub(crate) role: Role,
    #[arg(long)]
    system: String,
    #[arg(long)]
    pub(crate) wait: Wait,
    #[arg(long)]
    pub(crate) longest: usize,
    #[arg(long, value_delimiter = ',')]
    pub(crate) cpus: Vec<usize>,
    #[arg(long, value_delimiter = ',')]
    pub(crate) helpers: Vec<usize>,
    #[arg(long)]
    pub(crate) parent: u32,
    #[arg(long)]
    pub(crate) dir: PathBuf,
    #[arg(long)]
    pub(crate) damaged: Option<u64>,
}

impl ServeArgs {
    /// Which.
    pub(crate) fn system(&self) -> Result<System> {
        let mut all = peers::all().into_iter();
        all.find(|system| system.name == self.system)
            .ok_or_else(|| anyhow!("no system {:?}", self.system))
    }
}

impl RunArgs {
    /// What these ask for.
    pub(crate) fn plan(&self) -> Result<Plan> {
        let time = Duration::from_secs_f64(self.seconds);
        self.selection.plan(usize::from(self.rounds), time)
    }
}

impl CheckArgs {
    /// What these ask for.
    pub(crate) fn plan(&self) -> Result<Plan> {
        self.selection.plan(1, Duration::ZERO)
    }
}

impl Selection {
    fn plan(&self, rounds: usize, time: Duration) -> Result<Plan> {
        let mut systems = peers::all();
        let names: Vec<&str> = systems.iter().map(|system| system.name).collect();
        for name in &self.only {
            if !names.contains(&name.as_str()) {
                bail!("no system {name:?}; there are {}", names.join(", "));
            }
        }
        systems.retain(|one| self.only.is_empty() || self.only.iter().any(|name| name == one.name));
        let chosen = match self.cpus[..] {
            [a, b] => Some([a, b]),
            _ => None,
        };
        let (machine, sizes) = (Machine::here(chosen)?, self.sizes.clone());
        let (not_built, damaged) = (self.not_built.clone(), self.damaged);
        Ok(Plan { systems, machine, rounds, sizes, time, not_built, damaged })
    }
}

fn size(text: &str) -> Result<usize> {
    let size: usize = text.parse()?;
    ensure!(
        (SHORTEST..=LONGEST).contains(&size) && size % 8 == 0,
        "a multiple of 8 between {SHORTEST} and {LONGEST} is needed"
    );
    Ok(size)
}

fn seconds(text: &str) -> Result<f64> {
    let seconds: f64 = text.parse()?;
    ensure!((0.01..=60.0).contains(&seconds), "between 0.01 and 60 are needed");
    Ok(seconds)
}

fn reason(text: &str) -> Result<(String, String)> {
    let (name, why) = text.split_once('=').ok_or_else(|| anyhow!("NAME=REASON is needed"))?;
    Ok((name.to_owned(), why.to_owned()))
}
