//! `ephapse replay --info`: what is in a capture, and whether it is as it was written.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::Serialize;

use super::events::{Findings, between, read};
use super::file::{CaptureFile, Damage, NoIndex};
use super::select::Selection;
use crate::bus::number_of;
use crate::ui::format::{bytes, count, duration};
use crate::ui::{Stream, Table, Ui};

/// All of it, as `--json` prints it.
#[derive(Serialize)]
struct Info<'a> {
    file: &'a Path,
    file_bytes: u64,
    /// Written to its end.
    complete: bool,
    /// What is wrong with it as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    damaged_chunks: Vec<DamagedChunk>,
    /// At its end, of a chunk that was not written whole.
    torn_bytes: u64,
    /// When the first event came.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    duration_s: f64,
    events: u64,
    /// Of payloads.
    bytes: u64,
    missed: u64,
    channels: Vec<Channel>,
}

#[derive(Serialize)]
struct DamagedChunk {
    offset: u64,
    bytes: u64,
    why: String,
}

/// One subject of one hub and schema.
#[derive(Clone, Default, Serialize)]
struct Channel {
    subject: String,
    source: String,
    schema: String,
    /// The name of the type, if a hub has described it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    ty: Option<String>,
    events: u64,
    bytes: u64,
    first_sequence: u64,
    last_sequence: u64,
    /// Since the start.
    first_s: f64,
    last_s: f64,
}

/// Prints what is in it. It is a failure if something is not as it was written.
pub(super) fn print(
    path: &Path,
    file: &CaptureFile,
    selection: &Selection,
    json: bool,
    ui: &Ui,
) -> Result<ExitCode> {
    let mut channels = BTreeMap::new();
    let mut times: Option<(u64, u64)> = None;
    let findings = read(file, selection, |captured| {
        let came = captured.came_ns;
        let (start, end) = times.get_or_insert((came, came));
        *end = came.max(*end);
        let since_start = between(*start, came).as_secs_f64();
        let origin = captured.origin;
        let key = (origin.subject.clone(), origin.source.clone(), origin.schema);
        let sequence = captured.event.sequence;
        let channel = channels.entry(key).or_insert_with(|| Channel {
            subject: origin.subject.clone(),
            source: origin.source.clone(),
            schema: format!("{:016x}", origin.schema),
            ty: origin.described.as_ref().map(|described| described.name.clone()),
            first_sequence: sequence,
            first_s: since_start,
            ..Channel::default()
        });
        channel.events += 1;
        channel.bytes += captured.event.payload.len() as u64;
        (channel.last_sequence, channel.last_s) = (sequence, since_start);
        Ok(true)
    })?;
    let fault = match &file.index {
        Err(NoIndex::Damaged(error)) => Some(error.to_string()),
        Err(NoIndex::Torn) => None,
        Ok(_) => file.verify()?.map(|error| error.to_string()),
    };
    let damage = |damage: &Damage| DamagedChunk {
        offset: damage.offset,
        bytes: damage.bytes,
        why: damage.why.clone(),
    };
    let channels: Vec<Channel> = channels.into_values().collect();
    let info = Info {
        file: path,
        file_bytes: file.len,
        complete: !matches!(file.index, Err(NoIndex::Torn)),
        fault,
        damaged_chunks: findings.damaged.iter().map(damage).collect(),
        torn_bytes: findings.torn.as_ref().map_or(0, |torn| torn.bytes),
        start: times.map(|(start, _)| rfc3339(start)),
        duration_s: times.map_or(0.0, |(start, end)| between(start, end).as_secs_f64()),
        events: channels.iter().map(|channel| channel.events).sum(),
        bytes: channels.iter().map(|channel| channel.bytes).sum(),
        missed: findings.missed_events(),
        channels,
    };
    let sound = info.fault.is_none() && !findings.is_damaged();
    if json {
        ui.json(&info)?
    } else {
        info.show(&findings, ui)?
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Info<'_> {
    fn show(&self, findings: &Findings, ui: &Ui) -> Result<()> {
        tell(findings, ui);
        if let Some(fault) = &self.fault {
            ui.note(format_args!("the file is not as it was written: {fault}"));
        }
        if !self.channels.is_empty() {
            let head = ["subject", "source", "schema", "events", "bytes", "first", "last"];
            let mut table = Table::new(head, 3);
            let time = |seconds: f64| duration(Duration::from_secs_f64(seconds));
            for channel in self.channels.iter().cloned() {
                let Channel { subject, source, .. } = channel;
                let schema = channel.ty.unwrap_or(channel.schema);
                let figures = [count(channel.events), bytes(channel.bytes)];
                let times = [time(channel.first_s), time(channel.last_s)];
                table.row([subject, source, schema].into_iter().chain(figures).chain(times));
            }
            ui.table(Stream::Out, table)?;
        }
        let start = self.start.as_deref().map(|start| format!(", from {start}"));
        let missed = match self.missed {
            0 => String::new(),
            missed => format!(", up to {} missed", number_of(missed, "event")),
        };
        let text = format!(
            "{} ({}) in {}{}{missed}",
            number_of(self.events, "event"),
            bytes(self.bytes),
            duration(Duration::from_secs_f64(self.duration_s)),
            start.unwrap_or_default(),
        );
        ui.line(Stream::Out, text)
    }
}

/// Says what was found beside events.
pub(super) fn tell(findings: &Findings, ui: &Ui) {
    for Damage { offset, bytes, why } in &findings.damaged {
        ui.note(format_args!("the chunk at byte {offset} ({bytes} bytes) is left out: {why}"));
    }
    if let Some(Damage { offset, bytes, why }) = &findings.torn {
        ui.note(format_args!("the file ends at byte {offset} ({bytes} bytes more): {why}"));
    }
    if findings.strange > 0 {
        let strange = number_of(findings.strange, "message");
        ui.note(format_args!("{strange} cannot be read as events, and are left out"));
    }
    for (hub, missed) in &findings.missed {
        let missed = number_of(*missed, "event");
        ui.note(format_args!("the capture missed up to {missed} of hub {hub}"));
    }
}

fn rfc3339(ns: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(ns);
    humantime::format_rfc3339_micros(time).to_string()
}
