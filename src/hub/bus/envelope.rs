//! An event that a subscription has received, and all that is known of it.

use super::source::Peer;
use crate::event::{self, Event, EventError, ExtensionView, HEADER_BYTES, Header, Timestamp};
use crate::ring::Reader;
use crate::segment::RingMemory;
use std::sync::Arc;

/// An event. Its place in the ring, if it was not copied, is given back when this is dropped.
#[derive(Debug)]
pub struct Envelope<'a> {
    pub(super) peer: &'a Arc<Peer>,
    pub(super) subject: &'a str,
    pub(super) header: Header,
    /// Header, extension and payload.
    pub(super) body: Body<'a>,
    /// Bytes of the extension.
    pub(super) extension: usize,
}

/// Where an event's bytes are.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Copy(&'a [u8]),
    /// The next record of a lane, of so many bytes.
    Ring(&'a mut Reader<RingMemory>, usize),
}

impl<'a> Envelope<'a> {
    /// The hub that published it.
    #[must_use]
    pub fn source(&self) -> &'a str {
        &self.peer.name
    }

    /// The id of the hub that published it. Id and [`sequence`](Self::sequence) together are the
    /// event's own id: no other event of the domain has both.
    #[must_use]
    pub fn source_id(&self) -> u64 {
        self.peer.id
    }

    /// Its number among all that its hub has published, on whatever subject; the first is 1.
    #[inline]
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// What it is about.
    #[inline]
    #[must_use]
    pub fn subject(&self) -> &'a str {
        self.subject
    }

    /// The hash of its type; [`RAW_SCHEMA`](crate::event::RAW_SCHEMA) for raw bytes.
    #[inline]
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.header.schema
    }

    /// When it was sent, if the sender says so.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::from_ticks(self.header.timestamp)
    }

    /// The payload as bytes, at an address that is a multiple of 32.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.after_header()[self.extension..]
    }

    /// The payload as a `T`, after checking its schema and that its bytes are a valid value.
    ///
    /// # Errors
    ///
    /// [`EventError`]; the event can still be read otherwise.
    #[inline]
    pub fn get<T: Event>(&self) -> Result<&T::Archived, EventError> {
        event::check::<T>(self.header.schema, self.bytes())
    }

    /// Whether it is a `T`.
    #[must_use]
    pub fn is<T: Event>(&self) -> bool {
        self.header.schema == T::SCHEMA
    }

    /// Whether it was read where its source wrote it, and not copied.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self.body, Body::Ring(..))
    }

    /// What was sent beside header and payload, if anything was.
    #[must_use]
    pub fn extension(&self) -> Option<ExtensionView<'_>> {
        ExtensionView::of(&self.after_header()[..self.extension])
    }

    /// The id of the only hub that it is for; `None` if it is for all.
    #[must_use]
    pub fn destination(&self) -> Option<u64> {
        self.extension()?.destination()
    }

    /// How urgent it is; 0 is usual.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.extension().map_or(0, |extension| extension.priority())
    }

    /// What connects an answer with its request.
    #[must_use]
    pub fn correlation(&self) -> Option<u64> {
        self.extension()?.correlation()
    }

    /// The subject on which an answer is expected.
    #[must_use]
    pub fn reply_subject(&self) -> Option<&str> {
        self.extension()?.reply_subject()
    }

    /// When it is no longer worth anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.extension()?.deadline()
    }

    /// How often it has been sent before.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.extension().map_or(0, |extension| extension.attempts())
    }

    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn after_header(&self) -> &[u8] {
        let body = match &self.body {
            Body::Copy(body) => body,
            Body::Ring(reader, len) => {
                let body = reader.body(*len);
                // SAFETY: a committed record whose length was checked against the ring. It does
                // not change before it is released, when `self` is dropped: its writer is trusted
                // not to change what it has committed (same user), and waits for our position.
                unsafe { core::slice::from_raw_parts(body, *len) }
            }
        };
        &body[HEADER_BYTES..]
    }
}

impl Drop for Envelope<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Body::Ring(reader, len) = &mut self.body {
            reader.release(*len);
        }
    }
}
