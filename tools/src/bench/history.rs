//! A line for every interval, as it goes.

use std::time::Duration;

use anyhow::Result;
use ephapse_plot::{Interval, Series};

use super::args::{Plan, WaitMode};
use super::report::time;
use super::times::MiddleAndTail;
use crate::ui::format::count;
use crate::ui::{Stream, Ui};

/// Lines under a head; on standard error if standard output carries JSON.
pub(super) struct History<'a> {
    ui: &'a Ui,
    stream: Stream,
}

impl<'a> History<'a> {
    /// Prints the head.
    pub(super) fn begin(plan: &Plan, ui: &'a Ui) -> Result<History<'a>> {
        let stream = if plan.output.json { Stream::Err } else { Stream::Out };
        let floor = if plan.setup.wait == WaitMode::Block { "futex p50" } else { "floor p50" };
        ui.line(
            stream,
            line::<&str>(["time", floor, "p50", "p99", "p99.9", "max", "ratio p50", "round trips"]),
        )?;
        Ok(History { ui, stream })
    }

    /// Prints what was measured in an interval, and the floor after it.
    pub(super) fn row(&mut self, intervals: &[Interval], floor: &MiddleAndTail) -> Result<()> {
        let end = intervals.last().map_or(Duration::ZERO, |last| last.start + last.length);
        let times = Series::of_intervals("", intervals.to_vec()).times;
        let p50 = times.quantile_ns(0.5);
        self.ui.line(
            self.stream,
            line::<&str>([
                &format!("{:.1} s", end.as_secs_f64()),
                &time(floor.p50),
                &time(p50),
                &time(times.quantile_ns(0.99)),
                &time(times.quantile_ns(0.999)),
                &time(times.max_ns()),
                &format!("{:.2}", p50 / floor.p50),
                &count(times.count()),
            ]),
        )
    }
}

/// Columns of one width, because nobody knows how long the cells to come are.
fn line<S: AsRef<str>>(cells: [S; 8]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{:>11}", cell.as_ref())).collect();
    cells.join("  ")
}
