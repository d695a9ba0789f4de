//! Recognising a forked child.
//!
//! Mappings are not inherited by children, so a child that used a hub of its parent would crash;
//! it gets an error instead. A page that the kernel wipes in children makes the check one load.

use core::sync::atomic::{AtomicU32, Ordering};
use nix::sys::mman::{MmapAdvise, madvise};
use std::sync::Once;

/// Bytes that are whole pages whatever the page size is.
const PAGE_BYTES: usize = 64 << 10;

/// Pages with nothing else in them. The first word is the number of this process; 0 before it is
/// asked for, and in children.
#[repr(C, align(65536))]
struct Pages([AtomicU32; PAGE_BYTES / 4]);

static PAGES: Pages = Pages([const { AtomicU32::new(0) }; PAGE_BYTES / 4]);

/// The last number given to a process; children inherit it and go on counting.
static LAST: AtomicU32 = AtomicU32::new(0);

/// The process that opened something. Costs a load to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(wipe_in_children);
        let number = &PAGES.0[0];
        // Relaxed: the number stands alone; the exchange makes it one.
        if number.load(Ordering::Relaxed) == 0 {
            let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            let _ = number.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        Self(number.load(Ordering::Relaxed))
    }

    /// Whether this is still the process that it was, and not a forked child of it.
    #[inline(always)]
    #[must_use]
    pub fn is_current(self) -> bool {
        // Relaxed: as above.
        PAGES.0[0].load(Ordering::Relaxed) == self.0
    }
}

fn wipe_in_children() {
    let start = core::ptr::NonNull::from(&PAGES).cast();
    // SAFETY: whole pages of our own, zero-initialised and so anonymous memory, whose only content
    // is a number that is meant to be wiped.
    let wiped = unsafe { madvise(start, PAGE_BYTES, MmapAdvise::MADV_WIPEONFORK) };
    if wiped.is_err() {
        // A kernel or loader that cannot: fork() itself tells us.
        extern "C" fn in_child() {
            // Relaxed: a forked child has one thread.
            PAGES.0[0].store(0, Ordering::Relaxed);
        }
        // SAFETY: the handler only stores to an atomic.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}
