//! A descriptor that is not a segment as it must be is refused, and the text says why.

mod common;

use common::host::Holdings;
use ephapse::segment::{Cursors, PeerCursors, RingMemory, RingOptions, SegmentError};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::os::fd::{AsFd, OwnedFd};

const CAPACITY: usize = 64 << 10;
const RING_BYTES: usize = 4096 + CAPACITY;
const CURSOR_BYTES: usize = 4096 * 64;

fn all_seals() -> SealFlag {
    SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE)
}

/// The fields of a segment's header, and how long the file is.
#[derive(Debug, Clone, Copy)]
struct Forged {
    magic: u64,
    version: u32,
    kind: u32,
    capacity: u64,
    start: u64,
    bytes: usize,
    sparse: bool,
    seals: SealFlag,
    flags: MFdFlags,
}

fn ring() -> Forged {
    Forged {
        magic: u64::from_le_bytes(*b"EPHAPSE\0"),
        version: 1,
        kind: 1,
        capacity: CAPACITY as u64,
        start: 0,
        bytes: RING_BYTES,
        sparse: false,
        seals: all_seals(),
        flags: MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    }
}

fn cursors() -> Forged {
    Forged { kind: 2, capacity: 4096, bytes: CURSOR_BYTES, ..ring() }
}

impl Forged {
    fn file(self) -> OwnedFd {
        let file = memfd_create("forged", self.flags).unwrap();
        nix::unistd::ftruncate(&file, self.bytes as i64).unwrap();
        if !self.sparse {
            let zeros = vec![0; self.bytes];
            assert_eq!(nix::sys::uio::pwrite(&file, &zeros, 0).unwrap(), self.bytes);
        }
        let mut header = self.magic.to_le_bytes().to_vec();
        header.extend(self.version.to_le_bytes());
        header.extend(self.kind.to_le_bytes());
        header.extend(self.capacity.to_le_bytes());
        header.extend(0u64.to_le_bytes());
        header.extend(self.start.to_le_bytes());
        nix::sys::uio::pwrite(&file, &header, 0).unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(self.seals)).unwrap();
        file
    }
}

fn open_ring(file: &OwnedFd) -> Result<(), SegmentError> {
    RingMemory::open(file, CAPACITY as u64).map(drop)
}

fn open_cursors(file: &OwnedFd) -> Result<(), SegmentError> {
    PeerCursors::open(file).map(drop)
}

fn check(result: Result<(), SegmentError>, expected: &str) {
    assert_eq!(result.expect_err(expected).to_string(), expected);
}

fn check_ring(forged: Forged, expected: &str) {
    check(open_ring(&forged.file()), expected);
}

fn check_cursors(forged: Forged, expected: &str) {
    check(open_cursors(&forged.file()), expected);
}

#[test]
fn what_is_as_it_must_be_is_accepted() {
    open_ring(&ring().file()).unwrap();
    open_cursors(&cursors().file()).unwrap();
    open_cursors(&Forged { sparse: true, ..cursors() }.file()).unwrap();
    let (_writer, shared) = RingMemory::create(RingOptions::default()).unwrap();
    open_ring(&shared.file).unwrap();
    let made = Cursors::create().unwrap();
    open_cursors(&made.as_fd().try_clone_to_owned().unwrap()).unwrap();
}

fn not_sealed(missing: &str) -> String {
    format!(
        "the segment is not sealed: seals {missing} are missing; whoever made it could still \
         change its size or let others write"
    )
}

#[test]
fn every_seal_is_needed() {
    let future_write = SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
    for (seal, name) in [
        (all_seals(), "SEAL, SHRINK, GROW, FUTURE_WRITE"),
        (SealFlag::F_SEAL_SEAL, "SEAL"),
        (SealFlag::F_SEAL_SHRINK, "SHRINK"),
        (SealFlag::F_SEAL_GROW, "GROW"),
        (future_write, "FUTURE_WRITE"),
    ] {
        let seals = all_seals() - seal;
        check_ring(Forged { seals, ..ring() }, &not_sealed(name));
        check_cursors(Forged { seals, ..cursors() }, &not_sealed(name));
    }
    // Sealed against all writing, the creator's too: not what a creator of ours does.
    let seals = (all_seals() - future_write) | SealFlag::F_SEAL_WRITE;
    check_ring(Forged { seals, ..ring() }, &not_sealed("FUTURE_WRITE"));
}

#[test]
fn the_size_must_be_what_was_declared() {
    for bytes in [RING_BYTES - 4096, RING_BYTES + 4096, 4096] {
        let expected = format!("the segment has {bytes} bytes where {RING_BYTES} were declared");
        check_ring(Forged { bytes, ..ring() }, &expected);
    }
    let file = ring().file();
    let expected =
        format!("the segment has {RING_BYTES} bytes where {} were declared", RING_BYTES + CAPACITY);
    check(RingMemory::open(&file, 2 * CAPACITY as u64).map(drop), &expected);
    for bytes in [CURSOR_BYTES - 4096, 2 * CURSOR_BYTES] {
        let expected = format!("the segment has {bytes} bytes where {CURSOR_BYTES} were declared");
        check_cursors(Forged { bytes, ..cursors() }, &expected);
    }
    for capacity in [0, 3000, 2048, 5 * 4096, 2 << 30, 1 << 63, u64::MAX] {
        let expected = format!(
            "a capacity of {capacity} bytes is not possible: it must be a power of two from 4096 \
             to 1073741824, and a multiple of the page size"
        );
        check(RingMemory::open(&file, capacity).map(drop), &expected);
    }
}

#[test]
fn the_header_must_be_right() {
    let magic = u64::from_le_bytes(*b"EPHAPSE\x01");
    let wrong_magic =
        "the segment starts with 0x0145535041485045 where 0x0045535041485045 was expected";
    check_ring(Forged { magic, ..ring() }, wrong_magic);
    check_cursors(Forged { magic, ..cursors() }, wrong_magic);
    let wrong_version = "the segment has layout version 2, this program knows version 1; use the \
                         same version of ephapse on both sides";
    check_ring(Forged { version: 2, ..ring() }, wrong_version);
    check_cursors(Forged { version: 2, ..cursors() }, wrong_version);
    check_ring(Forged { kind: 2, ..ring() }, "the segment is of kind 2 where Ring was expected");
    check_ring(Forged { kind: 9, ..ring() }, "the segment is of kind 9 where Ring was expected");
    check_cursors(
        Forged { kind: 1, ..cursors() },
        "the segment is of kind 1 where Cursors was expected",
    );
    for capacity in [0, CAPACITY as u64 * 2, u64::MAX] {
        let error = open_ring(&Forged { capacity, ..ring() }.file()).unwrap_err();
        assert!(matches!(error, SegmentError::WrongCapacity { found, .. } if found == capacity));
        let error = open_cursors(&Forged { capacity, ..cursors() }.file()).unwrap_err();
        assert!(matches!(error, SegmentError::WrongCapacity { found, .. } if found == capacity));
    }
}

#[test]
fn a_record_cannot_start_where_none_can_be() {
    // Not at a line; or so far on that positions would come to their end.
    for start in [1, 63, 65, u64::MAX, u64::MAX - 63, u64::MAX - 127, 1 << 63] {
        let result = open_ring(&Forged { start, ..ring() }.file());
        assert!(result.is_err(), "a ring that starts at {start:#x} was accepted");
    }
}

#[test]
fn memory_that_is_not_there_is_not_paid_for_by_the_receiver() {
    // The header has been written, so that one page exists.
    check_ring(
        Forged { sparse: true, ..ring() },
        "the segment has only 4096 of its 69632 bytes allocated by its creator",
    );
}

#[test]
fn huge_pages_of_the_creator_are_not_accepted() {
    let flags = ring().flags | MFdFlags::MFD_HUGETLB;
    // Kernels without huge pages do not make such a file at all.
    let Ok(file) = memfd_create("huge", flags) else { return };
    nix::unistd::ftruncate(&file, 2 << 20).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(all_seals())).unwrap();
    check(open_ring(&file), "the descriptor is not an ordinary memfd");
    check(open_cursors(&file), "the descriptor is not an ordinary memfd");
}

#[test]
fn other_kinds_of_descriptors_are_refused() {
    let before = Holdings::now();
    let none = not_sealed("SEAL, SHRINK, GROW, FUTURE_WRITE");
    let on_disk = tempfile::tempfile().unwrap();
    on_disk.set_len(RING_BYTES as u64).unwrap();
    let (pipe, _) = nix::unistd::pipe().unwrap();
    let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
    let epoll = nix::sys::epoll::Epoll::new(nix::sys::epoll::EpollCreateFlags::EPOLL_CLOEXEC);
    let plain = memfd_create("plain", MFdFlags::MFD_CLOEXEC).unwrap();
    let opened = |path| OwnedFd::from(std::fs::File::open(path).unwrap());
    for file in [
        on_disk.into(),
        pipe,
        socket.into(),
        epoll.unwrap().0,
        opened("/dev/zero"),
        opened("/dev/null"),
        opened("/proc/self/maps"),
        opened("/"),
    ] {
        check(open_ring(&file), &none);
        check(open_cursors(&file), &none);
    }
    // A memfd that cannot be sealed has the seal against further seals, and no other.
    check(open_ring(&plain), &not_sealed("SHRINK, GROW, FUTURE_WRITE"));
    let path = c"/";
    let only_a_path = nix::fcntl::OFlag::O_PATH;
    let place = nix::fcntl::open(path, only_a_path, nix::sys::stat::Mode::empty()).unwrap();
    check(
        open_ring(&place),
        "fcntl(F_GET_SEALS) of a segment of 69632 bytes failed: EBADF: Bad file number",
    );
    drop((place, plain));
    assert_eq!(Holdings::now().mappings, before.mappings, "nothing stays mapped");
}
