//! Limits of this process, memory, and how the processor is set up.

use std::fs;

use ephapse::{Domain, counters};
use libc::{RLIM_INFINITY, rlim_t};
use nix::sys::resource::{Resource, getrlimit};
use procfs::{Current, Meminfo};

use super::Finding;
use crate::ui::format;

/// Descriptors that a hub with a hundred links and as many peers takes, and some more.
const DESCRIPTORS_WANTED: u64 = 1024;

/// What a domain of 128 hubs that all hear one another takes at most in one process.
const DESCRIPTORS_LARGE: u64 = 65_536;

/// Less than this, and the next rings may end processes.
const MEMORY_WANTED: u64 = 256 << 20;

pub(super) fn look(domain: &Domain) -> Vec<Finding> {
    let mut findings = vec![descriptors(), locked(), memory(), group(), shared(), cores(domain)];
    findings.extend([governor(), isolated(), huge_pages()]);
    findings
}

fn limit(value: rlim_t) -> String {
    if value == RLIM_INFINITY { "unlimited".to_owned() } else { format::count(value) }
}

fn descriptors() -> Finding {
    let what = "descriptors";
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Finding::warning(what, "RLIMIT_NOFILE cannot be told", "see `ulimit -n`");
    };
    let seen = format!("{} (at most {}) for each process", limit(now), limit(most));
    if now < DESCRIPTORS_WANTED {
        let advice = "raise it with `ulimit -n`, LimitNOFILE= of the service, or in limits.conf";
        return Finding::warning(what, seen, advice);
    }
    if most < DESCRIPTORS_LARGE {
        let advice = "enough for hundreds of hubs; a supervisor of thousands needs a higher limit (`ulimit -Hn`)";
        return Finding { advice: Some(advice.to_owned()), ..Finding::ok(what, seen) };
    }
    Finding::ok(what, seen)
}

/// Nothing is locked by Ephapse; who locks his memory takes the rings along.
fn locked() -> Finding {
    let what = "locked memory";
    match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((now, _)) if now == RLIM_INFINITY => Finding::ok(what, "unlimited"),
        Ok((now, _)) => Finding::ok(
            what,
            format!("{}; matters only to programs that call mlockall", format::bytes(now)),
        ),
        Err(_) => {
            Finding::ok(what, "no limit can be told; matters only to programs that call mlockall")
        }
    }
}

fn memory() -> Finding {
    let what = "memory";
    let Ok(memory) = Meminfo::current() else {
        return Finding::warning(what, "/proc/meminfo cannot be read", "mount /proc");
    };
    let available = memory.mem_available.unwrap_or(memory.mem_free);
    let shared = memory.shmem.unwrap_or(0);
    let [available_text, total, shared] = [available, memory.mem_total, shared].map(format::bytes);
    let seen = format!("{available_text} of {total} available; {shared} shared");
    if available < MEMORY_WANTED {
        return Finding::warning(
            what,
            seen,
            "rings are memory: end something, or make rings smaller",
        );
    }
    Finding::ok(what, seen)
}

/// Pages of rings count for the control group of who touches them first.
fn group() -> Finding {
    let what = "memory limit";
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup{path}/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let (Some(most), Some(used)) = (read("memory.max"), read("memory.current")) else {
        return Finding::ok(what, "none by the control group");
    };
    let seen =
        format!("{} of {} used by the control group", format::bytes(used), format::bytes(most));
    if most.saturating_sub(used) < MEMORY_WANTED {
        let advice =
            "rings count for the group of who touches them first: raise memory.max (MemoryMax=)";
        return Finding::warning(what, seen, advice);
    }
    Finding::ok(what, seen)
}

/// Rings do not lie in /dev/shm; but what limits its file system does not limit them either.
fn shared() -> Finding {
    let what = "shared memory";
    let read =
        |name: &str| fs::read_to_string(format!("/sys/kernel/mm/transparent_hugepage/{name}"));
    let huge = read("shmem_enabled")
        .ok()
        .and_then(|text| chosen(&text))
        .unwrap_or_else(|| "unknown".to_owned());
    Finding::ok(what, format!("memfd; neither /dev/shm nor its size matter; huge pages: {huge}"))
}

/// What stands in brackets: `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

fn cores(domain: &Domain) -> Finding {
    let what = "cores";
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hubs = counters::scan(Some(domain)).len();
    let seen = format!("{cores} for this process; {hubs} hubs in the domain");
    if cores < 2 {
        return Finding::warning(
            what,
            seen,
            "who spins keeps the other side from running: use Wait::Block",
        );
    }
    if hubs > cores {
        let advice = "more hubs than cores: those that spin stand in each other's way; use Wait::Block, or the \
                      default, which spins for 50 µs";
        return Finding { advice: Some(advice.to_owned()), ..Finding::ok(what, seen) };
    }
    Finding::ok(what, seen)
}

fn governor() -> Finding {
    let what = "frequency";
    let Ok(governor) = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    else {
        return Finding::ok(what, "not for this system to choose (a virtual machine, or fixed)");
    };
    match governor.trim() {
        "performance" => Finding::ok(what, "governor performance"),
        other => Finding::warning(
            what,
            format!("governor {other}"),
            "cores that were idle start slowly: `cpupower frequency-set -g performance`",
        ),
    }
}

fn isolated() -> Finding {
    let what = "isolated cores";
    let text = fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    match text.trim() {
        "" => Finding::ok(
            what,
            "none; `isolcpus=` and pinning take the scheduler out of the slowest events",
        ),
        cores => Finding::ok(what, format!("{cores}; only who pins a thread to them uses them")),
    }
}

fn huge_pages() -> Finding {
    let what = "huge pages";
    let text = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok();
    match text.and_then(|text| chosen(&text)) {
        Some(state) if state == "never" => {
            Finding::ok(what, "never; rings of many megabytes would be faster with `madvise`")
        }
        Some(state) => Finding::ok(what, state),
        None => Finding::ok(what, "the kernel has none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_stands_in_brackets() {
        assert_eq!(chosen("always [madvise] never\n").as_deref(), Some("madvise"));
        assert_eq!(chosen("always"), None);
    }
}
