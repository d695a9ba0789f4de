//! The events of a capture, in the order in which they came.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use mcap::records::{Channel, ChunkIndex, MessageHeader, Record};
use serde::Deserialize;

use super::file::{CaptureFile, Damage, Piece};
use super::message::{Origin, Stored};
use super::select::{Selection, Window};
use super::{ENCODING, MISSED_TOPIC};

/// What a channel carries.
#[derive(Clone, Debug)]
enum Carries {
    Events(Rc<Origin>),
    Missed,
    /// It is none of ours.
    Other,
}

impl Carries {
    fn of(channel: &Channel) -> Carries {
        match Origin::of(&channel.topic, &channel.metadata) {
            Some(origin) if channel.message_encoding == ENCODING => Carries::Events(origin.into()),
            _ if channel.topic == MISSED_TOPIC => Carries::Missed,
            _ => Carries::Other,
        }
    }
}

/// An event, and where it was.
#[derive(Debug)]
pub(super) struct Captured<'a> {
    pub(super) origin: &'a Rc<Origin>,
    /// When it came and when it was sent, since 1970.
    pub(super) came_ns: u64,
    pub(super) sent_ns: u64,
    pub(super) event: Stored<'a>,
}

/// What was found beside events.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Chunks that are not as they were written.
    pub(super) damaged: Vec<Damage>,
    /// The end of a file that was not written to its end.
    pub(super) torn: Option<Damage>,
    /// Messages that are no events.
    pub(super) strange: u64,
    /// Events that the capture has missed, and from which hubs.
    pub(super) missed: HashMap<String, u64>,
}

/// That some events of a hub were missed.
#[derive(Deserialize)]
struct Missed {
    hub: String,
    missed: u64,
}

/// Hands over all events that are selected; `each` says whether to go on.
pub(super) fn read(
    file: &CaptureFile,
    selection: &Selection,
    mut each: impl FnMut(&Captured<'_>) -> Result<bool>,
) -> Result<Findings> {
    let mut channels = HashMap::new();
    let mut window = None;
    if let Ok(index) = &file.index {
        let known = index.channels.values().map(|channel| (channel.id, Carries::of(channel)));
        channels.extend(known);
        let first = index.chunks.iter().map(|chunk| chunk.message_start_time).min();
        window = first.map(|first| selection.window(first));
    }
    let is_wanted = {
        let channels = channels.clone();
        move |chunk: &ChunkIndex| holds_wanted(chunk, &channels, selection, window)
    };
    let mut findings = Findings::default();
    for piece in file.chunks(is_wanted) {
        let records = match piece.with_context(|| file.unread())? {
            Piece::Chunk(records) => records,
            Piece::Damaged(damage) => {
                findings.damaged.push(damage);
                continue;
            }
            Piece::Torn(damage) => {
                findings.torn = Some(damage);
                break;
            }
        };
        for record in records {
            match record {
                Record::Channel(channel) => {
                    channels.insert(channel.id, Carries::of(&channel));
                }
                Record::Message { header, data } => {
                    let window = window.get_or_insert_with(|| selection.window(header.log_time));
                    let (channels, findings) = (&channels, &mut findings);
                    let event = message(&header, &data, channels, selection, window, findings);
                    if let Some(event) = event
                        && !each(&event)?
                    {
                        return Ok(std::mem::take(findings));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(findings)
}

/// Whether a chunk may hold something that is selected.
fn holds_wanted(
    chunk: &ChunkIndex,
    channels: &HashMap<u16, Carries>,
    selection: &Selection,
    window: Option<Window>,
) -> bool {
    let (from, to) = (chunk.message_start_time, chunk.message_end_time);
    let in_time = window.is_none_or(|window| window.overlaps(from, to));
    in_time
        && chunk.message_index_offsets.keys().any(|channel| match channels.get(channel) {
            Some(Carries::Events(origin)) => selection.takes(&origin.subject),
            Some(Carries::Other) => false,
            Some(Carries::Missed) | None => true,
        })
}

fn message<'a>(
    header: &MessageHeader,
    data: &'a [u8],
    channels: &'a HashMap<u16, Carries>,
    selection: &Selection,
    window: &Window,
    findings: &mut Findings,
) -> Option<Captured<'a>> {
    if !window.holds(header.log_time) {
        return None;
    }
    match channels.get(&header.channel_id) {
        Some(Carries::Events(origin)) => {
            if !selection.takes(&origin.subject) {
                return None;
            }
            let event = Stored::of(data);
            findings.strange += u64::from(event.is_none());
            let (came_ns, sent_ns) = (header.log_time, header.publish_time);
            Some(Captured { origin, came_ns, sent_ns, event: event? })
        }
        Some(Carries::Missed) => {
            match serde_json::from_slice::<Missed>(data) {
                Ok(Missed { hub, missed }) => *findings.missed.entry(hub).or_default() += missed,
                Err(_) => findings.strange += 1,
            }
            None
        }
        Some(Carries::Other) => None,
        // It stood in a chunk that cannot be read.
        None => {
            findings.strange += 1;
            None
        }
    }
}

impl Findings {
    /// Events that the capture has missed.
    pub(super) fn missed_events(&self) -> u64 {
        self.missed.values().sum()
    }

    /// Whether something is not as it was written.
    pub(super) fn is_damaged(&self) -> bool {
        !self.damaged.is_empty() || self.strange > 0
    }
}

/// From one moment to another, both since 1970.
pub(super) fn between(from_ns: u64, to_ns: u64) -> Duration {
    Duration::from_nanos(to_ns.saturating_sub(from_ns))
}
