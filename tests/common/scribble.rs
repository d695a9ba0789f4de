//! Writes garbage into the segments that this process may write.

use super::host::{Segment, mappings};
use super::random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A segment that this process writes, at the address where the library has mapped it. Use it
/// only while the library keeps it there.
#[derive(Debug, Clone)]
pub(crate) struct Scribbler {
    segment: Segment,
}

const LINE: usize = 64;
const PAGE: usize = 4096;

/// What is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Everything,
    CommitWords,
    Payloads,
    Header,
    /// All lines say that they are short records: a ring that never ends.
    Repeating,
    Zeros,
}

pub(crate) const TARGETS: [Target; 6] = [
    Target::Everything,
    Target::CommitWords,
    Target::Payloads,
    Target::Header,
    Target::Repeating,
    Target::Zeros,
];

impl Scribbler {
    /// Those of that name.
    pub(crate) fn of_own(name: &str) -> Vec<Self> {
        let ours = |s: &Segment| s.name == name && s.writable && s.offset == 0;
        mappings().into_iter().filter(ours).map(|segment| Self { segment }).collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.segment.len
    }

    pub(crate) fn store(&self, offset: usize, value: u64) {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.segment.len);
        let word = (self.segment.start + offset) as *const AtomicU64;
        // SAFETY: inside of a writable mapping that the library keeps, aligned; a test that has
        // this does nothing else with the memory but what the library does.
        unsafe { &*word }.store(value, Ordering::Relaxed);
    }

    /// One stroke.
    pub(crate) fn scribble(&self, target: Target, random: &mut Random) {
        let lines = (self.bytes() - PAGE) / LINE;
        let line = PAGE + LINE * random.below(lines as u64) as usize;
        let within = 8 * random.below(8) as usize;
        match target {
            Target::Everything => {
                self.store(8 * random.below(self.bytes() as u64 / 8) as usize, random.next());
            }
            Target::CommitWords => self.store(line, commit_word(lines * LINE, random)),
            Target::Payloads => self.store(line + within.max(32), small_or_wild(random)),
            Target::Header => {
                self.store(8 * random.below(32) as usize, small_or_wild(random));
            }
            Target::Repeating => {
                for line in 0..lines {
                    self.store(PAGE + line * LINE, 56 | 1 << 29);
                }
            }
            Target::Zeros => self.store(line + within, 0),
        }
    }
}

/// A commit word that may well pass for one.
fn commit_word(capacity: usize, random: &mut Random) -> u64 {
    let len = match random.below(4) {
        0 => random.below(64),
        1 => random.below(1 << 29),
        _ => random.below(capacity as u64),
    };
    let kind = *random.pick(&[1, 1, 1, 1, 2, 7, 0, 3]);
    len | kind << 29 | random.below(1 << 32) << 32
}

fn small_or_wild(random: &mut Random) -> u64 {
    let bits = random.below(65) as u32;
    random.next().checked_shr(bits).unwrap_or(0)
}

/// Works in a thread of its own, from before it is returned until it is dropped.
pub(crate) struct Vandal {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Vandal {
    pub(crate) fn start(mut work: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (started, start) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            work();
            started.send(()).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                work();
            }
        });
        start.recv().unwrap();
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Vandal {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
