//! What each process publishes beside its link, for whoever wants to follow the run.

use anyhow::{Context, Result};
use ephapse::{Hub, Publisher};

use super::events::Note;

/// All subjects of the demo.
pub(crate) const EVERYTHING: &str = "demo.>";

/// Events over the link for each note: one who follows everything must not be what limits those
/// who work.
const EVENTS_PER_NOTE: u64 = 16;

/// What a process publishes on.
pub(crate) fn subject(role: &str) -> String {
    format!("demo.{role}")
}

/// The publishing end.
pub(crate) struct Beside {
    notes: Publisher<Note>,
    published: u64,
}

impl Beside {
    /// Numbers the notes of `role` from zero.
    pub(crate) fn new(hub: &Hub, role: &str) -> Result<Beside> {
        let notes = hub.publisher(&subject(role)).context("cannot publish")?;
        Ok(Beside { notes, published: 0 })
    }

    /// After event `number` was sent over the link: publishes a note of it, if it is its turn.
    pub(crate) fn follow(&mut self, number: u64) -> Result<()> {
        if number.is_multiple_of(EVENTS_PER_NOTE) {
            self.publish(number, false)?;
        }
        Ok(())
    }

    /// Nothing more will be sent than these `count` events.
    pub(crate) fn end(&mut self, count: u64) -> Result<()> {
        self.publish(count, true)
    }

    /// How many notes there were.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// Whoever follows waits for nobody, so this waits for no longer than it takes to catch up.
    pub(crate) fn publish(&mut self, event: u64, last: bool) -> Result<()> {
        let note = Note { number: self.published, event, last };
        self.notes
            .send(&note)
            .with_context(|| format!("cannot publish on {}", self.notes.subject()))?;
        self.published += 1;
        Ok(())
    }
}
