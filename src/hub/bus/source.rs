//! One hub, as a subscription sees it: its rings, merged by sequence number.
//!
//! All rings of a source have one writer, which numbers its events across all of them. Whatever is
//! older than a record that is seen in one ring was committed before it, so it is visible in the
//! other ring to who looks there *afterwards*: the lowest number of both is the next event, and
//! one that is not above the last has been there already. No markers, no time-outs, no locks.

use super::canary;
use super::filter::Filter;
use super::inbox::Inbox;
use crate::event::{self, HEADER_BYTES, Header};
use crate::hub::tally::SourceTally;
use crate::ring::{CommitWord, FollowError, Follower, Kind, Position, Reader, RecordError};
use crate::segment::RingMemory;
use std::collections::VecDeque;
use std::sync::Arc;

mod port;
#[cfg(test)]
mod tests;

pub(crate) use port::Port;
use port::begin;

/// A hub that publishes.
#[derive(Debug)]
pub(crate) struct Peer {
    pub id: u64,
    pub name: Arc<str>,
    /// Whether it runs as the same user, so that its payloads may be read in place.
    pub same_user: bool,
}

/// Why there is no next event of a source.
#[derive(Debug)]
pub(super) enum Trouble {
    /// So many of its events were not seen, wanted or not.
    Lagged(u64),
    Corrupt(String),
}

/// Where the next event is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub commit: CommitWord,
    pub sequence: u64,
    /// Bytes of its extension.
    pub extension: usize,
    pub on_lane: bool,
}

/// What one look has shown.
#[derive(Debug)]
pub(super) enum Look {
    Nothing,
    /// Nothing for us among many; there may be more.
    More,
    Found(Found),
}

/// Records passed over in one look.
const PASSED_OVER: u32 = 256;

/// The part of an extension with the destination, and the header before it.
const HEAD: usize = HEADER_BYTES + 16;

#[derive(Debug)]
pub(crate) struct Source {
    pub peer: Arc<Peer>,
    pub(super) filter: Filter,
    pub(super) broadcast: Port<Follower<RingMemory>>,
    pub(super) lane: Port<Reader<RingMemory>>,
    /// Lanes of later links, while the first is not read to its end.
    later: VecDeque<Port<Reader<RingMemory>>>,
    /// The number of the last event.
    last: u64,
    /// We have been overtaken, and do not know yet by how much.
    lagging: bool,
    /// It will write nothing more.
    pub(super) over: bool,
    /// What its subscription counts of it.
    pub(super) tally: Option<SourceTally>,
}

impl Source {
    pub(crate) fn new(
        peer: Arc<Peer>,
        filter: Filter,
        broadcast: Port<Follower<RingMemory>>,
    ) -> Self {
        let (lane, later) = (Port::Shut, VecDeque::new());
        let (last, lagging, over, tally) = (0, false, false, None);
        Self { peer, filter, broadcast, lane, later, last, lagging, over, tally }
    }

    /// The next event, in the order in which the source sent them. A record on a subject that is
    /// not wanted is passed over only if there is no news: that may be of the subject.
    #[inline]
    pub(super) fn look(&mut self, news: &Inbox) -> Result<Look, Trouble> {
        let mut on_lane = self.look_at_lane(news)?;
        let broadcast = self.look_at_broadcast(news)?;
        if let (Look::Nothing, Look::Found(_)) = (&on_lane, &broadcast) {
            // What is older was committed before what we have just seen.
            on_lane = self.look_at_lane(news)?;
        }
        if canary::is_on(canary::MERGE) && matches!(on_lane, Look::Found(_)) {
            return Ok(on_lane);
        }
        Ok(match (on_lane, broadcast) {
            (Look::Found(lane), Look::Found(other)) if other.sequence < lane.sequence => {
                Look::Found(other)
            }
            // Whether the other ring holds something older is not known before all is passed.
            (Look::More, _) | (_, Look::More) => Look::More,
            (Look::Found(found), _) | (_, Look::Found(found)) => Look::Found(found),
            (Look::Nothing, Look::Nothing) => Look::Nothing,
        })
    }

    /// Takes the event that was found; the caller has it or passes it over.
    #[inline]
    pub(super) fn taken(&mut self, found: &Found) {
        self.last = found.sequence;
    }

    fn look_at_lane(&mut self, news: &Inbox) -> Result<Look, Trouble> {
        if matches!(self.lane, Port::Waiting { .. }) {
            // One that has not begun when there is another will not begin any more.
            let more = self.begin_lane()? || self.next_lane();
            return Ok(if more { Look::More } else { Look::Nothing });
        }
        let Port::Open(reader, _) = &mut self.lane else { return Ok(Look::Nothing) };
        for _ in 0..PASSED_OVER {
            let commit = match reader.peek() {
                Ok(Some(commit)) => commit,
                Ok(None) => return Ok(Look::Nothing),
                Err(RecordError::Closed) => {
                    self.lane = Port::Shut;
                    return Ok(if self.next_lane() { Look::More } else { Look::Nothing });
                }
                Err(error) => return Err(Trouble::Corrupt(error.to_string())),
            };
            if !self.filter.wants(commit.tag) {
                if news.has_news() {
                    return Ok(Look::More);
                }
                reader.release(commit.len);
                continue;
            }
            let mut head = [0; HEAD];
            let known = head.len().min(commit.len);
            reader.copy_body(&mut head[..known]);
            match judge(self.filter.hub, self.last, commit, &head[..known])? {
                Some((sequence, extension)) => {
                    return Ok(Look::Found(Found { commit, sequence, extension, on_lane: true }));
                }
                None => reader.release(commit.len),
            }
        }
        Ok(Look::More)
    }

    fn look_at_broadcast(&mut self, news: &Inbox) -> Result<Look, Trouble> {
        let follower = match &mut self.broadcast {
            Port::Open(follower, _) => follower,
            Port::Shut => return Ok(Look::Nothing),
            Port::Waiting { .. } => {
                return if self.begin_broadcast()? { Ok(Look::More) } else { Ok(Look::Nothing) };
            }
        };
        for _ in 0..PASSED_OVER {
            let commit = match follower.peek() {
                Ok(Some(commit)) => commit,
                Ok(None) => return Ok(Look::Nothing),
                Err(error) => return self.no_record(&error),
            };
            if !self.lagging && !self.filter.wants(commit.tag) {
                if news.has_news() {
                    return Ok(Look::More);
                }
                follower.advance(commit);
                continue;
            }
            let mut head = [0; HEAD];
            let known = head.len().min(commit.len);
            if let Err(error) = follower.copy_prefix(&mut head[..known]) {
                return self.no_record(&error);
            }
            if self.lagging {
                return self.count_missed(&head[..known]);
            }
            match judge(self.filter.hub, self.last, commit, &head[..known])? {
                Some((sequence, extension)) => {
                    return Ok(Look::Found(Found { commit, sequence, extension, on_lane: false }));
                }
                None => follower.advance(commit),
            }
        }
        Ok(Look::More)
    }

    /// There is no next record in the broadcast, for this reason.
    #[cold]
    pub(super) fn no_record(&mut self, error: &FollowError) -> Result<Look, Trouble> {
        match error {
            FollowError::Overrun { .. } => {
                self.lagging = true;
                Ok(Look::More)
            }
            FollowError::Closed => {
                self.broadcast = Port::Shut;
                Ok(Look::Nothing)
            }
            FollowError::Corrupt { .. } => Err(Trouble::Corrupt(error.to_string())),
        }
    }

    /// The first record after we were overtaken says how much we missed.
    #[cold]
    fn count_missed(&mut self, head: &[u8]) -> Result<Look, Trouble> {
        let Some(sequence) = head.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else {
            return Err(Trouble::Corrupt(format!("a record of {} bytes", head.len())));
        };
        self.lagging = false;
        let before = sequence.saturating_sub(1);
        let missed = before.saturating_sub(self.last);
        self.last = self.last.max(before);
        let told = missed.saturating_sub(u64::from(canary::is_on(canary::SAYS_LESS)));
        if told > 0 { Err(Trouble::Lagged(told)) } else { Ok(Look::More) }
    }

    /// Begins to read where the writer says, if it has.
    #[cold]
    fn begin_broadcast(&mut self) -> Result<bool, Trouble> {
        let Some((memory, cursor, slot, start, fencing)) = begin(&mut self.broadcast)? else {
            return Ok(false);
        };
        let follower = Follower::gating(memory, cursor, start, fencing);
        self.broadcast = Port::Open(follower, Some(slot));
        Ok(true)
    }

    #[cold]
    fn begin_lane(&mut self) -> Result<bool, Trouble> {
        let Some((memory, cursor, slot, start, fencing)) = begin(&mut self.lane)? else {
            return Ok(false);
        };
        self.lane = Port::Open(Reader::attach(memory, cursor, start, fencing), Some(slot));
        Ok(true)
    }

    /// Where the writer's word about our beginning is.
    pub(super) fn begins(&mut self, word: Option<Position>) {
        if let Port::Waiting { start, .. } = &mut self.broadcast {
            *start = word;
        }
    }

    /// The same for the lane that came last.
    pub(super) fn lane_begins(&mut self, word: Position) {
        if let Port::Waiting { start, .. } = self.later.back_mut().unwrap_or(&mut self.lane) {
            *start = Some(word);
        }
    }

    /// A lane, to be read when those before have been read to their ends.
    pub(super) fn add_lane(&mut self, port: Port<Reader<RingMemory>>) {
        self.later.push_back(port);
        if matches!(self.lane, Port::Shut) {
            self.next_lane();
        }
    }

    fn next_lane(&mut self) -> bool {
        let Some(next) = self.later.pop_front() else { return false };
        self.lane = next;
        true
    }

    /// Tells the writer how far we are, now that there is nothing to read.
    #[inline]
    pub(super) fn publish(&mut self) {
        if let Port::Open(follower, _) = &mut self.broadcast {
            follower.publish();
        }
        if let Port::Open(reader, _) = &mut self.lane {
            reader.publish();
        }
        self.note();
    }

    /// Notes how far we are, for tools.
    #[inline]
    pub(super) fn note(&mut self) {
        let Some(tally) = &mut self.tally else { return };
        if let Port::Open(follower, _) = &self.broadcast {
            tally.broadcast.at(follower.position());
        }
        if let Port::Open(reader, _) = &self.lane {
            tally.lane.at(reader.position());
        }
    }

    /// An event has been taken that was sent at this moment, and stands for so many.
    #[cold]
    pub(super) fn time(&mut self, on_lane: bool, timestamp: u64, weight: u64) {
        self.note();
        if let Some(tally) = &self.tally {
            let port = if on_lane { &tally.lane } else { &tally.broadcast };
            port.received(timestamp, weight);
        }
    }

    /// Whether its broadcast can be read without being told where.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.broadcast, Port::Open(..))
    }

    /// Whether nothing more will come.
    pub(super) fn is_finished(&self) -> bool {
        let shut = matches!(self.broadcast, Port::Shut) && matches!(self.lane, Port::Shut);
        let shut = shut && self.later.is_empty();
        self.over || shut
    }
}

/// Whether a record on a subject that is wanted is for this hub, and not an old one: its number, and
/// the bytes of its extension.
#[inline]
fn judge(
    hub: u64,
    last: u64,
    commit: CommitWord,
    head: &[u8],
) -> Result<Option<(u64, usize)>, Trouble> {
    let strange = || Trouble::Corrupt(format!("a record that is no event: {commit:?}"));
    let sequence = u64::from_le_bytes(*head.first_chunk().ok_or_else(strange)?);
    let Some(room) = commit.len.checked_sub(HEADER_BYTES) else { return Err(strange()) };
    let is_old = sequence <= last && !canary::is_on(canary::MERGE);
    if is_old {
        return Ok(None);
    }
    if commit.kind == Kind::Plain {
        return Ok(Some((sequence, 0)));
    }
    let head = head.get(HEADER_BYTES..).unwrap_or_default();
    let len = head.first_chunk().and_then(|start| event::extension_len(*start));
    let Some(len) = len.filter(|len| *len <= room) else { return Err(strange()) };
    let to = head.get(8..).and_then(|bytes| bytes.first_chunk()).map(|b| u64::from_le_bytes(*b));
    let is_for_us = to.is_none_or(|to| to == 0 || to == hub);
    Ok(is_for_us.then_some((sequence, len)))
}

impl Found {
    /// An event that is in the subscription's copy already.
    pub(super) fn in_copy(sequence: u64) -> Self {
        let commit = CommitWord { len: 0, kind: Kind::Plain, tag: 0 };
        Self { commit, sequence, extension: 0, on_lane: false }
    }

    /// Copies the event's body, header and all, and moves past it.
    pub(super) fn copy_broadcast(
        &self,
        follower: &mut Follower<RingMemory>,
        to: &mut [u8],
    ) -> Result<(), FollowError> {
        follower.copy_body(self.commit, to)?;
        follower.advance(self.commit);
        Ok(())
    }
}

/// The header of a body that was copied.
pub(super) fn header_of(body: &[u8]) -> Header {
    let word = |at: usize| {
        let bytes = body.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    Header { sequence: word(0), schema: word(8), timestamp: word(16) }
}
