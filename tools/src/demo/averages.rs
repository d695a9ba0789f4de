//! Moving averages of what the sensor sees, and what follows from them.

use std::collections::HashMap;

use super::events::{
    Action, ArchivedCpuSample, ArchivedLoadSample, ArchivedMemorySample, ArchivedProcessSample,
    Decision, Reason,
};
use super::report::Decisions;

/// How much a new value counts: the average looks back over some sixty samples.
const WEIGHT: f32 = 1.0 / 64.0;

/// Ticks that /proc counts in a second, on every architecture that is supported.
const TICKS_PER_SECOND: f32 = 100.0;

/// More processes than the sensor watches at a time: older ones are forgotten beyond this.
const PROCESSES_MAX: usize = 1024;

/// Above the first share an average asks for less work, below the second it allows more.
struct Thresholds {
    throttle_above: f32,
    boost_below: f32,
}

const CPU: Thresholds = Thresholds { throttle_above: 0.9, boost_below: 0.5 };
const MEMORY: Thresholds = Thresholds { throttle_above: 0.9, boost_below: 0.5 };
const LOAD: Thresholds = Thresholds { throttle_above: 1.5, boost_below: 0.7 };
/// One process alone is no reason to do more.
const PROCESS: Thresholds = Thresholds { throttle_above: 0.8, boost_below: 0.0 };

#[derive(Clone, Copy, Default)]
struct Average(Option<f32>);

impl Average {
    fn add(&mut self, value: f32) -> f32 {
        let average = self.0.map_or(value, |old| old + WEIGHT * (value - old));
        self.0 = Some(average);
        average
    }
}

#[derive(Clone, Copy, Default)]
struct Cpu {
    busy: u64,
    total: u64,
    share: f32,
    average: Average,
}

#[derive(Clone, Copy)]
struct Watched {
    at_ns: u64,
    ticks: u64,
    average: Average,
}

/// What the planner knows.
#[derive(Default)]
pub(crate) struct Averages {
    cpus: HashMap<u32, Cpu>,
    processes: HashMap<u32, Watched>,
    memory: Average,
    load: Average,
    host: Average,
    decisions: Decisions,
}

impl Averages {
    /// The share of its time that a processor was busy since the last sample.
    pub(crate) fn cpu(&mut self, sample: &ArchivedCpuSample) -> Decision {
        let busy = sample.user.to_native() + sample.nice.to_native() + sample.system.to_native();
        let total = busy + sample.idle.to_native() + sample.iowait.to_native();
        let number = sample.cpu.to_native();
        let cpu = self.cpus.entry(number).or_insert(Cpu { busy, total, ..Cpu::default() });
        if total > cpu.total {
            cpu.share = busy.saturating_sub(cpu.busy) as f32 / (total - cpu.total) as f32;
            (cpu.busy, cpu.total) = (busy, total);
        }
        let (share, average) = (cpu.share, cpu.average.add(cpu.share));
        self.host.add(share);
        self.decide(Reason::Cpu, &CPU, number, share, average)
    }

    /// The share of the memory that is in use.
    pub(crate) fn memory(&mut self, sample: &ArchivedMemorySample) -> Decision {
        let total = sample.total_bytes.to_native().max(1);
        let used = 1.0 - sample.available_bytes.to_native() as f32 / total as f32;
        let average = self.memory.add(used);
        self.decide(Reason::Memory, &MEMORY, 0, used, average)
    }

    /// Runnable tasks for each processor.
    pub(crate) fn load(&mut self, sample: &ArchivedLoadSample) -> Decision {
        let load = sample.one_minute.to_native() / sample.cpus.to_native().max(1) as f32;
        let average = self.load.add(load);
        self.decide(Reason::Load, &LOAD, 0, load, average)
    }

    /// The share of one processor that a process has used since its last sample.
    pub(crate) fn process(&mut self, sample: &ArchivedProcessSample) -> Decision {
        let (at_ns, ticks) = (sample.at_ns.to_native(), sample.cpu_ticks.to_native());
        let pid = sample.pid.to_native();
        if self.processes.len() >= PROCESSES_MAX {
            self.forget_older_half();
        }
        let watched = self.processes.entry(pid).or_insert(Watched {
            at_ns,
            ticks,
            average: Average::default(),
        });
        let seconds = at_ns.saturating_sub(watched.at_ns) as f32 / 1e9;
        let used = ticks.saturating_sub(watched.ticks) as f32 / TICKS_PER_SECOND;
        let share = if seconds > 0.0 { used / seconds } else { 0.0 };
        (watched.at_ns, watched.ticks) = (at_ns, ticks);
        let average = watched.average.add(share);
        self.decide(Reason::Process, &PROCESS, pid, share, average)
    }

    /// How often each action was chosen.
    pub(crate) fn decisions(&self) -> Decisions {
        self.decisions
    }

    /// One short line about the host.
    pub(crate) fn describe(&self) -> String {
        let percent = |average: Average| average.0.unwrap_or(0.0) * 100.0;
        let (cpu, memory) = (percent(self.host), percent(self.memory));
        format!("cpu {cpu:.0}%  mem {memory:.0}%  load {:.0}%", percent(self.load))
    }

    fn decide(
        &mut self,
        reason: Reason,
        thresholds: &Thresholds,
        subject: u32,
        value: f32,
        average: f32,
    ) -> Decision {
        let (action, chosen) = if average > thresholds.throttle_above {
            (Action::Throttle, &mut self.decisions.throttle)
        } else if average < thresholds.boost_below {
            (Action::Boost, &mut self.decisions.boost)
        } else {
            (Action::Hold, &mut self.decisions.hold)
        };
        *chosen += 1;
        Decision { number: 0, action, reason, subject, value, average }
    }

    fn forget_older_half(&mut self) {
        let mut times: Vec<u64> = self.processes.values().map(|seen| seen.at_ns).collect();
        times.sort_unstable();
        let middle = times[times.len() / 2];
        self.processes.retain(|_, seen| seen.at_ns >= middle);
    }
}
