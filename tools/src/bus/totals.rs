//! What has been published, and which way it went.

use std::time::Duration;

use anyhow::Result;
use ephapse::{Path, Sent};
use serde::Serialize;

use crate::ui::Ui;
use crate::ui::format::{bytes, count, duration, rate};

/// The sum of a run, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Totals {
    subject: String,
    /// Events that were published, also those that nobody wanted.
    pub(super) count: u64,
    /// Of payload.
    bytes: u64,
    /// Subscriptions that the events were for: the most at once.
    receivers: u32,
    /// The same, added up over all events.
    deliveries: u64,
    paths: Paths,
    pub(super) duration_s: f64,
    /// Ended before all was published.
    pub(super) interrupted: bool,
}

/// How many events went which way.
#[derive(Debug, Default, Serialize)]
struct Paths {
    links: u64,
    broadcast: u64,
    nobody: u64,
}

impl Totals {
    /// Nothing yet.
    pub(super) fn of(subject: &str) -> Totals {
        Totals { subject: subject.to_owned(), ..Totals::default() }
    }

    /// One more.
    #[inline]
    pub(super) fn add(&mut self, payload: usize, sent: Sent) {
        self.count += 1;
        self.bytes += payload as u64;
        self.receivers = self.receivers.max(sent.receivers);
        self.deliveries += u64::from(sent.receivers);
        match sent.path {
            Path::Links => self.paths.links += 1,
            Path::Nobody => self.paths.nobody += 1,
            // What there may be later is not over links.
            _ => self.paths.broadcast += 1,
        }
    }

    /// On standard output as JSON if wanted, else a note.
    pub(super) fn tell(&self, json: bool, ui: &Ui) -> Result<()> {
        if json {
            return ui.json(self);
        }
        ui.note(self.text());
        Ok(())
    }

    fn text(&self) -> String {
        let Paths { links, broadcast, nobody } = self.paths;
        let ways = [(links, "over links"), (broadcast, "by broadcast"), (nobody, "to nobody")];
        let ways: Vec<_> = ways.iter().filter(|(events, _)| *events > 0).collect();
        let ways = match &ways[..] {
            [] => String::new(),
            [(_, way)] => format!(", {way}"),
            several => several.iter().map(|(n, way)| format!(", {} {way}", count(*n))).collect(),
        };
        let early = if self.interrupted { "interrupted: " } else { "" };
        let took = duration(Duration::from_secs_f64(self.duration_s));
        let pace = match self.count as f64 / self.duration_s {
            pace if pace.is_finite() && self.count > 1 => format!(" ({})", rate(pace)),
            _ => String::new(),
        };
        format!(
            "{early}{} ({}) on {} to {}{ways}, in {took}{pace}",
            number_of(self.count, "event"),
            bytes(self.bytes),
            self.subject,
            number_of(self.receivers.into(), "receiver"),
        )
    }
}

/// `1 event`, `2 events`.
pub(crate) fn number_of(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_or_several() {
        let mut totals = Totals::of("a.b");
        assert_eq!(totals.text(), "0 events (0 B) on a.b to 0 receivers, in 0 ns");
        totals.add(5, Sent { path: Path::Nobody, receivers: 0 });
        assert_eq!(totals.text(), "1 event (5 B) on a.b to 0 receivers, to nobody, in 0 ns");
        totals.add(5, Sent { path: Path::Links, receivers: 1 });
        totals.add(0, Sent { path: Path::Broadcast, receivers: 2 });
        totals.interrupted = true;
        assert_eq!(
            totals.text(),
            "interrupted: 3 events (10 B) on a.b to 2 receivers, 1 over links, 1 by broadcast, \
             1 to nobody, in 0 ns"
        );
        assert_eq!(totals.deliveries, 3);
        totals.duration_s = 0.001;
        assert!(totals.text().ends_with(", in 1.00 ms (3.00 k/s)"), "{}", totals.text());
    }
}
