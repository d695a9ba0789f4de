//! The fourth process: has no link with anybody, and follows all that is published.

use anyhow::{Context, Result};
use ephapse::{Envelope, RecvError, Subscription, SubscriptionOptions, Wait};

use super::beside::{EVERYTHING, subject};
use super::counted::Incoming;
use super::events::Note;
use super::report::{Final, Report};
use super::{ACTUATOR, GUEST, LIVE_EVERY, LOGGER, PLANNER, RoleArgs, SENSOR, join};
use crate::children::tell_parent;

/// Runs until all three have published their last note.
pub(crate) fn run(args: &RoleArgs) -> Result<Final> {
    let hub = join(LOGGER, args)?;
    // It is in no hurry, and the others need the processors.
    let options = SubscriptionOptions::default().wait(Wait::Block);
    let mut notes = hub.subscribe_with([EVERYTHING], options).context("cannot subscribe")?;
    // What is published from here on arrives: now the others may start.
    tell_parent(&Report::Ready)?;
    let streams = [SENSOR, PLANNER, ACTUATOR].map(Stream::new);
    let mut logger = Logger { streams: streams.into_iter().collect::<Result<_>>()? };
    while logger.streams.iter().any(|stream| !stream.ended) {
        logger.next(&mut notes)?;
    }
    let received = logger.streams.iter().map(|stream| stream.notes.report()).collect();
    Ok(Final { received, ..Final::default() })
}

struct Logger {
    streams: Vec<Stream>,
}

struct Stream {
    subject: String,
    notes: Incoming,
    ended: bool,
}

impl Stream {
    fn new(role: &str) -> Result<Stream> {
        Ok(Stream { subject: subject(role), notes: Incoming::new(role)?, ended: false })
    }
}

impl Logger {
    fn next(&mut self, notes: &mut Subscription) -> Result<()> {
        match notes.recv_timeout(LIVE_EVERY) {
            Ok(Some(event)) => self.take(&event),
            Ok(None) => Ok(()),
            // The numbers of the notes tell what was lost.
            Err(RecvError::Lagged { hub, missed }) => {
                tracing::warn!(%hub, missed, "overtaken");
                Ok(())
            }
            // It may have been killed at any moment.
            Err(RecvError::SourceCorrupt { hub, .. }) if &*hub == GUEST => Ok(()),
            Err(error) => Err(error).context("the logger's stream is broken"),
        }
    }

    fn take(&mut self, event: &Envelope<'_>) -> Result<()> {
        let of = |stream: &&mut Stream| stream.subject == event.subject();
        let Some(stream) = self.streams.iter_mut().find(of) else {
            return Ok(()); // from a guest
        };
        stream.notes.time(event.timestamp());
        let note = event.get::<Note>()?;
        stream.notes.count(note.number.to_native());
        stream.ended |= note.last;
        Ok(())
    }
}
