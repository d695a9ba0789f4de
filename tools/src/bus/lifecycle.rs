//! Events about the domain itself, which have types that everybody knows.

use std::io::{self, Write};

use ephapse::Envelope;
use ephapse::event::lifecycle::{
    ArchivedHubDescription, HUB_JOINED, HUB_LEFT, HubJoined, HubLeft, LINK_CLOSED,
    LINK_ESTABLISHED, LinkClosed, LinkEstablished,
};
use serde::Serialize;

/// What such an event says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Lifecycle<'a> {
    /// A hub has joined or left.
    Hub { hub: Described<'a> },
    /// A link has been opened or closed.
    Link { link: u64, opener: Described<'a>, acceptor: Described<'a> },
}

/// A hub.
#[derive(Debug, Serialize)]
pub(super) struct Described<'a> {
    name: &'a str,
    id: u64,
    pid: u32,
    uid: u32,
}

impl<'a> Described<'a> {
    fn of(hub: &'a ArchivedHubDescription) -> Described<'a> {
        let (id, pid, uid) = (hub.id.to_native(), hub.pid.to_native(), hub.uid.to_native());
        Described { name: &hub.name, id, pid, uid }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{} (id {}, pid {}, uid {})", self.name, self.id, self.pid, self.uid)
    }
}

impl<'a> Lifecycle<'a> {
    /// What the event says, if it is one.
    pub(super) fn of(event: &'a Envelope<'_>) -> Option<Lifecycle<'a>> {
        // Most are not, and do not begin like one.
        if !event.subject().starts_with("ephapse.") {
            return None;
        }
        match event.subject() {
            HUB_JOINED => {
                let hub = Described::of(&event.get::<HubJoined>().ok()?.hub);
                Some(Lifecycle::Hub { hub })
            }
            HUB_LEFT => {
                let hub = Described::of(&event.get::<HubLeft>().ok()?.hub);
                Some(Lifecycle::Hub { hub })
            }
            LINK_ESTABLISHED => {
                let event = event.get::<LinkEstablished>().ok()?;
                let (opener, acceptor) = (&event.opener, &event.acceptor);
                Some(Lifecycle::link(event.link.to_native(), opener, acceptor))
            }
            LINK_CLOSED => {
                let event = event.get::<LinkClosed>().ok()?;
                let (opener, acceptor) = (&event.opener, &event.acceptor);
                Some(Lifecycle::link(event.link.to_native(), opener, acceptor))
            }
            _ => None,
        }
    }

    fn link(
        link: u64,
        opener: &'a ArchivedHubDescription,
        acceptor: &'a ArchivedHubDescription,
    ) -> Lifecycle<'a> {
        let (opener, acceptor) = (Described::of(opener), Described::of(acceptor));
        Lifecycle::Link { link, opener, acceptor }
    }

    /// For people.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Lifecycle::Hub { hub } => hub.write(out),
            Lifecycle::Link { link, opener, acceptor } => {
                write!(out, "link {link}: ")?;
                opener.write(out)?;
                out.write_all(b" to ")?;
                acceptor.write(out)
            }
        }
    }
}
