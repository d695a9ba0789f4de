//! The memfd behind a segment: made, sealed, verified.

use super::header::SegmentKind;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::fstat;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::ftruncate;
use std::os::fd::{AsFd, OwnedFd};
use thiserror::Error;

/// Why a segment could not be made, or was not accepted. Nothing stays mapped.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// A kernel call failed.
    #[error("{call} of a segment of {bytes} bytes failed: {source}{}", hint(*.source))]
    Kernel {
        /// Which call.
        call: &'static str,
        /// Bytes of the segment.
        bytes: usize,
        /// The kernel's answer.
        source: Errno,
    },
    /// The capacity is not one that a segment may have.
    #[error(
        "a capacity of {found} bytes is not possible: it must be a power of two from {min} to \
         {max}, and a multiple of the page size"
    )]
    WrongCapacity {
        /// What was asked for, or what the header says.
        found: u64,
        /// Smallest.
        min: usize,
        /// Largest.
        max: usize,
    },
    /// The descriptor is not a memfd, or has not been sealed as it must be.
    #[error(
        "the segment is not sealed: seals {missing} are missing; whoever made it could still \
         change its size or let others write"
    )]
    NotSealed {
        /// The missing ones.
        missing: String,
    },
    /// The file is not as long as its capacity needs.
    #[error("the segment has {found} bytes where {expected} were declared")]
    WrongSize {
        /// What the declared capacity needs.
        expected: usize,
        /// The file's size.
        found: i64,
    },
    /// The creator has not allocated the memory; touching it would be charged to us.
    #[error("the segment has only {found} of its {expected} bytes allocated by its creator")]
    Sparse {
        /// Bytes of the segment.
        expected: usize,
        /// Bytes that exist.
        found: u64,
    },
    /// Not memory of the kind that memfd gives (huge pages may fault when touched).
    #[error("the descriptor is not an ordinary memfd")]
    NotMemfd,
    /// Not a segment.
    #[error("the segment starts with {found:#018x} where {expected:#018x} was expected")]
    WrongMagic {
        /// Ours.
        expected: u64,
        /// Theirs.
        found: u64,
    },
    /// A segment of another version of Ephapse.
    #[error(
        "the segment has layout version {found}, this program knows version {expected}; use the \
         same version of ephapse on both sides"
    )]
    WrongVersion {
        /// Ours.
        expected: u32,
        /// Theirs.
        found: u32,
    },
    /// A segment that holds something else.
    #[error("the segment is of kind {found} where {expected:?} was expected")]
    WrongKind {
        /// What was needed.
        expected: SegmentKind,
        /// What came.
        found: u32,
    },
    /// A segment whose contents cannot be.
    #[error("the segment cannot be used: {what}")]
    Garbled {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A slot outside of the cursor segment.
    #[error("slot {slot} does not exist in a cursor segment of {slots} slots")]
    NoSuchSlot {
        /// What was asked for.
        slot: u32,
        /// How many there are.
        slots: usize,
    },
}

/// What to do about it, where that can be said.
fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOMEM | Errno::ENOSPC => " (no memory left; use a smaller capacity)",
        Errno::EMFILE => " (too many open descriptors; raise the limit with ulimit -n)",
        Errno::ENFILE => " (the system has too many open files)",
        _ => "",
    }
}

impl SegmentError {
    pub(super) fn kernel(call: &'static str, bytes: usize) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Kernel { call, bytes, source }
    }
}

/// What every segment that is passed on must have.
pub(super) fn required_seals() -> SealFlag {
    SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE)
}

/// A memfd of `bytes` bytes, closed on exec, never executable where the kernel can promise that.
/// `allocated` takes all memory now, so that a lack of it is an error here and not a signal later.
pub(super) fn create(name: &str, bytes: usize, allocated: bool) -> Result<OwnedFd, SegmentError> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let file = match memfd_create(name, flags | no_exec) {
        Err(Errno::EINVAL) => memfd_create(name, flags), // kernels before 6.3
        result => result,
    }
    .map_err(SegmentError::kernel("memfd_create", bytes))?;
    ftruncate(&file, bytes as i64).map_err(SegmentError::kernel("ftruncate", bytes))?;
    if allocated {
        fallocate(&file, FallocateFlags::empty(), 0, bytes as i64)
            .map_err(SegmentError::kernel("fallocate", bytes))?;
    }
    Ok(file)
}

/// From here on nobody gets a writable mapping, writes, or changes the size.
pub(super) fn seal(file: &OwnedFd, bytes: usize) -> Result<(), SegmentError> {
    fcntl(file, FcntlArg::F_ADD_SEALS(required_seals()))
        .map_err(SegmentError::kernel("fcntl(F_ADD_SEALS)", bytes))?;
    Ok(())
}

/// Whether a descriptor that came from somewhere is a segment of `bytes` bytes that can neither
/// change its size nor be written by anyone but its creator.
pub(super) fn verify(file: &OwnedFd, bytes: usize, allocated: bool) -> Result<(), SegmentError> {
    let seals = match fcntl(file, FcntlArg::F_GET_SEALS) {
        Ok(bits) => SealFlag::from_bits_retain(bits),
        Err(Errno::EINVAL) => SealFlag::empty(),
        Err(source) => {
            return Err(SegmentError::Kernel { call: "fcntl(F_GET_SEALS)", bytes, source });
        }
    };
    let missing = required_seals() - seals;
    if !missing.is_empty() {
        return Err(SegmentError::NotSealed { missing: seal_names(missing) });
    }
    let filesystem =
        fstatfs(file.as_fd()).map_err(SegmentError::kernel("fstatfs", bytes))?.filesystem_type();
    if filesystem != TMPFS_MAGIC {
        return Err(SegmentError::NotMemfd);
    }
    let stat = fstat(file).map_err(SegmentError::kernel("fstat", bytes))?;
    if stat.st_size != bytes as i64 {
        return Err(SegmentError::WrongSize { expected: bytes, found: stat.st_size });
    }
    let found = stat.st_blocks as u64 * 512;
    if allocated && found < bytes as u64 {
        return Err(SegmentError::Sparse { expected: bytes, found });
    }
    Ok(())
}

fn seal_names(seals: SealFlag) -> String {
    let names = [
        (SealFlag::F_SEAL_SEAL, "SEAL"),
        (SealFlag::F_SEAL_SHRINK, "SHRINK"),
        (SealFlag::F_SEAL_GROW, "GROW"),
        (SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE), "FUTURE_WRITE"),
    ];
    let missing: Vec<_> =
        names.iter().filter(|(seal, _)| seals.contains(*seal)).map(|(_, name)| *name).collect();
    missing.join(", ")
}
