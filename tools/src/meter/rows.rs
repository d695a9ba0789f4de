//! A row for each subject of each hub.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{Gauge, Sample};
use crate::ui::format::{count, duration};
use crate::ui::{Stream, Table, Ui};

/// What is known of one row.
#[derive(Debug, Default)]
struct Row<G> {
    interval: Part<G>,
    total: Part<G>,
}

#[derive(Debug, Default)]
struct Part<G> {
    events: u64,
    /// Events of the hub that were not seen, on whatever subject.
    missed: u64,
    gauge: G,
}

/// All rows, by hub and subject.
#[derive(Debug)]
pub(super) struct Rows<G>(BTreeMap<String, BTreeMap<String, Row<G>>>);

impl<G> Default for Rows<G> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// A row in JSON.
#[derive(Serialize)]
struct Report<'a, F> {
    /// `interval` or `total`.
    report: &'static str,
    /// Since the start, at its end.
    at_s: f64,
    /// How long it was.
    span_s: f64,
    subject: &'a str,
    source: &'a str,
    events: u64,
    missed: u64,
    #[serde(flatten)]
    figures: F,
}

impl<G: Gauge> Rows<G> {
    /// One event more. Allocates for the first of its row alone.
    pub(super) fn add(&mut self, source: &str, subject: &str, sample: &Sample) {
        if !self.0.contains_key(source) {
            self.0.insert(source.to_owned(), BTreeMap::new());
        }
        let Some(rows) = self.0.get_mut(source) else { return };
        if !rows.contains_key(subject) {
            let part = || Part { events: 0, missed: 0, gauge: G::default() };
            rows.insert(subject.to_owned(), Row { interval: part(), total: part() });
        }
        let Some(row) = rows.get_mut(subject) else { return };
        for part in [&mut row.interval, &mut row.total] {
            part.events += 1;
            part.gauge.add(sample);
        }
    }

    /// A hub was faster.
    pub(super) fn missed(&mut self, source: &str, missed: u64) {
        for row in self.0.get_mut(source).into_iter().flat_map(BTreeMap::values_mut) {
            for part in [&mut row.interval, &mut row.total] {
                part.missed += missed;
                part.gauge.missed();
            }
        }
    }

    /// Prints the interval that has ended, and begins the next.
    pub(super) fn interval(
        &mut self,
        at: Duration,
        span: Duration,
        json: bool,
        ui: &Ui,
    ) -> Result<()> {
        self.print(|row| &row.interval, "interval", at, span, json, ui)?;
        for row in self.0.values_mut().flat_map(BTreeMap::values_mut) {
            let gauge = row.interval.gauge.next();
            row.interval = Part { events: 0, missed: 0, gauge };
        }
        Ok(())
    }

    /// Prints all there was.
    pub(super) fn total(&self, span: Duration, json: bool, ui: &Ui) -> Result<()> {
        self.print(|row| &row.total, "total", span, span, json, ui)
    }

    fn print(
        &self,
        part: impl Fn(&Row<G>) -> &Part<G>,
        report: &'static str,
        at: Duration,
        span: Duration,
        json: bool,
        ui: &Ui,
    ) -> Result<()> {
        let all =
            self.0.iter().flat_map(|(source, rows)| rows.iter().map(move |row| (source, row)));
        let mut all = all.peekable();
        if all.peek().is_none() {
            return Ok(());
        }
        let columns = [report, "subject", "source", "events", "missed"];
        let head = columns.iter().chain(G::COLUMNS).map(|&name| name.to_owned());
        let mut table = Table::with_head(head.collect(), 3);
        for (source, (subject, row)) in all {
            let Part { events, missed, gauge } = part(row);
            let (events, missed, figures) = (*events, *missed, gauge.figures(span));
            if json {
                let (at_s, span_s) = (at.as_secs_f64(), span.as_secs_f64());
                ui.json(&Report {
                    report,
                    at_s,
                    span_s,
                    subject,
                    source,
                    events,
                    missed,
                    figures,
                })?;
                continue;
            }
            let cells =
                [duration(at), subject.clone(), source.clone(), count(events), count(missed)];
            table.row(cells.into_iter().chain(G::cells(&figures)));
        }
        if json { Ok(()) } else { ui.table(Stream::Out, table) }
    }
}
