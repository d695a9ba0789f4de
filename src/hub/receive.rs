//! The receiving half: the rings of all links of a hub, read in turn.

use super::state::{LinkId, LinkShared, SlotGuard};
use crate::event::{
    self, Event, EventError, HEADER_BYTES, Header, PAYLOAD_ALIGN, Timestamp,
};
use crate::ring::{CommitWord, Kind, Reader, Record, RecordError};
use crate::segment::RingMemory;
use rkyv::util::AlignedVec;
use std::sync::Arc;
use thiserror::Error;

/// What there is to know beside events. Each is told once; the hub goes on with its other links.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The other process or its hub is gone. Everything that it had sent has been received.
    #[error("hub {peer} is gone ({link})")]
    PeerGone {
        /// Which link.
        link: LinkId,
        /// Its name.
        peer: Arc<str>,
    },
    /// The other side has closed its half of the link, or all of it. Everything that it had sent
    /// has been received.
    #[error("hub {peer} has closed {link}")]
    LinkClosed {
        /// Which link.
        link: LinkId,
        /// The other hub's name.
        peer: Arc<str>,
    },
    /// The other side's ring holds what no hub writes. The link is closed.
    #[error("the ring of hub {peer} is corrupt ({link}): {why}")]
    Corrupt {
        /// Which link.
        link: LinkId,
        /// The other hub's name.
        peer: Arc<str>,
        /// What was found.
        why: String,
    },
    /// This process is a forked child of the one that opened the hub.
    #[error("hubs cannot be used after fork; open a new one in the child")]
    Forked,
}

/// Whether payloads are read where the other side wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Payloads {
    /// In place from hubs of the same user, copied from others: a process of the same user could
    /// reach into ours anyway. The default.
    #[default]
    ByTrust,
    /// Copied from everybody before anything looks at them: safe against a hub that changes a
    /// payload after it was validated.
    Copied,
}

/// Why a link's ring is no longer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    PeerGone,
    Closed,
}

/// The ring of one link, and who writes it.
#[derive(Debug)]
pub(super) struct Inlet {
    pub reader: Reader<RingMemory>,
    pub shared: Arc<LinkShared>,
    pub _slot: SlotGuard,
    /// Set when nothing more will be written: what is there is read, then the inlet is removed.
    pub leaving: Option<Leaving>,
}

/// Records taken from one link before the others are looked at.
const TURN: u32 = 64;

/// Idle rings looked at before the busy one is looked at again: a link that is in use answers
/// about as fast with a hundred idle links beside it as alone.
const IDLE_LOOKS: usize = 8;

/// All rings that a hub reads.
#[derive(Debug, Default)]
pub(super) struct Inlets {
    all: Vec<Inlet>,
    /// The one that had a record last.
    current: usize,
    turn: u32,
}

/// Where a record waits.
pub(super) type Found = (usize, CommitWord);

impl Inlets {
    pub(super) fn add(&mut self, inlet: Inlet) {
        self.all.push(inlet);
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut Inlet {
        &mut self.all[index]
    }

    pub(super) fn by_link(&mut self, link: LinkId) -> Option<&mut Inlet> {
        self.all.iter_mut().find(|inlet| inlet.shared.id == link)
    }

    pub(super) fn remove(&mut self, index: usize) -> Inlet {
        self.current = 0;
        self.turn = 0;
        self.all.swap_remove(index)
    }

    /// The next record of any ring. One load per ring when there is none.
    ///
    /// # Errors
    ///
    /// The ring that has ended or is corrupt.
    #[inline(always)]
    pub(super) fn find(&mut self) -> Result<Option<Found>, (usize, RecordError)> {
        if let Some(inlet) = self.all.get(self.current)
            && self.turn < TURN
            && let Some(commit) = inlet.reader.peek().map_err(|error| (self.current, error))?
        {
            self.turn += 1;
            return Ok(Some((self.current, commit)));
        }
        self.find_elsewhere()
    }

    fn find_elsewhere(&mut self) -> Result<Option<Found>, (usize, RecordError)> {
        let count = self.all.len();
        if count == 0 {
            return Ok(None);
        }
        let busy = self.current;
        let mut index = busy;
        for look in 1..=count {
            index = if index + 1 < count { index + 1 } else { 0 };
            if let Some(found) = self.look_at(index)? {
                return Ok(Some(found));
            }
            if look % IDLE_LOOKS == 0
                && let Some(found) = self.look_at(busy)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn look_at(&mut self, index: usize) -> Result<Option<Found>, (usize, RecordError)> {
        let found = self.all[index].reader.peek().map_err(|error| (index, error))?;
        Ok(found.map(|commit| {
            (self.current, self.turn) = (index, 1);
            (index, commit)
        }))
    }

    /// Tells all writers how far we are, now that there is nothing to read.
    #[inline]
    pub(super) fn publish(&mut self) {
        for inlet in &mut self.all {
            inlet.reader.publish();
        }
    }

    /// A ring that will not be written again and has been read to its end, and why.
    pub(super) fn finished(&self) -> Option<(usize, Leaving)> {
        self.all.iter().enumerate().find_map(|(index, inlet)| {
            let leaving = inlet.leaving?;
            matches!(inlet.reader.peek(), Ok(None)).then_some((index, leaving))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// An event that has arrived. Its place in the ring is given back when this is dropped.
#[derive(Debug)]
pub struct Received<'a> {
    record: Record<'a, RingMemory>,
    shared: &'a Arc<LinkShared>,
    header: Header,
    /// The payload: in the ring, or in the hub's copy.
    payload: &'a [u8],
}

impl<'a> Received<'a> {
    /// Whether a record can be an event.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    #[inline(always)]
    pub(super) fn check(commit: CommitWord) -> Result<(), &'static str> {
        if commit.len < HEADER_BYTES {
            return Err("a record that is shorter than an event's header");
        }
        if commit.kind != Kind::Plain {
            return Err("a record of a kind that this version does not know");
        }
        Ok(())
    }

    /// Reads header and payload of a record that is an event, in place or copied.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) fn new(
        inlet: &'a mut Inlet,
        commit: CommitWord,
        copy: Option<&'a mut AlignedVec<PAYLOAD_ALIGN>>,
    ) -> Self {
        let Inlet { reader, shared, .. } = inlet;
        let record = reader.take(commit);
        let Some(copy) = copy else {
            let body = record.as_ptr();
            // SAFETY: the record has at least a header, at a multiple of eight.
            let header = unsafe { Header::read(body) };
            // SAFETY: the header is part of the body.
            let payload = unsafe { body.add(HEADER_BYTES) };
            // SAFETY: the rest of a body whose length was checked against the ring; it does not
            // change while `record` is held, because the writer is trusted (same user).
            let payload =
                unsafe { core::slice::from_raw_parts(payload, commit.len - HEADER_BYTES) };
            return Self { record, shared, header, payload };
        };
        // Behind the place of the commit word, so that the payload is aligned as in the ring.
        const BODY: usize = PAYLOAD_ALIGN - HEADER_BYTES;
        copy.resize(BODY + commit.len, 0);
        record.copy_to(&mut copy[BODY..]);
        // SAFETY: at least a header's bytes, at offset 8 of an aligned buffer of our own.
        let header = unsafe { Header::read(copy[BODY..].as_ptr()) };
        Self { record, shared, header, payload: &copy[PAYLOAD_ALIGN..] }
    }

    /// The link that it came over.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.shared.id
    }

    /// The name of the hub that sent it.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.shared.peer
    }

    /// Its number among the events that the other hub sent over this link, from 0.
    #[inline(always)]
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// The hash of its type; [`RAW_SCHEMA`](crate::event::RAW_SCHEMA) for raw bytes.
    #[inline(always)]
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.header.schema
    }

    /// When it was sent, if the sender says so.
    #[inline(always)]
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::from_ticks(self.header.timestamp)
    }

    /// Whether it is a `T`.
    #[inline(always)]
    #[must_use]
    pub fn is<T: Event>(&self) -> bool {
        self.header.schema == T::SCHEMA
    }

    /// The payload as bytes, at an address that is a multiple of 32.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.payload
    }

    /// The payload as a `T`, after checking its schema and that its bytes are a valid value.
    /// Nothing is deserialised: fields are read where they are.
    ///
    /// # Errors
    ///
    /// [`EventError`]; the event can still be read otherwise.
    #[inline(always)]
    pub fn get<T: Event>(&self) -> Result<&T::Archived, EventError> {
        event::check::<T>(self.header.schema, self.payload)
    }

    /// Bytes that the record takes in the ring.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        crate::ring::layout::stride(self.record.commit().len) as usize
    }
}
