//! `ephapse check`: one line and an exit code for Nagios, Icinga and their like.

mod threshold;
mod values;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use self::threshold::Threshold;
use self::values::{Unit, Values};
use super::WhereArgs;
use super::asking;
use super::sight::Sight;
use crate::cli::duration;
use crate::ui::{OutputClosed, Stream, Ui, with_causes};

/// What is a warning unless something else is asked for.
const USUAL_WARNINGS: [&str; 2] = ["missed>0", "overtaken>0"];

/// The exit code when nothing can be said, also because of wrong use.
pub(crate) const UNKNOWN: u8 = State::Unknown as u8;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes are those of Nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for wrong use). One
line says why; behind the bar stand the figures.

It is CRITICAL when no supervisor runs and answers, or a hub named with --hub is not there. A
threshold is FIGURE>VALUE (also >= < <= = !=); without --warn, missed>0 and overtaken>0 warn. A
figure of which nothing is known, such as latency where nothing was received, alerts nobody.

Figures, summed over the hubs (or those named with --hub):
  hubs links subscriptions            what there is; a link counts at each of its ends
  sent sent.bytes received received.bytes missed overtaken full woken unwanted
                                      so far; with /s behind, a second: sent/s<100
  behind                              bytes that the slowest reader has not read
  latency.p50 latency.p99             since the hubs joined, of the slowest link; a time such as 200us
  faults refusals troubles            of the supervisor
  answer                              how long the supervisor took to answer

Examples:
  ephapse check
  ephapse check --warn 'missed>0' --crit 'hubs<2' --crit 'behind>1MiB'
  ephapse check --hub camera --hub planner --warn 'sent/s<100' --interval 2s
  ephapse check --warn 'latency.p99>200us' --warn 'answer>100ms'")]
pub(crate) struct CheckArgs {
    /// WARNING if this holds; can be given several times.
    #[arg(short, long, value_name = "THRESHOLD")]
    warn: Vec<String>,

    /// CRITICAL if this holds; can be given several times.
    #[arg(short, long, value_name = "THRESHOLD")]
    crit: Vec<String>,

    /// Look at this hub, which has to be there; can be given several times.
    #[arg(long, value_name = "NAME")]
    hub: Vec<String>,

    /// How long to watch when a threshold is about so many a second.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    interval: Duration,

    /// How long the supervisor may take to answer.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    timeout: Duration,

    /// Do not ask the supervisor whether it answers: it is enough that it runs.
    #[arg(long)]
    no_ask: bool,

    /// Print one JSON object instead of the line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: WhereArgs,
}

/// How it is. Later ones outweigh earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }
}

/// What is said.
#[derive(Serialize)]
struct Verdict {
    state: State,
    reasons: Vec<String>,
    figures: Values,
    #[serde(skip)]
    warn: Vec<Threshold>,
    #[serde(skip)]
    crit: Vec<Threshold>,
}

impl Verdict {
    /// Nothing can be said, for this reason.
    fn unknown(error: &anyhow::Error) -> Verdict {
        let reasons = vec![with_causes(error)];
        let figures = Values::default();
        Verdict { state: State::Unknown, reasons, figures, warn: Vec::new(), crit: Vec::new() }
    }
}

/// Looks, asks, and judges.
pub(crate) fn run(args: CheckArgs, ui: &Ui) -> Result<ExitCode> {
    let verdict = judge(&args).unwrap_or_else(|error| Verdict::unknown(&error));
    let told = if args.json { ui.json(&verdict) } else { ui.line(Stream::Out, line(&verdict)) };
    match told {
        Err(error) if !error.is::<OutputClosed>() => {
            ui.error(&error);
            Ok(ExitCode::from(UNKNOWN))
        }
        // The code is the verdict, whether or not somebody reads the line.
        _ => Ok(ExitCode::from(verdict.state as u8)),
    }
}

fn thresholds(texts: &[String]) -> Result<Vec<Threshold>> {
    texts.iter().map(|text| Threshold::parse(text)).collect()
}

fn judge(args: &CheckArgs) -> Result<Verdict> {
    let usual = USUAL_WARNINGS.map(str::to_owned);
    let warn = thresholds(if args.warn.is_empty() { &usual } else { &args.warn })?;
    let crit = thresholds(&args.crit)?;
    let rates = warn.iter().chain(&crit).any(Threshold::is_rate);
    let domain = args.place.domain();
    let sights = Sight::pair(&domain, if rates { args.interval } else { Duration::ZERO });
    let mut values = Values::of(&sights, &args.hub);
    let mut found = Vec::new();
    match &sights.now.supervisor {
        Err(error) => found.push((State::Critical, error.to_string())),
        Ok(_) if args.no_ask => {
            if let Some(state) = values::not_running(&sights) {
                found.push((State::Critical, format!("the supervisor is {state}")));
            }
        }
        Ok(_) => match asking::ask(&domain, "check", args.timeout) {
            Ok(listing) => values.add("answer", listing.took_ms / 1e3, Unit::Seconds),
            Err(error) => found.push((State::Critical, with_causes(&error))),
        },
    }
    for hub in values::missing(&sights, &args.hub) {
        found.push((State::Critical, format!("the hub {hub} is not there")));
    }
    for (state, thresholds) in [(State::Critical, &crit), (State::Warning, &warn)] {
        for threshold in thresholds {
            // What was not answered is told already.
            let Some(value) = values.get(threshold) else { continue };
            if threshold.holds(value) {
                let value = threshold.unit.text(value);
                found
                    .push((state, format!("{} is {value} ({})", threshold.figure, threshold.text)));
            }
        }
    }
    found.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
    let state = found.first().map_or(State::Ok, |(state, _)| *state);
    let reasons = found.into_iter().map(|(_, why)| why).collect();
    Ok(Verdict { state, reasons, figures: values, warn, crit })
}

/// The line: state, why, and the figures as Nagios reads them.
fn line(verdict: &Verdict) -> String {
    let why = match verdict.reasons.as_slice() {
        [] => verdict.figures.summary(),
        // A bar would begin the figures.
        reasons => reasons.join("; ").replace(['|', '\n'], " "),
    };
    let figures = verdict.figures.performance(&verdict.warn, &verdict.crit);
    let bar = if figures.is_empty() { "" } else { " | " };
    format!("EPHAPSE {} - {why}{bar}{figures}", verdict.state.name())
}
