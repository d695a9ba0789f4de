//! Sleeping on a word of shared memory.
//!
//! Only for a writer that waits for room: the word is the reader's position, which the reader
//! changes before it wakes, so nothing can be lost between the look and the sleep. (Readers sleep
//! on pipes, see `wait`, because many writers wake them.)

use crate::ring::Position;
use std::time::Duration;

/// Sleeps until `position` is woken, or `timeout` has passed, or at once if it is no longer `seen`.
/// Whatever ended it, look again.
pub(crate) fn sleep(position: &Position, seen: u64, timeout: Duration) {
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the word stays mapped while `position` lives; the kernel compares its lower half
    // (both architectures are little-endian) and sleeps. A read-only mapping will do.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            core::ptr::from_ref(position.word()),
            libc::FUTEX_WAIT,
            seen as u32,
            &raw const timeout,
        );
    }
}

/// Wakes who sleeps on `position`.
pub(super) fn wake(position: &Position) {
    // SAFETY: waking touches no memory.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            core::ptr::from_ref(position.word()),
            libc::FUTEX_WAKE,
            i32::MAX,
        );
    }
}
