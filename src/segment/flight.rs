//! A supervisor's flight recorder: its counters and its last troubles, in a file that others can
//! open by its name while the supervisor hangs, and after it is gone.
//!
//! ```text
//!  0        512                4096      4096 + 256
//!  ┌────────┬──────────────────┬─────────┬─────────┬───
//!  │ owner  │ 56 counters      │ line 0  │ line 1  │ … 32 lines
//!  └────────┴──────────────────┴─────────┴─────────┴───
//!   line: number (8), milliseconds since 1970 (8), text (240)
//! ```
//!
//! The number of a line is odd while it is being written, and twice its count, from 1, when it is
//! complete.
//!
//! It is the one file that is mapped and not sealed: whoever can shorten it, the user who owns it,
//! can end the supervisor in simpler ways. It is put in its place when it is complete, and never
//! shortened, so that who has it mapped keeps what was there.

use super::file::SegmentError;
use super::header::{Header, SegmentKind};
use super::mapping::{Access, Mapping, page_size};
use super::table::{Counter, Rows, Table, bytes_of};
use super::text::{Owner, from_milliseconds, load, milliseconds, shorten, store};
use crate::limits::{FLIGHT_COUNTERS_MAX, FLIGHT_LINE_MAX, FLIGHT_LINES_MAX};
use core::sync::atomic::{Ordering, fence};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate, open};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::unistd::{Uid, ftruncate, unlink};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

const LINES: usize = 4096;
const TIME: usize = 8;
const TEXT: usize = 16;
const STRIDE: usize = TEXT + FLIGHT_LINE_MAX;

/// How often a line is looked at that is being written.
const LOOKS: u32 = 10;

const _: () = assert!(bytes_of(FLIGHT_COUNTERS_MAX) <= LINES && STRIDE.is_power_of_two());

fn file_bytes() -> usize {
    (LINES + FLIGHT_LINES_MAX * STRIDE).next_multiple_of(page_size())
}

/// Where the line of a count, from 1, lies.
fn line(count: u64) -> usize {
    LINES + (count.wrapping_sub(1) % FLIGHT_LINES_MAX as u64) as usize * STRIDE
}

/// The writer's side.
#[derive(Debug)]
pub struct FlightFile {
    path: PathBuf,
    mapping: Arc<Mapping>,
    rows: Arc<Rows>,
    /// Lines written so far.
    lines: u64,
    /// Whether the file stays when this is dropped.
    kept: bool,
}

impl FlightFile {
    /// Makes the file anew, in place of one that is there. The caller sees to it that nobody else
    /// does so meanwhile.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Kernel`]; then the old one stays where it is.
    pub fn create(path: &Path, owner: &Owner) -> Result<Self, SegmentError> {
        let new = path.with_extension("flight.new");
        // One that a supervisor left there which was killed just then.
        let _ = unlink(&new);
        let made = Self::create_at(&new, path, owner);
        if made.is_err() {
            // It may not even be there.
            let _ = unlink(&new);
        }
        made
    }

    fn create_at(new: &Path, path: &Path, owner: &Owner) -> Result<Self, SegmentError> {
        let bytes = file_bytes();
        let failed = |call| SegmentError::kernel(call, bytes);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = open(new, flags | OFlag::O_NOFOLLOW, mode).map_err(failed("open"))?;
        fchmod(&file, mode).map_err(failed("fchmod"))?;
        // All of it now: a lack of room is an error here and not a signal later.
        match fallocate(&file, FallocateFlags::empty(), 0, bytes as i64) {
            Ok(()) => {}
            // Not every file system can; it will do.
            Err(Errno::EOPNOTSUPP) => {
                ftruncate(&file, bytes as i64).map_err(failed("ftruncate"))?;
            }
            Err(errno) => return Err(failed("fallocate")(errno)),
        }
        let mapping = Arc::new(Mapping::new(&file, bytes, bytes, Access::Write)?);
        owner.write(&mapping);
        let (kind, capacity) = (SegmentKind::Flight, FLIGHT_COUNTERS_MAX as u64);
        Header { kind, capacity, features: 0, start: 0 }.write(&mapping);
        let rows = Rows::new(Arc::clone(&mapping), FLIGHT_COUNTERS_MAX);
        std::fs::rename(new, path).map_err(|error| {
            failed("rename")(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
        })?;
        Ok(Self { path: path.to_owned(), mapping, rows, lines: 0, kept: false })
    }

    /// As [`Counters::counter`](super::Counters::counter).
    #[must_use]
    pub fn counter(&self, label: &str) -> Counter {
        self.rows.counter(label)
    }

    /// Writes a line, with the time, in place of the oldest one.
    pub fn note(&mut self, text: &str) {
        if !self.mapping.process.is_current() {
            return; // a forked child has not inherited the mapping
        }
        self.lines += 1;
        let at = line(self.lines);
        let number = self.mapping.word(at);
        // Relaxed: there is one writer.
        number.store(2 * self.lines - 1, Ordering::Relaxed);
        // SYNC(line): pairs with the acquire fence in `FlightView::line`.
        fence(Ordering::Release);
        // Relaxed: the number orders it.
        self.mapping.word(at + TIME).store(milliseconds(SystemTime::now()), Ordering::Relaxed);
        let text = text.replace(char::is_control, " ");
        store(&self.mapping, at + TEXT, FLIGHT_LINE_MAX, &shorten(&text, FLIGHT_LINE_MAX));
        // SYNC(line): pairs with the acquire in `FlightView::line`.
        number.store(2 * self.lines, Ordering::Release);
    }

    /// From now on the file stays when this is dropped, with all that it says.
    pub fn keep(&mut self) {
        self.kept = true;
        self.rows.freeze();
    }
}

impl Drop for FlightFile {
    fn drop(&mut self) {
        // A forked child has not made it, and who panics leaves it to be looked at.
        if self.mapping.process.is_current() && !self.kept && !std::thread::panicking() {
            let _ = unlink(&self.path);
        }
    }
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// When.
    pub at: SystemTime,
    /// What happened.
    pub text: String,
}

/// The reader's side.
#[derive(Debug)]
pub struct FlightView {
    table: Table,
    owner: Owner,
}

impl FlightView {
    /// Maps the file of another process, after verifying that it belongs to this user alone, its
    /// size and its header.
    ///
    /// # Errors
    ///
    /// [`SegmentError`]; nothing stays mapped.
    pub fn open(path: &Path) -> Result<Self, SegmentError> {
        let bytes = file_bytes();
        let failed = |call| SegmentError::kernel(call, bytes);
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file: OwnedFd = open(path, flags, Mode::empty()).map_err(failed("open"))?;
        let stat = fstat(&file).map_err(failed("fstat"))?;
        if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(SegmentError::Garbled { what: "it is not a file" });
        }
        if stat.st_uid != Uid::effective().as_raw() || stat.st_mode & 0o077 != 0 {
            return Err(SegmentError::Garbled { what: "it is not this user's alone" });
        }
        if stat.st_size != bytes as i64 {
            return Err(SegmentError::WrongSize { expected: bytes, found: stat.st_size });
        }
        let mapping = Mapping::new(&file, bytes, bytes, Access::Read)?;
        let header = Header::read(&mapping, SegmentKind::Flight)?;
        if header.capacity != FLIGHT_COUNTERS_MAX as u64 {
            let (found, min, max) = (header.capacity, FLIGHT_COUNTERS_MAX, FLIGHT_COUNTERS_MAX);
            return Err(SegmentError::WrongCapacity { found, min, max });
        }
        let owner = Owner::read(&mapping)?;
        let table = Table { mapping: Arc::new(mapping), rows: FLIGHT_COUNTERS_MAX };
        Ok(Self { table, owner })
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// All labels and values of its counters.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        self.table.read_all()
    }

    /// Its lines, oldest first. One that is being written is left out.
    #[must_use]
    pub fn lines(&self) -> Vec<Trouble> {
        let all = 1..=FLIGHT_LINES_MAX as u64;
        let mut lines: Vec<_> = all.filter_map(|place| self.line(line(place))).collect();
        lines.sort_by_key(|(number, _)| *number);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// The line in a place, with its number; `None` if there is none, or it is being written by
    /// one that has been stopped.
    fn line(&self, at: usize) -> Option<(u64, Trouble)> {
        (0..LOOKS).find_map(|_| self.look_at_line(at))
    }

    fn look_at_line(&self, at: usize) -> Option<(u64, Trouble)> {
        let mapping = &self.table.mapping;
        // SYNC(line): pairs with the release at the end of `FlightFile::note`.
        let before = mapping.word(at).load(Ordering::Acquire);
        // Relaxed: the fence orders it.
        let time = mapping.word(at + TIME).load(Ordering::Relaxed);
        let text = load(mapping, at + TEXT, FLIGHT_LINE_MAX)?;
        // SYNC(line): pairs with the release fence in `FlightFile::note`.
        fence(Ordering::Acquire);
        let same = mapping.word(at).load(Ordering::Relaxed) == before;
        let complete = same && before != 0 && before.is_multiple_of(2);
        complete.then(|| (before, Trouble { at: from_milliseconds(time), text }))
    }
}
