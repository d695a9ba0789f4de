//! Text in shared words, and what stands before a table of counters: whose they are.
//!
//! ```text
//!  64   72    80       88        96     104     112    120  128    192      448  512
//!  ┌────┬─────┬────────┬─────────┬──────┬───────┬──────┬───┬──────┬────────┬───┬────
//!  │ id │ pid │ since  │ started │ over │ folds │ used │ 0 │ name │ domain │ 0 │ rows
//!  └────┴─────┴────────┴─────────┴──────┴───────┴──────┴───┴──────┴────────┴───┴────
//! ```
//!
//! Text is UTF-8, with zeros behind it if it does not fill its place. The owner is written before
//! anyone else sees the segment; `over`, `folds` and `used` are the table's.

use super::file::SegmentError;
use super::mapping::Mapping;
use crate::limits::{DOMAIN_TEXT_MAX, NAME_MAX};
use core::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ID: usize = 64;
const PID: usize = 72;
const SINCE: usize = 80;
const STARTED: usize = 88;
pub(super) const OVER: usize = 96;
pub(super) const FOLDS: usize = 104;
pub(super) const USED: usize = 112;
const NAME: usize = 128;
const DOMAIN: usize = NAME + NAME_MAX;
pub(super) const ROWS: usize = 512;

const _: () = assert!(DOMAIN + DOMAIN_TEXT_MAX <= ROWS && NAME_MAX.is_multiple_of(8));

/// Stands for what was left out.
const MARK: &str = "…";

/// Whose counters they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The hub's name.
    pub name: String,
    /// The domain's number for it; of a supervisor, that of its run.
    pub id: u64,
    /// Its process.
    pub pid: u32,
    /// Its domain's directory.
    pub domain: String,
    /// When it began.
    pub since: SystemTime,
    /// When its process began, as the kernel counts; 0 if it does not matter.
    pub started: u64,
}

impl Owner {
    pub(super) fn write(&self, mapping: &Mapping) {
        let words = [self.id, u64::from(self.pid), milliseconds(self.since), self.started];
        for (offset, word) in [ID, PID, SINCE, STARTED].into_iter().zip(words) {
            // Relaxed: nobody else has seen the segment.
            mapping.word(offset).store(word, Ordering::Relaxed);
        }
        store(mapping, NAME, NAME_MAX, &shorten(&self.name, NAME_MAX));
        store(mapping, DOMAIN, DOMAIN_TEXT_MAX, &shorten_path(&self.domain));
    }

    /// What another process wrote.
    pub(super) fn read(mapping: &Mapping) -> Result<Self, SegmentError> {
        // Relaxed: each word stands alone, and is read once.
        let word = |offset| mapping.word(offset).load(Ordering::Relaxed);
        let name = load(mapping, NAME, NAME_MAX);
        let domain = load(mapping, DOMAIN, DOMAIN_TEXT_MAX);
        let (Some(name), Some(domain)) = (name, domain) else {
            return Err(SegmentError::Garbled { what: "its owner is not named" });
        };
        let Ok(pid) = u32::try_from(word(PID)) else {
            return Err(SegmentError::Garbled { what: "its process has no possible number" });
        };
        let (since, started) = (from_milliseconds(word(SINCE)), word(STARTED));
        Ok(Self { name, id: word(ID), pid, domain, since, started })
    }
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64)
}

/// The same back; what no clock can say is 1970.
pub(super) fn from_milliseconds(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(UNIX_EPOCH)
}

/// The directory as it stands in a segment: its end, if it is too long.
pub(crate) fn shorten_path(path: &str) -> String {
    if path.len() <= DOMAIN_TEXT_MAX {
        return path.to_owned();
    }
    let mut from = path.len() - (DOMAIN_TEXT_MAX - MARK.len());
    while !path.is_char_boundary(from) {
        from += 1;
    }
    format!("{MARK}{}", &path[from..])
}

/// The beginning, if it is longer than `room` bytes.
pub(super) fn shorten(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let mut end = room - MARK.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", &text[..end])
}

/// Stores text that fits, and zeros behind it.
pub(super) fn store(mapping: &Mapping, offset: usize, room: usize, text: &str) {
    let mut bytes = text.bytes();
    for at in (0..room).step_by(8) {
        let word: [u8; 8] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
        // Relaxed: whoever stores text that others may be reading orders it with a number.
        mapping.word(offset + at).store(u64::from_le_bytes(word), Ordering::Relaxed);
    }
}

/// The text in a place; `None` if it is none. What would not show, or move a terminal's cursor, is
/// no text either.
pub(super) fn load(mapping: &Mapping, offset: usize, room: usize) -> Option<String> {
    let words = (0..room).step_by(8).map(|at| {
        // Relaxed: as in `store`.
        mapping.word(offset + at).load(Ordering::Relaxed)
    });
    decode(words)
}

/// The text in such words.
pub(super) fn decode(words: impl Iterator<Item = u64>) -> Option<String> {
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).take_while(|byte| *byte != 0).collect();
    let text = String::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.contains(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_shortened_between_characters() {
        assert_eq!(shorten("abc", 8), "abc");
        assert_eq!(shorten("abcdefgh", 8), "abcdefgh");
        assert_eq!(shorten("abcdefghi", 8), "abcde…");
        assert_eq!(shorten("abcdéfghi", 8), "abcd…");
        let long = "é/".repeat(200);
        let short = shorten_path(&long);
        assert!(short.starts_with('…') && long.ends_with(&short[MARK.len()..]));
        assert!((DOMAIN_TEXT_MAX - 1..=DOMAIN_TEXT_MAX).contains(&short.len()), "{}", short.len());
    }

    #[test]
    fn text_of_others_is_looked_at() {
        let words = |bytes: &[u8]| {
            let mut padded = bytes.to_vec();
            padded.resize(16, 0);
            let words =
                padded.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()));
            decode(words.collect::<Vec<_>>().into_iter())
        };
        assert_eq!(words(b"sent.bytes").as_deref(), Some("sent.bytes"));
        assert_eq!(words(b"0123456789abcdef").as_deref(), Some("0123456789abcdef"));
        for garbage in [&b""[..], b"a\x1b[2Jb", b"a\nb", b"\xff\xfe"] {
            assert_eq!(words(garbage), None, "{garbage:?}");
        }
    }
}
