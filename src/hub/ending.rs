//! When there is no event: news from the control thread, and rings that have come to their end.

use super::Hub;
use super::mail::{Leaving, Mail};
use super::receive::{Found, Payloads, RecvError};
use super::state::LinkState;
use crate::limits::LINKS_PER_HUB_MAX;
use crate::ring::{Memory, RecordError};
use std::sync::Arc;

/// Why a ring is no longer read.
pub(super) enum End {
    Closed,
    PeerGone,
    Corrupt(String),
}

impl Hub {
    /// A busy link has had its turn: news must not wait for it to fall silent.
    #[cold]
    pub(super) fn between_turns(&mut self) -> Result<(), RecvError> {
        if self.shared.has_mail() {
            self.take_mail();
        }
        if self.leaving == 0 {
            return Ok(());
        }
        match self.inlets.finished() {
            Some((index, leaving)) => Err(self.part_with(index, leaving)),
            None => Ok(()),
        }
    }

    /// Nothing to read: the moment to tell the writers how far we are, and to look for mail.
    #[inline]
    pub(super) fn nothing(&mut self) -> Result<Option<Found>, RecvError> {
        self.inlets.publish();
        let news = self.shared.has_mail();
        if news {
            self.take_mail();
        }
        // A new link's ring may hold events already.
        if news || self.leaving > 0 { self.part() } else { Ok(None) }
    }

    /// Reads to their end the rings of those who are gone, then says that they are.
    #[cold]
    fn part(&mut self) -> Result<Option<Found>, RecvError> {
        if let Some((index, leaving)) = self.inlets.finished() {
            return Err(self.part_with(index, leaving));
        }
        match self.inlets.find() {
            Ok(found) => Ok(found),
            Err((index, error)) => Err(self.ended(index, error)),
        }
    }

    fn part_with(&mut self, index: usize, leaving: Leaving) -> RecvError {
        let end = if leaving == Leaving::PeerGone { End::PeerGone } else { End::Closed };
        self.remove(index, end)
    }

    /// A ring has come to its end.
    #[cold]
    pub(super) fn ended(&mut self, index: usize, error: RecordError) -> RecvError {
        match error {
            RecordError::Closed => self.remove(index, End::Closed),
            RecordError::Corrupt { .. } => self.remove(index, End::Corrupt(error.to_string())),
        }
    }

    /// Stops reading a ring.
    #[cold]
    pub(super) fn remove(&mut self, index: usize, end: End) -> RecvError {
        let inlet = self.inlets.remove(index);
        self.leaving -= usize::from(inlet.leaving.is_some());
        let (link, peer) = (inlet.shared.id, Arc::clone(&inlet.shared.peer));
        // A link that nobody has accepted would stay half open for ever.
        self.accepted.retain(|accepted| accepted.id() != link);
        match end {
            End::Closed => {
                self.control.stop_reading(self.shared.key, link);
                RecvError::LinkClosed { link, peer }
            }
            End::PeerGone => {
                self.control.stop_reading(self.shared.key, link);
                RecvError::PeerGone { link, peer }
            }
            End::Corrupt(why) => {
                inlet.shared.end(LinkState::Closed);
                self.control.close_link(self.shared.key, link, &why);
                RecvError::Corrupt { link, peer, why }
            }
        }
    }

    /// A hub that accepts links and never receives must not collect those that have ended. When it
    /// has not been told of as many as it can have, those with nothing to read end untold.
    pub(super) fn forget_ended(&mut self) {
        while self.leaving > LINKS_PER_HUB_MAX
            && let Some(index) = self.inlets.ended()
        {
            self.remove(index, End::Closed);
        }
    }

    /// Takes what the control thread has left.
    #[cold]
    pub(super) fn take_mail(&mut self) {
        if !self.shared.take_mail() {
            return;
        }
        for mail in self.shared.mail.take() {
            match mail {
                Mail::Inlet(mut inlet) => {
                    let trusted = inlet.shared.same_user;
                    inlet.in_place = trusted && self.payloads == Payloads::ByTrust;
                    self.inlets.add(*inlet);
                }
                Mail::Accepted(link) => self.accepted.push_back(*link),
                Mail::Leaving(link, why) => {
                    if let Some(inlet) = self.inlets.by_link(link)
                        && inlet.leaving.is_none()
                    {
                        inlet.leaving = Some(why);
                        // A ring that was made to repeat itself would never end.
                        let capacity = inlet.reader.memory().capacity() as u64;
                        inlet.last = inlet.reader.position() + capacity;
                        self.leaving += 1;
                    }
                }
            }
        }
    }
}
