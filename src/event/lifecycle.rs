//! Events about the domain itself: hubs that come and go, links that are opened and closed.
//!
//! Their source is the supervisor: each hub that subscribes to one of these subjects is told by it
//! and passes it on to its subscriptions.

use ephapse_derive::{Event, Schema};
use rkyv::{Archive, Serialize};

/// The subject of [`HubJoined`].
pub const HUB_JOINED: &str = "ephapse.hub.joined";
/// The subject of [`HubLeft`].
pub const HUB_LEFT: &str = "ephapse.hub.left";
/// The subject of [`LinkEstablished`].
pub const LINK_ESTABLISHED: &str = "ephapse.link.established";
/// The subject of [`LinkClosed`].
pub const LINK_CLOSED: &str = "ephapse.link.closed";

/// How patterns begin that match them.
pub(crate) const PREFIX: &str = "ephapse.";

/// All subjects of this kind.
pub(crate) const SUBJECTS: [&str; 4] = [HUB_JOINED, HUB_LEFT, LINK_ESTABLISHED, LINK_CLOSED];

/// A hub.
#[derive(Schema, Archive, Serialize, Debug, Clone, PartialEq, Eq)]
pub struct HubDescription {
    /// Its name.
    pub name: String,
    /// Its id, which no other hub of the domain ever has.
    pub id: u64,
    /// Its process; 0 if that is in another pid namespace.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
}

/// A hub has joined.
#[derive(Event, Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "ephapse.HubJoined")]
pub struct HubJoined {
    /// Which.
    pub hub: HubDescription,
}

/// A hub has left, or its process is gone.
#[derive(Event, Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "ephapse.HubLeft")]
pub struct HubLeft {
    /// Which.
    pub hub: HubDescription,
}

/// Two hubs have a link.
#[derive(Event, Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "ephapse.LinkEstablished")]
pub struct LinkEstablished {
    /// Its number.
    pub link: u64,
    /// Who opened it.
    pub opener: HubDescription,
    /// Who accepted it.
    pub acceptor: HubDescription,
}

/// Two hubs no longer have a link.
#[derive(Event, Archive, Serialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "ephapse.LinkClosed")]
pub struct LinkClosed {
    /// Its number.
    pub link: u64,
    /// Who opened it.
    pub opener: HubDescription,
    /// Who accepted it.
    pub acceptor: HubDescription,
}
