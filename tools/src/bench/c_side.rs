//! The C interface: the same 32-byte event through hubs and a link, by a program in C.
//!
//! # Safety
//!
//! The functions are those of `c_side.c`, which is compiled into this program. A side is used by
//! one thread, but for `bench_c_close`, which uses nothing but the side's closer: that is a handle of
//! its own, which finds out for itself who uses it.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use ephapse::event::Timestamp;
// Its functions are those that the program in C calls.
use ephapse_ffi as _;

use super::args::{Setup, WaitMode};
use super::halt::Halt;
use super::shared::Page;
use super::side::{EchoSide, PingSide};

const PING: &str = "ping";
const ECHO: &str = "echo";

/// `struct c_side`
#[repr(C)]
struct Opaque([u8; 0]);

unsafe extern "C" {
    fn bench_c_open(
        directory: *const u8,
        len: usize,
        name: *const u8,
        name_len: usize,
        wait: c_int,
        timestamps: c_int,
    ) -> *mut Opaque;
    fn bench_c_link(side: *mut Opaque, peer: *const u8, peer_len: usize) -> c_int;
    fn bench_c_ping(
        side: *mut Opaque,
        samples: *mut u64,
        count: usize,
        ticks: extern "C" fn() -> u64,
        wrong: *mut u64,
    ) -> c_int;
    fn bench_c_echo(side: *mut Opaque, trips: u64, wrong: *mut u64) -> c_int;
    fn bench_c_close(side: *mut Opaque) -> c_int;
    fn bench_c_free(side: *mut Opaque);
    fn bench_c_error() -> *const c_char;
}

extern "C" fn ticks() -> u64 {
    Timestamp::now().ticks()
}

struct Side(NonNull<Opaque>);

// SAFETY: see the top of the file.
unsafe impl Send for Side {}
// SAFETY: see the top of the file.
unsafe impl Sync for Side {}

impl Drop for Side {
    fn drop(&mut self) {
        // SAFETY: it was made by `bench_c_open`, and nobody uses it any more.
        unsafe { bench_c_free(self.0.as_ptr()) };
    }
}

/// A hub that has joined.
pub(super) struct Joined(Arc<Side>);

/// The parent's hub joins.
pub(super) fn join_ping(domain: &Path, setup: &Setup) -> Result<Joined> {
    join(PING, domain, setup)
}

/// The child's hub joins.
pub(super) fn join_echo(domain: &Path, setup: &Setup) -> Result<Joined> {
    join(ECHO, domain, setup)
}

fn join(name: &str, domain: &Path, setup: &Setup) -> Result<Joined> {
    let directory = domain.as_os_str().as_encoded_bytes();
    let wait = match setup.wait {
        WaitMode::Spin => 1,
        WaitMode::Block => 3,
        WaitMode::Adaptive => 4,
    };
    let (at, len) = (directory.as_ptr(), directory.len());
    let timestamps = c_int::from(setup.timestamps);
    // SAFETY: both texts live during the call.
    let side = unsafe { bench_c_open(at, len, name.as_ptr(), name.len(), wait, timestamps) };
    match NonNull::new(side) {
        Some(side) => Ok(Joined(Arc::new(Side(side)))),
        None => bail!("the hub \"{name}\" cannot join: {}", why()),
    }
}

/// What the last call of this thread has to say.
fn why() -> String {
    // SAFETY: it takes nothing.
    let message = unsafe { bench_c_error() };
    // SAFETY: a text that ends with a zero, and is valid until the next call fails.
    unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
}

impl Joined {
    /// The parent's side, when the child's hub has joined.
    pub(super) fn ping_side(self, halt: &Halt) -> Result<Box<dyn PingSide>> {
        self.link(ECHO)?;
        let side = Arc::clone(&self.0);
        halt.closes(move || {
            // SAFETY: see the top of the file. If it fails, it is closed already.
            let _ = unsafe { bench_c_close(side.0.as_ptr()) };
        });
        Ok(Box::new(self))
    }

    /// The child's side, at the same time.
    pub(super) fn echo_side(self) -> Result<Box<dyn EchoSide>> {
        self.link("")?;
        Ok(Box::new(self))
    }

    fn link(&self, peer: &str) -> Result<()> {
        // SAFETY: the side lives, and so does the text during the call.
        let code = unsafe { bench_c_link(self.0.0.as_ptr(), peer.as_ptr(), peer.len()) };
        ensure!(code == 0, "no link: {}", why());
        Ok(())
    }
}

impl PingSide for Joined {
    fn ping(&mut self, samples: &mut [u64], halt: &Halt) -> Result<u64> {
        let (mut wrong, at) = (0, samples.as_mut_ptr());
        // SAFETY: the side lives; so many samples can be written; so can the count.
        let code =
            unsafe { bench_c_ping(self.0.0.as_ptr(), at, samples.len(), ticks, &raw mut wrong) };
        if code != 0 {
            match halt.reason() {
                Some(stop) => bail!(stop),
                None => bail!("no round trip: {}", why()),
            }
        }
        Ok(wrong)
    }

    fn stream(&mut self, _count: u64, _batch: u32, _halt: &Halt) -> Result<()> {
        bail!("only latency is measured through the C interface")
    }

    fn capacity_bytes(&self) -> usize {
        ephapse::limits::RING_CAPACITY_DEFAULT
    }
}

impl EchoSide for Joined {
    fn echo(&mut self, trips: u64) -> Result<u64> {
        let mut wrong = 0;
        // SAFETY: the side lives, and the count can be written.
        let code = unsafe { bench_c_echo(self.0.0.as_ptr(), trips, &raw mut wrong) };
        ensure!(code == 0, "no answer: {}", why());
        Ok(wrong)
    }

    fn receive(&mut self, _count: u64, _page: &Page) -> Result<u64> {
        bail!("only latency is measured through the C interface")
    }
}
