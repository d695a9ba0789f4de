//! The publishers of a replay.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, Result};
use ephapse::event::Extension;
use ephapse::{Hub, HubBuilder, RawEvent, RawPublisher, Timestamp};

use super::events::Captured;
use super::message::{Described, Origin, Stored};
use super::select::{Rename, renamed};
use crate::bus::{JoinArgs, capacity_for, wait_for};

/// How the subjects of the domain's own events begin, and those of replies.
const OWN: &str = "ephapse.";

/// Where events are published, by where they come from.
pub(super) struct Outlets {
    publishers: HashMap<Origin, RawPublisher>,
    /// Subjects that are left out: only a supervisor may say such things.
    pub(super) left_out: BTreeSet<String>,
    mark: bool,
    // Behind the publishers, which end before them.
    _hubs: BTreeMap<String, Hub>,
}

/// How they are made.
pub(super) struct Manner {
    pub(super) join: JoinArgs,
    /// A hub for each source, of its name.
    pub(super) as_sources: bool,
    /// Metadata that says where the event was.
    pub(super) mark: bool,
    pub(super) renames: Vec<Rename>,
    /// With subscriptions that stand still.
    pub(super) patience: Duration,
}

impl Outlets {
    /// Joins, for events with payloads of up to `longest` bytes.
    pub(super) fn open(
        origins: impl IntoIterator<Item = Origin>,
        longest: usize,
        manner: Manner,
    ) -> Result<Outlets> {
        let Manner { join, as_sources, mark, renames, patience } = manner;
        let capacity = capacity_for(longest);
        let mut hubs = BTreeMap::new();
        let mut publishers = HashMap::new();
        let mut left_out = BTreeSet::new();
        for origin in origins {
            let subject = renamed(&renames, &origin.subject);
            if subject.starts_with(OWN) {
                left_out.insert(origin.subject.clone());
                continue;
            }
            let name = if as_sources { origin.source.clone() } else { String::new() };
            if !hubs.contains_key(&name) {
                let join = if as_sources { join.named(&name) } else { join.clone() };
                let options = |hub: HubBuilder| hub.broadcast_capacity(capacity).patience(patience);
                hubs.insert(name.clone(), join.join("replay", options)?);
            }
            if let Some(Described { name: ty, version, layout }) = &origin.described {
                hubs[&name].describe(ty, *version, layout);
            }
            let publisher = hubs[&name].raw_publisher(&subject);
            let publisher = publisher.with_context(|| format!("cannot publish on {subject}"))?;
            publishers.insert(origin, publisher);
        }
        Ok(Outlets { publishers, left_out, mark, _hubs: hubs })
    }

    /// How many subjects there are.
    pub(super) fn subjects(&self) -> usize {
        self.publishers.values().map(RawPublisher::subject).collect::<BTreeSet<_>>().len()
    }

    /// Until each subject has so many subscriptions, or `stop`.
    pub(super) fn wait_for(
        &self,
        wanted: u32,
        timeout: Duration,
        stop: impl Fn() -> bool,
    ) -> Result<()> {
        wait_for(self.publishers.values(), wanted, timeout, stop)
    }

    /// Publishes an event again. `false` if it is left out.
    pub(super) fn send(&mut self, captured: &Captured<'_>) -> Result<bool> {
        let Some(publisher) = self.publishers.get_mut(&**captured.origin) else {
            return Ok(false);
        };
        let Captured { origin, event, .. } = captured;
        let raw = RawEvent::bytes(origin.schema, event.payload);
        let sent = match extension(origin, event, self.mark)? {
            None => publisher.send(&raw),
            Some(extension) => publisher.send(&raw.extension(&extension)),
        };
        sent.with_context(|| format!("cannot publish on {}", publisher.subject()))?;
        Ok(true)
    }
}

/// As it was, but that a deadline is as far away as it was then.
fn extension(origin: &Origin, event: &Stored<'_>, mark: bool) -> Result<Option<Extension>> {
    let mut extension = event.extension.map(Extension::from);
    if let (Some(extension), Some(left)) = (&mut extension, event.left_ns) {
        extension.set_deadline(Some(Timestamp::after(Duration::from_nanos(left))));
    }
    if mark {
        let place = format!("{}#{}", origin.source, event.sequence);
        let extension = extension.get_or_insert_default();
        extension.add_metadata("origin", &place).context("too much metadata for --mark")?;
    }
    Ok(extension)
}
