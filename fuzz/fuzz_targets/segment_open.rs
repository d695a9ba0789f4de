//! Descriptors from a hostile process: any file, size, seals and header. Opening one says why it
//! is refused, or gives memory that can be read to its end without a fault.
#![no_main]

use ephapse::limits::{COUNTERS_MAX, CURSOR_SLOTS, LINE};
use ephapse::ring::{Fencing, Follower, Position, Reader};
use ephapse::segment::{CountersView, PeerCursors, RingMemory};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::uio::pwrite;
use nix::unistd::{ftruncate, pipe};
use std::os::fd::OwnedFd;

const PAGE: u64 = 4096;
const F_SEAL_FUTURE_WRITE: i32 = 0x10;

#[derive(Debug, Arbitrary)]
struct Input {
    file: File,
    declared: Capacity,
    header: Header,
    /// Behind the header: the ring's own words, and records.
    content: Vec<u8>,
    slots: Vec<u32>,
}

#[derive(Debug, Arbitrary)]
enum File {
    /// As many bytes as are declared, with all seals.
    Right,
    Memfd {
        size: Size,
        missing_seals: u8,
        other_seals: u8,
        sparse: bool,
    },
    Null,
    Pipe,
    Directory,
}

#[derive(Debug, Arbitrary)]
enum Size {
    Ring,
    Cursors,
    Off(i16),
    Any(u32),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Capacity {
    /// 4 KiB times two to the power of so many, up to 64 KiB.
    Valid(u8),
    Any(u64),
}

/// The header's words, each right unless it is said to be something else.
#[derive(Debug, Arbitrary)]
struct Header {
    magic: Option<u64>,
    version: Option<u32>,
    kind: Option<u32>,
    capacity: Option<u64>,
    features: u64,
    start: u64,
}

impl Capacity {
    fn bytes(self) -> u64 {
        match self {
            Self::Valid(power) => PAGE << (power % 5),
            Self::Any(bytes) => bytes,
        }
    }
}

fuzz_target!(|input: Input| {
    let capacity = input.declared.bytes();
    let ring_bytes = PAGE + capacity.min(1 << 20);
    let as_ring = input.header.bytes(1, capacity);
    if let Some(file) = input.file.make(ring_bytes, &as_ring, &input.content) {
        match RingMemory::open(&file, capacity) {
            Ok(memory) => read(&file, memory, capacity),
            Err(error) => {
                assert!(!input.must_open(), "refused: {error}");
                assert!(!error.to_string().is_empty());
            }
        }
    }
    let as_cursors = input.header.bytes(2, CURSOR_SLOTS as u64);
    let cursor_bytes = (CURSOR_SLOTS * LINE) as u64;
    if let Some(file) = input.file.make(cursor_bytes, &as_cursors, &input.content)
        && let Ok(cursors) = PeerCursors::open(&file)
    {
        for &slot in &input.slots {
            let found = cursors.slot(slot);
            assert_eq!(found.is_ok(), (1..CURSOR_SLOTS as u32).contains(&slot), "slot {slot}");
            found.map(|word| format!("{word:?}")).ok();
        }
    }
    let as_counters = input.header.bytes(3, COUNTERS_MAX as u64);
    let counter_bytes = (512 + (COUNTERS_MAX * LINE) as u64).next_multiple_of(PAGE);
    if let Some(file) = input.file.make(counter_bytes, &as_counters, &input.content)
        && let Ok(counters) = CountersView::open(&file)
    {
        assert!(!counters.owner().name.contains(char::is_control));
        let rows = counters.rows();
        assert!(rows.len() <= COUNTERS_MAX);
        assert!(rows.iter().all(|(label, _)| !label.contains(char::is_control)));
    }
});

impl Input {
    /// Whether nothing is wrong with it.
    fn must_open(&self) -> bool {
        let header = &self.header;
        let Capacity::Valid(_) = self.declared else { return false };
        let as_it_must_be = header.magic.is_none()
            && header.version.is_none()
            && header.kind.is_none()
            && header.capacity.is_none();
        // Positions near the end of the numbers are for the library to judge.
        matches!(self.file, File::Right)
            && as_it_must_be
            && header.start < 1 << 62
            && header.start.is_multiple_of(LINE as u64)
    }
}

/// All that a ring from there may hold, through both readers.
fn read(file: &OwnedFd, memory: RingMemory, capacity: u64) {
    let start = memory.start();
    let mut reader = Reader::attach(memory, Position::on_heap(), start, Fencing::Light);
    let mut body = Vec::new();
    // Every record takes a line at least, so a lap is so many; hostile ones go on for ever.
    for _ in 0..2 * capacity / LINE as u64 {
        let Ok(Some(record)) = reader.poll() else { break };
        body.resize(record.commit().len, 0);
        record.copy_to(&mut body);
    }
    let memory = RingMemory::open(file, capacity).expect("a second time");
    let mut lossy = Follower::lossy(memory, None);
    for _ in 0..2 * capacity / LINE as u64 {
        let Ok(Some(_)) = lossy.poll(&mut body) else { break };
    }
}

impl File {
    /// The descriptor, for a segment that should have `expected` bytes; `None` if the kernel does
    /// not make such a file.
    fn make(&self, expected: u64, header: &[u8], content: &[u8]) -> Option<OwnedFd> {
        let required = [SealFlag::F_SEAL_SEAL, SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW];
        let mut seals = SealFlag::from_bits_retain(F_SEAL_FUTURE_WRITE);
        seals.extend(required);
        match self {
            Self::Right => memfd(expected, seals, false, header, content),
            Self::Memfd { size, missing_seals, other_seals, sparse } => {
                let size = match size {
                    Size::Ring => expected,
                    Size::Cursors => (CURSOR_SLOTS * LINE) as u64,
                    Size::Off(by) => expected.saturating_add_signed((*by).into()),
                    Size::Any(bytes) => u64::from(bytes % (1 << 20)),
                };
                seals -= SealFlag::from_bits_retain(i32::from(*missing_seals) & 0x1f);
                seals |= SealFlag::from_bits_retain(i32::from(*other_seals) & 0x3f & !0x1f);
                memfd(size, seals, *sparse, header, content)
            }
            Self::Null => Some(std::fs::File::open("/dev/null").ok()?.into()),
            Self::Pipe => Some(pipe().ok()?.0),
            Self::Directory => Some(std::fs::File::open("/").ok()?.into()),
        }
    }
}

fn memfd(
    size: u64,
    seals: SealFlag,
    sparse: bool,
    header: &[u8],
    content: &[u8],
) -> Option<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = memfd_create("fuzz", flags).ok()?;
    let bytes = [header, content].concat();
    let len = bytes.len().min(size as usize);
    pwrite(&file, &bytes[..len], 0).ok()?;
    // The content again at the start of the data.
    if size > PAGE {
        let len = content.len().min((size - PAGE) as usize);
        pwrite(&file, &content[..len], PAGE as i64).ok()?;
    }
    ftruncate(&file, size as i64).ok()?;
    if !sparse && size > 0 {
        fallocate(&file, FallocateFlags::empty(), 0, size as i64).ok()?;
    }
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).ok()?;
    Some(file)
}

impl Header {
    fn bytes(&self, kind: u32, capacity: u64) -> [u8; 64] {
        let magic = self.magic.unwrap_or(u64::from_le_bytes(*b"EPHAPSE\0"));
        let version = u64::from(self.version.unwrap_or(1));
        let version_and_kind = version | u64::from(self.kind.unwrap_or(kind)) << 32;
        let capacity = self.capacity.unwrap_or(capacity);
        let words = [magic, version_and_kind, capacity, self.features, self.start];
        let mut bytes = [0; 64];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
