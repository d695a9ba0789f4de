//! The ends of others: of hubs, of subscriptions, of whole processes.
//!
//! A hub sees them by itself, whether there is a supervisor or not: a doorbell that nobody hears
//! any more belongs to a hub or a subscription that is over, also if its process goes on; and a
//! process that has ended takes all its hubs along, also if a forked child of it holds their
//! doorbells. One that is only stopped is neither, so nothing that it reads or writes is given up.

use super::bus::Done;
use super::session::Session;
use super::watch::{Subject, Watching};
use crate::error::Error;
use crate::hub::state::LinkId;
use crate::protocol::{Edge, ProtocolError};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A process of others, if the supervisor could tell which it is.
pub(super) type PeerProcess = Option<Arc<Watching>>;

impl Session {
    /// What came with a message: so many descriptors, and perhaps one of the peer's process.
    pub(super) fn unpack<const N: usize>(
        &self,
        mut descriptors: Vec<OwnedFd>,
    ) -> Done<([OwnedFd; N], PeerProcess)> {
        let process = if descriptors.len() > N { descriptors.pop() } else { None };
        let missing = |_| Error::Protocol(ProtocolError::Invalid { kind: 0, len: 0 });
        let descriptors = <[OwnedFd; N]>::try_from(descriptors).map_err(missing)?;
        let watch = |process| self.control.watch().process(process);
        let process = process.map(watch).transpose().map_err(Error::kernel("epoll_ctl"))?;
        Ok((descriptors, process))
    }

    /// Hears of it when nobody hears the doorbell any more.
    pub(super) fn watch_bell(&self, pipe: &Arc<OwnedFd>, subject: Subject) -> Done<Watching> {
        let watching = self.control.watch().doorbell(Arc::clone(pipe), subject);
        watching.map_err(Error::kernel("epoll_ctl"))
    }

    /// A process has ended: its links, what we read of it and what it reads of us are over.
    pub(super) fn process_gone(&mut self, number: u64) {
        let is_of = |process: &PeerProcess| process.as_ref().is_some_and(|p| p.number() == number);
        let links = self.links.iter().filter(|(_, link)| is_of(&link.process));
        let links: Vec<LinkId> = links.map(|(id, _)| *id).collect();
        let sources = self.bus.sources.iter().filter(|(_, known)| is_of(&known.process));
        let sources: Vec<u64> = sources.map(|(id, _)| *id).collect();
        let hearers = self.bus.hearers.iter().filter(|(_, hearer)| is_of(&hearer.process));
        let hearers: Vec<u64> = hearers.map(|(id, _)| *id).collect();
        self.bus.lingering.retain(|late| !is_of(&late.process));
        links.into_iter().for_each(|link| self.peer_gone(link));
        sources.into_iter().for_each(|source| self.source_gone(source));
        hearers.into_iter().for_each(|reader| self.reader_gone(reader));
    }

    /// A hub that publishes is gone: what it has written is read, and then it is over.
    pub(super) fn source_gone(&mut self, source: u64) {
        let Some(known) = self.bus.sources.get(&source) else { return };
        let reader = self.hub.id;
        for subscription in known.followers.keys().copied().collect::<Vec<u32>>() {
            self.edge_over(Edge { source, reader, subscription }, true);
        }
        self.bus.sources.remove(&source);
    }

    /// A hub that subscribed is gone.
    fn reader_gone(&mut self, reader: u64) {
        let Some(hearer) = self.bus.hearers.get(&reader) else { return };
        let source = self.hub.id;
        for subscription in hearer.bells.keys().copied().collect::<Vec<u32>>() {
            self.edge_over(Edge { source, reader, subscription }, true);
        }
    }
}
