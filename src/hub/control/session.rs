//! One hub's side of its conversation with the supervisor.

use super::{Answer, Control, MAIL_PER_LINK, Mail};
use crate::error::Error;
use crate::event::Encoder;
use crate::hub::builder::AcceptIf;
use crate::hub::link::Link;
use crate::hub::receive::{Inlet, Leaving};
use crate::hub::state::{HubShared, LinkId, LinkShared, LinkState, SlotGuard};
use crate::protocol::{Channel, HubInfo, RefusalCode, Terms, ToHub, ToSupervisor};
use crate::ring::{Reader, Writer};
use crate::segment::{PeerCursors, RingMemory, RingOptions, SharedRing};
use crate::wait::Ringer;
use nix::errno::Errno;
use nix::unistd::Uid;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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

/// A link that this hub wants to open.
pub(super) struct Outgoing {
    to: String,
    half: OwnHalf,
    wanted: u64,
    answer: Answer<Link>,
}

/// What this side brings to a link.
struct OwnHalf {
    writer: Writer<RingMemory>,
    /// Where we publish how far we have read.
    slot: SlotGuard,
    terms: Terms,
    /// Ring, cursors, doorbell: what the other side gets.
    descriptors: Vec<OwnedFd>,
}

impl OwnHalf {
    fn new(
        hub: &Arc<HubShared>,
        writer: Writer<RingMemory>,
        ring: SharedRing,
    ) -> Result<Self, Error> {
        let limit = crate::limits::CURSOR_SLOTS;
        let slot = hub.cursors.take().ok_or(Error::LimitReached { what: "read rings", limit })?;
        let slot = SlotGuard { hub: Arc::clone(hub), slot };
        let terms = Terms {
            capacity: ring.capacity as u64,
            position_slot: slot.slot,
            bell_slot: hub.bell_slot,
        };
        let clone = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|error| Error::Kernel {
                call: "dup",
                source: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)),
            })
        };
        let descriptors =
            vec![ring.file, clone(hub.cursors.as_fd())?, clone(hub.own_bell.as_fd())?];
        Ok(Self { writer, slot, terms, descriptors })
    }
}

impl Outgoing {
    pub(super) fn new(
        hub: &Arc<HubShared>,
        to: &str,
        writer: Writer<RingMemory>,
        ring: SharedRing,
        wanted: usize,
        answer: Answer<Link>,
    ) -> Result<Self, Error> {
        let half = OwnHalf::new(hub, writer, ring)?;
        Ok(Self { to: to.to_owned(), half, wanted: wanted as u64, answer })
    }
}

/// A request that has no answer yet.
pub(super) enum Pending {
    List(Answer<(Vec<HubInfo>, bool)>),
    WaitFor(Answer<HubInfo>),
    Link(Answer<Link>, OwnHalf),
}

/// One link, as the control thread sees it.
pub(super) struct Watched {
    pub shared: Arc<LinkShared>,
    /// The peer's doorbell: an error is reported on it when the peer is gone.
    pub pipe: OwnedFd,
    /// The peer's process, if the supervisor could tell.
    pub process: Option<OwnedFd>,
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
    mail: rtrb::Producer<Mail>,
    accept_if: AcceptIf,
    timestamps: bool,
    control: Control,
    pub pending: HashMap<u32, Pending>,
    pub links: HashMap<LinkId, Watched>,
    /// Links that we accepted, until the opener has attached.
    opening: HashMap<LinkId, (Box<Inlet>, Box<Link>)>,
    /// Whether the loop waits for room to send.
    pub watched_for_room: bool,
    /// The hub has been dropped.
    pub leaving: bool,
    /// Who waits for the supervisor to have forgotten us.
    left: Option<Answer<()>>,
}

/// A link that has just come about: what to watch.
pub(super) type NewLink = Option<LinkId>;

impl Session {
    pub(super) fn new(
        hub: Arc<HubShared>,
        channel: Channel,
        mail: rtrb::Producer<Mail>,
        accept_if: AcceptIf,
        timestamps: bool,
        control: Control,
    ) -> Self {
        Self {
            hub,
            channel: Some(channel),
            mail,
            accept_if,
            timestamps,
            control,
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

    /// The hub goes: its links end, and the supervisor is asked to forget it and hang up.
    pub(super) fn leave(&mut self, answer: Answer<()>) {
        for link in self.links.values() {
            link.shared.end(LinkState::HubClosed);
        }
        self.leaving = true;
        self.left = Some(answer);
        self.say(&ToSupervisor::Leave, Vec::new());
    }

    /// The supervisor is gone. Links go on; what was asked fails.
    pub(super) fn disconnected(&mut self, why: &str) {
        if self.channel.take().is_none() {
            return;
        }
        if !self.leaving {
            tracing::warn!(hub = %self.hub.name, why, "the supervisor is gone");
        }
        let requests: Vec<u32> = self.pending.keys().copied().collect();
        for request in requests {
            self.fail(request, Error::Disconnected { why: why.to_owned() });
        }
        self.opening.clear();
    }

    /// Whether nothing more is to be done for a hub that has been dropped. Says so to who waits.
    pub(super) fn is_over(&mut self) -> bool {
        let over = self.leaving && self.channel.is_none();
        if over && let Some(left) = self.left.take() {
            let _ = left.send(Ok(()));
        }
        over
    }

    /// Asks something; the answer fails at once without a supervisor.
    pub(super) fn ask(&mut self, request: u32, message: &ToSupervisor, pending: Pending) {
        self.pending.insert(request, pending);
        if self.channel.is_none() {
            let why = "it has been lost before".to_owned();
            return self.fail(request, Error::Disconnected { why });
        }
        self.say(message, Vec::new());
    }

    fn fail(&mut self, request: u32, error: Error) {
        // Who asked may have given up; then nobody listens.
        match self.pending.remove(&request) {
            Some(Pending::List(answer)) => drop(answer.send(Err(error))),
            Some(Pending::WaitFor(answer)) => drop(answer.send(Err(error))),
            Some(Pending::Link(answer, _)) => drop(answer.send(Err(error))),
            None => {}
        }
    }

    /// Asks for a link.
    pub(super) fn open(&mut self, request: u32, outgoing: Outgoing) {
        let Outgoing { to, mut half, wanted, answer } = outgoing;
        let descriptors = std::mem::take(&mut half.descriptors);
        let message = ToSupervisor::Link { request, to, terms: half.terms, wanted };
        self.pending.insert(request, Pending::Link(answer, half));
        if self.channel.is_none() {
            let why = "it has been lost before".to_owned();
            return self.fail(request, Error::Disconnected { why });
        }
        self.say(&message, descriptors);
    }

    /// Takes in what the supervisor says. Gives the link that has come about, if one has.
    pub(super) fn hear(&mut self, message: ToHub, descriptors: Vec<OwnedFd>) -> NewLink {
        match message {
            ToHub::Welcome { .. } => {}
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
                return self.offered(LinkId(link), from, terms, wanted, descriptors);
            }
            ToHub::Established { request, link, with, terms } => {
                return self.established(request, LinkId(link), &with, terms, descriptors);
            }
            ToHub::Opened { link } => self.opened(LinkId(link)),
            ToHub::Closed { link, gone, reason } => {
                tracing::debug!(link, reason, "closed");
                let why = if gone { Leaving::PeerGone } else { Leaving::Closed };
                self.link_over(LinkId(link), why);
            }
        }
        None
    }

    /// Another hub wants a link.
    fn offered(
        &mut self,
        link: LinkId,
        from: HubInfo,
        terms: Terms,
        wanted: u64,
        descriptors: Vec<OwnedFd>,
    ) -> NewLink {
        match self.try_accept(link, from, terms, wanted, descriptors) {
            Ok((terms, descriptors)) => {
                self.say(&ToSupervisor::Accept { link: link.0, terms }, descriptors);
                Some(link)
            }
            Err((code, reason)) => {
                self.say(&ToSupervisor::Decline { link: link.0, code, reason }, Vec::new());
                None
            }
        }
    }

    fn try_accept(
        &mut self,
        link: LinkId,
        from: HubInfo,
        terms: Terms,
        wanted: u64,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Terms, Vec<OwnedFd>), (RefusalCode, String)> {
        let name = Arc::clone(&self.hub.name);
        let failed = |error: Error| (RefusalCode::Failed, format!("hub {name}: {error}"));
        let offer =
            LinkOffer { from, receive_capacity: terms.capacity, send_capacity: wanted };
        if !(self.accept_if)(&offer) {
            return Err((RefusalCode::Declined, format!("hub {name} does not want this link")));
        }
        self.has_room_for_mail().map_err(&failed)?;
        let capacity = usize::try_from(wanted).unwrap_or(usize::MAX);
        let options = RingOptions { capacity, ..RingOptions::default() };
        let (writer, ring) = RingMemory::create(options)
            .map_err(Error::segment("the ring that it writes"))
            .map_err(&failed)?;
        let mut half = OwnHalf::new(&self.hub, writer, ring).map_err(&failed)?;
        let descriptors_of_half = std::mem::take(&mut half.descriptors);
        let own_terms = half.terms;
        let (inlet, new) =
            self.attach(link, &offer.from, terms, half, descriptors).map_err(&failed)?;
        self.opening.insert(link, (Box::new(inlet), Box::new(new)));
        Ok((own_terms, descriptors_of_half))
    }

    /// The other hub has accepted: attach, and tell it.
    fn established(
        &mut self,
        request: u32,
        link: LinkId,
        with: &HubInfo,
        terms: Terms,
        descriptors: Vec<OwnedFd>,
    ) -> NewLink {
        let Some(Pending::Link(answer, half)) = self.pending.remove(&request) else {
            // Whoever asked has given up.
            let reason = "the opener no longer waits".to_owned();
            self.say(&ToSupervisor::Close { link: link.0, reason }, Vec::new());
            return None;
        };
        let attached = self
            .has_room_for_mail()
            .and_then(|()| self.attach(link, with, terms, half, descriptors));
        match attached {
            Ok((inlet, new)) => {
                self.post(Mail::Inlet(Box::new(inlet)));
                self.say(&ToSupervisor::Attached { link: link.0 }, Vec::new());
                // If nobody waits any more, the link is dropped here, which ends its stream.
                let _ = answer.send(Ok(new));
                Some(link)
            }
            Err(error) => {
                let reason = error.to_string();
                self.say(&ToSupervisor::Close { link: link.0, reason }, Vec::new());
                let _ = answer.send(Err(error));
                None
            }
        }
    }

    /// The opener of a link that we accepted has attached.
    fn opened(&mut self, link: LinkId) {
        if let Some((inlet, new)) = self.opening.remove(&link) {
            self.post(Mail::Inlet(inlet));
            self.post(Mail::Accepted(new));
        }
    }

    /// Maps what the other side sent, and puts both halves together.
    fn attach(
        &mut self,
        id: LinkId,
        peer: &HubInfo,
        terms: Terms,
        half: OwnHalf,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Inlet, Link), Error> {
        let theirs = |what: &str| Error::segment(format!("{what} of hub {}", peer.name));
        let mut descriptors = descriptors.into_iter();
        let (Some(ring), Some(cursors), Some(pipe), process, None) = (
            descriptors.next(),
            descriptors.next(),
            descriptors.next(),
            descriptors.next(),
            descriptors.next(),
        ) else {
            let kind = crate::protocol::ProtocolError::Invalid { kind: 0, len: 0 };
            return Err(Error::Protocol(kind));
        };
        let memory = RingMemory::open(&ring, terms.capacity).map_err(theirs("the ring"))?;
        let cursors = PeerCursors::open(&cursors).map_err(theirs("the positions"))?;
        let position = cursors.slot(terms.position_slot).map_err(theirs("the position"))?;
        let bell = cursors.slot(terms.bell_slot).map_err(theirs("the doorbell"))?;
        let fencing = cursors.fencing();
        let ringer =
            Ringer::new(bell, &pipe, fencing).map_err(Error::kernel("open of a doorbell"))?;
        let mut writer = half.writer;
        if writer.add_reader(peer.id, position).is_err() {
            return Err(Error::LimitReached { what: "readers", limit: 1 });
        }
        let start = memory.start();
        let reader = Reader::attach(memory, self.hub.cursors.slot(half.slot.slot), start, fencing);
        let same_user = peer.uid == Uid::effective().as_raw();
        let shared = Arc::new(LinkShared::new(id, peer.name.as_str().into(), same_user));
        let inlet =
            Inlet { reader, shared: Arc::clone(&shared), _slot: half.slot, leaving: None };
        let watched = Watched {
            shared: Arc::clone(&shared),
            pipe,
            process,
            stream_ended: false,
            reading_ended: false,
        };
        self.links.insert(id, watched);
        let link = Link {
            writer,
            ringer,
            encoder: Encoder::default(),
            next: 0,
            timestamps: self.timestamps,
            process: self.hub.process,
            shared,
            hub: Arc::clone(&self.hub),
            control: self.control.clone(),
        };
        Ok((inlet, link))
    }

    /// A link has ended, from the other side or from the protocol's point of view.
    pub(super) fn link_over(&mut self, id: LinkId, why: Leaving) {
        self.opening.remove(&id);
        let Some(link) = self.links.remove(&id) else { return };
        link.shared.end(match why {
            Leaving::PeerGone => LinkState::PeerGone,
            Leaving::Closed => LinkState::Closed,
        });
        if !link.reading_ended {
            self.post(Mail::Leaving(id, why));
        }
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
        if let Some(link) = self.links.remove(&id) {
            link.shared.end(LinkState::Closed);
            self.say(&ToSupervisor::Close { link: id.0, reason }, Vec::new());
        }
    }

    /// Whether what one more link can cause fits the hub's mail.
    fn has_room_for_mail(&self) -> Result<(), Error> {
        let needed = MAIL_PER_LINK * (self.links.len() + 1);
        if self.mail.slots() < needed {
            let limit = crate::limits::LINKS_PER_HUB_MAX;
            return Err(Error::LimitReached { what: "links that it has not looked at", limit });
        }
        Ok(())
    }

    fn post(&mut self, mail: Mail) {
        // There is room: `has_room_for_mail` was asked for each link.
        let result = self.mail.push(mail);
        debug_assert!(result.is_ok(), "a hub's mail is full");
        self.hub.announce_mail();
    }
}
