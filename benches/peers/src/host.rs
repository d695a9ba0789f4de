//! The machine underneath: its processors, what it is called, and what processes use of it.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The calling thread.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// Where shared memory with names lies.
pub(crate) const SHARED_MEMORY: &str = "/dev/shm";

/// What a result was measured on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The host's name for its processors.
    pub(crate) cpu: String,
    /// The kernel's version.
    pub(crate) kernel: String,
    /// How many processors this process may use.
    pub(crate) cores: usize,
    /// Those that the sides were kept on.
    pub(crate) pinned: [usize; 2],
    /// Those of the threads and processes that systems start.
    pub(crate) helpers: Vec<usize>,
}

impl Machine {
    /// As the kernel tells it; "unknown" where it does not. The sides run on the first two
    /// processors unless others were chosen.
    pub(crate) fn here(chosen: Option<[usize; 2]>) -> Result<Machine> {
        let all = available_cpus()?;
        ensure!(
            all.len() >= 2,
            "two processors are needed, one for each side; this process may use {all:?}"
        );
        let pinned = chosen.unwrap_or([all[0], all[1]]);
        ensure!(
            pinned[0] != pinned[1] && pinned.iter().all(|cpu| all.contains(cpu)),
            "two different processors are needed out of {all:?}, not {pinned:?}"
        );
        let others: Vec<usize> = all.iter().copied().filter(|cpu| !pinned.contains(cpu)).collect();
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
        let kernel = known(&read("/proc/sys/kernel/osrelease"));
        let helpers = if others.is_empty() { all.clone() } else { others };
        Ok(Machine { cpu: known(cpu), kernel, cores: all.len(), pinned, helpers })
    }

    /// Processors that no side keeps.
    pub(crate) fn spare(&self) -> usize {
        self.cores - 2
    }

    /// For names of folders.
    pub(crate) fn slug(&self) -> String {
        let parts = self.cpu.split(|letter: char| !letter.is_ascii_alphanumeric());
        let parts: Vec<String> =
            parts.filter(|part| !part.is_empty()).map(str::to_lowercase).collect();
        format!("{}-{}cores", parts.join("-"), self.cores)
    }
}

/// The processors that this process may use, in order.
fn available_cpus() -> Result<Vec<usize>> {
    let set = sched_getaffinity(THIS_THREAD).context("cannot ask for the processors")?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect())
}

/// Keeps the calling thread, and those that it starts from now on, on these processors.
pub(crate) fn pin(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu).with_context(|| format!("there is no processor {cpu}"))?;
    }
    sched_setaffinity(THIS_THREAD, &set).with_context(|| format!("cannot use processors {cpus:?}"))
}

/// Gives back to the kernel what this process has freed, so that it does not count as held.
#[allow(unsafe_code)]
pub(crate) fn give_back_memory() {
    // SAFETY: it touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// What processes hold, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Resident pages, counted in each process that maps them.
    pub(crate) rss_kib: u64,
    /// Resident pages, each divided among those that map it.
    pub(crate) pss_kib: u64,
    /// Those of them that are shared memory.
    pub(crate) shared_kib: u64,
}

impl Memory {
    /// Of these processes together. One that has ended counts nothing.
    pub(crate) fn of(processes: impl IntoIterator<Item = u32>) -> Memory {
        let mut sum = Memory::default();
        for process in processes {
            let path = format!("/proc/{process}/smaps_rollup");
            let one = Memory::parse(&fs::read_to_string(path).unwrap_or_default());
            sum.rss_kib += one.rss_kib;
            sum.pss_kib += one.pss_kib;
            sum.shared_kib += one.shared_kib;
        }
        sum
    }

    fn parse(rollup: &str) -> Memory {
        let field = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Memory { rss_kib: field("Rss"), pss_kib: field("Pss"), shared_kib: field("Pss_Shmem") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_lines() {
        let rollup = "55-7f ---p 0 00:00 0 [rollup]\nRss:    2000 kB\nPss:     900 kB\n\
                      Pss_Dirty:    5 kB\nPss_Shmem:    70 kB\n";
        let expected = Memory { rss_kib: 2000, pss_kib: 900, shared_kib: 70 };
        assert_eq!(Memory::parse(rollup), expected);
        assert_eq!(Memory::parse(""), Memory::default());
        let own = Memory::of([std::process::id()]);
        assert!(own.rss_kib >= own.pss_kib && own.pss_kib > 0, "{own:?}");
    }
}
