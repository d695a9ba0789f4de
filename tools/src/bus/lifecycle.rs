//! Events about the domain itself, which have types that everybody knows.

use std::io::{self, Write};

use ephapse::event::check;
use ephapse::event::lifecycle::{
    ArchivedHubDescription, HubJoined, HubLeft, LinkClosed, LinkEstablished,
};
use ephapse::{Envelope, Event};
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
        Lifecycle::of_schema(event.schema(), event.bytes())
    }

    fn link(
        link: u64,
        opener: &'a ArchivedHubDescription,
        acceptor: &'a ArchivedHubDescription,
    ) -> Lifecycle<'a> {
        let (opener, acceptor) = (Described::of(opener), Described::of(acceptor));
        Lifecycle::Link { link, opener, acceptor }
    }

    /// What the payload says, if its schema is that of such an event.
    pub(super) fn of_schema(schema: u64, bytes: &'a [u8]) -> Option<Lifecycle<'a>> {
        match schema {
            HubJoined::SCHEMA => {
                let event = check::<HubJoined>(schema, bytes).ok()?;
                Some(Lifecycle::Hub { hub: Described::of(&event.hub) })
            }
            HubLeft::SCHEMA => {
                let event = check::<HubLeft>(schema, bytes).ok()?;
                Some(Lifecycle::Hub { hub: Described::of(&event.hub) })
            }
            LinkEstablished::SCHEMA => {
                let event = check::<LinkEstablished>(schema, bytes).ok()?;
                Some(Lifecycle::link(event.link.to_native(), &event.opener, &event.acceptor))
            }
            LinkClosed::SCHEMA => {
                let event = check::<LinkClosed>(schema, bytes).ok()?;
                Some(Lifecycle::link(event.link.to_native(), &event.opener, &event.acceptor))
            }
            _ => None,
        }
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
