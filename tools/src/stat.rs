//! `ephapse stat`: what hubs and supervisor have counted. Nobody is asked for it, so it works while
//! they are stopped, and after the supervisor has been killed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};
use ephapse::Error;
use ephapse::counters::{Flight, HubCounters, ProcessState};

use crate::cli::duration;
use crate::signals;
use crate::ui::format::{count, rate};
use crate::ui::{Stream, Table, Ui};
use crate::up;
use crate::watch::report::{Report, time};
use crate::watch::sight::Sight;

/// Looking more often would measure the looking.
const WATCH_MIN: Duration = Duration::from_millis(50);

/// Puts the next table where the last one was.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// What the table of hubs shows of each.
const SHOWN: [&str; 11] = [
    "links",
    "subscriptions",
    "sent",
    "sent.bytes",
    "received",
    "received.bytes",
    "missed",
    "sent.nobody",
    "full",
    "woken",
    "overtaken",
];

/// What is not shown of the supervisor: it stands above the table, or is the table's own affair.
const NOT_SHOWN: [&str; 2] = ["epoch", "counters.dropped"];

/// What is also shown as so many a second.
const RATES: [&str; 2] = ["sent", "received"];

/// Arguments of `stat`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nobody is asked: hubs and supervisor write counters into memory that is read here, also while they
are stopped. With -v all counters of hubs are shown, with those of each subscription and link.

Examples:
  ephapse stat
  ephapse stat --watch 1                     again each second, with rates, until Ctrl-C
  ephapse stat --everywhere -v               hubs of all domains, all counters
  ephapse stat --json | jq '.hubs[] | {name, missed: .counters.missed}'")]
pub(crate) struct StatArgs {
    /// Print one JSON object; with --watch, one on each line.
    #[arg(long)]
    json: bool,

    /// Look again and again, so many seconds apart (or a time such as 200ms).
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    watch: Option<Duration>,

    /// Show hubs of all domains of this user.
    #[arg(long)]
    everywhere: bool,

    /// The domain's directory [default: see `ephapse --help`].
    #[arg(long, value_name = "DIR", env = up::DIR_VARIABLE, hide_env_values = true)]
    #[arg(value_parser = up::directory())]
    dir: Option<PathBuf>,
}

/// An argument such as `2`, `0.5` or `200ms`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?,
        Err(_) => duration(text)?,
    };
    if parsed < WATCH_MIN {
        return Err("at least 0.05".into());
    }
    Ok(parsed)
}

/// Shows it once, or until SIGINT or SIGTERM.
pub(crate) fn run(args: StatArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = up::domain(args.dir.clone());
    let stop = match args.watch {
        Some(_) => Some(watch_signals()?),
        None => None,
    };
    let mut before: Option<Sight> = None;
    loop {
        let sight = if args.everywhere { Sight::everywhere(&domain) } else { Sight::new(&domain) };
        if args.json {
            ui.json(&Report::of(&sight))?;
        } else {
            if args.watch.is_some() && ui.is_terminal(Stream::Out) {
                ui.line(Stream::Out, CLEAR)?;
            } else if before.is_some() {
                ui.line(Stream::Out, "")?;
            }
            show(&sight, before.as_ref(), &args, domain.path(), ui)?;
        }
        before = Some(sight);
        let (Some(pause), Some(stop)) = (args.watch, &stop) else { return Ok(ExitCode::SUCCESS) };
        if stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Says when the process has been asked to stop.
pub(crate) fn watch_signals() -> Result<Receiver<()>> {
    let (asked, stop) = sync_channel(1);
    let tell = move || {
        // Nobody listens any more when it ends anyway.
        let _ = asked.send(());
    };
    signals::watch_once(tell).context("cannot watch for signals")?;
    Ok(stop)
}

fn show(
    sight: &Sight,
    before: Option<&Sight>,
    args: &StatArgs,
    domain: &Path,
    ui: &Ui,
) -> Result<()> {
    show_supervisor(&sight.supervisor, domain, ui)?;
    ui.line(Stream::Out, "")?;
    if sight.hubs.is_empty() {
        return ui.line(Stream::Out, "no hub of this user is there");
    }
    let rates = args.watch.is_some();
    show_hubs(sight, before.filter(|_| rates), rates, args.everywhere, ui)?;
    if ui.verbosity() > 0 {
        ui.line(Stream::Out, "")?;
        show_all(&sight.hubs, ui)?;
    }
    Ok(())
}

fn show_supervisor(supervisor: &Result<Flight, Error>, domain: &Path, ui: &Ui) -> Result<()> {
    let flight = match supervisor {
        Ok(flight) => flight,
        Err(Error::NoSupervisor { .. }) => {
            let text = format!("no supervisor runs in {}", domain.display());
            return ui.line(Stream::Out, text);
        }
        Err(error) => return ui.line(Stream::Out, format_args!("no supervisor to see: {error}")),
    };
    let state = match flight.process {
        ProcessState::Running => "runs",
        ProcessState::Stopped => "is stopped",
        _ => "is gone",
    };
    let state = ui.verdict(Stream::Out, flight.process == ProcessState::Running, state);
    let (pid, epoch, since) = (flight.pid, flight.epoch, time(flight.since));
    let domain = domain.display();
    let text = format!("supervisor {pid} (run {epoch}) in {domain} {state}; began {since}");
    ui.line(Stream::Out, text)?;
    let shown = flight.counters.iter().filter(|(label, _)| !NOT_SHOWN.contains(&&**label));
    let (labels, counts) = shown.map(|(label, value)| (label.clone(), count(*value))).unzip();
    let mut table = Table::with_head(labels, 0);
    let counts: Vec<String> = counts;
    table.row(counts);
    ui.table(Stream::Out, table)?;
    for trouble in &flight.troubles {
        ui.line(Stream::Out, format_args!("{}  {}", time(trouble.at), trouble.text))?;
    }
    Ok(())
}

fn show_hubs(
    sight: &Sight,
    before: Option<&Sight>,
    rates: bool,
    everywhere: bool,
    ui: &Ui,
) -> Result<()> {
    let known: HashMap<(u64, &str, u32), &HubCounters> = before
        .iter()
        .flat_map(|sight| &sight.hubs)
        .map(|hub| ((hub.id, hub.domain.as_str(), hub.pid), hub))
        .collect();
    let mut head = vec!["hub".to_owned(), "pid".to_owned()];
    if everywhere {
        head.insert(1, "domain".to_owned());
    }
    let names = head.len() - 1;
    head.extend(SHOWN.map(str::to_owned));
    if rates {
        head.extend(RATES.map(|label| format!("{label}/s")));
    }
    let mut table = Table::with_head(head, names);
    for hub in &sight.hubs {
        let mut row = vec![hub.name.clone(), hub.pid.to_string()];
        if everywhere {
            row.insert(1, hub.domain.clone());
        }
        row.extend(SHOWN.map(|label| count(hub.get(label).unwrap_or(0))));
        if rates {
            let earlier = known.get(&(hub.id, hub.domain.as_str(), hub.pid));
            let passed = before.map(|before| sight.at - before.at);
            row.extend(RATES.map(|label| match (earlier, passed) {
                (Some(earlier), Some(passed)) => {
                    let more =
                        hub.get(label).unwrap_or(0).saturating_sub(earlier.get(label).unwrap_or(0));
                    rate(more as f64 / passed.as_secs_f64())
                }
                _ => "-".to_owned(),
            }));
        }
        table.row(row);
    }
    ui.table(Stream::Out, table)
}

/// Every counter that says something, one on each line.
fn show_all(hubs: &[HubCounters], ui: &Ui) -> Result<()> {
    let mut table = Table::new(["hub", "counter", "value"], 2);
    for hub in hubs {
        for (label, value) in hub.counters.iter().filter(|(_, value)| *value > 0) {
            table.row([hub.name.clone(), label.clone(), count(*value)]);
        }
    }
    ui.table(Stream::Out, table)
}
