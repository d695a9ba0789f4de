//! The messages, and the checks on what they hold.

use crate::limits::{NAME_MAX, REASON_MAX};
use rkyv::{Archive, Deserialize, Serialize};

/// What a hub offers for one direction of a link, beside its descriptors (ring, cursors,
/// doorbell, in this order).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// Bytes of the ring that this hub writes.
    pub capacity: u64,
    /// The slot of its cursors where it publishes how far it has read the other's ring.
    pub position_slot: u32,
    /// The slot of its cursors with its doorbell's state.
    pub bell_slot: u32,
}

/// Who a hub is, as the supervisor knows it from the kernel and from the hub itself.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct HubInfo {
    /// Its name, which no other hub of the domain has.
    pub name: String,
    /// The domain's number for it; never given to another.
    pub id: u64,
    /// The process, as the kernel told the supervisor; 0 from another pid namespace.
    pub pid: u32,
    /// The user, as the kernel told the supervisor.
    pub uid: u32,
    /// Its open links.
    pub links: u32,
}

/// Why a request failed, for programs; the text beside it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[repr(u8)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The name is not one that a hub may have.
    InvalidName,
    /// Another hub has the name.
    NameTaken,
    /// No hub has the name.
    UnknownHub,
    /// A hub cannot have a link with itself.
    SameHub,
    /// The two hubs have a link already.
    AlreadyLinked,
    /// The other hub did not want it.
    Declined,
    /// The other hub went away in between.
    HubGone,
    /// A bound was reached.
    LimitReached,
    /// The other side could not do its part (memory, descriptors).
    Failed,
}

/// From a hub to its supervisor.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum ToSupervisor {
    /// The first message of every connection.
    Hello { name: String },
    /// A page of the list of hubs, those with an id above `after`.
    List { request: u32, after: u64 },
    /// To be told when a hub of this name is there.
    WaitFor { request: u32, name: String },
    /// The answer is no longer wanted.
    Cancel { request: u32 },
    /// Open a link; with ring, cursors and doorbell. `wanted` is the capacity asked of the other.
    Link { request: u32, to: String, terms: Terms, wanted: u64 },
    /// Yes to an offer; with ring, cursors and doorbell.
    Accept { link: u64, terms: Terms },
    /// No to an offer.
    Decline { link: u64, code: RefusalCode, reason: String },
    /// The opener has mapped what the acceptor sent: both may send.
    Attached { link: u64 },
    /// The link is over for this side.
    Close { link: u64, reason: String },
    /// The hub goes; the supervisor forgets it and then hangs up.
    Leave,
}

/// From the supervisor to a hub.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum ToHub {
    /// The answer to `Hello`.
    Welcome { id: u64 },
    /// The request (0: the connection itself) failed.
    Refused { request: u32, code: RefusalCode, reason: String },
    /// The answer to `List`; more pages follow the last id if `more`.
    Hubs { request: u32, hubs: Vec<HubInfo>, more: bool },
    /// The answer to `WaitFor`.
    Present { request: u32, hub: HubInfo },
    /// Another hub wants a link; with its ring, cursors and doorbell, and its process if known.
    Offer { link: u64, from: HubInfo, terms: Terms, wanted: u64 },
    /// The other hub accepted; with its ring, cursors and doorbell, and its process if known.
    Established { request: u32, link: u64, with: HubInfo, terms: Terms },
    /// The opener has attached.
    Opened { link: u64 },
    /// The other side closed the link, or is gone.
    Closed { link: u64, gone: bool, reason: String },
}

/// Whether a hub may be called so: 1 to 64 of the characters `A–Z a–z 0–9 . _ -`.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(format!("a hub's name has 1 to {NAME_MAX} bytes, this one has {}", name.len()));
    }
    match name.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(c) => Err(format!(
            "{c:?} cannot be in a hub's name, which is made of letters, digits, '.', '_' and '-'"
        )),
    }
}

/// A text of another process, cut to what messages may carry, without control characters.
pub(crate) fn clean_reason(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if clean.len() + c.len_utf8() > REASON_MAX {
            break;
        }
        clean.push(c);
    }
    clean
}
