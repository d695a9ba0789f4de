//! What the kernel knows of this process: descriptors, mappings, threads.

use std::fs;

/// What a process holds that a link could leave behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) descriptors: usize,
    pub(crate) mappings: usize,
    pub(crate) threads: usize,
}

impl Holdings {
    pub(crate) fn now() -> Self {
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count() - 1,
            mappings: mappings().len(),
            threads: threads(),
        }
    }

    /// Waits until no more is held than this: what is given back is so by other threads.
    pub(crate) fn wait_for_return(self) {
        let mut now = Self::now();
        let deadline = std::time::Instant::now() + super::process::LONG;
        while now.descriptors > self.descriptors
            || now.mappings > self.mappings
            || now.threads > self.threads
        {
            assert!(std::time::Instant::now() < deadline, "left behind: {now:?} after {self:?}");
            // Sleep: between two looks; /proc tells nobody when it changes.
            std::thread::sleep(std::time::Duration::from_millis(5));
            now = Self::now();
        }
    }
}

/// The library's threads. Those of the tests come and go when they please.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("ephapse")).count()
}

/// A mapping of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) writable: bool,
    pub(crate) offset: usize,
    /// `ephapse-ring` or `ephapse-cursors`.
    pub(crate) name: String,
}

/// The mappings of this process that have to do with us.
pub(crate) fn mappings() -> Vec<Segment> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Segment> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (access, offset) = (fields.next()?, fields.next()?);
    let name = fields.nth(2)?.strip_prefix("/memfd:")?;
    let number = |text| usize::from_str_radix(text, 16).unwrap();
    let (start, end) = (number(start), number(end));
    name.starts_with("ephapse").then(|| Segment {
        start,
        len: end - start,
        writable: access.starts_with("rw"),
        offset: number(offset),
        name: name.to_owned(),
    })
}

/// The state of a process or thread whose `stat` file is given: `R`, `S`, `T` and so on.
pub(crate) fn state_in(stat: &str) -> Option<char> {
    let stat = fs::read_to_string(stat).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until a thread of this process sleeps in the kernel.
pub(crate) fn wait_until_asleep(thread: i32) {
    let stat = format!("/proc/self/task/{thread}/stat");
    super::process::wait_until("a thread sleeps", || state_in(&stat) == Some('S'));
}
