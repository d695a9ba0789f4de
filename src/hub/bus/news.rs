//! What the supervisor says of the domain, as events.

use crate::event::lifecycle::{
    HUB_JOINED, HUB_LEFT, HubDescription, HubJoined, HubLeft, LINK_CLOSED, LINK_ESTABLISHED,
    LinkClosed, LinkEstablished,
};
use crate::event::{COPY_START, Event, PAYLOAD_ALIGN, Timestamp};
use crate::limits::DOMAIN_EVENTS_MAX;
use crate::protocol::{HubInfo, News};
use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// An event that came by way of the supervisor.
#[derive(Debug, Clone)]
pub(crate) struct DomainEvent {
    pub subject: &'static str,
    schema: u64,
    timestamp: u64,
    payload: AlignedVec<PAYLOAD_ALIGN>,
}

fn description(hub: HubInfo) -> HubDescription {
    let HubInfo { name, id, pid, uid, .. } = hub;
    HubDescription { name, id, pid, uid }
}

impl DomainEvent {
    /// What happened, as an event; `None` only without memory for it.
    pub(crate) fn of(news: News) -> Option<Self> {
        let payload = AlignedVec::new();
        let (subject, schema, payload) = match news {
            News::Joined(hub) => {
                let event = HubJoined { hub: description(hub) };
                let payload = rkyv::api::high::to_bytes_in::<_, Failure>(&event, payload);
                (HUB_JOINED, HubJoined::SCHEMA, payload)
            }
            News::Left(hub) => {
                let event = HubLeft { hub: description(hub) };
                let payload = rkyv::api::high::to_bytes_in::<_, Failure>(&event, payload);
                (HUB_LEFT, HubLeft::SCHEMA, payload)
            }
            News::Linked { link, opener, acceptor } => {
                let (opener, acceptor) = (description(opener), description(acceptor));
                let event = LinkEstablished { link, opener, acceptor };
                let payload = rkyv::api::high::to_bytes_in::<_, Failure>(&event, payload);
                (LINK_ESTABLISHED, LinkEstablished::SCHEMA, payload)
            }
            News::Unlinked { link, opener, acceptor } => {
                let (opener, acceptor) = (description(opener), description(acceptor));
                let event = LinkClosed { link, opener, acceptor };
                let payload = rkyv::api::high::to_bytes_in::<_, Failure>(&event, payload);
                (LINK_CLOSED, LinkClosed::SCHEMA, payload)
            }
        };
        let timestamp = Timestamp::now().ticks();
        Some(Self { subject, schema, timestamp, payload: payload.ok()? })
    }

    /// The event's body as in a ring, with this sequence number.
    pub(super) fn write(&self, sequence: u64, body: &mut AlignedVec<PAYLOAD_ALIGN>) {
        body.clear();
        body.resize(COPY_START, 0);
        for word in [sequence, self.schema, self.timestamp] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.extend_from_slice(&self.payload);
    }
}

/// Those that a subscription has not taken yet, oldest first: the newest [`DOMAIN_EVENTS_MAX`].
#[derive(Debug, Default)]
pub(super) struct DomainEvents {
    events: VecDeque<Arc<DomainEvent>>,
    /// Older ones that nobody has taken.
    missed: u64,
}

impl DomainEvents {
    pub(super) fn push(&mut self, event: Arc<DomainEvent>) {
        if self.events.len() >= DOMAIN_EVENTS_MAX {
            self.events.pop_front();
            self.missed += 1;
        }
        self.events.push_back(event);
    }

    /// Puts newer ones behind these.
    pub(super) fn append(&mut self, newer: Self) {
        if newer.missed > 0 {
            // These are older still.
            self.missed += newer.missed + self.events.len() as u64;
            self.events.clear();
        }
        newer.events.into_iter().for_each(|event| self.push(event));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many have been missed since this was asked last.
    pub(super) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    pub(super) fn first(&self) -> Option<&DomainEvent> {
        self.events.front().map(|event| &**event)
    }

    pub(super) fn take_first(&mut self) -> Option<Arc<DomainEvent>> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(link: u64) -> Arc<DomainEvent> {
        let hub = || HubInfo { name: String::new(), id: 1, pid: 1, uid: 1, links: 0 };
        let news = News::Linked { link, opener: hub(), acceptor: hub() };
        Arc::new(DomainEvent::of(news).unwrap())
    }

    fn link(events: &mut DomainEvents) -> u64 {
        let event = events.take_first().unwrap();
        let mut bytes = AlignedVec::<32>::new();
        bytes.extend_from_slice(&event.payload);
        crate::event::check::<LinkEstablished>(event.schema, &bytes).unwrap().link.to_native()
    }

    #[test]
    fn the_newest_stay_and_the_others_are_counted() {
        const MAX: u64 = DOMAIN_EVENTS_MAX as u64;
        let (mut own, mut newer) = (DomainEvents::default(), DomainEvents::default());
        (0..10).for_each(|number| own.push(event(number)));
        (10..MAX).for_each(|number| newer.push(event(number)));
        own.append(std::mem::take(&mut newer));
        assert_eq!((own.take_missed(), link(&mut own)), (0, 0));
        (MAX..MAX + 5).for_each(|number| newer.push(event(number)));
        own.append(std::mem::take(&mut newer));
        assert_eq!((own.take_missed(), link(&mut own)), (4, 5));
        // All that is here is older than what has been missed there.
        (MAX + 5..3 * MAX).for_each(|number| newer.push(event(number)));
        own.append(newer);
        assert_eq!((own.take_missed(), own.take_missed()), (2 * MAX - 6, 0));
        for number in 2 * MAX..3 * MAX {
            assert_eq!(link(&mut own), number);
        }
        assert!(own.is_empty());
    }
}
