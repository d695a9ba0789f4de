//! What the control thread has left for a subscription: sources, rings, the domain's own events.

use super::{DOMAIN, Subscription};
use crate::event::{COPY_START, HEADER_BYTES};
use crate::hub::bus::envelope::{Body, Envelope};
use crate::hub::bus::inbox::News;
use crate::hub::bus::source::{Found, Source, header_of};
use crate::hub::receive::RecvError;
use std::sync::Arc;

impl Subscription {
    /// Takes what the control thread has left.
    #[cold]
    pub(super) fn take_news(&mut self) {
        let (news, events) = self.inbox.take();
        self.domain_events.append(events);
        for news in news {
            match news {
                News::Source(mut source) => {
                    self.sources.retain(|known| known.peer.id != source.peer.id);
                    source.tally = Some(self.tally.source(&source.peer.name));
                    self.sources.push(*source);
                    self.sources_ever += 1;
                }
                News::Subjects(id, subjects) => {
                    self.source(id, |source| source.filter.add(subjects));
                }
                News::Begin(id, word) => self.source(id, |source| source.begins(word)),
                News::Lane(id, port) => self.source(id, |source| source.add_lane(*port)),
                News::LaneBegin(id, word) => self.source(id, |source| source.lane_begins(word)),
                News::Over(id) => self.source(id, |source| source.over = true),
            }
        }
    }

    fn source(&mut self, id: u64, change: impl FnOnce(&mut Source)) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.peer.id == id) {
            change(source);
        }
    }

    /// The oldest of the domain's events: it is taken when it is found, as broadcasts are.
    #[cold]
    pub(super) fn next_domain_event(&mut self) -> Result<(usize, Found), RecvError> {
        let missed = self.domain_events.take_missed();
        if missed > 0 {
            self.last_domain_event += missed;
            return Err(self.tally.lagged(Arc::clone(&self.supervisor.name), missed));
        }
        self.last_domain_event += 1;
        if let Some(event) = self.domain_events.first() {
            event.write(self.last_domain_event, &mut self.copy);
        }
        Ok((DOMAIN, Found::in_copy(self.last_domain_event)))
    }

    #[cold]
    pub(super) fn take_domain_event(&mut self) -> Envelope<'_> {
        let subject = self.domain_events.take_first().map_or("", |event| event.subject);
        let body = &self.copy[COPY_START..];
        self.tally.event(body.len() - HEADER_BYTES, false);
        let (header, peer) = (header_of(body), &self.supervisor);
        Envelope { peer, subject, header, body: Body::Copy(body), extension: 0 }
    }
}
