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

/// Whether a write to a broken pipe only fails, and sends no signal that would end the program: so
/// in every Rust program that has not changed it, not in one written in C.
pub(super) fn is_sigpipe_ignored() -> bool {
    // SAFETY: all-zero is a valid sigaction, to be overwritten.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: only asks; the pointer is valid for the call.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, core::ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// What those write who ring.
pub(super) const RING: u8 = 1;

/// What our own thread writes that makes sleep certain. (A peer may write it too, and then is not
/// heard: it has itself to blame.)
pub(super) const CERTAIN: u8 = 2;

/// Rings where SIGPIPE is ignored. A full pipe has been rung already; a broken one has nobody to
/// wake.
pub(super) fn ring_plainly(pipe: impl AsFd, byte: u8) -> Result<(), Errno> {
    loop {
        match write(&pipe, &[byte]) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop),
        }
    }
}

/// Rings, and takes back the signal that the kernel sends if nobody holds the other end.
pub(crate) fn ring(pipe: impl AsFd) {
    ring_with(pipe, RING);
}

/// As [`ring`], with the byte of our own thread that makes sleep certain.
pub(super) fn ring_certain(pipe: impl AsFd) {
    ring_with(pipe, CERTAIN);
}

fn ring_with(pipe: impl AsFd, byte: u8) {
    let mut signal = SigSet::empty();
    signal.add(Signal::SIGPIPE);
    let before = signal.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
    let result = ring_plainly(pipe, byte);
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
