//! One hub's side of its conversation with the supervisor.

use super::bus::Bus;
use super::half::{Outgoing, OwnHalf};
use super::peers::PeerProcess;
use super::resume::Resume;
use super::watch::{Subject, Watching};
use super::{Answer, Control};
use crate::error::Error;
use crate::hub::builder::{AcceptIf, Habits};
use crate::hub::link::Link;
use crate::hub::mail::{Leaving, Mail};
use crate::hub::receive::Inlet;
use crate::hub::state::{HubShared, LinkId, LinkShared, LinkState};
use crate::protocol::{Channel, HubInfo, LinkInfo, SubjectInfo, ToHub, ToSupervisor};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A link that another hub wants to open with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkOffer {
    /// Who asks, as the supervisor knows it.
    pub from: HubInfo,
    /// Bytes of the ring that the other hub writes.
    pub receive_capacity: u64,
    /// Bytes of the ring that this hub is asked to make.
    pub send_capacity: u64,
}

/// A request that has no answer yet.
pub(super) enum Pending {
    List(Answer<(Vec<HubInfo>, bool)>),
    WaitFor(Answer<HubInfo>),
    /// With the capacity that the other side was asked for.
    Link(Answer<Link>, OwnHalf, u64),
    /// With the subject.
    Declare(Answer<u32>, String),
    Subscribe(Answer<()>),
    Subjects(Answer<(Vec<SubjectInfo>, bool)>),
    Links(Answer<(Vec<LinkInfo>, bool)>),
}

impl Pending {
    fn fail(self, error: Error) {
        // Who asked may have given up; then nobody listens.
        match self {
            Self::List(answer) => drop(answer.send(Err(error))),
            Self::WaitFor(answer) => drop(answer.send(Err(error))),
            Self::Link(answer, ..) => drop(answer.send(Err(error))),
            Self::Declare(answer, _) => drop(answer.send(Err(error))),
            Self::Subscribe(answer) => drop(answer.send(Err(error))),
            Self::Subjects(answer) => drop(answer.send(Err(error))),
            Self::Links(answer) => drop(answer.send(Err(error))),
        }
    }
}

/// One link, as the control thread sees it.
pub(super) struct Watched {
    pub shared: Arc<LinkShared>,
    /// The peer's id.
    pub peer: u64,
    /// Whether we opened it.
    pub opened: bool,
    /// Whether the supervisor of now knows it, and so passes on what is said of its lanes.
    pub known: bool,
    /// The peer's doorbell, and its process.
    pub _bell: Watching,
    pub process: PeerProcess,
    /// Our sending half has ended.
    pub stream_ended: bool,
    /// Our receiving half has ended.
    pub reading_ended: bool,
}

/// All that belongs to one hub.
pub(super) struct Session {
    pub hub: Arc<HubShared>,
    /// `None` when the supervisor is gone.
    pub channel: Option<Channel>,
    /// The loop looks at it.
    pub watched: Option<Watching>,
    pub(super) accept_if: AcceptIf,
    pub(super) timestamps: bool,
    /// Bytes of the largest ring that others may make us make or map.
    pub(super) largest_ring: u64,
    pub(super) control: Control,
    pub(super) bus: Bus,
    pub(super) resume: Resume,
    pub pending: HashMap<u32, Pending>,
    pub links: HashMap<LinkId, Watched>,
    /// Links that we accepted, until the opener has attached.
    pub(super) opening: HashMap<LinkId, (Box<Inlet>, Box<Link>)>,
    /// Whether the loop waits for room to send.
    pub watched_for_room: bool,
    /// The hub has been dropped.
    pub leaving: bool,
    /// Who waits for the supervisor to have forgotten us.
    left: Option<Answer<()>>,
}

impl Session {
    pub(super) fn new(
        hub: Arc<HubShared>,
        channel: Channel,
        habits: Habits,
        control: Control,
        bus: Bus,
        resume: Resume,
    ) -> Self {
        let Habits { accept_if, timestamps, largest_ring, .. } = habits;
        Self {
            hub,
            channel: Some(channel),
            watched: None,
            accept_if,
            timestamps,
            largest_ring: largest_ring as u64,
            control,
            bus,
            resume,
            pending: HashMap::new(),
            links: HashMap::new(),
            opening: HashMap::new(),
            watched_for_room: false,
            leaving: false,
            left: None,
        }
    }

    /// Says something to the supervisor; if that is not possible, the connection is lost.
    pub(super) fn say(&mut self, message: &ToSupervisor, descriptors: Vec<OwnedFd>) {
        let Some(channel) = self.channel.as_mut() else { return };
        if let Err(error) = channel.send(message, descriptors) {
            self.disconnected(&error.to_string());
        }
    }

    /// Has the loop look at the connection.
    pub(super) fn watch_channel(&mut self) {
        let Some(channel) = &self.channel else { return };
        let subject = Subject::Socket(self.hub.key);
        match self.control.watch().input(channel.socket(), subject) {
            Ok(watching) => self.watched = Some(watching),
            Err(errno) => self.disconnected(errno.desc()),
        }
    }

    /// The hub goes: its links end, and the supervisor is asked to forget it and hang up.
    pub(super) fn leave(&mut self, answer: Answer<()>) {
        for link in self.links.values() {
            link.shared.end(LinkState::HubClosed);
        }
        self.bus.close();
        self.hub.leave();
        self.leaving = true;
        self.left = Some(answer);
        self.say(&ToSupervisor::Leave, Vec::new());
    }

    /// The supervisor is gone. Links go on; what was asked fails.
    pub(super) fn disconnected(&mut self, why: &str) {
        if self.channel.take().is_none() {
            return;
        }
        self.watched = None;
        // One hub says it for all of its process.
        if !self.leaving && self.control.loses(&self.resume.domain) {
            tracing::warn!(hub = %self.hub.name, why, "the supervisor is gone");
        } else {
            tracing::debug!(hub = %self.hub.name, why, "the connection is lost");
        }
        self.resume.begin();
        self.doubt_lanes();
        let requests: Vec<u32> = self.pending.keys().copied().collect();
        for request in requests {
            self.fail(request, Error::Disconnected { why: why.to_owned() });
        }
        // Whether their openers have attached can no longer be known. If not, their readers have
        // left, and these links will say so.
        for link in self.opening.keys().copied().collect::<Vec<_>>() {
            self.opened(link);
        }
    }

    /// Whether nothing more is to be done for a hub that has been dropped. Says so to who waits.
    pub(super) fn is_over(&mut self) -> bool {
        let over = self.leaving && self.channel.is_none();
        if over && let Some(left) = self.left.take() {
            // Links in mail that nobody has looked at would hold the hub, and the hub them.
            self.hub.mail.take();
            let _ = left.send(Ok(()));
        }
        over
    }

    /// Asks something; the answer fails at once without a supervisor.
    pub(super) fn ask(
        &mut self,
        request: u32,
        message: &ToSupervisor,
        descriptors: Vec<OwnedFd>,
        pending: Pending,
    ) {
        self.pending.insert(request, pending);
        if self.channel.is_none() {
            let why = "it has been lost before".to_owned();
            return self.fail(request, Error::Disconnected { why });
        }
        self.say(message, descriptors);
    }

    pub(super) fn fail(&mut self, request: u32, error: Error) {
        if let Some(pending) = self.pending.remove(&request) {
            pending.fail(error);
        }
    }

    /// Asks for a link.
    pub(super) fn open(&mut self, request: u32, outgoing: Outgoing) {
        let Outgoing { to, mut half, wanted, answer } = outgoing;
        let descriptors = std::mem::take(&mut half.descriptors);
        let message = ToSupervisor::Link { request, to, terms: half.terms, wanted };
        self.ask(request, &message, descriptors, Pending::Link(answer, half, wanted));
    }

    /// Takes in what the supervisor says.
    pub(super) fn hear(&mut self, message: ToHub, descriptors: Vec<OwnedFd>) {
        match message {
            ToHub::Welcome { id } => self.welcome(id),
            ToHub::Refused { request: 0, reason, .. } => self.disconnected(&reason),
            ToHub::Refused { request, code, reason } => {
                self.fail(request, Error::Refused { code, reason });
            }
            ToHub::Hubs { request, hubs, more } => {
                if let Some(Pending::List(answer)) = self.pending.remove(&request) {
                    let _ = answer.send(Ok((hubs, more)));
                }
            }
            ToHub::Present { request, hub } => {
                if let Some(Pending::WaitFor(answer)) = self.pending.remove(&request) {
                    let _ = answer.send(Ok(hub));
                }
            }
            ToHub::Offer { link, from, terms, wanted } => {
                self.offered(LinkId(link), from, terms, wanted, descriptors);
            }
            ToHub::Established { request, link, with, terms } => {
                self.established(request, LinkId(link), &with, terms, descriptors);
            }
            ToHub::Opened { link } => {
                self.opened(LinkId(link));
                self.link_known(LinkId(link));
            }
            ToHub::Closed { link, gone, reason } => {
                tracing::debug!(link, reason, "closed");
                let why = if gone { Leaving::PeerGone } else { Leaving::Closed };
                self.withdrawn(LinkId(link));
                self.link_over(LinkId(link), why);
            }
            other => self.hear_of_bus(other, descriptors),
        }
    }

    /// The supervisor says that a link is over, of which it has not said that it was open: its
    /// opener has given up, and never attached. Nobody needs to hear of it.
    fn withdrawn(&mut self, id: LinkId) {
        if self.opening.remove(&id).is_some() {
            self.links.remove(&id);
            self.count_links();
        }
    }

    /// For others to see.
    pub(super) fn count_links(&self) {
        self.hub.tally.links.set(self.links.len() as u64);
    }

    /// A link has ended, from the other side or from the protocol's point of view.
    pub(super) fn link_over(&mut self, id: LinkId, why: Leaving) {
        let Some(link) = self.links.remove(&id) else { return };
        self.count_links();
        link.shared.end(match why {
            Leaving::PeerGone => LinkState::PeerGone,
            Leaving::Closed => LinkState::Closed,
        });
        // The opener may have attached, sent and gone before we heard of the first.
        self.opened(id);
        if !link.reading_ended && self.hub.mail.forget(id).is_none() {
            self.post(Mail::Leaving(id, why));
        }
        self.lane_over(link.peer, id);
    }

    /// One half of a link has ended on this side; when both have, the supervisor is told.
    pub(super) fn half_ended(&mut self, id: LinkId, end: impl FnOnce(&mut Watched)) {
        let Some(link) = self.links.get_mut(&id) else { return };
        end(link);
        if link.stream_ended && link.reading_ended {
            self.close(id, "both sides have finished".to_owned());
        }
    }

    /// This side is done with a link.
    pub(super) fn close(&mut self, id: LinkId, reason: String) {
        self.end_link(id, Leaving::Closed, reason);
    }

    /// The other side is gone.
    pub(super) fn peer_gone(&mut self, id: LinkId) {
        self.end_link(id, Leaving::PeerGone, "the other side is gone".to_owned());
    }

    fn end_link(&mut self, id: LinkId, why: Leaving, reason: String) {
        if self.links.contains_key(&id) {
            self.link_over(id, why);
            self.say(&ToSupervisor::Close { link: id.0, reason }, Vec::new());
        }
    }

    /// Closes the link with a hub of that name; whether there was one.
    pub(super) fn unlink(&mut self, name: &str) -> bool {
        let found = self.links.iter().find(|(_, link)| &*link.shared.peer == name);
        let Some(link) = found.map(|(link, _)| *link) else { return false };
        self.close(link, "it was closed".to_owned());
        true
    }

    /// Whether what one more link can cause fits the hub's mail.
    pub(super) fn has_room_for_mail(&self) -> Result<(), Error> {
        if !self.hub.mail.has_room(self.links.len()) {
            let limit = crate::limits::LINKS_PER_HUB_MAX;
            return Err(Error::LimitReached { what: "links that it has not looked at", limit });
        }
        Ok(())
    }

    pub(super) fn post(&mut self, mail: Mail) {
        // There is room: `has_room_for_mail` was asked for each link.
        self.hub.mail.put(mail);
        self.hub.announce_mail();
    }
}
