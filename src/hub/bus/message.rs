//! An event as a copy of one's own.

use super::envelope::{Body, Envelope};
use super::source::Peer;
use crate::event::{COPY_START, HEADER_BYTES, Header, PAYLOAD_ALIGN};
use rkyv::util::AlignedVec;
use std::sync::Arc;

/// A copy of an event, to be kept for as long as one likes. Made by [`Envelope::to_message`].
#[derive(Debug, Clone)]
pub struct Message {
    peer: Arc<Peer>,
    subject: Arc<str>,
    header: Header,
    extension: usize,
    body: AlignedVec<PAYLOAD_ALIGN>,
}

impl Message {
    /// The payload as bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body[COPY_START + HEADER_BYTES + self.extension..]
    }

    /// All that there is to know of it.
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope {
            peer: &self.peer,
            subject: &self.subject,
            header: self.header,
            body: Body::Copy(&self.body[COPY_START..]),
            extension: self.extension,
        }
    }
}

impl Envelope<'_> {
    /// A copy of it. Allocates.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let mut body =
            AlignedVec::with_capacity(COPY_START + HEADER_BYTES + self.after_header().len());
        body.resize(COPY_START + HEADER_BYTES, 0);
        body.extend_from_slice(self.after_header());
        Message {
            peer: Arc::clone(self.peer),
            subject: self.subject.into(),
            header: self.header,
            extension: self.extension,
            body,
        }
    }
}
