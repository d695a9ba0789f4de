//! The extension: what few events need, between header and payload.
//!
//! ```text
//!  0        2          4          8             16            24          32
//!  ┌────────┬──────────┬──────────┬─────────────┬─────────────┬───────────┬──────────┐
//!  │ length │ priority,│ attempts │ destination │ correlation │ deadline  │ sections │
//!  │        │ 0        │          │             │             │ (ticks)   │          │
//!  └────────┴──────────┴──────────┴─────────────┴─────────────┴───────────┴──────────┘
//!
//!  section, at a multiple of 4:  ┌───────────┬────────────┬───────┐
//!                                │ kind (u16)│ length(u16)│ bytes │
//!                                └───────────┴────────────┴───────┘
//! ```
//!
//! All numbers are little-endian; in each 0 means that it is not used. The length is that of the
//! whole extension: a multiple of 32, so that the payload behind it is aligned as ever. Sections
//! of kinds that a reader does not know are passed over, one of kind 0 ends them.

use super::Timestamp;
use crate::limits::EXTENSION_MAX;
use thiserror::Error;

/// Bytes before the sections; the length of every extension is a multiple of it.
const FIXED_BYTES: usize = 32;
const SECTION_HEAD: usize = 4;

const REPLY: u16 = 1;
const ROUTE: u16 = 2;
const METADATA: u16 = 3;

/// Why an extension cannot be as long.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "an extension of {len} bytes is too long: it has at most {EXTENSION_MAX}; put into the payload \
     what is longer"
)]
pub struct ExtensionTooLong {
    /// Bytes that it would have.
    pub len: usize,
}

/// What to send beside an event's header and payload. What is not set takes no room of its own.
///
/// ```
/// # use ephapse::event::Extension;
/// let mut extension = Extension::new();
/// extension.set_correlation(7);
/// extension.set_reply_subject("answers.here")?;
/// extension.add_metadata("trace", "4bf92f35")?;
/// # Ok::<(), ephapse::event::ExtensionTooLong>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    bytes: Vec<u8>,
}

impl Default for Extension {
    fn default() -> Self {
        Self::new()
    }
}

impl Extension {
    /// One with nothing set. Allocates; make it once and set it again for each event.
    #[must_use]
    pub fn new() -> Self {
        let mut extension = Self { bytes: vec![0; FIXED_BYTES] };
        extension.close();
        extension
    }

    /// Takes everything out. Allocates nothing.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(FIXED_BYTES, 0);
        self.close();
    }

    /// How urgent it is: 0, the usual, to 255. For readers to judge; no ring reorders.
    pub fn set_priority(&mut self, priority: u8) {
        self.bytes[2] = priority;
    }

    /// How often it has been sent before.
    pub fn set_attempts(&mut self, attempts: u32) {
        self.bytes[4..8].copy_from_slice(&attempts.to_le_bytes());
    }

    /// The only hub that it is for, by its id; 0 for everybody.
    pub fn set_destination(&mut self, hub: u64) {
        self.set_word(8, hub);
    }

    /// What connects an answer with its request.
    pub fn set_correlation(&mut self, correlation: u64) {
        self.set_word(16, correlation);
    }

    /// When it is no longer worth anything.
    pub fn set_deadline(&mut self, deadline: Option<Timestamp>) {
        self.set_word(24, deadline.map_or(0, Timestamp::ticks));
    }

    /// The subject on which an answer is expected.
    ///
    /// # Errors
    ///
    /// [`ExtensionTooLong`]; it is as it was.
    pub fn set_reply_subject(&mut self, subject: &str) -> Result<(), ExtensionTooLong> {
        self.add(REPLY, &[subject.as_bytes()])
    }

    /// A hub that it has passed, by its id; the first that passed it first.
    ///
    /// # Errors
    ///
    /// [`ExtensionTooLong`]; it is as it was.
    pub fn add_route(&mut self, hub: u64) -> Result<(), ExtensionTooLong> {
        self.add(ROUTE, &[&hub.to_le_bytes()])
    }

    /// A name and a value of the user's own. Names can occur several times; a name has at most
    /// 255 bytes, what is longer is cut.
    ///
    /// # Errors
    ///
    /// [`ExtensionTooLong`]; it is as it was.
    pub fn add_metadata(&mut self, name: &str, value: &str) -> Result<(), ExtensionTooLong> {
        let mut name_len = name.len().min(255);
        while !name.is_char_boundary(name_len) {
            name_len -= 1;
        }
        let name = &name.as_bytes()[..name_len];
        self.add(METADATA, &[&[name_len as u8], name, value.as_bytes()])
    }

    /// Bytes that it takes in a record.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn set_word(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// Puts a section behind the others.
    fn add(&mut self, kind: u16, parts: &[&[u8]]) -> Result<(), ExtensionTooLong> {
        let end =
            sections(&self.bytes).map(|(at, _, bytes)| at + SECTION_HEAD + bytes.len()).last();
        let start = end.unwrap_or(FIXED_BYTES).next_multiple_of(SECTION_HEAD);
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let whole = (start + SECTION_HEAD + len).next_multiple_of(FIXED_BYTES);
        if whole > EXTENSION_MAX {
            return Err(ExtensionTooLong { len: whole });
        }
        self.bytes.truncate(start);
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        self.bytes.extend_from_slice(&(len as u16).to_le_bytes());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.close();
        Ok(())
    }

    /// Makes it a multiple of 32 bytes and writes down how long it is.
    fn close(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(FIXED_BYTES), 0);
        let len = self.bytes.len() as u16;
        self.bytes[0..2].copy_from_slice(&len.to_le_bytes());
    }
}

/// A copy of one that has arrived.
impl From<ExtensionView<'_>> for Extension {
    fn from(view: ExtensionView<'_>) -> Self {
        let mut extension = Self { bytes: view.bytes.to_vec() };
        extension.close();
        extension
    }
}

/// The extension of an event that has arrived: a view of bytes that another hub wrote. Whatever
/// they are, reading them is safe and ends; what makes no sense reads as not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionView<'a> {
    bytes: &'a [u8],
}

impl<'a> ExtensionView<'a> {
    /// The extension in these bytes, which are all of it; `None` if there are too few.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= FIXED_BYTES).then_some(Self { bytes })
    }

    /// Divides what follows the header into extension and payload; `None` if the length is not
    /// one that an extension can have.
    pub fn split(body: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let len = extension_len(*body.first_chunk()?)?;
        let (bytes, payload) = body.split_at_checked(len)?;
        Some((Self { bytes }, payload))
    }

    /// All of it as it was sent: what [`split`](Self::split) takes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// See [`Extension::set_priority`].
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.bytes[2]
    }

    /// See [`Extension::set_attempts`].
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.word(4) as u32
    }

    /// See [`Extension::set_destination`].
    #[must_use]
    pub fn destination(&self) -> Option<u64> {
        Some(self.word(8)).filter(|hub| *hub != 0)
    }

    /// See [`Extension::set_correlation`].
    #[must_use]
    pub fn correlation(&self) -> Option<u64> {
        Some(self.word(16)).filter(|correlation| *correlation != 0)
    }

    /// See [`Extension::set_deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        Timestamp::from_ticks(self.word(24))
    }

    /// See [`Extension::set_reply_subject`]; the last one that was set.
    #[must_use]
    pub fn reply_subject(&self) -> Option<&'a str> {
        let replies = sections(self.bytes).filter(|(_, kind, _)| *kind == REPLY);
        replies.last().and_then(|(_, _, bytes)| str::from_utf8(bytes).ok())
    }

    /// See [`Extension::add_route`].
    pub fn route(&self) -> impl Iterator<Item = u64> + use<'a> {
        let hops = sections(self.bytes).filter(|(_, kind, _)| *kind == ROUTE);
        hops.filter_map(|(_, _, bytes)| bytes.try_into().ok().map(u64::from_le_bytes))
    }

    /// See [`Extension::add_metadata`]: names and values.
    pub fn metadata(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let pairs = sections(self.bytes).filter(|(_, kind, _)| *kind == METADATA);
        pairs.filter_map(|(_, _, bytes)| {
            let (name_len, rest) = bytes.split_first()?;
            let (name, value) = rest.split_at_checked(usize::from(*name_len))?;
            Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
        })
    }

    /// The eight bytes at `at`, which is below 32.
    fn word(&self, at: usize) -> u64 {
        let bytes = self.bytes[at..].first_chunk().copied();
        u64::from_le_bytes(bytes.unwrap_or_default())
    }
}

/// The length that an extension that begins so says it has, if it is a possible one.
pub(crate) fn extension_len(start: [u8; 2]) -> Option<usize> {
    let len = usize::from(u16::from_le_bytes(start));
    let is_possible =
        len.is_multiple_of(FIXED_BYTES) && (FIXED_BYTES..=EXTENSION_MAX).contains(&len);
    is_possible.then_some(len)
}

/// The sections of an extension: where each starts, its kind, its bytes.
fn sections(extension: &[u8]) -> impl Iterator<Item = (usize, u16, &[u8])> {
    let mut at = FIXED_BYTES;
    std::iter::from_fn(move || {
        let [kind_low, kind_high, len_low, len_high] = *extension.get(at..)?.first_chunk()?;
        let kind = u16::from_le_bytes([kind_low, kind_high]);
        let start = at + SECTION_HEAD;
        let end = start + usize::from(u16::from_le_bytes([len_low, len_high]));
        let bytes = extension.get(start..end).filter(|_| kind != 0)?;
        let found = (at, kind, bytes);
        at = end.next_multiple_of(SECTION_HEAD);
        Some(found)
    })
}

const _: () = {
    assert!(EXTENSION_MAX.is_multiple_of(FIXED_BYTES) && EXTENSION_MAX <= u16::MAX as usize);
    assert!(FIXED_BYTES.is_multiple_of(super::PAYLOAD_ALIGN));
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_set_is_nothing_found() {
        let extension = Extension::new();
        let (view, payload) = ExtensionView::split(extension.bytes()).unwrap();
        assert_eq!((extension.len_bytes(), payload.len()), (32, 0));
        assert_eq!((view.priority(), view.attempts()), (0, 0));
        assert_eq!((view.destination(), view.correlation(), view.deadline()), (None, None, None));
        let sections = (view.reply_subject(), view.route().count(), view.metadata().count());
        assert_eq!(sections, (None, 0, 0));
    }

    #[test]
    fn the_longest_and_one_that_is_too_long() {
        let mut extension = Extension::new();
        let value = "v".repeat(EXTENSION_MAX - FIXED_BYTES - SECTION_HEAD - 2);
        extension.add_metadata("n", &value).unwrap();
        assert_eq!(extension.len_bytes(), EXTENSION_MAX);
        let before = extension.clone();
        let error = extension.add_route(7).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an extension of 4128 bytes is too long: it has at most 4096; put into the payload \
             what is longer"
        );
        assert_eq!(extension, before);
    }

    #[test]
    fn lengths_that_no_extension_has() {
        for len in [0u16, 1, 31, 33, 4096 + 32, u16::MAX] {
            let mut body = vec![0; 8192];
            body[0..2].copy_from_slice(&len.to_le_bytes());
            assert_eq!(ExtensionView::split(&body), None, "{len}");
        }
        assert_eq!(ExtensionView::split(&[64, 0, 0]), None, "shorter than it says");
        assert_eq!(ExtensionView::split(&[32]), None);
    }

    proptest! {
        #[test]
        fn what_is_set_is_found(
            words in any::<(u8, u32, u64, u64, u64)>(),
            reply in proptest::option::of("[a-z.]{0,40}"),
            route in proptest::collection::vec(any::<u64>(), 0..8),
            metadata in proptest::collection::vec(("\\PC{0,20}", "\\PC{0,60}"), 0..8),
            payload in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let (priority, attempts, destination, correlation, ticks) = words;
            let mut extension = Extension::new();
            for round in 0..2 {
                extension.clear();
                extension.set_priority(priority);
                for (name, value) in &metadata {
                    extension.add_metadata(name, value).unwrap();
                }
                extension.set_attempts(attempts);
                route.iter().for_each(|hub| extension.add_route(*hub).unwrap());
                extension.set_destination(destination);
                if let Some(reply) = &reply {
                    extension.set_reply_subject(reply).unwrap();
                }
                extension.set_correlation(correlation);
                extension.set_deadline(Timestamp::from_ticks(ticks));
                let body = [extension.bytes(), &payload].concat();
                let (view, rest) = ExtensionView::split(&body).unwrap();
                prop_assert_eq!(rest, &payload[..], "round {}", round);
                prop_assert_eq!(Extension::from(view), extension.clone());
                prop_assert_eq!((view.priority(), view.attempts()), (priority, attempts));
                prop_assert_eq!(view.destination().unwrap_or(0), destination);
                prop_assert_eq!(view.correlation().unwrap_or(0), correlation);
                prop_assert_eq!(view.deadline().map_or(0, Timestamp::ticks), ticks);
                prop_assert_eq!(view.reply_subject(), reply.as_deref());
                prop_assert_eq!(view.route().collect::<Vec<_>>(), route.clone());
                let found: Vec<_> = view.metadata().collect();
                let sent: Vec<_> = metadata.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                prop_assert_eq!(found, sent);
            }
        }

        #[test]
        fn any_bytes_can_be_read(mut bytes in proptest::collection::vec(any::<u8>(), 32..300)) {
            let len = (bytes.len() / 32 * 32) as u16;
            bytes[0..2].copy_from_slice(&len.to_le_bytes());
            let (view, _) = ExtensionView::split(&bytes).unwrap();
            let _ = (view.priority(), view.attempts(), view.deadline(), view.reply_subject());
            let _ = (view.route().count(), view.metadata().count());
        }
    }
}
