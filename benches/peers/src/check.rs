//! `check`: whether every system here works at all, and delivers what was sent.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::interrupt::{Interrupt, Interrupted};
use crate::janitor::Run;
use crate::measure::{Plan, Row, stream, times};
use crate::orders::Order;
use crate::pair::Pair;

/// More than any number of round trips that is asked for takes.
const TIME: Duration = Duration::from_secs(10);

/// How long messages are sent one way.
const STREAM: Duration = Duration::from_millis(50);

/// Checks each row, and prints a line for each.
///
/// # Errors
/// When one of those that are here fails; what is not here is only named.
pub(crate) fn run(plan: &Plan, trips: u64) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    let run = Run::open()?;
    let mut absent = Vec::new();
    let (rows, _) = plan.rows(&mut absent);
    let mut out = std::io::stdout().lock();
    for one in &absent {
        let wait = one.wait.map_or("", |wait| wait.name());
        writeln!(out, "{:<18} {wait:<6} not here: {}", one.system, one.why)?;
    }
    let mut failed = Vec::new();
    for row in rows {
        let (name, wait) = (row.system.name, row.wait.name());
        match check(plan, row, trips, &run, &interrupt) {
            Ok(()) => writeln!(out, "{name:<18} {wait:<6} ok")?,
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => {
                writeln!(out, "{name:<18} {wait:<6} FAILED: {error:#}")?;
                failed.push(format!("{name} ({wait})"));
            }
        }
    }
    ensure!(failed.is_empty(), "{} failed: {}", failed.len(), failed.join(", "));
    Ok(())
}

fn check(plan: &Plan, row: Row<'_>, trips: u64, run: &Run, interrupt: &Interrupt) -> Result<()> {
    let mut pair = Pair::start(plan.cast(row)?, run, interrupt)?;
    pair.connect()?;
    for &size in &plan.sizes {
        let ms = TIME.as_millis() as u64;
        let (seen, wrong) = times(pair.order(Order::RoundTrips { size, ms, trips }, TIME)?)?;
        ensure!(wrong == 0, "{wrong} of {trips} round trips with {size} bytes were wrong");
        ensure!(seen.count() == trips, "{} round trips instead of {trips}", seen.count());
        let ms = STREAM.as_millis() as u64;
        let (stream, wrong) = stream(pair.order(Order::Stream { size, ms }, STREAM)?)?;
        let (sent, lost) = (stream.sent, stream.lost);
        ensure!(wrong == 0, "{wrong} of {sent} messages of {size} bytes were wrong");
        ensure!(lost == 0, "{lost} of {sent} messages of {size} bytes were lost");
    }
    Ok(())
}
