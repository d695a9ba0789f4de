//! The machine underneath: its processors, and what it is called in a result.

use std::fs;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use serde::Serialize;

/// The calling thread.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// What a result was measured on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) cpu: String,
    /// The kernel's version.
    pub(crate) kernel: String,
    /// How many processors it has, for whomever.
    pub(crate) processors: usize,
}

impl Machine {
    /// As the kernel tells it; "unknown" where it does not.
    pub(crate) fn here() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let known = |text: &str| match text.trim() {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        let cpus = read("/proc/cpuinfo");
        let cpu = cpus
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| matches!(key.trim(), "model name" | "CPU part"))
            .map_or("", |(_, value)| value);
        let processors = cpus.lines().filter(|line| line.starts_with("processor")).count();
        Machine { cpu: known(cpu), kernel: known(&read("/proc/sys/kernel/osrelease")), processors }
    }
}

/// The processors that this process may use, in order.
pub(crate) fn available_cpus() -> Result<Vec<usize>> {
    let set = sched_getaffinity(THIS_THREAD).context("cannot ask for the processors")?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect())
}

/// Keeps the calling thread, and those that it starts from now on, on one processor.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(THIS_THREAD, &set))
        .with_context(|| format!("cannot use processor {cpu} alone"))
}

/// Lets the calling thread use all of these processors again.
pub(crate) fn unpin(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cpus.iter()
        .try_for_each(|cpu| set.set(*cpu))
        .and_then(|()| sched_setaffinity(THIS_THREAD, &set))
        .context("cannot use all processors again")
}

/// Keeps the calling thread, and those that it starts from now on, off one processor, if there are
/// others.
pub(crate) fn keep_off(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    for other in available_cpus()?.into_iter().filter(|other| *other != cpu) {
        set.set(other).context("cannot choose processors")?;
    }
    if set == CpuSet::new() {
        return Ok(());
    }
    sched_setaffinity(THIS_THREAD, &set).context("cannot keep off a processor")
}

/// Allows as many open descriptors as the system lets us: hundreds of links need some thousands.
pub(crate) fn raise_descriptor_limit() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot ask for limits")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise the descriptor limit")
}
