//! Rounds over all systems, and what is done in each.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use ephapse_plot::Times;

use crate::clock::Percentiles;
use crate::host::Machine;
use crate::interrupt::{Interrupt, Interrupted};
use crate::janitor::Run;
use crate::orders::{Order, Report};
use crate::pair::{Cast, Pair};
use crate::peer::{Mode, System, Wait};
use crate::result::{Absent, Cell, Results, Stream, SystemInfo, Visit};

/// Part of a measurement's time that the floor beside it gets.
const FLOOR_PART: u64 = 8;

/// What to do.
pub(crate) struct Plan {
    pub(crate) systems: Vec<System>,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) sizes: Vec<usize>,
    pub(crate) time: Duration,
    /// Reasons why systems were left out of this program, by name.
    pub(crate) not_built: Vec<(String, String)>,
    pub(crate) damaged: Option<u64>,
}

/// A system with one way to wait.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) system: &'a System,
    pub(crate) wait: Wait,
}

impl Plan {
    /// The rows that can be measured here; the others, with reasons, go to `absent`.
    pub(crate) fn rows(&self, absent: &mut Vec<Absent>) -> (Vec<Row<'_>>, Vec<SystemInfo>) {
        let (mut rows, mut infos) = (Vec::new(), Vec::new());
        for system in &self.systems {
            let version = match self.missing(system) {
                Some(why) => Err(why),
                None => (system.version)().map_err(|error| format!("{error:#}")),
            };
            let name = system.name.to_owned();
            let version = match version {
                Ok(version) => version,
                Err(why) => {
                    absent.push(Absent { system: name, wait: None, round: None, why });
                    continue;
                }
            };
            for mode in system.modes {
                match self.too_small_for(mode) {
                    None => rows.push(Row { system, wait: mode.wait }),
                    Some(why) => {
                        let (system, wait) = (name.clone(), Some(mode.wait));
                        absent.push(Absent { system, wait, round: None, why });
                    }
                }
            }
            infos.push(SystemInfo {
                name,
                version,
                about: system.about.to_owned(),
                ours: system.ours,
                in_process: system.in_process,
            });
        }
        (rows, infos)
    }

    fn missing(&self, system: &System) -> Option<String> {
        if system.serve.is_some() {
            return None;
        }
        let reason = self.not_built.iter().find(|(name, _)| system.name.starts_with(name.as_str()));
        Some(match reason {
            Some((_, why)) => format!("not built: {why}"),
            None => "not built: this program was compiled without its feature".to_owned(),
        })
    }

    /// Two sides that spin leave nothing of two processors for a helper that every message needs.
    fn too_small_for(&self, mode: &Mode) -> Option<String> {
        let (needed, spare) = (mode.helpers, self.machine.spare());
        (mode.wait == Wait::Spin && needed > spare).then(|| {
            format!(
                "to spin it needs {} processors, two for the sides and {needed} for its threads; \
                 here are {}",
                needed + 2,
                self.machine.cores
            )
        })
    }

    /// Measures all; what is complete when somebody interrupts is the result.
    pub(crate) fn run(&self, command: String) -> Result<Results> {
        let (date, start) = (SystemTime::now(), Instant::now());
        let interrupt = Interrupt::watch()?;
        let run = Run::open()?;
        let (mut absent, mut visits) = (Vec::new(), Vec::new());
        let (rows, systems) = self.rows(&mut absent);
        let mut complete = 0;
        'rounds: for round in 1..=self.rounds {
            for index in 0..rows.len() {
                // Each round begins with another one, so that nobody always follows the same.
                let row = rows[(index + round - 1) % rows.len()];
                let (name, wait) = (row.system.name, row.wait);
                if absent.iter().any(|one| one.system == name && one.wait == Some(wait)) {
                    continue;
                }
                note(&format!("round {round} of {}: {name}, {}", self.rounds, wait.name()));
                match self.visit(row, round, &run, &interrupt) {
                    Ok(visit) => visits.push(visit),
                    Err(error) if error.is::<Interrupted>() => break 'rounds,
                    Err(error) => {
                        let why = format!("{error:#}");
                        note(&format!("{name}, {}: {why}", wait.name()));
                        let (system, wait) = (name.to_owned(), Some(wait));
                        absent.push(Absent { system, wait, round: Some(round), why });
                    }
                }
            }
            complete = round;
        }
        Ok(Results {
            date: humantime::format_rfc3339_seconds(date).to_string(),
            command,
            machine: self.machine.clone(),
            rounds: complete,
            seconds: self.time.as_secs_f64(),
            took_s: start.elapsed().as_secs_f64().round(),
            sizes: self.sizes.clone(),
            systems,
            absent,
            visits,
        })
    }

    /// How a row's processes are started.
    pub(crate) fn cast<'a>(&'a self, row: Row<'a>) -> Result<Cast<'a>> {
        let longest = *self.sizes.iter().max().context("no sizes")?;
        let (machine, damaged) = (&self.machine, self.damaged);
        Ok(Cast { system: row.system, wait: row.wait, longest, machine, damaged })
    }

    fn visit(&self, row: Row<'_>, round: usize, run: &Run, interrupt: &Interrupt) -> Result<Visit> {
        let mut pair = Pair::start(self.cast(row)?, run, interrupt)?;
        let (before, _) = pair.memory();
        let connect_ns = pair.connect()?;
        let cells = self
            .sizes
            .iter()
            .map(|&size| self.cell(&mut pair, row.wait, size))
            .collect::<Result<_>>()?;
        let (memory, daemon) = pair.memory();
        ensure!(memory.rss_kib > 0, "a side has ended");
        let (system, wait) = (row.system.name.to_owned(), row.wait);
        Ok(Visit { system, wait, round, connect_ns, before, memory, daemon, cells })
    }

    fn cell(&self, pair: &mut Pair<'_>, wait: Wait, size: usize) -> Result<Cell> {
        let time = self.time;
        let ms = (time.as_millis() as u64).max(1);
        let floor_ms = (ms / FLOOR_PART).max(1);
        let (floor, _) = times(pair.order(Order::Floor { wait, ms: floor_ms }, time)?)?;
        let order = Order::RoundTrips { size, ms, trips: u64::MAX };
        let (latency, wrong) = times(pair.order(order, time)?)?;
        let (stream, more_wrong) = stream(pair.order(Order::Stream { size, ms }, time)?)?;
        Ok(Cell {
            size,
            floor: Percentiles::of(&floor),
            latency: Percentiles::of(&latency),
            histogram: latency.encode()?,
            trips: latency.count(),
            stream,
            wrong: wrong + more_wrong,
        })
    }
}

/// Side A's times, and what either side found wrong.
pub(crate) fn times(reports: [Report; 2]) -> Result<(Times, u64)> {
    let [Report::Times { histogram, wrong: at_a }, Report::Times { wrong: at_b, .. }] = &reports
    else {
        bail!("the sides say {reports:?} instead of times");
    };
    Ok((Times::decode(histogram)?, at_a + at_b))
}

/// A stream, and what was wrong in it.
pub(crate) fn stream(reports: [Report; 2]) -> Result<(Stream, u64)> {
    let [
        Report::Sent { messages: sent, start_ns },
        Report::Received { messages, lost, wrong, end_ns },
    ] = reports
    else {
        bail!("the sides say {reports:?} instead of what they sent and received");
    };
    let seconds = end_ns.saturating_sub(start_ns).max(1) as f64 / 1e9;
    Ok((Stream { sent, lost, per_second: messages as f64 / seconds }, wrong))
}

/// Tells the user how far it is. A broken standard error stops nothing.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
