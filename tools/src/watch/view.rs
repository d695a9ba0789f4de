//! The three tables of a model: hubs, links, subjects. The same for terminals and for scripts.

use std::cmp::Ordering;

use serde::Serialize;

use super::model::{Count, HubRow, LinkRow, Model, SubjectRow};
use crate::ui::format;

/// Which table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum View {
    /// What each hub sends and receives.
    #[default]
    Hubs,
    /// What goes from one hub to another, and how long it takes.
    Links,
    /// What is published on each subject.
    Subjects,
}

impl View {
    pub(crate) const ALL: [View; 3] = [View::Hubs, View::Links, View::Subjects];

    pub(crate) fn name(self) -> &'static str {
        match self {
            View::Hubs => "hubs",
            View::Links => "links",
            View::Subjects => "subjects",
        }
    }

    /// The heads of the columns.
    pub(crate) fn columns(self) -> &'static [&'static str] {
        match self {
            View::Hubs => &[
                "HUB",
                "SENT/s",
                "RECV/s",
                "DIRECT/s",
                "OUT/s",
                "IN/s",
                "BEHIND",
                "MISSED",
                "FULL",
                "WOKEN/s",
                "OVERTAKEN",
                "SUBS",
                "LINKS",
                "PID",
            ],
            View::Links => &["FROM", "TO", "WAY", "EVENTS/s", "BYTES/s", "BEHIND", "P50", "P99"],
            View::Subjects => &["SUBJECT", "HUBS", "SENT/s", "BYTES/s", "SENT", "BYTES"],
        }
    }

    /// How many of them are names.
    pub(crate) fn names(self) -> usize {
        match self {
            View::Links => 3,
            View::Hubs | View::Subjects => 1,
        }
    }

    /// By which column rows are sorted at first: what moves most.
    pub(crate) fn first_sort(self) -> usize {
        match self {
            View::Links => 3,
            View::Hubs => 1,
            View::Subjects => 2,
        }
    }

    /// All rows, as they come.
    pub(crate) fn rows(self, model: &Model) -> Vec<Row> {
        match self {
            View::Hubs => model.hubs.iter().map(hub).collect(),
            View::Links => model.links.iter().map(link).collect(),
            View::Subjects => model.subjects.iter().map(subject).collect(),
        }
    }
}

/// How rows are chosen and ordered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    pub(crate) column: usize,
    /// Names from A, figures from the largest, unless reversed.
    pub(crate) reverse: bool,
    /// Part of a name; in lower case.
    pub(crate) filter: String,
}

impl Order {
    /// Leaves out what does not fit, and sorts the rest. Equal rows are sorted by name.
    pub(crate) fn apply(&self, rows: &mut Vec<Row>) {
        rows.retain(|row| row.name.to_lowercase().contains(&self.filter));
        rows.sort_by(|a, b| {
            let order = match (a.cells.get(self.column), b.cells.get(self.column)) {
                (Some(a), Some(b)) => a.compare(b),
                _ => Ordering::Equal,
            };
            let order = if self.reverse { order.reverse() } else { order };
            order.then_with(|| a.name.cmp(&b.name))
        });
    }
}

/// One row of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// By which it is known again.
    pub(crate) name: String,
    pub(crate) cells: Vec<Cell>,
    /// What its graph shows.
    pub(crate) rate: f64,
    /// Something has been lost or stands still.
    pub(crate) alarming: bool,
}

/// One cell: what is shown, and by what it is sorted.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    figure: Option<f64>,
}

impl Cell {
    fn name(text: &str) -> Cell {
        Cell { text: text.to_owned(), figure: None }
    }

    fn number(number: u64) -> Cell {
        Cell { text: format::count(number), figure: Some(number as f64) }
    }

    fn bytes(bytes: u64) -> Cell {
        Cell { text: format::bytes(bytes), figure: Some(bytes as f64) }
    }

    fn none() -> Cell {
        Cell { text: "-".to_owned(), figure: Some(-1.0) }
    }

    fn rate(count: Option<Count>) -> Cell {
        Cell::per_second(count, |rate| format::metric(rate, "").trim_end().to_owned())
    }

    fn bytes_rate(count: Option<Count>) -> Cell {
        Cell::per_second(count, |rate| format::bytes(rate as u64))
    }

    fn per_second(count: Option<Count>, text: impl Fn(f64) -> String) -> Cell {
        match count.and_then(|count| count.per_second) {
            Some(rate) => Cell { text: text(rate), figure: Some(rate) },
            None => Cell::none(),
        }
    }

    fn time(ns: Option<u64>) -> Cell {
        match ns {
            Some(ns) => Cell { text: format::nanoseconds(ns), figure: Some(ns as f64) },
            None => Cell::none(),
        }
    }

    /// Names from A, figures from the largest.
    fn compare(&self, other: &Cell) -> Ordering {
        match (self.figure, other.figure) {
            (Some(one), Some(two)) => two.total_cmp(&one),
            _ => self.text.cmp(&other.text),
        }
    }
}

fn hub(row: &HubRow) -> Row {
    let cells = vec![
        Cell::name(&row.hub),
        Cell::rate(Some(row.sent)),
        Cell::rate(Some(row.received)),
        Cell::rate(Some(row.direct_sent.and(row.direct_received))),
        Cell::bytes_rate(Some(row.sent_bytes)),
        Cell::bytes_rate(Some(row.received_bytes)),
        Cell::bytes(row.behind_bytes),
        Cell::number(row.missed.total),
        Cell::number(row.full.total),
        Cell::rate(Some(row.woken)),
        Cell::number(row.overtaken.total),
        Cell::number(row.subscriptions),
        Cell::number(row.links),
        Cell { text: row.pid.to_string(), figure: Some(f64::from(row.pid)) },
    ];
    Row {
        name: row.hub.clone(),
        cells,
        rate: [row.sent, row.received, row.direct_sent, row.direct_received]
            .map(Count::rate)
            .iter()
            .sum(),
        alarming: row.missed.total > 0 || row.overtaken.total > 0,
    }
}

fn link(row: &LinkRow) -> Row {
    let behind = match (row.behind_events, row.behind_bytes) {
        (Some(events), _) => {
            Cell { text: format!("{} ev", format::count(events)), figure: Some(events as f64) }
        }
        (None, Some(bytes)) => Cell::bytes(bytes),
        (None, None) => Cell::none(),
    };
    let bytes = row.sent_bytes.or(row.read_bytes).or(row.written_bytes);
    let cells = vec![
        Cell::name(&row.from),
        Cell::name(&row.to),
        Cell::name(row.way.name()),
        Cell::rate(row.sent.or(row.received)),
        Cell::bytes_rate(bytes),
        behind,
        Cell::time(row.latency.map(|latency| latency.p50_ns)),
        Cell::time(row.latency.map(|latency| latency.p99_ns)),
    ];
    let rate = row.sent.or(row.received).or(bytes).map_or(0.0, Count::rate);
    let name = format!("{} → {} {}", row.from, row.to, row.way.name());
    Row { name, cells, rate, alarming: row.suspended }
}

fn subject(row: &SubjectRow) -> Row {
    let cells = vec![
        Cell::name(&row.subject),
        Cell::number(row.publishers),
        Cell::rate(Some(row.sent)),
        Cell::bytes_rate(Some(row.sent_bytes)),
        Cell::number(row.sent.total),
        Cell::bytes(row.sent_bytes.total),
    ];
    Row { name: row.subject.clone(), cells, rate: row.sent.rate(), alarming: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, figure: u64) -> Row {
        let cells = vec![Cell::name(name), Cell::number(figure)];
        Row { name: name.to_owned(), cells, rate: 0.0, alarming: false }
    }

    #[test]
    fn rows_are_filtered_and_sorted() {
        let check = |column, reverse, filter: &str, expected: &[&str]| {
            let mut rows = vec![row("b", 10), row("Alpha", 2), row("c", 10)];
            Order { column, reverse, filter: filter.to_owned() }.apply(&mut rows);
            let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
            assert_eq!(names, expected);
        };
        check(0, false, "", &["Alpha", "b", "c"]);
        check(0, true, "", &["c", "b", "Alpha"]);
        check(1, false, "", &["b", "c", "Alpha"]);
        check(1, true, "", &["Alpha", "b", "c"]);
        check(1, false, "alp", &["Alpha"]);
        check(9, false, "x", &[]);
    }
}
