//! `ephapse replay`: publishes the events of a file again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::events::{Findings, read};
use super::file::{CaptureFile, NoIndex};
use super::info;
use super::message::Origin;
use super::outlets::{Manner, Outlets};
use super::pace::{HostClock, Late, Pace};
use super::select::{Rename, Selection};
use crate::bus::{JoinArgs, number_of};
use crate::cli::duration;
use crate::signals::{self, StopFlag};
use crate::ui::Ui;
use crate::ui::format::{self, bytes, nanoseconds};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Events are published with the gaps that they had when they were sent, with payload, schema and
extension as they were; deadlines are as far away as they were. Sequence numbers and timestamps are
new. What the domain says itself (`ephapse.…`) is left out, unless it is given another subject. A
file that was not written to its end is replayed up to there; chunks whose checksum is wrong are
left out, and that is a failure.

Examples:
  ephapse replay run.mcap                            as it was
  ephapse replay run.mcap --speed max --wait-for 1   as fast as the subscriber reads
  ephapse replay run.mcap --subject 'robot.>' --from 90s --to 2m --speed 0.5
  ephapse replay run.mcap --map 'robot.>=sim.robot.>' --mark
  ephapse replay run.mcap --info --json              what is in it; checks all of it")]
pub(crate) struct ReplayArgs {
    /// A file that `ephapse capture` has made.
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,

    /// Publish nothing: check the file, and print what is in it.
    #[arg(long)]
    info: bool,

    /// So many times as fast, or `max`.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed)]
    speed: Speed,

    #[command(flatten)]
    selection: Selection,

    /// Publish on another subject: `old=new`, or `old.>=new.>` for all that begin so; can be given
    /// several times, the first that fits counts.
    #[arg(long = "map", value_name = "OLD=NEW")]
    renames: Vec<Rename>,

    /// Publish by a hub for each that was captured, and by the same name.
    #[arg(long, conflicts_with = "name")]
    as_sources: bool,

    /// Add metadata `origin` to each event: its hub and number when it was captured.
    #[arg(long)]
    mark: bool,

    /// Wait until each subject has so many subscriptions.
    #[arg(long, value_name = "N", default_value_t = 0)]
    wait_for: u32,

    /// How long to wait for them.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    timeout: Duration,

    /// How long a subscription that stands still may hold the events up before it is overtaken.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    patience: Duration,

    /// Print a summary as one JSON object on standard output.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

/// Times as fast; `None` is as fast as it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Speed(Option<f64>);

fn speed(text: &str) -> Result<Speed, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Speed(None)),
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Speed(Some(factor))),
        _ => Err("expected a factor, such as 2 or 0.5, or `max`".into()),
    }
}

/// The sum of a run, as `--json` prints it.
#[derive(Serialize)]
struct Totals {
    file: PathBuf,
    events: u64,
    /// Of payloads.
    bytes: u64,
    subjects: usize,
    /// Events of subjects that are not replayed.
    left_out: u64,
    duration_s: f64,
    #[serde(flatten)]
    late: Option<Late>,
    /// Events that the capture had missed.
    capture_missed: u64,
    damaged_chunks: usize,
    /// The file was not written to its end.
    torn: bool,
    interrupted: bool,
}

/// Publishes until all is published, or SIGINT or SIGTERM.
pub(crate) fn run(args: ReplayArgs, ui: &Ui) -> Result<ExitCode> {
    let file = CaptureFile::open(&args.file)?;
    match &file.index {
        Err(NoIndex::Torn) => ui.note("the file was not written to its end; what is there is read"),
        Err(NoIndex::Damaged(error)) => {
            ui.note(format_args!("the file's index is damaged: {error}; it is read without it"));
        }
        Ok(_) => {}
    }
    if args.info {
        return info::print(&args.file, &file, &args.selection, args.json, ui);
    }
    let stop = signals::watch_once(|| {}).context("cannot watch for signals")?;
    let ReplayArgs { join, as_sources, mark, renames, patience, selection, .. } = args;
    let manner = Manner { join, as_sources, mark, renames, patience };
    let (origins, longest) = survey(&file, &selection)?;
    let mut outlets = Outlets::open(origins, longest, manner)?;
    for subject in &outlets.left_out {
        ui.note(format_args!("events on {subject} are left out; see --map"));
    }
    outlets.wait_for(args.wait_for, args.timeout, || stop.is_set())?;
    let start = Instant::now();
    let mut totals = Totals {
        file: args.file,
        events: 0,
        bytes: 0,
        subjects: outlets.subjects(),
        left_out: 0,
        duration_s: 0.0,
        late: None,
        capture_missed: 0,
        damaged_chunks: 0,
        torn: matches!(file.index, Err(NoIndex::Torn)),
        interrupted: false,
    };
    let mut pace = Pace::new(HostClock::start(), args.speed.0);
    let findings = publish(&file, &selection, &mut outlets, &mut pace, &stop, &mut totals)?;
    totals.duration_s = start.elapsed().as_secs_f64();
    totals.late = pace.late();
    totals.capture_missed = findings.missed_events();
    totals.damaged_chunks = findings.damaged.len();
    info::tell(&findings, ui);
    if args.json {
        ui.json(&totals)?
    } else {
        ui.note(totals.text())
    }
    let damaged = findings.is_damaged() || matches!(file.index, Err(NoIndex::Damaged(_)));
    Ok(if damaged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// From where events come, and how long the longest payload may be.
fn survey(file: &CaptureFile, selection: &Selection) -> Result<(HashSet<Origin>, usize)> {
    if let Ok(index) = &file.index {
        let channels = index.channels.values();
        let origins = channels.filter_map(|channel| Origin::of(&channel.topic, &channel.metadata));
        let origins = origins.filter(|origin| selection.takes(&origin.subject)).collect();
        // None is longer than the chunk that holds it.
        let longest = index.chunks.iter().map(|chunk| chunk.uncompressed_size).max();
        return Ok((origins, usize::try_from(longest.unwrap_or(0)).unwrap_or(usize::MAX)));
    }
    let (mut origins, mut longest) = (HashSet::new(), 0);
    read(file, selection, |captured| {
        if !origins.contains(&**captured.origin) {
            origins.insert(Origin::clone(captured.origin));
        }
        longest = longest.max(captured.event.payload.len());
        Ok(true)
    })?;
    Ok((origins, longest))
}

fn publish(
    file: &CaptureFile,
    selection: &Selection,
    outlets: &mut Outlets,
    pace: &mut Pace<HostClock>,
    stop: &StopFlag,
    totals: &mut Totals,
) -> Result<Findings> {
    read(file, selection, |captured| {
        if !pace.wait(captured.sent_ns, || stop.is_set()) {
            totals.interrupted = true;
            return Ok(false);
        }
        if outlets.send(captured)? {
            totals.events += 1;
            totals.bytes += captured.event.payload.len() as u64;
        } else {
            totals.left_out += 1;
        }
        Ok(true)
    })
}

impl Totals {
    fn text(&self) -> String {
        let early = if self.interrupted { "interrupted: " } else { "" };
        let late = self.late.map_or_else(String::new, |late| {
            let [median, most] = [late.late_p50_ns, late.late_max_ns].map(nanoseconds);
            format!(", {median} late in the middle and {most} at most")
        });
        format!(
            "{early}{} ({}) on {}, in {}{late}",
            number_of(self.events, "event"),
            bytes(self.bytes),
            number_of(self.subjects as u64, "subject"),
            format::duration(Duration::from_secs_f64(self.duration_s)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        assert_eq!(speed("2"), Ok(Speed(Some(2.0))));
        assert_eq!(speed("max"), Ok(Speed(None)));
        assert!(["0", "-1", "inf", "nan", "fast", ""].iter().all(|text| speed(text).is_err()));
    }
}
