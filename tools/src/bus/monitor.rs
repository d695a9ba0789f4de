//! `ephapse monitor`: all that is known of each event.
//!
//! A lossy subscription: when it is too slow or stopped, it misses events, and no publisher waits.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use clap::value_parser;
use ephapse::event::subject::Pattern;
use ephapse::event::{ExtensionView, Timestamp};
use ephapse::limits::PATTERNS_MAX;
use ephapse::{Envelope, Flow};
use serde::Serialize;
use serde_json::{Value, json};

use super::JoinArgs;
use super::filter::{FilterArgs, SchemaName};
use super::lifecycle::Lifecycle;
use super::listen::{Follow, Listener};
use super::show::{Object, Payload, Visible};
use crate::cli::duration;
use crate::schema::Known;
use crate::ui::format::{bytes, nanoseconds};
use crate::ui::{Data, OutputClosed, Ui};
use crate::up;

/// All events, and those of the domain itself, which nothing but their own name matches.
const ALL: [&str; 2] = [">", "ephapse.>"];

/// Arguments of `monitor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nobody waits for it: events that come faster than they can be printed are missed, and that is told.

Examples:
  ephapse monitor                             whatever is published, and who comes and goes
  ephapse monitor 'robot.>' --from camera     of one hub
  ephapse monitor --size '>1k' --bytes 16     large payloads, the start of each
  ephapse monitor --schema robot.Pose         of one type, field by field
  ephapse monitor --schema raw --json | jq    an object for each event
  ephapse monitor robot.pose -n 10            ten events")]
pub(crate) struct MonitorArgs {
    /// What to look at [default: all].
    #[arg(value_name = "PATTERN", num_args = 0..=PATTERNS_MAX)]
    patterns: Vec<Pattern>,

    #[command(flatten)]
    filter: FilterArgs,

    /// Bytes of each payload to show at most.
    #[arg(long, value_name = "N", default_value_t = 256)]
    bytes: usize,

    /// End after so many events that were shown.
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,

    /// Print a JSON object for each event, on a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

/// Prints until there is enough, or SIGINT or SIGTERM.
pub(crate) fn run(args: MonitorArgs, ui: &Ui) -> Result<ExitCode> {
    let known = Known::new(up::domain(args.join.dir.clone()));
    let hub = args.join.join("monitor", |hub| hub)?;
    let all = || ALL.iter().filter_map(|pattern| pattern.parse().ok()).collect();
    let patterns = if args.patterns.is_empty() { all() } else { args.patterns };
    let mut listener = Listener::subscribe(hub, &patterns, Flow::DropOldest, ui)?;
    let mut monitor = Monitor {
        filter: args.filter,
        known,
        bytes: args.bytes,
        left: args.count.unwrap_or(u64::MAX),
        end: args.length.and_then(|length| Instant::now().checked_add(length)),
        json: args.json,
        data: Data::open()?,
    };
    let ended = listener.run(&mut monitor);
    // Dropped before the summary, which comes after all that it is about.
    drop(monitor);
    listener.books.tell(ui, true);
    if !ended.as_ref().is_err_and(|error| error.is::<OutputClosed>()) {
        ui.note(listener.books.text());
    }
    ended?;
    Ok(if listener.books.corrupt { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Monitor {
    filter: FilterArgs,
    known: Known,
    bytes: usize,
    /// Events that are still wanted.
    left: u64,
    end: Option<Instant>,
    json: bool,
    data: Data,
}

/// An event in JSON.
#[derive(Serialize)]
struct Seen<'a> {
    /// Since 1970: when it was sent, or else when it came.
    time_ns: u64,
    #[serde(flatten)]
    event: Object<'a>,
    /// Read where its source wrote it, and not copied.
    in_place: bool,
}

impl Follow for Monitor {
    fn event(&mut self, event: &Envelope<'_>) -> Result<bool> {
        if !self.filter.takes(event, &mut self.known) {
            return Ok(false);
        }
        let most = self.bytes;
        let fields = fields_of(&mut self.known, event.schema(), event.bytes());
        if self.json {
            let seen = Seen {
                time_ns: since_1970(sent_at(event)),
                event: Object::short(event, most, fields),
                in_place: event.is_in_place(),
            };
            self.data.put(|out| {
                serde_json::to_writer(&mut *out, &seen)?;
                out.write_all(b"\n")
            })?;
        } else {
            self.data.put(|out| human(event, most, fields.as_ref(), out))?;
        }
        self.left -= 1;
        Ok(self.left == 0)
    }

    fn missed(&mut self, hub: &str, missed: u64) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        let line = json!({ "source": hub, "missed": missed });
        self.data.put(|out| writeln!(out, "{line}"))
    }

    fn pause(&mut self) -> Result<bool> {
        self.data.flush()?;
        Ok(self.end.is_some_and(|end| Instant::now() >= end))
    }

    fn due(&self) -> Option<Instant> {
        self.end
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        Some(self.data.as_fd())
    }
}

/// What a payload says, field by field, if it is of a type that everybody knows or a hub describes.
fn fields_of(known: &mut Known, schema: u64, bytes: &[u8]) -> Option<Value> {
    match Lifecycle::of_schema(schema, bytes) {
        Some(lifecycle) => serde_json::to_value(lifecycle).ok(),
        None => known.fields_of(schema, bytes),
    }
}

fn human(
    event: &Envelope<'_>,
    most: usize,
    fields: Option<&Value>,
    out: &mut impl Write,
) -> io::Result<()> {
    let time = humantime::format_rfc3339_micros(sent_at(event));
    let (subject, source, sequence) = (event.subject(), event.source(), event.sequence());
    let size = bytes(event.bytes().len() as u64);
    let place = if event.is_in_place() { "in place" } else { "copied" };
    let schema = SchemaName(event.schema());
    writeln!(out, "{time}  {subject}  {source}#{sequence}  {size}  {place}  {schema}")?;
    if let Some(extension) = event.extension() {
        beside(&extension, out)?;
    }
    match fields {
        Some(fields) => writeln!(out, "    {}", Visible(&fields.to_string())),
        None if event.bytes().is_empty() => Ok(()),
        None => writeln!(out, "    {}", Payload::start_of(event.bytes(), most)),
    }
}

/// What was sent beside the payload.
fn beside(extension: &ExtensionView<'_>, out: &mut impl Write) -> io::Result<()> {
    let mut told = Vec::new();
    let mut tell = |what: &str, value: Option<String>| {
        told.extend(value.map(|value| format!("{what} {value}")));
    };
    let number = |number: u64| (number != 0).then(|| number.to_string());
    tell("priority", number(extension.priority().into()));
    tell("attempts", number(extension.attempts().into()));
    tell("for hub", extension.destination().map(|hub| hub.to_string()));
    tell("correlation", extension.correlation().map(|number| number.to_string()));
    tell("reply to", extension.reply_subject().map(|subject| Visible(subject).to_string()));
    tell("deadline", extension.deadline().map(until));
    let route: Vec<_> = extension.route().map(|hub| hub.to_string()).collect();
    tell("route", (!route.is_empty()).then(|| route.join(" ")));
    for (name, value) in extension.metadata() {
        told.push(format!("{}={}", Visible(name), Visible(value)));
    }
    if told.is_empty() { Ok(()) } else { writeln!(out, "    [{}]", told.join("] [")) }
}

/// `in 5.00 ms`, or `passed`.
fn until(deadline: Timestamp) -> String {
    match deadline.since(Timestamp::now()) {
        0 => "passed".into(),
        left => format!("in {}", nanoseconds(left)),
    }
}

/// When it was sent, or else now.
fn sent_at(event: &Envelope<'_>) -> SystemTime {
    let age = event.timestamp().map_or(0, |sent| sent.age_ns());
    let now = SystemTime::now();
    now.checked_sub(Duration::from_nanos(age)).unwrap_or(now)
}

fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
