//! A range of mapped memory.

use super::file::SegmentError;
use super::fork::Process;
use core::ffi::c_void;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::os::fd::OwnedFd;

/// Bytes of a huge page on x86-64, and on aarch64 with small pages of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;

/// What may be done with a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Addresses that stay mapped until this is dropped. Not inherited by forked children, not in
/// core dumps.
///
/// Invariants:
/// 1. `base .. base + len` is mapped, readable, and backed by a sealed file that is long enough.
/// 2. It is writable if and only if `access` is `Write`.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    reserved: (NonNull<c_void>, usize),
    pub process: Process,
    pub access: Access,
}

// SAFETY: a mapping is memory; what is in it is accessed by atomics or by `ring::Memory`'s rules.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// The host's page size: 4 KiB on x86-64.
pub(super) fn page_size() -> usize {
    use std::sync::OnceLock;
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
        size.ok().flatten().map_or(4096, |size| size as usize)
    })
}

impl Mapping {
    /// Maps the first `bytes` of `file`, and the part from `repeat_from` on a second time behind.
    /// Pass `bytes` for no repetition. All are multiples of the page size.
    pub(super) fn new(
        file: &OwnedFd,
        bytes: usize,
        repeat_from: usize,
        access: Access,
    ) -> Result<Self, SegmentError> {
        let len = bytes + (bytes - repeat_from);
        // Room to start at a huge page, so that the kernel can use them in both halves.
        let slack = if len >= 2 * HUGE_PAGE { HUGE_PAGE } else { 0 };
        let size = NonZeroUsize::new(len + slack).ok_or(SegmentError::NotMemfd)?;
        // SAFETY: a fresh reservation, placed by the kernel, that overlaps nothing.
        let reserved =
            unsafe { mmap_anonymous(None, size, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }
                .map_err(SegmentError::kernel("mmap (address space)", bytes))?;
        let start = match slack {
            0 => reserved.cast::<u8>(),
            _ => align_up(reserved.cast::<u8>(), HUGE_PAGE),
        };
        // From here on the reservation is unmapped when `mapping` is dropped.
        let mapping = Self {
            base: start,
            len,
            reserved: (reserved, size.get()),
            process: Process::current(),
            access,
        };
        mapping.place(file, start, bytes, 0)?;
        if repeat_from < bytes {
            // SAFETY: `start + bytes` lies inside of the reservation of at least `len` bytes.
            let second = unsafe { start.add(bytes) };
            mapping.place(file, second, bytes - repeat_from, repeat_from)?;
        }
        mapping.advise(MmapAdvise::MADV_DONTFORK, "madvise(DONTFORK)")?;
        mapping.advise(MmapAdvise::MADV_DONTDUMP, "madvise(DONTDUMP)")?;
        Ok(mapping)
    }

    /// Maps part of the file over part of our own reservation.
    fn place(
        &self,
        file: &OwnedFd,
        at: NonNull<u8>,
        len: usize,
        offset: usize,
    ) -> Result<(), SegmentError> {
        let protection = match self.access {
            Access::Read => ProtFlags::PROT_READ,
            Access::Write => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        };
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        let length = NonZeroUsize::new(len).ok_or(SegmentError::NotMemfd)?;
        // SAFETY: `at .. at + len` is part of the reservation that this mapping owns, where
        // nothing else lives; the file is long enough (created or verified so, and sealed).
        unsafe { mmap(Some(at.addr()), length, protection, flags, file, offset as i64) }
            .map_err(SegmentError::kernel("mmap", self.len))?;
        Ok(())
    }

    fn advise(&self, advice: MmapAdvise, call: &'static str) -> Result<(), SegmentError> {
        // SAFETY: our own range; neither advice changes what it contains for this process.
        unsafe { madvise(self.base.cast(), self.len, advice) }
            .map_err(SegmentError::kernel(call, self.len))
    }

    /// Enters every page into the page table now, so that no later access has to.
    pub(super) fn populate(&self) {
        let advice = match self.access {
            Access::Read => libc::MADV_POPULATE_READ,
            Access::Write => libc::MADV_POPULATE_WRITE,
        };
        // SAFETY: our own range; populating changes no byte.
        let result = unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, advice) };
        if result == 0 {
            return;
        }
        // Kernels before 5.14. Reading maps a page for reading; the writer's pages have been
        // allocated already, so what remains for it is a small fault on the first write.
        // Relaxed: the value does not matter.
        for offset in (0..self.len).step_by(page_size()) {
            core::hint::black_box(self.word(offset).load(core::sync::atomic::Ordering::Relaxed));
        }
    }

    /// Asks for huge pages; best effort. Whether the kernel gave them.
    pub(super) fn collapse(&self) -> bool {
        const MADV_COLLAPSE: libc::c_int = 25;
        // SAFETY: our own range; collapsing moves pages without changing a byte.
        unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, MADV_COLLAPSE) == 0 }
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The word at a byte offset.
    ///
    /// # Panics
    ///
    /// If there is no such word; offsets are our own.
    #[inline]
    pub(super) fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "no word at {offset}");
        // SAFETY: inside of the mapping, as just checked.
        let word = unsafe { self.base.add(offset) };
        // SAFETY: mapped and readable (1), eight-byte aligned; all access to words is atomic.
        // Stores through a `Read` mapping would fault; only owners of `Write` mappings store.
        unsafe { word.cast::<AtomicU64>().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.process.is_current() {
            return; // the child never had this range (DONTFORK), something else may be there
        }
        let (start, len) = self.reserved;
        // SAFETY: the reservation is ours alone, and nothing borrowed from it outlives `self`.
        let result = unsafe { munmap(start, len) };
        debug_assert!(result.is_ok(), "munmap of our own range: {result:?}");
    }
}

fn align_up(pointer: NonNull<u8>, alignment: usize) -> NonNull<u8> {
    let padding = pointer.addr().get().next_multiple_of(alignment) - pointer.addr().get();
    // SAFETY: the caller has reserved `alignment` bytes more than it uses.
    unsafe { pointer.add(padding) }
}
