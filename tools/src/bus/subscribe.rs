//! `ephapse sub`: prints events.

use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::value_parser;
use ephapse::event::subject::Pattern;
use ephapse::limits::PATTERNS_MAX;
use ephapse::{Envelope, Flow};

use super::JoinArgs;
use super::listen::{Ended, Follow, Listener};
use super::show::Form;
use crate::cli::duration;
use crate::schema::Known;
use crate::ui::{Data, OutputClosed, Ui};
use crate::up;

/// Arguments of `sub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In a pattern `*` stands for one word, and `>` at its end for all that follow. The domain's own
events are on ephapse.hub.joined, ephapse.hub.left, ephapse.link.established, ephapse.link.closed.

Examples:
  ephapse sub robot.pose 'camera.*.frame'          what is published, until Ctrl-C
  ephapse sub 'ephapse.>' --since-start            who comes and goes, and when
  ephapse sub log.lines --raw > copy.log           payloads, a line each
  ephapse sub log.lines --raw --until-end | wc -l  ends with `ephapse pub log.lines - < some.log`
  ephapse sub '>' --json | jq .subject             an object for each event
  ephapse sub robot.stop --count 1 --timeout 10s   waits for one event; fails without it")]
pub(crate) struct SubArgs {
    /// What to receive.
    #[arg(value_name = "PATTERN", required = true, num_args = 1..=PATTERNS_MAX)]
    patterns: Vec<Pattern>,

    /// End after so many events.
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End when all who published have left, and all that they published is printed. Waits for the
    /// first to come.
    #[arg(long)]
    until_end: bool,

    /// Print payloads alone, each with a line feed behind it.
    #[arg(long, conflicts_with = "json")]
    raw: bool,

    /// Print a JSON object for each event, on a line. A payload is `text`, or `hex` if it is none, and
    /// also `fields` if it is of a type that a hub describes.
    #[arg(long)]
    json: bool,

    /// Print how long after the start of this command each event came: seconds before the line, or
    /// `since_start_ns`.
    #[arg(long, conflicts_with = "raw")]
    since_start: bool,

    /// Do not hold publishers up: rather lose the oldest events.
    #[arg(long)]
    drop_oldest: bool,

    /// Fail if an event was lost.
    #[arg(long)]
    strict: bool,

    /// End when no event has come for so long; that is a failure if there should be --count of
    /// them.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,

    #[command(flatten)]
    join: JoinArgs,
}

/// Prints until there is enough, or SIGINT or SIGTERM.
pub(crate) fn run(args: SubArgs, ui: &Ui) -> Result<ExitCode> {
    let start = args.since_start.then(Instant::now);
    let known = Known::new(up::domain(args.join.dir.clone()));
    let hub = args.join.join("sub", |hub| hub)?;
    let flow = if args.drop_oldest { Flow::DropOldest } else { Flow::Block };
    let mut listener = Listener::subscribe(hub, &args.patterns, flow, ui)?;
    (listener.timeout, listener.until_end) = (args.timeout, args.until_end);
    let mut printer = Printer {
        form: Form::of(args.raw, args.json),
        known,
        start,
        data: Data::open()?,
        left: args.count.unwrap_or(u64::MAX),
    };
    let ended = listener.run(&mut printer);
    // Dropped before the summary, which comes after all that it is about.
    drop(printer);
    let books = &mut listener.books;
    books.tell(ui, true);
    if !ended.as_ref().is_err_and(|error| error.is::<OutputClosed>()) {
        ui.note(books.text());
    }
    match (ended?, args.count) {
        (Ended::TimedOut(limit), Some(wanted)) => {
            bail!("{} of {wanted} events have come, and none for {limit:?}", books.events);
        }
        (Ended::PublishersLeft, Some(wanted)) => {
            bail!("{} of {wanted} events have come, and nobody publishes any more", books.events);
        }
        _ => {}
    }
    let failed = books.corrupt || (args.strict && books.missed > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints events as they come.
struct Printer {
    form: Form,
    known: Known,
    /// When it began, if that is of interest.
    start: Option<Instant>,
    data: Data,
    /// Events that are still wanted.
    left: u64,
}

impl Follow for Printer {
    fn event(&mut self, event: &Envelope<'_>) -> Result<bool> {
        let Printer { form, known, start, data, .. } = self;
        let since_start = start.map(|start| start.elapsed());
        data.put(|out| form.write(event, known, since_start, out))?;
        self.left -= 1;
        Ok(self.left == 0)
    }

    fn pause(&mut self) -> Result<bool> {
        self.data.flush()?;
        Ok(false)
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        Some(self.data.as_fd())
    }
}
