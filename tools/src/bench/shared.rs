//! Memory that both processes of a benchmark see, without a ring around it.
//!
//! # Safety
//!
//! All the unsafe code of the benchmark is here: a page that is accessed as atomics only, the
//! futex system call on its words, descriptors that arrived over a socket, and the body of a
//! record whose writer is this same program.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result};
use ephapse::ring::Record;
use ephapse::segment::RingMemory;
use memmap2::MmapRaw;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Words of the page, each by its byte offset. Two lines apart, because some processors fetch
/// lines in pairs.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum Word {
    /// Written by the parent.
    Ping = 0,
    /// Written by the child.
    Pong = 128,
    /// Written by the child: how many events it has received, when it has all of them.
    Received = 256,
    /// Written by the child: how many schedules it has been ready for.
    Ready = 384,
    /// Written by the parent: the tick at which the first event of a schedule is due.
    Start = 512,
}

const PAGE_BYTES: usize = 4096;

const _: () = assert!(Word::Start as usize + size_of::<AtomicU64>() <= PAGE_BYTES);

/// One page, mapped by both processes.
///
/// Invariant: the mapping is `PAGE_BYTES` long, lies in a memfd that nobody shrinks, and is
/// accessed as atomics only.
#[derive(Debug)]
pub(crate) struct Page {
    map: MmapRaw,
}

impl Page {
    /// Makes the page, and the descriptor by which the other process gets it.
    pub(crate) fn create() -> Result<(Page, OwnedFd)> {
        let file = memfd_create("ephapse-bench", MFdFlags::MFD_CLOEXEC)
            .context("cannot make shared memory")?;
        let file = File::from(file);
        file.set_len(PAGE_BYTES as u64).context("cannot size shared memory")?;
        Ok((Page::map(&file)?, file.into()))
    }

    /// Maps the page that the other process made.
    pub(crate) fn open(file: OwnedFd) -> Result<Page> {
        let file = File::from(file);
        let len = file.metadata().context("cannot ask for the size of shared memory")?.len();
        anyhow::ensure!(len == PAGE_BYTES as u64, "shared memory of {len} bytes");
        Page::map(&file)
    }

    fn map(file: &File) -> Result<Page> {
        let map = MmapRaw::map_raw(file).context("cannot map shared memory")?;
        Ok(Page { map })
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

/// Numbers in a file of memory, which another process gets by its descriptor.
pub(crate) fn numbers_to_file(numbers: &[u64]) -> Result<OwnedFd> {
    let file = memfd_create("ephapse-bench", MFdFlags::MFD_CLOEXEC)
        .context("cannot make a file in memory")?;
    let mut file = BufWriter::new(File::from(file));
    for number in numbers {
        file.write_all(&number.to_le_bytes()).context("no memory for what was measured")?;
    }
    let file = file.into_inner().context("no memory for what was measured")?;
    Ok(file.into())
}

/// The numbers that the other process has put into a file.
pub(crate) fn numbers_from_file(file: OwnedFd) -> Result<Vec<u64>> {
    let mut file = File::from(file);
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .context("cannot read what was measured")?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Ok(numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
}

/// Takes a descriptor that has just arrived over a socket.
///
/// Only for what `recvmsg` returned: such a descriptor is open, and nobody else's.
pub(super) fn adopt(descriptor: RawFd) -> OwnedFd {
    // SAFETY: by the rule above.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// The body of a record, in the ring.
#[inline(always)]
pub(super) fn body<'a>(record: &'a Record<'_, RingMemory>) -> &'a [u8] {
    // SAFETY: the writer is the other process of this benchmark, which has no access to records
    // beside `Writer`; that never changes a record before its reader has released it.
    unsafe { record.body() }
}
