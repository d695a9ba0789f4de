//! An event that has come over a link.

use super::receive::Inlet;
use super::state::LinkId;
use crate::event::{
    self, COPY_START, Event, EventError, ExtensionView, HEADER_BYTES, Header, PAYLOAD_ALIGN,
    Timestamp,
};
use rkyv::util::AlignedVec;

/// An event that has arrived. Its place in the ring is given back when this is dropped.
#[derive(Debug)]
pub struct Received<'a> {
    inlet: &'a mut Inlet,
    /// Header, extension and payload: in the ring, or in the hub's copy.
    body: *const u8,
    /// Bytes of all.
    len: usize,
    /// Bytes of the extension; 0 without one.
    extension: usize,
}

impl<'a> Received<'a> {
    /// The event in a record of at least [`HEADER_BYTES`] and its extension, to be read in the ring.
    #[inline(always)]
    pub(super) fn in_place(inlet: &'a mut Inlet, len: usize, extension: usize) -> Self {
        let body = inlet.reader.body(len);
        Self { inlet, body, len, extension }
    }

    /// The same, copied first.
    pub(super) fn copied(
        inlet: &'a mut Inlet,
        len: usize,
        extension: usize,
        copy: &'a mut AlignedVec<PAYLOAD_ALIGN>,
    ) -> Self {
        copy.resize(COPY_START + len, 0);
        inlet.reader.copy_body(&mut copy[COPY_START..]);
        let body = copy[COPY_START..].as_ptr();
        Self { inlet, body, len, extension }
    }

    /// The same, after a look at when it was sent; and whether its reader slept for it.
    pub(super) fn looked_at(self, slept: bool) -> Self {
        let timestamp = self.header(event::TIMESTAMP);
        self.inlet.tally.look(timestamp, slept);
        self
    }

    /// What was sent beside header and payload, if anything was.
    #[must_use]
    pub fn extension(&self) -> Option<ExtensionView<'_>> {
        let bytes = &self.after_header()[..self.extension];
        ExtensionView::of(bytes)
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn header(&self, word: usize) -> u64 {
        // SAFETY: the body has at least a header, as both constructors require; bodies are aligned to eight.
        unsafe { Header::read_word(self.body, word) }
    }

    /// The link that it came over.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.inlet.shared.id
    }

    /// The name of the hub that sent it.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.inlet.shared.peer
    }

    /// Its number among the events that the other hub sent over this link, from 0.
    #[inline(always)]
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.header(event::SEQUENCE)
    }

    /// The hash of its type; [`RAW_SCHEMA`](crate::event::RAW_SCHEMA) for raw bytes.
    #[inline(always)]
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.header(event::SCHEMA)
    }

    /// When it was sent, if the sender says so.
    #[inline(always)]
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::from_ticks(self.header(event::TIMESTAMP))
    }

    /// Whether it is a `T`.
    #[inline(always)]
    #[must_use]
    pub fn is<T: Event>(&self) -> bool {
        self.schema() == T::SCHEMA
    }

    /// The payload as bytes, at an address that is a multiple of 32.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.after_header()[self.extension..]
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn after_header(&self) -> &[u8] {
        // SAFETY: the header is part of the body.
        let rest = unsafe { self.body.add(HEADER_BYTES) };
        // SAFETY: the rest of a body whose length was checked against the ring. It does not
        // change before `self` is dropped: either it is our own copy, or its writer is trusted
        // not to change what it has committed (same user), and waits for our position.
        unsafe { core::slice::from_raw_parts(rest, self.len - HEADER_BYTES) }
    }

    /// The payload as a `T`, after checking its schema and that its bytes are a valid value.
    /// Nothing is deserialised: fields are read where they are.
    ///
    /// # Errors
    ///
    /// [`EventError`]; the event can still be read otherwise.
    #[inline(always)]
    pub fn get<T: Event>(&self) -> Result<&T::Archived, EventError> {
        event::check::<T>(self.schema(), self.bytes())
    }

    /// Bytes that the record takes in the ring.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        crate::ring::layout::stride(self.len) as usize
    }
}

impl Drop for Received<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.inlet.reader.release(self.len);
        self.inlet.tally.received();
    }
}
