//! The tables, for text and for the page.

use super::slower::Finding;
use super::summary::{Row, SizeSummary, Summary};
use super::text;
use crate::clock::Percentiles;
use crate::peer::Wait;
use crate::result::Results;

/// Marks what runs in one process.
const DAGGER: &str = "\u{a0}†";

/// Rows under a head; the first cell of each is a name.
pub(crate) struct Table {
    pub(crate) title: String,
    /// Below the title, in a sentence or two.
    pub(crate) note: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// All, in the order of the page.
pub(crate) fn all(results: &Results, summary: &Summary) -> Vec<Table> {
    let mut tables = Vec::new();
    for (wait, how) in [(Wait::Spin, "spinning"), (Wait::Block, "blocking")] {
        let (rows, floor) = summary.waiting(wait);
        if !rows.is_empty() {
            tables.push(latencies(results, &rows, floor, wait, how));
            tables.push(throughputs(results, &rows, how));
            tables.push(weights(&rows, how));
        }
    }
    tables
}

fn name(row: &Row) -> String {
    let mark = if row.system.in_process { DAGGER } else { "" };
    format!("{}{mark}", row.system.name)
}

fn head(results: &Results) -> Vec<String> {
    let sizes = results.sizes.iter().map(|&size| text::size(size));
    std::iter::once("system".to_owned()).chain(sizes).collect()
}

fn latencies(
    results: &Results,
    rows: &[&Row],
    floor: Option<Percentiles>,
    wait: Wait,
    how: &str,
) -> Table {
    let four = |all: Percentiles| {
        let [p50, p99, p999, max] =
            [all.p50, all.p99, all.p999, all.max].map(|ns| text::latency(ns, wait));
        format!("{p50} / {p99} / {p999} / {max}")
    };
    let cell = |of: &SizeSummary| {
        let wrong = if of.wrong > 0 { format!(", {} WRONG", of.wrong) } else { String::new() };
        format!("{} ({}){wrong}", four(of.latency), text::multiple(of.times_floor.p50))
    };
    let mut body = Vec::new();
    if let Some(floor) = floor {
        let mut cells = vec![four(floor)];
        cells.resize(results.sizes.len(), "same".to_owned());
        body.push(std::iter::once("floor".to_owned()).chain(cells).collect());
    }
    for row in rows {
        body.push(std::iter::once(name(row)).chain(row.sizes.iter().map(cell)).collect());
    }
    let unit = text::latency_unit(wait);
    Table {
        title: format!("One-way latency, {how}"),
        note: format!(
            "{unit}: p50 / p99 / p99.9 / max; in brackets p50 as a multiple of the floor's that was \
             measured between the same two processes just before."
        ),
        head: head(results),
        rows: body,
    }
}

fn throughputs(results: &Results, rows: &[&Row], how: &str) -> Table {
    let cell = |of: &SizeSummary| match of.lost {
        0 => text::rate(of.per_second),
        lost => format!("{} ({} LOST)", text::rate(of.per_second), text::thousands(lost)),
    };
    let rows = rows.iter();
    Table {
        title: format!("Throughput, {how}"),
        note: "Messages per second, one way; none was lost where nothing is said.".to_owned(),
        head: head(results),
        rows: rows
            .map(|row| std::iter::once(name(row)).chain(row.sizes.iter().map(cell)).collect())
            .collect(),
    }
}

fn weights(rows: &[&Row], how: &str) -> Table {
    let head = [
        "system",
        "time to connect",
        "RSS of the pair",
        "PSS of the pair",
        "before connecting",
        "of it shared memory",
        "PSS of what runs besides",
        "rounds",
    ];
    let cells = |row: &&Row| {
        vec![
            name(row),
            text::time(row.connect_ns),
            text::memory(row.rss_kib),
            text::memory(row.pss_kib),
            text::memory(row.before_kib),
            text::memory(row.shared_kib),
            row.daemon_kib.map_or("–".to_owned(), text::memory),
            row.rounds.to_string(),
        ]
    };
    Table {
        title: format!("Connecting and memory, {how}"),
        note:
            "To connect: from processes that are ready to the end of the first round trip. Memory \
               after all sizes (the programs themselves included, as the column \"before connecting\" \
               shows), without what the kernel keeps for sockets and pipes."
                .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: rows.iter().map(cells).collect(),
    }
}

/// Where rivals are better.
pub(crate) fn slower(findings: &[Finding]) -> Table {
    let cells = |one: &Finding| {
        let better = one.better.join("; ");
        vec![one.column.clone(), one.wait.name().to_owned(), one.ours.clone(), better]
    };
    Table {
        title: "Where Ephapse is slower".to_owned(),
        note: if findings.is_empty() {
            "In this run in no row and no column.".to_owned()
        } else {
            "Every column of every row in which a rival is better, from the numbers above; latencies \
             are compared as multiples of the floor, which are in brackets."
                .to_owned()
        },
        head: ["column", "wait", "Ephapse", "better"].map(str::to_owned).to_vec(),
        rows: findings.iter().map(cells).collect(),
    }
}

/// What was not measured.
pub(crate) fn absent(results: &Results) -> Table {
    let rows = results.absent.iter().map(|one| {
        let wait = one.wait.map_or("all", Wait::name);
        let why = match one.round {
            Some(round) => format!("failed in round {round}: {}", one.why),
            None => format!("not available here: {}", one.why),
        };
        vec![one.system.clone(), wait.to_owned(), why]
    });
    Table {
        title: "Not measured".to_owned(),
        note: if results.absent.is_empty() { "Nothing: all are here." } else { "" }.to_owned(),
        head: ["system", "wait", "why"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// What was measured, and how it was set up.
pub(crate) fn systems(results: &Results) -> Table {
    let cells = |one: &crate::result::SystemInfo| {
        let mark = if one.in_process { DAGGER } else { "" };
        vec![format!("{}{mark}", one.name), one.version.clone(), one.about.clone()]
    };
    Table {
        title: "Systems".to_owned(),
        note: "† two threads of one process; all others are two processes.".to_owned(),
        head: ["system", "version", "settings"].map(str::to_owned).to_vec(),
        rows: results.systems.iter().map(cells).collect(),
    }
}

/// Where, when and how.
pub(crate) fn facts(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    vec![
        ("processor", machine.cpu.clone()),
        ("cores", machine.cores.to_string()),
        ("kernel", machine.kernel.clone()),
        ("sides pinned to", format!("{:?}", machine.pinned)),
        ("their helpers on", format!("{:?}", machine.helpers)),
        ("date", results.date.clone()),
        ("command", results.command.clone()),
        ("rounds", format!("{} of {} s for each measurement", results.rounds, results.seconds)),
        ("took", format!("{} s", results.took_s)),
    ]
}
