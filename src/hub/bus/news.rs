//! What the supervisor says of the domain, as events.

use crate::event::lifecycle::{
    HUB_JOINED, HUB_LEFT, HubDescription, HubJoined, HubLeft, LINK_CLOSED, LINK_ESTABLISHED,
    LinkClosed, LinkEstablished,
};
use crate::event::{COPY_START, Event, PAYLOAD_ALIGN, Timestamp};
use crate::protocol::{HubInfo, News};
use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;

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
