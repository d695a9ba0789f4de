//! `ephapse hz`, `bw`, `delay`: how often, how much and how late events come.
//!
//! All three are lossy subscriptions: whatever they do, no publisher waits for them. What they miss
//! is told. Each subject of each hub has a row of its own.

mod delay;
mod rate;
mod rows;
mod size;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::value_parser;
use ephapse::event::subject::Pattern;
use ephapse::limits::PATTERNS_MAX;
use ephapse::{Envelope, Flow};
use serde::Serialize;

use self::rows::Rows;
use crate::bus::{Follow, JoinArgs, Listener};
use crate::cli::duration;
use crate::ui::{OutputClosed, Ui};

/// How each is used.
pub(crate) const HZ_HELP: &str = "\
A gap is the time from one event of a hub to its next on the same subject, by the timestamps that
they carry, else by when they came; jitter is the standard deviation of the gaps. Gaps in which
events were missed do not count.

Examples:
  ephapse hz robot.pose                       a row each second, until Ctrl-C
  ephapse hz 'camera.*.frame' --every 5s      a row for each subject of each hub
  ephapse hz robot.pose -n 1000 --json        an object for each row";
pub(crate) const BW_HELP: &str = "\
Bytes are those of payloads.

Examples:
  ephapse bw camera.frame                     a row each second, until Ctrl-C
  ephapse bw '>' --for 10s                    all that is published, for ten seconds
  ephapse bw '>' --for 10s --json | jq 'select(.report == \"total\")'";
pub(crate) const DELAY_HELP: &str = "\
The delay of an event is the time from its timestamp to its receipt by this command, which sleeps
in between as other subscribers do. Hubs can be told to send no timestamps.

Examples:
  ephapse delay robot.pose                    a row each second, until Ctrl-C
  ephapse delay 'robot.>' --every 10s --for 1m
  ephapse delay robot.pose -n 1000 --json";

/// Arguments of all three.
#[derive(Debug, clap::Args)]
pub(crate) struct MeterArgs {
    /// What to measure.
    #[arg(value_name = "SUBJECT", required = true, num_args = 1..=PATTERNS_MAX)]
    patterns: Vec<Pattern>,

    /// Time between two rows.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    every: Duration,

    /// End after so many events.
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,

    /// Print a JSON object for each row, on a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

/// What is known of one event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it came, since some moment.
    came_ns: i64,
    /// How long before that it was sent, if it says so.
    age_ns: Option<u64>,
    /// Of its payload.
    bytes: usize,
}

impl Sample {
    /// When it was sent, or else when it came; since the same moment.
    fn sent_ns(&self) -> i64 {
        self.came_ns - self.age_ns.map_or(0, |age| i64::try_from(age).unwrap_or(i64::MAX))
    }
}

/// What is found out about the events of one row.
pub(crate) trait Gauge: Default {
    /// The command.
    const NAME: &'static str;
    /// Columns behind those that all have.
    const COLUMNS: &'static [&'static str];
    /// The same as fields in JSON.
    type Figures: Serialize;

    /// One event more.
    fn add(&mut self, sample: &Sample);

    /// Events were missed before the next.
    fn missed(&mut self) {}

    /// For the next interval: empty, but for what is carried over.
    fn next(&self) -> Self {
        Self::default()
    }

    /// What the events of `span` amount to.
    fn figures(&self, span: Duration) -> Self::Figures;

    /// The same for people, one text for each column.
    fn cells(figures: &Self::Figures) -> Vec<String>;
}

/// Prints rates and gaps.
pub(crate) fn hz(args: MeterArgs, ui: &Ui) -> Result<ExitCode> {
    run::<rate::Rate>(args, ui)
}

/// Prints bytes a second, and sizes.
pub(crate) fn bw(args: MeterArgs, ui: &Ui) -> Result<ExitCode> {
    run::<size::Size>(args, ui)
}

/// Prints delays.
pub(crate) fn delay(args: MeterArgs, ui: &Ui) -> Result<ExitCode> {
    run::<delay::Delay>(args, ui)
}

fn run<G: Gauge>(args: MeterArgs, ui: &Ui) -> Result<ExitCode> {
    let hub = args.join.join(G::NAME, |hub| hub)?;
    let mut listener = Listener::subscribe(hub, &args.patterns, Flow::DropOldest, ui)?;
    let start = Instant::now();
    let mut meter = Meter::<G> {
        rows: Rows::default(),
        start,
        since: start,
        every: args.every,
        end: args.length.and_then(|length| start.checked_add(length)),
        left: args.count.unwrap_or(u64::MAX),
        json: args.json,
        stdout: io::stdout(),
        ui,
    };
    let ended = listener.run(&mut meter);
    let closed = ended.as_ref().is_err_and(|error| error.is::<OutputClosed>());
    let told = if closed { Ok(()) } else { meter.rows.total(start.elapsed(), args.json, ui) };
    listener.books.tell(ui, true);
    if !closed {
        ui.note(listener.books.text());
    }
    ended?;
    told?;
    Ok(if listener.books.corrupt { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints a table each interval.
struct Meter<'a, G> {
    rows: Rows<G>,
    start: Instant,
    /// Of the interval.
    since: Instant,
    every: Duration,
    end: Option<Instant>,
    /// Events that are still wanted.
    left: u64,
    json: bool,
    stdout: io::Stdout,
    ui: &'a Ui,
}

impl<G: Gauge> Follow for Meter<'_, G> {
    fn event(&mut self, event: &Envelope<'_>) -> Result<bool> {
        let age_ns = event.timestamp().map(|sent| sent.age_ns());
        let came_ns = i64::try_from(self.start.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let sample = Sample { came_ns, age_ns, bytes: event.bytes().len() };
        self.rows.add(event.source(), event.subject(), &sample);
        self.left -= 1;
        Ok(self.left == 0)
    }

    fn missed(&mut self, hub: &str, missed: u64) -> Result<()> {
        self.rows.missed(hub, missed);
        Ok(())
    }

    fn pause(&mut self) -> Result<bool> {
        let now = Instant::now();
        if now >= self.since + self.every {
            let span = now - self.since;
            self.rows.interval(now - self.start, span, self.json, self.ui)?;
            self.since = now;
        }
        Ok(self.end.is_some_and(|end| now >= end))
    }

    fn due(&self) -> Option<Instant> {
        let next = self.since + self.every;
        Some(self.end.map_or(next, |end| end.min(next)))
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stdout.as_fd())
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every < Duration::from_millis(1) {
        return Err("at least 1ms".into());
    }
    Ok(every)
}
