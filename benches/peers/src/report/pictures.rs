//! The pictures: dots for all systems, and percentile curves.

use anyhow::{Context, Result};
use ephapse_plot::{Picture, Series};

use super::dots::{Dots, Kind, Row as DotRow};
use super::summary::{Row, Summary};
use super::text;
use crate::peer::Wait;
use crate::result::Results;

/// Rivals in one picture of curves, beside ours: as many lines as can be told apart.
const RIVALS: usize = 5;

/// A picture and the name of its file.
pub(crate) struct Drawn {
    pub(crate) name: String,
    pub(crate) svg: String,
}

/// All, in the order of the page.
pub(crate) fn all(results: &Results, summary: &Summary) -> Result<Vec<Drawn>> {
    let mut drawn = Vec::new();
    for (wait, how) in [(Wait::Spin, "spinning"), (Wait::Block, "blocking")] {
        let (rows, floor) = summary.waiting(wait);
        if rows.is_empty() {
            continue;
        }
        let latency = Dots {
            title: format!("One-way latency, {how}: p50 (dot), p99 (ring), p99.9 (bar)"),
            floor: floor.map(|floor| floor.p50),
            label: text::decade,
            ..dots(results, &rows, |size| {
                let all = size.latency;
                vec![all.p50, all.p99, all.p999]
            })
        };
        drawn.push(Drawn { name: format!("latency-{}", wait.name()), svg: latency.svg() });
        let throughput = Dots {
            title: format!("Messages per second, one way, {how}"),
            ..dots(results, &rows, |size| vec![size.per_second])
        };
        drawn.push(Drawn { name: format!("throughput-{}", wait.name()), svg: throughput.svg() });
        for (index, &size) in results.sizes.iter().enumerate() {
            drawn.extend(curves(results, &rows, wait, how, (index, size))?);
        }
    }
    Ok(drawn)
}

/// Where it was measured, in a line.
fn note(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "{}, Linux {}, {}, {} rounds",
        machine.cpu, machine.kernel, results.date, results.rounds
    )
}

fn dots(
    results: &Results,
    rows: &[&Row],
    values: impl Fn(&super::summary::SizeSummary) -> Vec<f64>,
) -> Dots {
    let rows = rows.iter().map(|row| DotRow {
        name: name(row),
        kind: match (row.system.ours, row.system.in_process) {
            (true, _) => Kind::Ours,
            (_, true) => Kind::InProcess,
            _ => Kind::Rival,
        },
        values: row.sizes.iter().map(&values).collect(),
    });
    Dots {
        title: String::new(),
        note: format!("{}; † one process; dashed: the floor, if there is one", note(results)),
        panels: results.sizes.iter().map(|&size| text::size(size)).collect(),
        rows: rows.collect(),
        floor: None,
        label: text::power,
    }
}

fn name(row: &Row) -> String {
    let mark = if row.system.in_process { " †" } else { "" };
    format!("{}{mark}", row.system.name)
}

/// Curves of ours and of some rivals each.
fn curves(
    results: &Results,
    rows: &[&Row],
    wait: Wait,
    how: &str,
    (index, size): (usize, usize),
) -> Result<Vec<Drawn>> {
    let (ours, rivals): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.system.ours);
    let groups: Vec<&[&Row]> =
        if rivals.is_empty() { vec![&[]] } else { rivals.chunks(RIVALS).collect() };
    let mut drawn = Vec::new();
    for (group, rivals) in groups.iter().enumerate() {
        let rows = ours.iter().chain(rivals.iter());
        let series: Vec<Series> =
            rows.map(|row| Series::new(name(row), row.sizes[index].times.clone())).collect();
        let title = format!(
            "One way, {}, {how}, all rounds ({} of {})",
            text::size(size),
            group + 1,
            groups.len()
        );
        let picture = Picture::of_latency(title, note(results), &series);
        drawn.push(Drawn {
            name: format!("curves-{}-{size}-{}", wait.name(), group + 1),
            svg: picture.svg().context("cannot draw curves")?,
        });
    }
    Ok(drawn)
}
