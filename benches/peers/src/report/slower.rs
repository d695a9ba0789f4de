//! Where Ephapse is slower: every row and column in which a rival is better.

use super::summary::{Row, SizeSummary, Summary, WAITS};
use super::text;
use crate::clock::Percentiles;
use crate::peer::Wait;

/// One column in which a rival is better than one of ours.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) wait: Wait,
    pub(crate) column: String,
    pub(crate) ours: String,
    /// Best first.
    pub(crate) better: Vec<String>,
}

/// A column, as what it says of a row.
struct Column {
    name: String,
    /// What is compared: less is better.
    cost: Box<dyn Fn(&Row) -> Option<f64>>,
    /// What is told.
    shown: Box<dyn Fn(&Row) -> String>,
}

/// All of them, in the order of tables.
pub(crate) fn findings(summary: &Summary, sizes: &[usize]) -> Vec<Finding> {
    let columns = columns(sizes);
    let mut found = Vec::new();
    for wait in WAITS {
        let (rows, _) = summary.waiting(wait);
        for column in &columns {
            for ours in rows.iter().filter(|row| row.system.ours) {
                let Some(own) = (column.cost)(ours) else { continue };
                let mut better: Vec<(f64, String)> = rows
                    .iter()
                    .filter(|row| !row.system.ours)
                    .filter_map(|row| Some(((column.cost)(row)?, told(column, row))))
                    .filter(|(cost, _)| *cost < own)
                    .collect();
                if better.is_empty() {
                    continue;
                }
                better.sort_by(|one, other| one.0.total_cmp(&other.0));
                found.push(Finding {
                    wait,
                    column: column.name.clone(),
                    ours: told(column, ours),
                    better: better.into_iter().map(|(_, told)| told).collect(),
                });
            }
        }
    }
    found
}

fn told(column: &Column, row: &Row) -> String {
    let mark = if row.system.in_process { "\u{a0}†" } else { "" };
    format!("{}{mark}: {}", row.system.name, (column.shown)(row))
}

fn columns(sizes: &[usize]) -> Vec<Column> {
    let mut columns = Vec::new();
    let percentiles: [(&str, fn(&Percentiles) -> f64); 4] = [
        ("p50", |all| all.p50),
        ("p99", |all| all.p99),
        ("p99.9", |all| all.p999),
        ("max", |all| all.max),
    ];
    for &size in sizes {
        for (name, value) in percentiles {
            columns.push(Column {
                name: format!("latency, {}, {name}", text::size(size)),
                cost: Box::new(move |row| Some(value(&of(row, size)?.times_floor))),
                shown: Box::new(move |row| {
                    of(row, size).map_or_else(String::new, |of| {
                        let (ns, ratio) = (value(&of.latency), value(&of.times_floor));
                        format!("{} ({})", text::time(ns), text::multiple(ratio))
                    })
                }),
            });
        }
    }
    for &size in sizes {
        columns.push(Column {
            name: format!("messages per second, {}", text::size(size)),
            cost: Box::new(move |row| Some(-of(row, size)?.per_second)),
            shown: Box::new(move |row| {
                of(row, size).map_or_else(String::new, |of| text::rate(of.per_second))
            }),
        });
    }
    let weights: [(&str, fn(&Row) -> f64, fn(f64) -> String); 3] = [
        ("time to connect", |row| row.connect_ns, text::time),
        ("memory of the pair", |row| row.pss_kib, text::memory),
        ("memory with what runs besides", with_daemon, text::memory),
    ];
    for (name, value, write) in weights {
        columns.push(Column {
            name: name.to_owned(),
            cost: Box::new(move |row| Some(value(row))),
            shown: Box::new(move |row| write(value(row))),
        });
    }
    columns
}

fn with_daemon(row: &Row) -> f64 {
    row.pss_kib + row.daemon_kib.unwrap_or_default()
}

fn of(row: &Row, size: usize) -> Option<&SizeSummary> {
    row.sizes.iter().find(|one| one.size == size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::SystemInfo;
    use ephapse_plot::Times;

    fn row(name: &str, ours: bool, ns: f64, per_second: f64, connect_ns: f64) -> Row {
        let same = |value| Percentiles { p50: value, p99: value, p999: value, max: value };
        let size = SizeSummary {
            size: 64,
            latency: same(ns),
            times_floor: same(ns / 50.0),
            per_second,
            lost: 0,
            wrong: 0,
            times: Times::new(),
        };
        let (version, about) = (String::new(), String::new());
        let name = name.to_owned();
        Row {
            system: SystemInfo { name, version, about, ours, in_process: false },
            wait: Wait::Spin,
            rounds: 1,
            connect_ns,
            rss_kib: 1.0,
            pss_kib: 1.0,
            shared_kib: 1.0,
            before_kib: 1.0,
            daemon_kib: None,
            sizes: vec![size],
        }
    }

    #[test]
    fn each_column_in_which_a_rival_is_better_is_named() {
        let rows = vec![
            row("ours", true, 60.0, 40e6, 2e6),
            row("fast", false, 45.0, 60e6, 3e6), // 5 columns better
            row("faster", false, 40.0, 1e6, 3e6), // 4
            row("slow", false, 400.0, 1e6, 1e6), // connects earlier
            row("same", false, 60.0, 40e6, 2e6), // nothing
        ];
        let found = findings(&Summary { rows, floors: [None, None] }, &[64]);
        let columns: Vec<&str> = found.iter().map(|one| &*one.column).collect();
        assert_eq!(
            columns,
            [
                "latency, 64 B, p50",
                "latency, 64 B, p99",
                "latency, 64 B, p99.9",
                "latency, 64 B, max",
                "messages per second, 64 B",
                "time to connect"
            ]
        );
        assert_eq!(found[0].ours, "ours: 60 ns (1.20×)");
        assert_eq!(found[0].better, ["faster: 40 ns (0.80×)", "fast: 45 ns (0.90×)"]);
        assert_eq!(found[4].better, ["fast: 60.0 M"]);
        assert_eq!(found[5].better, ["slow: 1.0 ms"]);
    }
}
