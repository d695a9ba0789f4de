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

/// An open link.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct LinkInfo {
    /// Its number, the same on both sides.
    pub id: u64,
    /// The name of the hub that opened it.
    pub opener: String,
    /// The name of the hub that accepted it.
    pub acceptor: String,
}

/// Why a request failed, for programs; the text beside it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[repr(u8)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The name is not one that a hub may have.
    InvalidName,
    /// The text is not a subject, or not a pattern.
    InvalidSubject,
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

/// One subscription that reads one hub's rings.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize,
)]
pub(crate) struct Edge {
    /// The hub that writes.
    pub source: u64,
    /// The hub that reads.
    pub reader: u64,
    /// Which of its subscriptions.
    pub subscription: u32,
}

/// A subject and the number that stands for it in commit words.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub id: u32,
    pub name: String,
}

/// A slot of the sender's cursors that belongs to one subscription of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub(crate) struct LaneSlot {
    pub subscription: u32,
    pub slot: u32,
}

/// What happened in the domain, for those who subscribe to it.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub(crate) enum News {
    Joined(HubInfo),
    Left(HubInfo),
    Linked { link: u64, opener: HubInfo, acceptor: HubInfo },
    Unlinked { link: u64, opener: HubInfo, acceptor: HubInfo },
}

/// From a hub to its supervisor.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum ToSupervisor {
    /// The first message of every connection. `resume` is the id that the hub was given by the
    /// supervisor that it has lost, 0 for a new hub.
    Hello { name: String, resume: u64 },
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
    /// A link that was there before a restart, with this hub; `opened` by who says so, or by the
    /// other. The supervisor knows it again when both have said so.
    Held { link: u64, peer: u64, opened: bool },
    /// The link is over for this side.
    Close { link: u64, reason: String },
    /// The hub goes; the supervisor forgets it and then hangs up.
    Leave,
    /// The hub will publish; with its broadcast ring, its cursors and its doorbell. Comes before
    /// `Declare`.
    Broadcast { capacity: u64 },
    /// The hub will publish on this subject. `known` is the number that the subject was given by
    /// a supervisor that has gone; 0 if it has none.
    Declare { request: u32, subject: String, known: u32 },
    /// A subscription; with cursors and doorbell. Again, with request 0, after a restart.
    Subscribe {
        request: u32,
        subscription: u32,
        patterns: Vec<String>,
        gating: bool,
        bell_slot: u32,
    },
    /// A subscription is over.
    Unsubscribe { subscription: u32 },
    /// The answer to `Follow`: the ring is mapped, and `position_slot` (0 for one that nobody
    /// waits for) is where the subscription says how far it has read.
    Following { edge: Edge, position_slot: u32 },
    /// The answer to `Listen`: from now on it is taken account of; `start_slot` of the source's
    /// cursors says where it begins to read, once that is settled (0: wherever it likes).
    Listening { edge: Edge, start_slot: u32 },
    /// The answer to `Follow` or `Listen`: it cannot be done.
    Unable { edge: Edge, reason: String },
    /// A second ring to the other side of a link, for what is published; with the ring.
    Lane { link: u64, capacity: u64 },
    /// Which subscriptions read the other side's lane, and where each says how far it has read.
    LaneReaders { link: u64, slots: Vec<LaneSlot> },
    /// Where it is said where each of these begins to read.
    LaneStarts { link: u64, slots: Vec<LaneSlot> },
    /// These subscriptions know where to look: the lane may be used.
    LaneReady { link: u64, slots: Vec<LaneSlot> },
    /// Tell this hub of what happens in the domain, or no longer.
    Attend { wanted: bool },
    /// A page of the list of subjects, those after this one.
    Subjects { request: u32, after: String },
    /// A page of the list of links, those with a number above `after`.
    Links { request: u32, after: u64 },
}

/// A subject, who may publish on it and who has subscribed to it.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SubjectInfo {
    /// Its name.
    pub subject: String,
    /// The number that stands for it on rings.
    pub id: u32,
    /// Hubs that have a publisher for it.
    pub publishers: u32,
    /// Subscriptions whose patterns match it.
    pub subscriptions: u32,
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
    /// The opener has attached; or, to both, a link of before a restart is known again.
    Opened { link: u64 },
    /// The other side closed the link, or is gone.
    Closed { link: u64, gone: bool, reason: String },
    /// The answer to `Declare`, when all who subscribe to the subject follow.
    Declared { request: u32, id: u32 },
    /// The answer to `Subscribe`, when all who publish know of it.
    Subscribed { request: u32 },
    /// Read this hub's broadcasts; with its ring, cursors and doorbell, and its process if known.
    /// Comes again with more subjects; to do what has been done already changes nothing.
    Follow { edge: Edge, source: HubInfo, capacity: u64, subjects: Vec<Subject> },
    /// Take account of this subscription; with its hub's cursors and its doorbell, and its process
    /// if known. Comes again with more subjects.
    Listen {
        edge: Edge,
        reader: HubInfo,
        gating: bool,
        position_slot: u32,
        bell_slot: u32,
        subjects: Vec<u32>,
    },
    /// The source takes account of the subscription.
    Begin { edge: Edge, start_slot: u32 },
    /// The subscription is over, or (`gone`) the source or the reader has left.
    EdgeOver { edge: Edge, gone: bool },
    /// See `ToSupervisor::Lane`; with the ring.
    Lane { link: u64, capacity: u64 },
    /// See `ToSupervisor::LaneReaders`.
    LaneReaders { link: u64, slots: Vec<LaneSlot> },
    /// See `ToSupervisor::LaneStarts`.
    LaneStarts { link: u64, slots: Vec<LaneSlot> },
    /// See `ToSupervisor::LaneReady`.
    LaneReady { link: u64, slots: Vec<LaneSlot> },
    /// Something happened in the domain.
    News(News),
    /// The answer to `Subjects`; more pages follow the last one if `more`.
    SubjectList { request: u32, subjects: Vec<SubjectInfo>, more: bool },
    /// The answer to `Links`; more pages follow the last one if `more`.
    LinkList { request: u32, links: Vec<LinkInfo>, more: bool },
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
