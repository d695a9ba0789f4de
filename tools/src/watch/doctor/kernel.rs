//! What the kernel has to be able to do: each is tried, not looked up.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::utsname::uname;
use nix::unistd::{ftruncate, write};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};

use super::Finding;

/// The oldest kernel that Ephapse is made for.
const OLDEST: (u32, u32) = (5, 10);

/// Why most calls fail that the kernel knows.
const FILTERED: &str = "let them through the system-call filter of the container or service";

pub(super) fn look() -> Vec<Finding> {
    vec![version(), memory(), barrier(), process(), socket(), proc(), clock()]
}

fn version() -> Finding {
    let what = "kernel";
    let Ok(names) = uname() else {
        return Finding::problem(what, "its version cannot be told", "use Linux 5.10 or newer");
    };
    let release = names.release().to_string_lossy().into_owned();
    match numbers(&release) {
        Some(version) if version >= OLDEST => Finding::ok(what, format!("Linux {release}")),
        Some(_) => Finding::problem(what, format!("Linux {release}"), "use Linux 5.10 or newer"),
        None => {
            Finding::warning(what, format!("{release:?} is no version"), "use Linux 5.10 or newer")
        }
    }
}

/// The first two numbers of `5.10.0-8-amd64`.
fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Memory that its reader cannot be made to write, and nobody can cut off.
fn memory() -> Finding {
    let what = "sealed memory";
    let sealed = || -> Result<(), Errno> {
        let file =
            memfd_create(c"ephapse-doctor", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&file, 4096)?;
        let future_write = SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals | future_write))?;
        let denied =
            write(&file, b"x") == Err(Errno::EPERM) && ftruncate(&file, 0) == Err(Errno::EPERM);
        if denied { Ok(()) } else { Err(Errno::ENOSYS) }
    };
    match sealed() {
        Ok(()) => Finding::ok(what, "memfd_create and its seals work"),
        Err(error) => Finding::problem(
            what,
            format!("memfd_create or its seals do not work: {}", error.desc()),
            "nothing works without them: use Linux 5.10 or newer, or ".to_owned() + FILTERED,
        ),
    }
}

/// What wakes sleepers without a fence for each event.
fn barrier() -> Finding {
    let what = "membarrier";
    let supported = membarrier_query();
    let wanted = MembarrierQuery::GLOBAL | MembarrierQuery::GLOBAL_EXPEDITED;
    // What is there may be filtered.
    if supported.contains(wanted) && membarrier(MembarrierCommand::Global).is_ok() {
        return Finding::ok(what, "global and expedited");
    }
    let advice = "needs CONFIG_MEMBARRIER, and no processor in full-dynticks mode; or ";
    Finding::problem(what, "membarrier(2) is not there", advice.to_owned() + FILTERED)
}

/// How the death of a process is seen.
fn process() -> Finding {
    let what = "pidfd";
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(_) => Finding::ok(what, "pidfd_open works"),
        Err(error) => {
            Finding::problem(what, format!("pidfd_open does not work: {error}"), FILTERED)
        }
    }
}

/// How hub and supervisor talk.
fn socket() -> Finding {
    let what = "sockets";
    let made: Result<(OwnedFd, OwnedFd), Errno> =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
    match made {
        Ok(_) => Finding::ok(what, "Unix sockets with packets work"),
        Err(error) => Finding::problem(
            what,
            format!("no Unix sockets with packets: {}", error.desc()),
            FILTERED,
        ),
    }
}

/// Where counters are found, and descriptors opened anew.
fn proc() -> Finding {
    let what = "/proc";
    match std::fs::read_dir("/proc/self/fd").and_then(|_| std::fs::read_dir("/proc/1")) {
        Ok(_) => Finding::ok(what, "mounted, and shows processes"),
        Err(_) if std::fs::read_dir("/proc/self/fd").is_ok() => {
            Finding::ok(what, "mounted, and shows own processes")
        }
        Err(error) => {
            Finding::problem(what, format!("/proc/self/fd cannot be read: {error}"), "mount /proc")
        }
    }
}

/// What timestamps are made of.
fn clock() -> Finding {
    let what = "clock";
    if !cfg!(target_arch = "x86_64") {
        return Finding::ok(what, "the architecture has an invariant counter");
    }
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_ascii_whitespace().any(|known| known == flag);
    let source =
        std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.unwrap_or_default();
    if has("nonstop_tsc") || has("constant_tsc") {
        return Finding::ok(what, format!("invariant counter; the kernel uses {}", source.trim()));
    }
    let advice = "timestamps come from clock_gettime instead, at about 25 ns each; on a virtual machine, \
                  ask for an invariant TSC";
    Finding::warning(what, "the processor's counter is not invariant", advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(numbers("5.10.0-8-amd64"), Some((5, 10)));
        assert_eq!(numbers("6.1"), Some((6, 1)));
        assert_eq!(numbers("10.2-rc1"), Some((10, 2)));
        assert_eq!(numbers("rolling"), None);
        assert!(numbers("5.9.1").expect("numbers") < OLDEST);
        assert!(numbers("5.10").expect("numbers") >= OLDEST);
    }
}
