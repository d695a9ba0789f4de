//! A page of memory that two test processes share.

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

const BYTES: usize = 4096;

/// Words that outlive whoever wrote them.
pub(crate) struct Page {
    base: NonNull<AtomicU64>,
    file: OwnedFd,
}

// SAFETY: shared memory that is accessed as atomics only.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    pub(crate) fn new() -> Self {
        let file = memfd_create("test-page", MFdFlags::MFD_CLOEXEC).unwrap();
        nix::unistd::ftruncate(&file, BYTES as i64).unwrap();
        Self::over(file)
    }

    /// The page that another process made.
    pub(crate) fn over(file: OwnedFd) -> Self {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let len = BYTES.try_into().unwrap();
        // SAFETY: a new mapping, placed by the kernel, of a file that is long enough.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, &file, 0) };
        Self { base: base.unwrap().cast(), file }
    }

    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < BYTES / 8);
        // SAFETY: inside of the page.
        let word = unsafe { self.base.add(index) };
        // SAFETY: mapped for as long as `self` lives, aligned, accessed as an atomic only.
        unsafe { word.as_ref() }
    }
}

impl AsFd for Page {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: our own mapping, to which nothing refers any longer.
        unsafe { munmap(self.base.cast(), BYTES) }.unwrap();
    }
}
