//! `ephapse bench intrinsic`: what the machine does to a thread that only reads the clock.
//!
//! Whatever holds such a thread up (interrupts, the scheduler, the hypervisor) holds up events too,
//! and is no fault of theirs.

use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use ephapse::event::Timestamp;
use ephapse_plot::{Interval, Picture, Series, Table as PageTable, Times};
use serde::Serialize;

use super::halt::{Halt, Stop};
use super::host;
use super::origin::Origin;
use super::output::{FileArgs, ResultArgs, Story};
use super::report::time;
use super::times::{Percentiles, TickRate};
use crate::signals;
use crate::ui::format::count;
use crate::ui::{Stream, Table, Ui};

/// Gaps that are kept: memory for them is there before the first one.
const GAPS_MAX: usize = 1 << 20;

/// Looks at the clock between two questions whether to go on.
const LOOKS: u32 = 1 << 12;

/// Intervals of a picture.
const INTERVALS: u32 = 50;

/// Arguments of `bench intrinsic`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
On each processor a thread reads the clock again and again. A gap is what lies between two readings
further apart than the threshold: time that the machine has taken away, from this thread and from
whatever else would run there. What is slower in another benchmark than its gaps explain is its own.

Examples:
  ephapse bench intrinsic
  ephapse bench intrinsic --cpus 2,3 --duration 1m --threshold 5us
  ephapse bench intrinsic --svg gaps.svg --json --check 'cpus.*.lost_share<0.1%'")]
pub(crate) struct IntrinsicArgs {
    /// The processors [default: all available].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cpus: Option<Vec<usize>>,

    /// For how long.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = crate::cli::duration)]
    duration: Duration,

    /// Readings further apart than this are a gap.
    #[arg(long, value_name = "TIME", default_value = "1us", value_parser = crate::cli::duration)]
    threshold: Duration,

    #[command(flatten)]
    output: ResultArgs,

    #[command(flatten)]
    files: FileArgs,
}

impl IntrinsicArgs {
    /// # Errors
    /// Wrong use: a processor that this process may not use.
    pub(super) fn check(&self, available: &[usize]) -> Result<()> {
        for cpu in self.cpus.iter().flatten() {
            ensure!(
                available.contains(cpu),
                "--cpus: there is no processor {cpu} for this process; it may use {available:?}"
            );
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Intrinsic {
    bench: &'static str,
    threshold_ns: u64,
    seconds: f64,
    interrupted: bool,
    cpus: Vec<CpuResult>,
    #[serde(flatten)]
    origin: Origin,
}

#[derive(Serialize)]
struct CpuResult {
    cpu: usize,
    /// Readings of the clock.
    loops: u64,
    /// Mean time from one to the next, without gaps.
    loop_ns: f64,
    /// How many gaps.
    gaps: u64,
    /// Of all the time.
    lost_share: f64,
    gap_ns: Percentiles,
    /// All gaps: HdrHistogram V2 of picoseconds, compressed, base64.
    histogram: String,
}

/// What one thread saw, in ticks.
struct Watched {
    cpu: usize,
    loops: u64,
    start: u64,
    end: u64,
    /// When a gap began, and how long it was.
    gaps: Vec<(u64, u64)>,
}

/// Measures, and prints what came out.
pub(super) fn run(args: &IntrinsicArgs, available: &[usize], ui: &Ui) -> Result<ExitCode> {
    let cpus = args.cpus.clone().unwrap_or_else(|| available.to_vec());
    let names: Vec<String> = cpus.iter().map(|cpu| format!("processor {cpu}")).collect();
    let files = args.files.open(&names)?;
    let (start, halt) = (SystemTime::now(), Halt::default());
    signals::watch_and({
        let halt = halt.clone();
        move || halt.stop(Stop::Interrupted)
    })
    .context("cannot watch for signals")?;
    let clock = Timestamp::now();
    let watched = watch_all(&cpus, args, &halt)?;
    let rate = TickRate::since(clock);
    let series: Vec<Series> =
        names.iter().zip(&watched).map(|(name, one)| one.series(name, rate)).collect();
    let result = Intrinsic {
        bench: "intrinsic",
        threshold_ns: args.threshold.as_nanos() as u64,
        seconds: args.duration.as_secs_f64(),
        interrupted: halt.reason().is_some(),
        cpus: watched
            .iter()
            .zip(&series)
            .map(|(one, series)| one.result(&series.times, rate))
            .collect::<Result<_>>()?,
        origin: Origin::here(),
    };
    let code = args.output.tell(&result, ui, || print(&result, ui))?;
    let title = "What the machine takes away from a spinning thread";
    files.write(&Story {
        title: title.to_owned(),
        picture: Some(Picture::of_gaps(title, "", &series)),
        series,
        table: PageTable {
            head: HEAD.map(str::to_owned).to_vec(),
            rows: result.cpus.iter().map(row).collect(),
        },
        facts: result.origin.facts(),
        start,
    })?;
    Ok(code)
}

/// One thread for each processor, all at the same time.
fn watch_all(cpus: &[usize], args: &IntrinsicArgs, halt: &Halt) -> Result<Vec<Watched>> {
    let together = Arc::new(Barrier::new(cpus.len()));
    let rate = TickRate::now();
    let limit = |time: Duration| rate.ticks(time.as_nanos() as f64) as u64;
    let (threshold, duration) = (limit(args.threshold), limit(args.duration));
    let threads: Vec<_> = cpus
        .iter()
        .map(|&cpu| {
            let (together, halt) = (Arc::clone(&together), halt.clone());
            thread::Builder::new().name(format!("cpu-{cpu}")).spawn(move || {
                // All of them wait for all, also for one that cannot be bound.
                let bound = host::pin(cpu);
                together.wait();
                bound.map(|()| watch(cpu, threshold, duration, &halt))
            })
        })
        .collect::<std::io::Result<_>>()
        .context("cannot start a thread")?;
    threads
        .into_iter()
        .map(|thread| thread.join().map_err(|_| anyhow!("a thread has panicked"))?)
        .collect()
}

fn watch(cpu: usize, threshold: u64, duration: u64, halt: &Halt) -> Watched {
    // Touched, so that no page of it is missing later.
    let mut gaps = vec![(1, 1); GAPS_MAX];
    gaps.clear();
    let start = Timestamp::now().ticks();
    let (mut last, mut loops) = (start, 0);
    while last - start < duration && gaps.len() < GAPS_MAX && halt.check().is_ok() {
        for _ in 0..LOOKS {
            let now = Timestamp::now().ticks();
            if now - last > threshold && gaps.len() < GAPS_MAX {
                gaps.push((last, now - last));
            }
            last = now;
        }
        loops += u64::from(LOOKS);
    }
    Watched { cpu, loops, start, end: last, gaps }
}

impl Watched {
    fn series(&self, name: &str, rate: TickRate) -> Series {
        let step = ((self.end - self.start) / u64::from(INTERVALS)).max(1);
        let mut times = vec![Times::new(); INTERVALS as usize + 1];
        for (at, ticks) in &self.gaps {
            times[((at - self.start) / step) as usize].record_ps(rate.ps(*ticks));
        }
        let length = Duration::from_nanos(rate.ns_of(step as f64) as u64);
        let interval = |(index, times)| Interval { start: length * index, length, times };
        Series::of_intervals(name, (0..).zip(times).map(interval).collect())
    }

    fn result(&self, gaps: &Times, rate: TickRate) -> Result<CpuResult> {
        let lost: u64 = self.gaps.iter().map(|gap| gap.1).sum();
        let whole = (self.end - self.start).max(1);
        let quick = self.loops.saturating_sub(self.gaps.len() as u64).max(1);
        let loop_ns = rate.ns_of((whole - lost) as f64) / quick as f64;
        Ok(CpuResult {
            cpu: self.cpu,
            loops: self.loops,
            loop_ns: (loop_ns * 10.0).round() / 10.0,
            gaps: self.gaps.len() as u64,
            lost_share: (lost as f64 / whole as f64 * 1e6).round() / 1e6,
            gap_ns: Percentiles::of(gaps),
            histogram: gaps.encode()?,
        })
    }
}

const HEAD: [&str; 9] =
    ["processor", "clock read", "gaps", "lost", "gap p50", "p90", "p99", "p99.9", "max"];

fn row(cpu: &CpuResult) -> Vec<String> {
    let gap = &cpu.gap_ns;
    let times = [gap.p50, gap.p90, gap.p99, gap.p999, gap.max].map(time);
    let lost = format!("{:.3} %", cpu.lost_share * 100.0);
    let first = [cpu.cpu.to_string(), time(cpu.loop_ns), count(cpu.gaps), lost];
    first.into_iter().chain(times).collect()
}

fn print(result: &Intrinsic, ui: &Ui) -> Result<()> {
    let early = if result.interrupted { "interrupted: " } else { "" };
    let threshold = time(result.threshold_ns as f64);
    let machine = result.origin.machine();
    ui.line(
        Stream::Out,
        format_args!(
            "{early}gaps of more than {threshold} between two looks at the clock, {machine}"
        ),
    )?;
    let mut table = Table::new(HEAD, 1);
    result.cpus.iter().for_each(|cpu| table.row(row(cpu)));
    ui.table(Stream::Out, table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_with_what_they_took() {
        let rate = TickRate::now();
        let us = |us: f64| rate.ticks(us * 1e3) as u64;
        let gaps = vec![(us(10.0), us(5.0)), (us(500.0), us(100.0)), (us(990.0), us(10.0))];
        let watched = Watched { cpu: 3, loops: 10_000, start: 0, end: us(1000.0), gaps };
        let series = watched.series("x", rate);
        let result = watched.result(&series.times, rate).unwrap();
        assert_eq!((result.gaps, series.times.count()), (3, 3));
        assert!((result.lost_share - 0.115).abs() < 1e-3, "{}", result.lost_share);
        assert!((result.gap_ns.max / 1e5 - 1.0).abs() < 0.01, "{:?}", result.gap_ns);
        assert!((result.loop_ns - 88.5).abs() < 1.0, "{}", result.loop_ns);
        // Each where it was.
        let with = series.intervals.iter().filter(|interval| interval.times.count() > 0);
        let at: Vec<u128> = with.map(|interval| interval.start.as_micros() / 20).collect();
        assert_eq!(at.len(), 3, "{at:?}");
    }
}
