//! Whoever receives a segment can only read it.
//!
//! Another process gets the descriptors of a ring, of a cursor segment and of counters, as a peer or
//! a tool would, and tries every way to change a byte or the size. What it gets as an answer is compared with what
//! the kernel has promised, and the bytes are compared with what they were.

mod common;

use common::process::{Child, Wire, enter};
use ephapse::ring::Kind;
use ephapse::segment::{
    Counters, CountersView, Cursors, Owner, PeerCursors, RingMemory, RingOptions,
};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SealFlag, fallocate, fcntl, open};
use nix::sys::memfd::MFdFlags;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mprotect};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{ftruncate, pipe, write};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;

const PAGE: usize = 4096;

/// Everything that was tried: what, and the answer (0 for success).
type Answers = Vec<(&'static str, i32)>;

/// What the kernel is to answer.
const EXPECTED: &[(&str, Errno)] = &[
    ("map for writing", Errno::EPERM),
    ("map for writing at a given address", Errno::EPERM),
    ("make a mapping writable", Errno::EACCES),
    ("make a moved mapping writable", Errno::EACCES),
    ("remap pages for writing", Errno::EINVAL),
    ("remove pages of a mapping", Errno::EACCES),
    ("write", Errno::EPERM),
    ("pwrite", Errno::EPERM),
    ("splice", Errno::EPERM),
    ("sendfile", Errno::EPERM),
    ("copy_file_range", Errno::EPERM),
    ("truncate", Errno::EPERM),
    ("grow", Errno::EPERM),
    ("allocate behind the end", Errno::EPERM),
    ("punch a hole", Errno::EPERM),
    ("reopen and truncate", Errno::EPERM),
    ("reopen and write", Errno::EPERM),
    ("reopen and map for writing", Errno::EPERM),
    ("write through /proc/self/mem", Errno::EIO),
    ("process_vm_writev", Errno::EFAULT),
    ("add a seal", Errno::EPERM),
    ("reopen and add a seal", Errno::EPERM),
];

#[test]
fn child_entry() {
    enter(|_, wire| {
        let (_, files) = wire.receive_with().unwrap();
        for file in &files {
            let answers = try_everything(file);
            report(wire, &answers);
        }
        // The library's own mappings are as closed as the ones made by hand.
        let ring = RingMemory::open(&files[0], 64 << 10).unwrap();
        let cursors = PeerCursors::open(&files[1]).unwrap();
        let counters = CountersView::open(&files[2]).unwrap();
        for mapping in common::host::mappings() {
            let address = NonNull::new(mapping.start as *mut c_void).unwrap();
            report(wire, &try_mapping(address));
        }
        wire.send("done");
        drop((ring, cursors, counters));
    });
}

fn report(wire: &Wire, answers: &Answers) {
    let lines: Vec<String> =
        answers.iter().map(|(what, answer)| format!("{what}: {answer}")).collect();
    wire.send(&lines.join("\n"));
}

fn code<T>(result: Result<T, Errno>) -> i32 {
    result.err().map_or(0, |errno| errno as i32)
}

/// The kernel's answer to a raw system call, asked for at once: the next call replaces it.
fn raw(result: isize) -> i32 {
    code(Errno::result(result))
}

fn one_page() -> NonZeroUsize {
    NonZeroUsize::new(PAGE).unwrap()
}

fn map(file: &OwnedFd, access: ProtFlags, flags: MapFlags) -> Result<NonNull<c_void>, Errno> {
    // SAFETY: a mapping at a place that the kernel chooses, which nobody dereferences unmapped.
    unsafe { mmap(None, one_page(), access, MapFlags::MAP_SHARED | flags, file, 0) }
}

fn writable() -> ProtFlags {
    ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
}

fn try_everything(file: &OwnedFd) -> Answers {
    let mapping = map(file, ProtFlags::PROT_READ, MapFlags::empty()).unwrap();
    let mut answers = vec![
        ("map for writing", code(map(file, writable(), MapFlags::empty()))),
        ("map for writing at a given address", code(map_over(file, mapping))),
    ];
    answers.extend(try_mapping(mapping));
    answers.extend(try_calls(file));
    answers.extend(try_reopened(file));
    answers
}

/// Maps for writing over a page that is mapped for reading.
fn map_over(file: &OwnedFd, mapping: NonNull<c_void>) -> Result<NonNull<c_void>, Errno> {
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
    // SAFETY: over a mapping of our own to which no reference exists.
    unsafe { mmap(Some(mapping.addr()), one_page(), writable(), flags, file, 0) }
}

/// What can be tried with a mapping for reading.
fn try_mapping(mapping: NonNull<c_void>) -> Answers {
    // SAFETY: a call on a page of our own that changes nothing if it fails, and that
    // nobody has a reference into.
    let upgraded = unsafe { mprotect(mapping, PAGE, writable()) };
    let pages = mapping.as_ptr();
    // SAFETY: as above; an old length of 0 asks for a second mapping of the same pages.
    let second = unsafe { libc::mremap(pages, 0, PAGE, libc::MREMAP_MAYMOVE) };
    assert_ne!(second, libc::MAP_FAILED, "a second mapping for reading is nobody's harm");
    // SAFETY: as above.
    let moved = unsafe { mprotect(NonNull::new(second).unwrap(), PAGE, writable()) };
    // SAFETY: as above.
    let remapped =
        unsafe { libc::syscall(libc::SYS_remap_file_pages, pages, PAGE, libc::PROT_WRITE, 0, 0) };
    let remapped = raw(remapped as isize);
    // SAFETY: as above.
    let removed = unsafe { madvise(mapping, PAGE, MmapAdvise::MADV_REMOVE) };
    let memory = open("/proc/self/mem", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
    let through_proc = nix::sys::uio::pwrite(&memory, b"!", mapping.as_ptr() as i64);
    vec![
        ("make a mapping writable", code(upgraded)),
        ("make a moved mapping writable", code(moved)),
        ("remap pages for writing", remapped),
        ("remove pages of a mapping", code(removed)),
        ("write through /proc/self/mem", code(through_proc)),
        ("process_vm_writev", code(vm_write(mapping))),
    ]
}

fn vm_write(mapping: NonNull<c_void>) -> Result<usize, Errno> {
    let remote = nix::sys::uio::RemoteIoVec { base: mapping.as_ptr() as usize, len: 1 };
    let local = [std::io::IoSlice::new(b"!")];
    nix::sys::uio::process_vm_writev(nix::unistd::getpid(), &local, &[remote])
}

/// What can be tried with the descriptor.
fn try_calls(file: &OwnedFd) -> Answers {
    let bytes = fstat(file).unwrap().st_size;
    let source = nix::sys::memfd::memfd_create("source", MFdFlags::MFD_CLOEXEC).unwrap();
    write(&source, &[7; PAGE]).unwrap();
    let (pipe_out, pipe_in) = pipe().unwrap();
    write(&pipe_in, b"!").unwrap();
    let null = std::ptr::null_mut();
    let (to, from, ready) = (file.as_raw_fd(), source.as_raw_fd(), pipe_out.as_raw_fd());
    // SAFETY: descriptors that are open, and no pointers.
    let spliced = raw(unsafe { libc::splice(ready, null, to, null, 1, 0) });
    let mut start = 0;
    // SAFETY: as above, and an offset to be read and written.
    let sent = raw(unsafe { libc::sendfile(to, from, &raw mut start, 1) });
    // SAFETY: as above.
    let copied = raw(unsafe { libc::copy_file_range(from, &raw mut start, to, null, 1, 0) });
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    vec![
        ("write", code(write(file, b"!"))),
        ("pwrite", code(nix::sys::uio::pwrite(file, b"!", 64))),
        ("splice", spliced),
        ("sendfile", sent),
        ("copy_file_range", copied),
        ("truncate", code(ftruncate(file, 0))),
        ("grow", code(ftruncate(file, bytes * 2))),
        ("allocate behind the end", code(fallocate(file, FallocateFlags::empty(), bytes, 4096))),
        ("punch a hole", code(fallocate(file, hole, 0, 4096))),
        ("add a seal", code(fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)))),
    ]
}

/// What can be tried with a descriptor of one's own for the same file.
fn try_reopened(file: &OwnedFd) -> Answers {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let reopen =
        |flags| open(path.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC | flags, Mode::empty());
    let again = reopen(OFlag::empty()).expect("the open itself succeeds");
    vec![
        ("reopen and truncate", code(reopen(OFlag::O_TRUNC))),
        ("reopen and write", code(write(&again, b"!"))),
        ("reopen and map for writing", code(map(&again, writable(), MapFlags::empty()))),
        (
            "reopen and add a seal",
            code(fcntl(&again, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE))),
        ),
    ]
}

/// All bytes of a segment.
fn snapshot(file: &OwnedFd) -> Vec<u8> {
    let mut bytes = vec![0; fstat(file).unwrap().st_size as usize];
    let read = nix::sys::uio::pread(file, &mut bytes, 0).unwrap();
    assert_eq!(read, bytes.len());
    bytes
}

fn assert_refused(answers: &str, routes: usize) {
    let mut count = 0;
    for line in answers.lines() {
        let (route, answer) = line.rsplit_once(": ").unwrap();
        let answer = Errno::from_raw(answer.parse().unwrap());
        let expected = EXPECTED.iter().find(|(what, _)| *what == route).unwrap().1;
        assert_eq!(answer, expected, "{route}");
        count += 1;
    }
    assert_eq!(count, routes);
}

#[test]
fn a_receiver_can_change_nothing() {
    let (mut writer, ring) = RingMemory::create(RingOptions::default()).unwrap();
    let mut loan = writer.loan(1000).unwrap();
    loan.fill(0x5A);
    loan.commit(1000, Kind::Plain, 1);
    let cursors = Cursors::create().unwrap();
    cursors.take().unwrap();
    let cursor_file = cursors.as_fd().try_clone_to_owned().unwrap();
    let owner = Owner {
        name: "camera".to_owned(),
        id: 1,
        pid: 1,
        domain: "/".to_owned(),
        since: std::time::SystemTime::now(),
        started: 0,
    };
    let counters = Counters::create(&owner).unwrap();
    let sent = counters.counter("sent");
    sent.set(7);
    let counter_file = counters.as_fd().try_clone_to_owned().unwrap();
    let files = [&ring.file, &cursor_file, &counter_file];
    let before = files.map(snapshot);
    let child = Child::spawn("receiver");
    child.wire.send_with("ring, cursors, counters", &files.map(AsFd::as_fd));
    for _ in files {
        assert_refused(&child.wire.receive().unwrap(), EXPECTED.len());
    }
    let mut mappings = 0;
    loop {
        let answers = child.wire.receive().unwrap();
        if answers == "done" {
            break;
        }
        assert_refused(&answers, 6);
        mappings += 1;
    }
    assert!(mappings >= 4, "ring, its repetition, cursors, counters; and those made by hand");
    child.finish();
    assert!(before[0] == snapshot(&ring.file), "a byte of the ring has changed");
    assert!(before[1] == snapshot(&cursor_file), "a byte of the cursors has changed");
    assert!(before[2] == snapshot(&counter_file), "a byte of the counters has changed");
    // The creator's own mapping goes on.
    writer.loan(10).unwrap().commit(10, Kind::Plain, 2);
    assert!(before[0] != snapshot(&ring.file));
    sent.add(1);
    assert!(before[2] != snapshot(&counter_file));
}

#[test]
fn what_a_receiver_may_do_harms_nobody() {
    let (_writer, ring) = RingMemory::create(RingOptions::default()).unwrap();
    let before = snapshot(&ring.file);
    // SAFETY: a new private mapping, placed by the kernel.
    let private =
        unsafe { mmap(None, one_page(), writable(), MapFlags::MAP_PRIVATE, &ring.file, 0) };
    let private = private.unwrap().cast::<u64>();
    // SAFETY: a page of our own, copied when it is written.
    unsafe { private.write_volatile(0) };
    assert!(before == snapshot(&ring.file), "a private copy is private");
    let executable =
        map(&ring.file, ProtFlags::PROT_READ | ProtFlags::PROT_EXEC, MapFlags::empty());
    assert!(executable.is_ok());
    nix::sys::stat::fchmod(&ring.file, Mode::S_IRUSR).unwrap();
    assert!(before == snapshot(&ring.file));
}
