//! A page that both sides of a pair map: the words of the floor, and how far a stream has come.
//!
//! # Safety
//!
//! The page is accessed as atomics only, and the futex system call looks at its words.

#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memmap2::MmapRaw;

/// Words of the page, each by its byte offset. Two lines apart, because some processors fetch
/// lines in pairs.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum Word {
    /// Written by side A.
    Ping = 0,
    /// Written by side B.
    Pong = 128,
    /// Written by side A when a stream is over: the number after its last message.
    Sent = 256,
    /// Written by side B when it has the last: the same number.
    Received = 384,
}

const PAGE_BYTES: usize = 4096;

const _: () = assert!(Word::Received as usize + size_of::<AtomicU64>() <= PAGE_BYTES);

/// One page, mapped by both sides.
///
/// Invariant: the mapping is `PAGE_BYTES` long, lies in a file that nobody shrinks, and is
/// accessed as atomics only.
#[derive(Debug)]
pub(crate) struct Page {
    map: MmapRaw,
}

impl Page {
    /// Makes the file that both sides open.
    pub(crate) fn create(path: &Path) -> Result<()> {
        let file = File::create_new(path).with_context(|| format!("cannot make {path:?}"))?;
        file.set_len(PAGE_BYTES as u64).context("cannot size the shared page")
    }

    /// Maps the file.
    pub(crate) fn open(path: &Path) -> Result<Page> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.with_context(|| format!("cannot open {path:?}"))?;
        let len = file.metadata().context("cannot ask for the size of the shared page")?.len();
        ensure!(len == PAGE_BYTES as u64, "a shared page of {len} bytes");
        Ok(Page { map: MmapRaw::map_raw(&file).context("cannot map the shared page")? })
    }

    /// One of the words.
    #[inline(always)]
    pub(crate) fn word(&self, word: Word) -> &AtomicU64 {
        // SAFETY: every `Word` lies inside of the page, as asserted above.
        let word = unsafe { self.map.as_mut_ptr().add(word as usize) };
        // SAFETY: mapped for as long as `self` lives, aligned, accessed as atomics only.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// Sleeps while the lower half of the word is that of `seen`, for `limit` at most.
    #[inline]
    pub(crate) fn futex_wait(&self, word: Word, seen: u64, limit: Duration) {
        let limit = libc::timespec {
            tv_sec: limit.as_secs() as libc::time_t,
            tv_nsec: limit.subsec_nanos().into(),
        };
        // SAFETY: the word is mapped, and its lower half comes first on the little-endian
        // machines that we run on; whatever the outcome, the caller looks again.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word(word).as_ptr(),
                libc::FUTEX_WAIT,
                seen as u32,
                &raw const limit,
            );
        }
    }

    /// Wakes who sleeps on the word.
    #[inline]
    pub(crate) fn futex_wake(&self, word: Word) {
        // SAFETY: waking touches no memory.
        unsafe { libc::syscall(libc::SYS_futex, self.word(word).as_ptr(), libc::FUTEX_WAKE, 1) };
    }
}
