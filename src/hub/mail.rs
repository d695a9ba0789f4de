//! What the control thread leaves for a hub's own thread.
//!
//! Whoever looks finds out with one load that there is nothing; only who has mail takes the lock.
//! A hub that uses the bus alone never looks; when much has gathered, links that have come and gone
//! unseen take their mail with them.

use super::link::Link;
use super::receive::Inlet;
use super::state::LinkId;
use crate::limits::LINKS_PER_HUB_MAX;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Why a link's ring is no longer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    PeerGone,
    Closed,
}

/// One piece.
#[derive(Debug)]
pub(super) enum Mail {
    /// A ring to read.
    Inlet(Box<Inlet>),
    /// A link that another hub opened; its inlet came before.
    Accepted(Box<Link>),
    /// A ring that will not be written again.
    Leaving(LinkId, Leaving),
}

/// Pieces of mail that one link can cause.
const PER_LINK: usize = 3;

/// Pieces of mail of a hub that looks at its mail.
pub(super) const MUCH: usize = 128;

/// The mail of one hub.
#[derive(Debug, Default)]
pub(super) struct Mailbox(Mutex<VecDeque<Mail>>);

impl Mailbox {
    pub(super) fn put(&self, mail: Mail) {
        self.0.lock().push_back(mail);
    }

    pub(super) fn take(&self) -> VecDeque<Mail> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Whether there is room for the mail of one more link beside so many.
    pub(super) fn has_room(&self, links: usize) -> bool {
        let expected = self.0.lock().len() + PER_LINK * (links + 1);
        expected <= 2 * PER_LINK * LINKS_PER_HUB_MAX
    }

    /// A link is over. If the hub has much mail that it has not looked at, has not seen the link's
    /// beginning, and nothing came over it, then there is nothing to tell: gives the mail back that
    /// is to be thrown away.
    pub(super) fn forget(&self, link: LinkId) -> Option<VecDeque<Mail>> {
        let mut mail = self.0.lock();
        if mail.len() < MUCH {
            return None;
        }
        let unseen = mail.iter().any(|mail| {
            matches!(mail, Mail::Inlet(inlet)
                if inlet.shared.id == link && !matches!(inlet.reader.peek(), Ok(Some(_))))
        });
        unseen.then(|| {
            let (of_link, others) =
                std::mem::take(&mut *mail).into_iter().partition(|mail| match mail {
                    Mail::Inlet(inlet) => inlet.shared.id == link,
                    Mail::Accepted(accepted) => accepted.id() == link,
                    Mail::Leaving(leaving, _) => *leaving == link,
                });
            *mail = others;
            of_link
        })
    }
}
