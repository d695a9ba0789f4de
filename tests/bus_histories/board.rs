//! What all have published, in memory that outlives whoever is killed.

use crate::account::{PARTS, Part, Totals};
use crate::common::page::Page;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Publishers for which there is a place.
pub(crate) const PUBLISHERS: u64 = 80;

const WORDS: u64 = 3;

pub(crate) struct Board(Page);

impl Board {
    pub(crate) fn new() -> Self {
        Self(Page::new())
    }

    /// Where other processes find it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_fd().as_raw_fd())
    }

    pub(crate) fn open(path: &str) -> Self {
        Self(Page::over(File::options().read(true).write(true).open(path).unwrap().into()))
    }

    fn words(&self, publisher: u64, part: usize) -> [&AtomicU64; WORDS as usize] {
        let first = (publisher * PARTS as u64 + part as u64) * WORDS;
        [0, 1, 2].map(|word| self.0.word((first + word) as usize))
    }

    /// Notes what a publisher has begun to send, and what it has sent.
    pub(crate) fn note(&self, publisher: u64, part: usize, what: Part) {
        let [begun, sent, last] = self.words(publisher, part);
        begun.store(what.begun, Ordering::SeqCst);
        last.store(what.last, Ordering::SeqCst);
        sent.store(what.sent, Ordering::SeqCst);
    }

    pub(crate) fn totals(&self) -> Totals {
        let part = |publisher, part| {
            let words = self.words(publisher, part);
            let [begun, sent, last] = words.map(|word| word.load(Ordering::SeqCst));
            Part { begun, sent, last }
        };
        let parts = |publisher| std::array::from_fn(|index| part(publisher, index));
        (0..PUBLISHERS).map(|publisher| (publisher, parts(publisher))).collect()
    }
}
