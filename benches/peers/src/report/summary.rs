//! One row for each system and way to wait: the medians of its rounds.

use anyhow::{Context, Result};
use ephapse_plot::Times;

use crate::clock::{Percentiles, median};
use crate::peer::Wait;
use crate::result::{Cell, Results, SystemInfo, Visit};

/// Both ways, in the order of tables.
pub(crate) const WAITS: [Wait; 2] = [Wait::Spin, Wait::Block];

/// All rows.
pub(crate) struct Summary {
    /// Those that spin, then those that block, in the order of systems.
    pub(crate) rows: Vec<Row>,
    /// The floor, in the same order of ways to wait; `None` where nothing was measured.
    pub(crate) floors: [Option<Percentiles>; 2],
}

/// One.
pub(crate) struct Row {
    pub(crate) system: SystemInfo,
    pub(crate) wait: Wait,
    pub(crate) rounds: usize,
    pub(crate) connect_ns: f64,
    pub(crate) rss_kib: f64,
    pub(crate) pss_kib: f64,
    pub(crate) shared_kib: f64,
    /// PSS before it connects.
    pub(crate) before_kib: f64,
    /// Of the process that it needs besides.
    pub(crate) daemon_kib: Option<f64>,
    pub(crate) sizes: Vec<SizeSummary>,
}

/// A row's messages of one size.
pub(crate) struct SizeSummary {
    pub(crate) size: usize,
    /// Medians of the rounds' percentiles, in ns.
    pub(crate) latency: Percentiles,
    /// Medians of the same, each as a multiple of the p50 of the floor beside it.
    pub(crate) times_floor: Percentiles,
    pub(crate) per_second: f64,
    /// In all rounds.
    pub(crate) lost: u64,
    /// In all rounds.
    pub(crate) wrong: u64,
    /// The times of all rounds.
    pub(crate) times: Times,
}

impl Summary {
    /// Of these results.
    pub(crate) fn of(results: &Results) -> Result<Summary> {
        let mut rows = Vec::new();
        for wait in WAITS {
            for system in &results.systems {
                let of_row = |visit: &&Visit| visit.wait == wait && visit.system == system.name;
                let visits: Vec<&Visit> = results.visits.iter().filter(of_row).collect();
                if !visits.is_empty() {
                    rows.push(row(system, wait, &visits, &results.sizes)?);
                }
            }
        }
        let floors = WAITS.map(|wait| {
            let visits = results.visits.iter().filter(|visit| visit.wait == wait);
            let cells: Vec<&Cell> = visits.flat_map(|visit| &visit.cells).collect();
            (!cells.is_empty()).then(|| medians(cells.iter().map(|cell| cell.floor)))
        });
        Ok(Summary { rows, floors })
    }

    /// Those that wait like this, with the floor beside them.
    pub(crate) fn waiting(&self, wait: Wait) -> (Vec<&Row>, Option<Percentiles>) {
        let rows = self.rows.iter().filter(|row| row.wait == wait).collect();
        (rows, self.floors[usize::from(wait == Wait::Block)])
    }
}

fn row(system: &SystemInfo, wait: Wait, visits: &[&Visit], sizes: &[usize]) -> Result<Row> {
    let of = |value: fn(&Visit) -> f64| {
        median(visits.iter().map(|visit| value(visit))).unwrap_or_default()
    };
    let daemons = visits.iter().filter_map(|visit| Some(visit.daemon?.pss_kib as f64));
    Ok(Row {
        system: system.clone(),
        wait,
        rounds: visits.len(),
        connect_ns: of(|visit| visit.connect_ns as f64),
        rss_kib: of(|visit| visit.memory.rss_kib as f64),
        pss_kib: of(|visit| visit.memory.pss_kib as f64),
        shared_kib: of(|visit| visit.memory.shared_kib as f64),
        before_kib: of(|visit| visit.before.pss_kib as f64),
        daemon_kib: median(daemons),
        sizes: sizes.iter().map(|&size| size_summary(visits, size)).collect::<Result<_>>()?,
    })
}

fn size_summary(visits: &[&Visit], size: usize) -> Result<SizeSummary> {
    let cells = visits.iter().flat_map(|visit| &visit.cells).filter(|cell| cell.size == size);
    let cells: Vec<&Cell> = cells.collect();
    let mut times = Times::new();
    for cell in &cells {
        let read = Times::decode(&cell.histogram);
        times.add(&read.with_context(|| format!("a histogram of {size} bytes"))?);
    }
    let ratios = cells.iter().map(|cell| {
        let per = |ns: f64| ns / cell.floor.p50.max(f64::MIN_POSITIVE);
        let Percentiles { p50, p99, p999, max } = cell.latency;
        Percentiles { p50: per(p50), p99: per(p99), p999: per(p999), max: per(max) }
    });
    Ok(SizeSummary {
        size,
        latency: medians(cells.iter().map(|cell| cell.latency)),
        times_floor: medians(ratios),
        per_second: median(cells.iter().map(|cell| cell.stream.per_second)).unwrap_or_default(),
        lost: cells.iter().map(|cell| cell.stream.lost).sum(),
        wrong: cells.iter().map(|cell| cell.wrong).sum(),
        times,
    })
}

fn medians(all: impl Iterator<Item = Percentiles> + Clone) -> Percentiles {
    let of = |value: fn(Percentiles) -> f64| median(all.clone().map(value)).unwrap_or_default();
    Percentiles {
        p50: of(|one| one.p50),
        p99: of(|one| one.p99),
        p999: of(|one| one.p999),
        max: of(|one| one.max),
    }
}
