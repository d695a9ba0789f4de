//! What the sensor sees of this host.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use procfs::process::{Process, all_processes};
use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo};

use super::counted::Outgoing;
use super::events::{CpuSample, LoadSample, MemorySample, ProcessSample};

/// One hundred looks a second, as often as the kernel itself counts processor time.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Processes looked at in each tick, in turn: some 8000 samples a second at a small part of one
/// core's time.
const PROCESSES_PER_TICK: usize = 80;

/// Each watched process holds a descriptor: stay far below the usual limit of 1024.
const WATCHED_MAX: usize = 256;

/// How often new processes are looked for.
const REFRESH: Duration = Duration::from_secs(1);

/// Reads /proc and sends what it finds.
pub(crate) struct Sampler {
    watched: Vec<Process>,
    turn: usize,
    refreshed: Instant,
    cpus: u32,
}

impl Sampler {
    /// Finds the processes to watch.
    pub(crate) fn new() -> Result<Sampler> {
        Ok(Sampler { watched: watch()?, turn: 0, refreshed: Instant::now(), cpus: 1 })
    }

    /// One look at everything.
    pub(crate) fn sample(&mut self, planner: &mut Outgoing) -> Result<()> {
        self.cpus(planner)?;
        let memory = Meminfo::current().context("cannot read /proc/meminfo")?;
        planner.send(&MemorySample {
            number: planner.number(),
            total_bytes: memory.mem_total,
            available_bytes: memory.mem_available.unwrap_or(memory.mem_free),
        })?;
        let load = LoadAverage::current().context("cannot read /proc/loadavg")?;
        planner.send(&LoadSample {
            number: planner.number(),
            one_minute: load.one,
            five_minutes: load.five,
            fifteen_minutes: load.fifteen,
            cpus: self.cpus,
        })?;
        self.processes(planner)
    }

    fn cpus(&mut self, planner: &mut Outgoing) -> Result<()> {
        let stats = KernelStats::current().context("cannot read /proc/stat")?;
        self.cpus = u32::try_from(stats.cpu_time.len()).unwrap_or(u32::MAX).max(1);
        for (cpu, time) in (0..).zip(&stats.cpu_time) {
            planner.send(&CpuSample {
                number: planner.number(),
                cpu,
                user: time.user,
                nice: time.nice,
                system: time.system,
                idle: time.idle,
                iowait: time.iowait.unwrap_or(0),
            })?;
        }
        Ok(())
    }

    fn processes(&mut self, planner: &mut Outgoing) -> Result<()> {
        if self.refreshed.elapsed() >= REFRESH {
            self.watched = watch()?;
            self.refreshed = Instant::now();
        }
        for _ in 0..PROCESSES_PER_TICK {
            if self.watched.is_empty() {
                break;
            }
            self.turn = (self.turn + 1) % self.watched.len();
            // Processes come and go: one that cannot be read has gone.
            let Ok(stat) = self.watched[self.turn].stat() else {
                self.watched.swap_remove(self.turn);
                continue;
            };
            planner.send(&ProcessSample {
                number: planner.number(),
                at_ns: monotonic_ns()?,
                pid: stat.pid.unsigned_abs(),
                cpu_ticks: stat.utime + stat.stime,
                name: fixed_name(&stat.comm),
            })?;
        }
        Ok(())
    }
}

fn watch() -> Result<Vec<Process>> {
    let all = all_processes().context("cannot list /proc")?;
    Ok(all.filter_map(Result::ok).take(WATCHED_MAX).collect())
}

fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("cannot read the clock")?;
    let now = Duration::from(now);
    Ok(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// The first bytes of a name, then zeros.
fn fixed_name(name: &str) -> [u8; 16] {
    let mut fixed = [0; 16];
    for (to, from) in fixed.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_filled() {
        assert_eq!(&fixed_name("sh"), b"sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(&fixed_name("a name that is too long"), b"a name that is t");
    }
}
