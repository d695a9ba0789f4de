//! The receiving half: the rings of all links of a hub, read in turn.

use super::mail::Leaving;
use super::state::{LinkId, LinkShared, SlotGuard};
use super::tally::InletTally;
use crate::event::{self, HEADER_BYTES};
use crate::limits::LINE;
use crate::ring::{CommitWord, Kind, Reader, RecordError};
use crate::segment::RingMemory;
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
    /// A publisher was faster than the subscription.
    #[error("hub {hub} was faster: up to {missed} of its events have been missed")]
    Lagged {
        /// The publisher's.
        hub: Arc<str>,
        /// How many of its events were not seen, on whatever subject: those that the subscription
        /// wanted are among them.
        missed: u64,
    },
    /// A publisher's ring holds what no hub writes. Nothing more of that hub is read.
    #[error("the ring of hub {hub} is corrupt: {why}")]
    SourceCorrupt {
        /// The publisher's.
        hub: Arc<str>,
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

/// The ring of one link, and who writes it.
#[derive(Debug)]
pub(super) struct Inlet {
    pub reader: Reader<RingMemory>,
    pub shared: Arc<LinkShared>,
    pub tally: InletTally,
    pub _slot: SlotGuard,
    /// Whether its payloads are read where the other side wrote them.
    pub in_place: bool,
    /// The position at which it was found empty last.
    pub empty_at: u64,
    /// Set when nothing more will be written: what is there is read, then the inlet is removed.
    pub leaving: Option<Leaving>,
    /// Then the position beyond which no honest writer can have written.
    pub last: u64,
}

impl Inlet {
    /// Bytes of the extension of the next record, 0 without one; `None` if it is no event.
    pub(super) fn extension_of(&self, commit: CommitWord) -> Option<usize> {
        let room = commit.len.checked_sub(HEADER_BYTES)?;
        match commit.kind {
            Kind::Plain => Some(0),
            Kind::Extended if room >= 2 => {
                // Read once; what is done with it later cannot be changed by whoever wrote it.
                let mut head = [0; HEADER_BYTES + 2];
                self.reader.copy_body(&mut head);
                let [.., low, high] = head;
                event::extension_len([low, high]).filter(|len| *len <= room)
            }
            Kind::Extended | Kind::Closed => None,
        }
    }
}

/// Records taken from one link before the others are looked at.
const TURN: u32 = 64;

/// Idle rings looked at before the busy one is looked at again: a link that is in use answers
/// about as fast with a hundred idle links beside it as alone.
const IDLE_LOOKS: usize = 8;

/// Bytes of records in a row that make a stream.
const STREAM: u64 = 16 * LINE as u64;

/// All rings that a hub reads.
#[derive(Debug, Default)]
pub(super) struct Inlets {
    all: Vec<Inlet>,
    /// The one that had a record last.
    current: usize,
    turn: u32,
    /// The busy ring has just run empty after a stream of records.
    caught_up: bool,
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

    /// The next event of the ring that had one last, if it is read in place and the others are not
    /// to have their turn: the hot path. The length of its record; nothing about why there is none.
    #[inline(always)]
    pub(super) fn next_of_current(&mut self) -> Option<usize> {
        let inlet = self.all.get(self.current)?;
        let len = inlet.reader.peek_plain(HEADER_BYTES)?;
        if self.turn >= TURN || !inlet.in_place {
            return None;
        }
        self.turn += 1;
        Some(len)
    }

    /// The ring that had a record last.
    #[inline(always)]
    pub(super) fn current(&mut self) -> &mut Inlet {
        &mut self.all[self.current]
    }

    /// Whether the busy ring has had its turn, and everything else is to be looked at.
    #[inline(always)]
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn >= TURN
    }

    /// The next record of any ring. One load per ring when there is none.
    ///
    /// # Errors
    ///
    /// The ring that has ended or is corrupt.
    pub(super) fn find(&mut self) -> Result<Option<Found>, (usize, RecordError)> {
        let count = self.all.len();
        if count == 0 {
            return Ok(None);
        }
        let busy = self.current.min(count - 1);
        let busy_is_idle = self.turn < TURN;
        if busy_is_idle {
            if let Some(found) = self.look_at(busy)? {
                return Ok(Some(found));
            }
            let inlet = &mut self.all[busy];
            let position = inlet.reader.position();
            self.caught_up = position - inlet.empty_at >= STREAM;
            inlet.empty_at = position;
        }
        self.turn = 0;
        let mut index = busy;
        for look in 1..=count {
            index = if index + 1 < count { index + 1 } else { 0 };
            if let Some(found) = self.look_at(index)? {
                return Ok(Some(found));
            }
            // Not after a full turn: the others would never have theirs.
            if busy_is_idle
                && look % IDLE_LOOKS == 0
                && let Some(found) = self.look_at(busy)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether a stream has just run empty. A reader that then looks at the next record's place at
    /// once, and again for each record, takes the line away from a writer that is filling it, and
    /// both fall to a small part of their speed; so who waits should pause once. An answer that is
    /// waited for is never part of a stream.
    pub(super) fn take_caught_up(&mut self) -> bool {
        std::mem::take(&mut self.caught_up)
    }

    #[inline(always)]
    fn look_at(&mut self, index: usize) -> Result<Option<Found>, (usize, RecordError)> {
        let found = self.all[index].reader.peek().map_err(|error| (index, error))?;
        Ok(found.map(|commit| {
            self.turn = if index == self.current { self.turn + 1 } else { 1 };
            self.current = index;
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
            let at_end = inlet.reader.position() >= inlet.last;
            (at_end || matches!(inlet.reader.peek(), Ok(None))).then_some((index, leaving))
        })
    }

    /// A ring that will not be written again, with nothing in it to be read.
    pub(super) fn ended(&self) -> Option<usize> {
        self.all.iter().position(|inlet| {
            inlet.leaving.is_some() && !matches!(inlet.reader.peek(), Ok(Some(_)))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
