//! The arguments of the command, and its help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{ArgAction, ColorChoice, FromArgMatches, Parser, Subcommand};

use crate::ui::{Color, Stream, Ui};
use crate::{bench, bus, capture, demo, listing, manual, meter, schema, stat, up, watch};

const EXAMPLES: &str = "\
Examples:
  ephapse up                                run a supervisor in the usual place
  ephapse hubs                              see who has joined
  ephapse sub 'robot.>'                     see what is published
  ephapse pub robot.pose '{\"x\": 1}'         publish something
  ephapse top                               watch hubs, links and subjects
  ephapse capture run.mcap 'robot.>'        write it into a file; `ephapse replay` publishes it again
  ephapse doctor                            see whether this machine is fit
  ephapse demo                              watch four processes at work
  ephapse bench latency --size 32           how long an event takes, beside the bare floor
  ephapse completions bash > ephapse.bash   completions for a shell

Environment:
  EPHAPSE_DIR    as --dir: the domain's directory (else $XDG_RUNTIME_DIR/ephapse,
                 /run/user/UID/ephapse, /tmp/ephapse-UID)
  EPHAPSE_COLOR  as --color
  EPHAPSE_LOG    what to log, such as `debug` or `ephapse::supervisor=trace` (else as -v and -q say)
  NO_COLOR       no colours, if set";

/// As `--color`.
const COLOR_VARIABLE: &str = "EPHAPSE_COLOR";

/// A year: far beyond any use, and far from what a clock can hold.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where the help lists what every command understands.
const HEADING: &str = "Everywhere";

/// Shared-memory events between the processes of one host.
#[derive(Debug, Parser)]
#[command(name = "ephapse", version, after_help = EXAMPLES, propagate_version = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    /// When to use colours.
    #[arg(long, global = true, help_heading = HEADING, value_enum, default_value_t)]
    #[arg(value_name = "WHEN", env = COLOR_VARIABLE, hide_env_values = true)]
    pub(crate) color: Color,

    /// Tell more (again for still more).
    #[arg(short, long, global = true, help_heading = HEADING, action = ArgAction::Count)]
    verbose: u8,

    /// Tell less: no notes and no progress (again for no warnings in the log).
    #[arg(short, long, global = true, help_heading = HEADING, action = ArgAction::Count)]
    quiet: u8,

    /// This process is part of a run of the process with this id, and ends with it.
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) child_of: Option<u32>,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// How much to tell: 0 is usual.
    pub(crate) fn verbosity(&self) -> i8 {
        let clip = |count: u8| i8::try_from(count.min(9)).unwrap_or(9);
        clip(self.verbose) - clip(self.quiet)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a supervisor in the foreground, until SIGINT or SIGTERM.
    Up(up::UpArgs),
    /// List the hubs that have joined a domain.
    #[command(after_help = listing::HUBS_HELP)]
    Hubs(listing::ListArgs),
    /// List the links between the hubs of a domain.
    #[command(after_help = listing::LINKS_HELP)]
    Links(listing::ListArgs),
    /// Publish events on a subject.
    Pub(bus::PubArgs),
    /// Print the events on subjects that match a pattern.
    Sub(bus::SubArgs),
    /// Print all that is known of each event, without holding anybody up.
    Monitor(bus::MonitorArgs),
    /// Write events into a file.
    Capture(capture::CaptureArgs),
    /// Publish the events of a file again.
    Replay(capture::ReplayArgs),
    /// Ask whoever answers on a subject, and print the reply.
    Request(bus::RequestArgs),
    /// Answer requests on a subject.
    Reply(bus::ReplyArgs),
    /// Measure how often events come.
    #[command(after_help = meter::HZ_HELP)]
    Hz(meter::MeterArgs),
    /// Measure how many bytes come.
    #[command(after_help = meter::BW_HELP)]
    Bw(meter::MeterArgs),
    /// Measure how late events come.
    #[command(after_help = meter::DELAY_HELP)]
    Delay(meter::MeterArgs),
    /// List the subjects of a domain.
    #[command(after_help = listing::SUBJECTS_HELP)]
    Subjects(listing::ListArgs),
    /// Show what hubs and supervisor have counted, also of those that are stopped.
    Stat(stat::StatArgs),
    /// Watch hubs, links and subjects at work.
    Top(watch::top::TopArgs),
    /// Say with one line and an exit code whether all is well, for Nagios and its like.
    Check(watch::check::CheckArgs),
    /// Look whether this machine and a domain's directory are as they should be.
    Doctor(watch::doctor::DoctorArgs),
    /// Draw hubs, and what goes between them.
    Graph(watch::graph::GraphArgs),
    /// Print all that can be known of a domain as one JSON document.
    Dump(watch::dump::DumpArgs),
    /// Give the counters to Prometheus, over HTTP.
    Metrics(watch::metrics::MetricsArgs),
    /// Show of what types events are, in words and as C.
    Schema(schema::SchemaArgs),
    /// Show it at work: four processes, links and a broadcast, this host as the source of events.
    Demo(demo::DemoArgs),
    /// Measure latency, throughput, and how fast changes are coped with.
    Bench(bench::BenchArgs),
    /// Print the completions for a shell.
    #[command(after_help = "Examples:\n  ephapse completions zsh > ~/.zfunc/_ephapse\n  \
                            source <(ephapse completions bash)")]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a directory.
    #[command(after_help = "Examples:\n  ephapse man ~/.local/share/man/man1\n  \
                            ephapse man /tmp/pages && man /tmp/pages/ephapse-sub.1")]
    Man {
        /// The directory; made if it does not exist.
        #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        directory: PathBuf,
    },
    #[command(hide = true)]
    DemoRole(demo::RoleArgs),
    #[command(hide = true)]
    BenchRole(bench::RoleArgs),
}

/// Parses the arguments. Help, version and wrong use are printed here; what remains is the code to
/// end with.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = manual::definition().color(help_color(&arguments));
    let parsed = command
        .try_get_matches_from(&arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| {
        // Nobody may be reading (`ephapse --help | head -1`), which changes nothing.
        let _ = error.print();
        let code = match u8::try_from(error.exit_code()) {
            // For who asks for a check, 2 would be a verdict.
            Ok(2) if is_check(&arguments) => watch::check::UNKNOWN,
            Ok(code) => code,
            Err(_) => 2,
        };
        ExitCode::from(code)
    })
}

/// An argument such as `200ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a time such as 200ms, 5s or 2m"))?;
    if duration > DURATION_MAX {
        return Err("at most 365 days".into());
    }
    Ok(duration)
}

/// Prints the completions of the public commands.
pub(crate) fn completions(shell: clap_complete::Shell, ui: &Ui) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut manual::definition(), "ephapse", &mut script);
    let script = String::from_utf8(script).context("the completions are not UTF-8")?;
    ui.line(Stream::Out, script.trim_end())
}

/// Whether the command is `check`, as far as can be told of arguments that are wrong.
fn is_check(arguments: &[OsString]) -> bool {
    let named = |argument: &OsString| manual::definition().find_subcommand(argument).is_some();
    arguments.iter().skip(1).find(|argument| named(argument)).is_some_and(|name| name == "check")
}

/// `--color` for the help, which is printed before the arguments have been parsed.
fn help_color(arguments: &[OsString]) -> ColorChoice {
    let is = |index: usize, value: &str| arguments.get(index).is_some_and(|a| a == value);
    let variable = std::env::var_os(COLOR_VARIABLE).unwrap_or_default();
    for index in 0..arguments.len() {
        for (name, choice) in [("always", ColorChoice::Always), ("never", ColorChoice::Never)] {
            if is(index, &format!("--color={name}"))
                || (is(index, "--color") && is(index + 1, name))
            {
                return choice;
            }
        }
    }
    match variable.to_str() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}
