//! Ringing: a byte into a pipe whose reader may be gone.
//!
//! # Safety
//!
//! One call that nix lacks, with pointers to locals.

#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::write;
use std::os::fd::AsFd;

/// Rings unconditionally. A full pipe has been rung already; a broken one has nobody to wake, and
/// the signal that the kernel sends for that is taken back: a program written in C would die of
/// it.
pub(crate) fn ring(pipe: impl AsFd) {
    let mut signal = SigSet::empty();
    signal.add(Signal::SIGPIPE);
    let before = signal.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
    let result = loop {
        match write(&pipe, &[1]) {
            Err(Errno::EINTR) => {}
            result => break result,
        }
    };
    let Some(before) = before else { return };
    if result == Err(Errno::EPIPE) && !before.contains(Signal::SIGPIPE) {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both pointers are valid for the call; nobody is told of the signal's details.
        unsafe {
            libc::sigtimedwait(signal.as_ref(), core::ptr::null_mut(), &raw const at_once);
        }
    }
    // It cannot fail with a mask that the kernel gave us.
    let _ = before.thread_set_mask();
}
