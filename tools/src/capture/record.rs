//! `ephapse capture`: writes events into a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::value_parser;
use ephapse::event::subject::Pattern;
use ephapse::limits::PATTERNS_MAX;
use ephapse::{Envelope, Flow};
use serde::Serialize;

use super::writer::CaptureWriter;
use crate::bus::{Ended, Follow, JoinArgs, Listener};
use crate::cli::duration;
use crate::schema::Known;
use crate::ui::format::{bytes, count};
use crate::ui::{Progress, Ui};
use crate::up;

/// Arguments of `capture`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is MCAP (mcap.dev): chunks with checksums, indexed by time and subject. Events are in it
after a second at the latest; a capture that is killed leaves a file that can be replayed up to
there. When it is too slow, publishers wait for it as for any subscription; what it missed after
all is told, and stands in the file.

Examples:
  ephapse capture run.mcap                          all events, until Ctrl-C
  ephapse capture run.mcap 'robot.>' --for 10m
  ephapse capture run.mcap log.lines --until-end --json
  ephapse capture all.mcap '>' 'ephapse.>' --drop-oldest --overwrite
  ephapse replay run.mcap --info                    what is in it")]
pub(crate) struct CaptureArgs {
    /// The file to make.
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,

    /// What to capture [default: >].
    #[arg(value_name = "PATTERN", num_args = 0..=PATTERNS_MAX)]
    patterns: Vec<Pattern>,

    /// Replace the file if it is there already.
    #[arg(long)]
    overwrite: bool,

    /// End after so many events.
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,

    /// End when all who published have left. Waits for the first to come.
    #[arg(long)]
    until_end: bool,

    /// Do not hold publishers up: rather lose the oldest events.
    #[arg(long)]
    drop_oldest: bool,

    /// Fail if an event was lost.
    #[arg(long)]
    strict: bool,

    /// Print a summary as one JSON object on standard output.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

/// The sum of a run, as `--json` prints it.
#[derive(Serialize)]
struct Totals {
    file: PathBuf,
    events: u64,
    /// Of payloads.
    bytes: u64,
    missed: u64,
    chunks: u64,
    file_bytes: u64,
    duration_s: f64,
    /// By a signal.
    interrupted: bool,
}

/// Writes until there is enough, or SIGINT or SIGTERM.
pub(crate) fn run(args: CaptureArgs, ui: &Ui) -> Result<ExitCode> {
    let CaptureArgs { file, patterns, json, .. } = args;
    let all = || ">".parse().into_iter().collect();
    let patterns: Vec<Pattern> = if patterns.is_empty() { all() } else { patterns };
    let domain = up::domain(args.join.dir.clone());
    let (known, domain) = (Known::new(domain.clone()), domain.path().display().to_string());
    let hub = args.join.join("capture", |hub| hub)?;
    let names: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
    let about = [("domain", domain), ("hub", hub.name().to_owned()), ("patterns", names.join(" "))];
    let about = about.map(|(name, value)| (name.to_owned(), value)).into();
    let writer = CaptureWriter::create(&file, args.overwrite, about, known)?;
    let flow = if args.drop_oldest { Flow::DropOldest } else { Flow::Block };
    let mut listener = Listener::subscribe(hub, &patterns, flow, ui)?;
    listener.until_end = args.until_end;
    let start = Instant::now();
    let mut capture = Capture {
        writer,
        left: args.count.unwrap_or(u64::MAX),
        end: args.length.and_then(|length| start.checked_add(length)),
        progress: ui.progress(),
    };
    let ended = listener.run(&mut capture);
    let Capture { writer, progress, .. } = capture;
    drop(progress);
    listener.books.tell(ui, true);
    let interrupted = matches!(ended, Ok(Ended::Interrupted));
    ended?;
    let CaptureWriter { events, bytes: payloads, missed, .. } = writer;
    let (chunks, file_bytes) = writer.finish()?;
    let duration_s = start.elapsed().as_secs_f64();
    if json {
        let bytes = payloads;
        let totals =
            Totals { file, events, bytes, missed, chunks, file_bytes, duration_s, interrupted };
        ui.json(&totals)?;
    } else {
        let (text, size) = (listener.books.text(), bytes(file_bytes));
        ui.note(format_args!("{text} in {}, which has {size}", file.display()));
    }
    let failed = listener.books.corrupt || (args.strict && missed > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Capture {
    writer: CaptureWriter,
    /// Events that are still wanted.
    left: u64,
    end: Option<Instant>,
    progress: Progress,
}

impl Follow for Capture {
    fn event(&mut self, event: &Envelope<'_>) -> Result<bool> {
        self.writer.event(event)?;
        self.left -= 1;
        Ok(self.left == 0)
    }

    fn missed(&mut self, hub: &str, missed: u64) -> Result<()> {
        self.writer.missed(hub, missed)
    }

    fn pause(&mut self) -> Result<bool> {
        let chunks = self.writer.chunks;
        self.writer.tick()?;
        if self.writer.chunks > chunks {
            let CaptureWriter { events, bytes: payloads, .. } = &self.writer;
            self.progress.set(format_args!("{} events, {}", count(*events), bytes(*payloads)));
        }
        Ok(self.end.is_some_and(|end| Instant::now() >= end))
    }

    fn due(&self) -> Option<Instant> {
        let chunk = self.writer.due();
        self.end.into_iter().chain(chunk).min()
    }
}
