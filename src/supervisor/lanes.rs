//! Lanes: what the two sides of a link have to say to each other about the second ring between
//! them. The supervisor passes it on and keeps nothing.

use super::registry::{Registry, Stage};
use crate::protocol::ToHub;
use std::os::fd::OwnedFd;

/// Messages that may wait for a hub that does not read, before one more about a lane ends the
/// link: nobody may have another hub's connection given up by sending it what it does not read.
const WAITING_MAX: usize = 256;

impl Registry {
    /// Passes a message on to the other side of a link. What comes too late is dropped.
    pub(super) fn pass_on(
        &mut self,
        from: u64,
        link: u64,
        message: &ToHub,
        descriptors: Vec<OwnedFd>,
    ) {
        let Some(known) = self.links.get(&link).filter(|_| self.is_party(from, link)) else {
            return;
        };
        if known.stage == Stage::Offered {
            return;
        }
        let other = known.other(from);
        let waiting = self.connections.get(&other).map_or(0, |c| c.channel.queued());
        if waiting < WAITING_MAX {
            return self.tell(other, message, descriptors);
        }
        let reason = format!("the other hub has {waiting} messages to read; is it stopped?");
        self.end_link(link, from, false, &reason);
        self.tell(from, &ToHub::Closed { link, gone: false, reason }, Vec::new());
    }
}
