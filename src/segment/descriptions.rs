//! What a hub says of the types that it publishes: texts behind its counters, one after the other.
//!
//! ```text
//!  0      8     16        20           22             24
//!  ┌──────┬─────┬─────────┬────────────┬──────────────┬──────┬────────┬─────
//!  │ used │ id  │ version │ name words │ layout words │ name │ layout │ id …
//!  └──────┴─────┴─────────┴────────────┴──────────────┴──────┴────────┴─────
//! ```
//!
//! All little-endian; text is in whole words, with zeros behind it. What is there never changes;
//! `used` says up to where something is. Who reads it believes nothing: the id is computed again.

use super::mapping::{Access, Mapping};
use super::text::{load, store};
use crate::limits::DESCRIPTIONS_BYTES;
use core::sync::atomic::Ordering;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

const USED: usize = 0;
const FIRST: usize = 8;

/// What stands before the texts of a description.
const HEAD: usize = 16;

/// Types that are told apart when there is no more room.
const KNOWN_MAX: usize = 4096;

/// What events of a schema are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The schema that they carry.
    pub id: u64,
    /// The event's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The text of its layout.
    pub layout: String,
}

/// The hub's side.
#[derive(Debug)]
pub(super) struct Descriptions {
    mapping: Arc<Mapping>,
    /// Where they begin in the segment.
    start: usize,
    /// The schemas that are there, or for which there was no room.
    known: Mutex<HashSet<u64>>,
}

impl Descriptions {
    /// None yet, in a mapping of zeros.
    pub(super) fn new(mapping: Arc<Mapping>, start: usize) -> Self {
        debug_assert!(mapping.access == Access::Write && start.is_multiple_of(8));
        Self { mapping, start, known: Mutex::default() }
    }

    /// Whether there is nothing more to say of a schema: it has been added, or there was no room.
    pub(super) fn has(&self, id: u64) -> bool {
        // A forked child may have inherited the lock from a thread that it lacks.
        !self.mapping.process.is_current() || self.known.lock().contains(&id)
    }

    /// Adds a description, unless the schema has one; says whether there was room. Without room it
    /// says so once for each schema.
    pub(super) fn add(&self, id: u64, name: &str, version: u32, layout: &str) -> bool {
        if !self.mapping.process.is_current() {
            return true; // and who publishes is told
        }
        let mut known = self.known.lock();
        if known.len() >= KNOWN_MAX || !known.insert(id) {
            return true;
        }
        let word = |offset| self.mapping.word(self.start + offset);
        // Relaxed: only this side stores it, under the lock.
        let at = FIRST + word(USED).load(Ordering::Relaxed) as usize;
        let [name_words, layout_words] = [name, layout].map(|text| text.len().div_ceil(8));
        let end = at + HEAD + 8 * (name_words + layout_words);
        if end > DESCRIPTIONS_BYTES {
            return false;
        }
        let lengths = (name_words as u64) << 32 | (layout_words as u64) << 48;
        word(at).store(id, Ordering::Relaxed);
        word(at + 8).store(u64::from(version) | lengths, Ordering::Relaxed);
        let texts = self.start + at + HEAD;
        store(&self.mapping, texts, 8 * name_words, name);
        store(&self.mapping, texts + 8 * name_words, 8 * layout_words, layout);
        // SYNC(described): pairs with the acquire in `read`: what is below it is complete.
        word(USED).store((end - FIRST) as u64, Ordering::Release);
        true
    }
}

/// All descriptions in a segment. What is no text is passed over, and what does not fit ends them.
pub(super) fn read(mapping: &Mapping, start: usize) -> Vec<Description> {
    let word = |offset| mapping.word(start + offset);
    // SYNC(described): pairs with the release in `Descriptions::add`.
    let used = word(USED).load(Ordering::Acquire);
    let end = (FIRST as u64).saturating_add(used).min(DESCRIPTIONS_BYTES as u64) as usize;
    let (mut at, mut all) = (FIRST, Vec::new());
    while at + HEAD <= end {
        // Relaxed: ordered by `used`; a hub that changes them nevertheless is caught by its id.
        let (id, lengths) =
            (word(at).load(Ordering::Relaxed), word(at + 8).load(Ordering::Relaxed));
        let name_bytes = 8 * (lengths >> 32 & 0xffff) as usize;
        let layout_bytes = 8 * (lengths >> 48) as usize;
        let texts = at + HEAD;
        at = texts + name_bytes + layout_bytes;
        if at > end {
            break;
        }
        let name = load(mapping, start + texts, name_bytes);
        let layout = load(mapping, start + texts + name_bytes, layout_bytes);
        if let (Some(name), Some(layout)) = (name, layout) {
            all.push(Description { id, name, version: lengths as u32, layout });
        }
    }
    all
}

#[cfg(test)]
mod tests;
