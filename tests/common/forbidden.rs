//! Threads that are killed by the kernel at their first system call.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;

/// From here on this thread can compute, share memory, and end the process.
pub fn forbid_system_calls() {
    let allowed = BTreeMap::from([(libc::SYS_exit_group, Vec::new())]);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let (others, these) = (SeccompAction::KillProcess, SeccompAction::Allow);
    let filter = SeccompFilter::new(allowed, others, these, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
    std::mem::forget(program);
}

/// Without unwinding or cleaning up, which would need system calls.
pub fn end(code: i32) -> ! {
    // SAFETY: ends the process with exit_group; nothing is needed of it any more.
    unsafe { libc::_exit(code) }
}

/// What shows that the filter works: a call that must not come back.
pub fn one_call() {
    forbid_system_calls();
    // SAFETY: takes nothing, changes nothing.
    std::hint::black_box(unsafe { libc::getpid() });
    end(0);
}
