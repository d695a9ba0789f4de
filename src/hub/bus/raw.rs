//! Events whose type is known by its schema alone: for programs in other languages, and for those
//! that pass on what they cannot name.

use super::content::Content;
use super::envelope::Envelope;
use super::outbox::Item;
use super::publisher::{Sender, Sent};
use super::request::{Reply, RequestError};
use crate::error::Error;
use crate::event::{Encoder, Extension};
use crate::hub::Hub;
use crate::send_error::SendError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An event that is to be sent: bytes, and the schema that they are an archive of
/// ([`RAW_SCHEMA`](crate::event::RAW_SCHEMA) if of none).
#[derive(Clone, Copy)]
pub struct RawEvent<'a> {
    schema: u64,
    payload: Payload<'a>,
    extension: Option<&'a Extension>,
}

#[derive(Clone, Copy)]
enum Payload<'a> {
    Bytes(&'a [u8]),
    Written { len: usize, write: &'a dyn Fn(&mut [u8]) },
}

impl<'a> RawEvent<'a> {
    /// These bytes, which are copied into the ring.
    #[inline(always)]
    #[must_use]
    pub fn bytes(schema: u64, bytes: &'a [u8]) -> Self {
        Self { schema, payload: Payload::Bytes(bytes), extension: None }
    }

    /// `len` bytes that `write` puts where they belong: nothing is copied. It is called while other
    /// publishers of the hub wait, once for each ring that the event goes into, and must write the
    /// same each time; what it does not write is whatever was there before.
    #[must_use]
    pub fn written(schema: u64, len: usize, write: &'a dyn Fn(&mut [u8])) -> Self {
        // What is longer than all memory is refused as too long; a header before it is still a number.
        let len = len.min(isize::MAX as usize);
        Self { schema, payload: Payload::Written { len, write }, extension: None }
    }

    /// With an extension. Of a request or reply, and with [`Hub::emit_raw_to`], what these need
    /// themselves is put into it.
    #[must_use]
    pub fn extension(mut self, extension: &'a Extension) -> Self {
        self.extension = Some(extension);
        self
    }

    /// For whoever wants it.
    #[inline]
    pub(super) fn for_all(&self) -> Item<'_, Self> {
        Item { content: self, extension: self.extension_bytes(), to: 0 }
    }

    /// What is sent beside it.
    #[inline(always)]
    pub(in crate::hub) fn extension_bytes(&self) -> &[u8] {
        self.extension.map_or(&[], Extension::bytes)
    }

    fn own_extension(&self) -> Extension {
        self.extension.cloned().unwrap_or_default()
    }
}

impl fmt::Debug for RawEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = match self.payload {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Written { len, .. } => len,
        };
        write!(f, "RawEvent({len} bytes of schema {:#018x})", self.schema)
    }
}

impl Content for RawEvent<'_> {
    #[inline(always)]
    fn schema(&self) -> u64 {
        self.schema
    }

    fn name(&self) -> &'static str {
        "raw bytes"
    }

    #[inline(always)]
    fn loan(&self, _: &Encoder) -> usize {
        match self.payload {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Written { len, .. } => len,
        }
    }

    #[inline(always)]
    fn fill(&self, _: &mut Encoder, place: &mut [u8]) -> Option<usize> {
        match self.payload {
            Payload::Bytes(bytes) => {
                place.get_mut(..bytes.len())?.copy_from_slice(bytes);
                Some(bytes.len())
            }
            Payload::Written { len, write } => {
                write(place.get_mut(..len)?);
                Some(len)
            }
        }
    }
}

/// Sends events of any schema on one subject; otherwise as a [`Publisher`](crate::Publisher).
#[derive(Debug)]
pub struct RawPublisher {
    sender: Sender,
    row: usize,
    subject: Arc<str>,
}

impl RawPublisher {
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Subscriptions that want its events now. None after fork, in the child.
    #[must_use]
    pub fn receivers(&self) -> u32 {
        self.sender.receivers(self.row)
    }

    /// Sends an event to all who subscribe to the subject, as
    /// [`Publisher::try_send`](crate::Publisher::try_send) does.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nobody sees anything of it then. `Full` means now, not for ever.
    #[inline]
    pub fn try_send(&mut self, event: &RawEvent<'_>) -> Result<Sent, SendError> {
        self.sender.try_send(self.row, &event.for_all())
    }

    /// As [`try_send`](Self::try_send), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn send_timeout(
        &mut self,
        event: &RawEvent<'_>,
        timeout: Duration,
    ) -> Result<Sent, SendError> {
        self.send_by(event, crate::hub::after(timeout))
    }

    /// As [`try_send`](Self::try_send), waiting for room for as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send), never `Full`.
    #[inline]
    pub fn send(&mut self, event: &RawEvent<'_>) -> Result<Sent, SendError> {
        self.send_by(event, None)
    }

    fn send_by(&mut self, event: &RawEvent<'_>, by: Option<Instant>) -> Result<Sent, SendError> {
        self.sender.send(self.row, &event.for_all(), by)
    }
}

impl Hub {
    /// A publisher of events of any schema on one subject; otherwise as
    /// [`publisher`](Self::publisher).
    ///
    /// # Errors
    ///
    /// As [`publisher`](Self::publisher).
    pub fn raw_publisher(&self, subject: &str) -> Result<RawPublisher, Error> {
        let row = self.row_for(subject)?;
        Ok(RawPublisher { sender: self.sender.clone(), row, subject: subject.into() })
    }

    /// As [`emit_to`](Self::emit_to), for an event of any schema.
    ///
    /// # Errors
    ///
    /// As [`emit_to`](Self::emit_to).
    pub fn emit_raw_to(
        &self,
        hub: &str,
        subject: &str,
        event: &RawEvent<'_>,
    ) -> Result<Sent, Error> {
        self.emit_content_to(hub, subject, event, event.own_extension())
    }

    /// As [`request`](Self::request), for a request of any schema.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn request_raw(
        &mut self,
        subject: &str,
        request: &RawEvent<'_>,
        timeout: Duration,
    ) -> Result<Reply, RequestError> {
        self.ask(subject, request, request.own_extension(), timeout)
    }

    /// As [`reply`](Self::reply), for a reply of any schema.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply).
    pub fn reply_raw(&self, request: &Envelope<'_>, reply: &RawEvent<'_>) -> Result<Sent, Error> {
        self.answer(request, reply, reply.own_extension())
    }
}
