//! The bus, as the control thread sees it: who publishes, who subscribes, and how they meet.
//!
//! Whatever the supervisor says may be said twice, also after a restart: to do what has been done
//! already changes nothing.

use super::Answer;
use super::peers::PeerProcess;
use super::session::{Pending, Session};
use super::watch::Watching;
use crate::error::Error;
use crate::event::lifecycle;
use crate::event::subject::Pattern;
use crate::hub::bus::{DomainEvent, Gate, Inbox, Peer, Routes, SharedOutbox};
use crate::hub::state::{HubShared, LinkId, SlotGuard, StartSlot};
use crate::limits::CURSOR_SLOTS;
use crate::protocol::{self, Edge, LinkInfo, SubjectInfo, ToHub, ToSupervisor};
use crate::segment::{PeerCursors, RingMemory};
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// What hubs, publishers and subscriptions ask for.
pub(in crate::hub) enum BusCommand {
    /// The hub's broadcast ring, which has just been made.
    Broadcast(OwnedFd, u64),
    Declare(u32, String, Answer<u32>),
    Subscribe(u32, Box<NewSubscription>, Answer<()>),
    Unsubscribe(u32),
    /// A page of the list of subjects, those after this one.
    Subjects(u32, String, Answer<(Vec<SubjectInfo>, bool)>),
    /// A page of the list of links, those with a number above this.
    Links(u32, u64, Answer<(Vec<LinkInfo>, bool)>),
}

/// A subscription, as the control thread keeps it.
pub(in crate::hub) struct NewSubscription {
    pub number: u32,
    pub patterns: Vec<Pattern>,
    pub gating: bool,
    pub bell_slot: u32,
    pub bell: OwnedFd,
    pub inbox: Arc<Inbox>,
}

impl NewSubscription {
    /// Whether it wants one of the domain's own events. Only who names them does: `>` means what
    /// programs publish.
    fn wants(&self, subject: &str) -> bool {
        let names_them = |pattern: &&Pattern| pattern.as_str().starts_with(lifecycle::PREFIX);
        self.patterns.iter().filter(names_them).any(|pattern| pattern.matches(subject))
    }
}

/// A hub that publishes what some subscription here wants.
pub(super) struct Known {
    pub(super) peer: Arc<Peer>,
    /// Its doorbell, and its process.
    pub(super) _bell: Watching,
    pub(super) process: PeerProcess,
    pub(super) memory: RingMemory,
    pub(super) cursors: PeerCursors,
    /// Its second ring, at the end of a link.
    pub(super) lane: Option<KnownLane>,
    /// Our subscriptions that follow it: the slot where each says how far it is, 0 for none.
    pub(super) followers: HashMap<u32, u32>,
}

/// A hub that subscribes to what we publish.
pub(super) struct Hearer {
    pub(super) process: PeerProcess,
    pub(super) cursors: PeerCursors,
    /// The doorbells of those of its subscriptions that listen.
    pub(super) bells: HashMap<u32, Watching>,
}

/// A ring that another hub writes for us alone.
pub(super) struct KnownLane {
    pub(super) link: LinkId,
    pub(super) memory: RingMemory,
    /// Our subscriptions that read it.
    pub(super) readers: HashSet<u32>,
}

/// The gate of a ring that has ended for its reader, which may not have begun to read it.
pub(super) struct Lingering {
    pub(super) reader: u64,
    pub(super) process: PeerProcess,
    pub(super) gate: Gate,
}

/// All that a hub has to do with the bus.
pub(super) struct Bus {
    pub(super) routes: Arc<Routes>,
    pub(super) outbox: SharedOutbox,
    ring: Option<(OwnedFd, u64)>,
    declared: HashMap<u32, String>,
    /// The supervisor tells us of the domain.
    attends: bool,
    pub(super) subscriptions: HashMap<u32, NewSubscription>,
    pub(super) sources: HashMap<u64, Known>,
    pub(super) hearers: HashMap<u64, Hearer>,
    pub(super) lingering: Vec<Lingering>,
}

pub(super) type Done<T> = Result<T, Error>;

impl Bus {
    pub(super) fn new(routes: Arc<Routes>, outbox: SharedOutbox) -> Self {
        Self {
            routes,
            outbox,
            ring: None,
            declared: HashMap::new(),
            attends: false,
            subscriptions: HashMap::new(),
            sources: HashMap::new(),
            hearers: HashMap::new(),
            lingering: Vec::new(),
        }
    }

    pub(super) fn close(&self) {
        self.subscriptions.values().for_each(|subscription| subscription.inbox.close());
    }
}

fn clone(fd: impl AsFd) -> Done<OwnedFd> {
    fd.as_fd().try_clone_to_owned().map_err(Error::io("dup"))
}

pub(super) fn start_slot(hub: &Arc<HubShared>) -> Done<StartSlot> {
    let limit = CURSOR_SLOTS;
    let slot = hub.cursors.take().ok_or(Error::LimitReached { what: "readers", limit })?;
    Ok(StartSlot { hub: Arc::clone(hub), slot })
}

pub(super) fn slot_of(hub: &Arc<HubShared>) -> Done<SlotGuard> {
    let limit = CURSOR_SLOTS;
    let slot = hub.cursors.take().ok_or(Error::LimitReached { what: "read rings", limit })?;
    Ok(SlotGuard { hub: Arc::clone(hub), slot })
}

impl Session {
    /// Does what the hub's own threads ask.
    pub(super) fn obey_for_bus(&mut self, command: BusCommand) {
        match command {
            BusCommand::Broadcast(ring, capacity) => {
                self.bus.ring = Some((ring, capacity));
                self.announce_broadcast();
            }
            BusCommand::Declare(request, subject, answer) => {
                let message = ToSupervisor::Declare { request, subject: subject.clone(), known: 0 };
                self.ask(request, &message, Vec::new(), Pending::Declare(answer, subject));
            }
            BusCommand::Subscribe(request, subscription, answer) => {
                let number = subscription.number;
                self.bus.subscriptions.insert(number, *subscription);
                self.count_subscriptions();
                self.attend();
                self.pending.insert(request, Pending::Subscribe(answer));
                if let Err(error) = self.announce_subscription(request, number) {
                    self.bus.subscriptions.remove(&number);
                    self.count_subscriptions();
                    self.fail(request, error);
                }
            }
            BusCommand::Subjects(request, after, answer) => {
                let message = ToSupervisor::Subjects { request, after };
                self.ask(request, &message, Vec::new(), Pending::Subjects(answer));
            }
            BusCommand::Links(request, after, answer) => {
                let message = ToSupervisor::Links { request, after };
                self.ask(request, &message, Vec::new(), Pending::Links(answer));
            }
            BusCommand::Unsubscribe(number) => {
                self.bus.subscriptions.remove(&number);
                self.count_subscriptions();
                for known in self.bus.sources.values_mut() {
                    known.followers.remove(&number);
                }
                self.say(&ToSupervisor::Unsubscribe { subscription: number }, Vec::new());
                self.attend();
            }
        }
    }

    /// For others to see.
    fn count_subscriptions(&self) {
        self.hub.tally.subscriptions.set(self.bus.subscriptions.len() as u64);
    }

    fn announce_broadcast(&mut self) {
        let Some((ring, capacity)) = &self.bus.ring else { return };
        let capacity = *capacity;
        let of_hub = [ring.as_fd(), self.hub.cursors.as_fd(), self.hub.given_bell.as_fd()];
        match of_hub.into_iter().map(clone).collect() {
            Ok(descriptors) => self.say(&ToSupervisor::Broadcast { capacity }, descriptors),
            Err(error) => self.disconnected(&error.to_string()),
        }
    }

    fn announce_subscription(&mut self, request: u32, number: u32) -> Done<()> {
        if self.channel.is_none() {
            return Err(Error::Disconnected { why: "it has been lost before".to_owned() });
        }
        let Some(subscription) = self.bus.subscriptions.get(&number) else { return Ok(()) };
        let descriptors = vec![clone(&self.hub.cursors)?, clone(&subscription.bell)?];
        let message = ToSupervisor::Subscribe {
            request,
            subscription: number,
            patterns: subscription.patterns.iter().map(|p| p.as_str().to_owned()).collect(),
            gating: subscription.gating,
            bell_slot: subscription.bell_slot,
        };
        self.say(&message, descriptors);
        Ok(())
    }

    /// After the supervisor was restarted: tells the new one what we hold.
    pub(super) fn announce_all(&mut self) {
        self.bus.attends = false;
        self.attend();
        self.announce_broadcast();
        for (id, subject) in self.bus.declared.clone() {
            self.say(&ToSupervisor::Declare { request: 0, subject, known: id }, Vec::new());
        }
        let held = self.links.iter().map(|(link, watched)| (link.0, watched.peer, watched.opened));
        for (link, peer, opened) in held.collect::<Vec<_>>() {
            self.say(&ToSupervisor::Held { link, peer, opened }, Vec::new());
        }
        let numbers: Vec<u32> = self.bus.subscriptions.keys().copied().collect();
        for number in numbers {
            if let Err(error) = self.announce_subscription(0, number) {
                return self.disconnected(&error.to_string());
            }
        }
    }

    /// What the supervisor says of the bus.
    pub(super) fn hear_of_bus(&mut self, message: ToHub, descriptors: Vec<OwnedFd>) {
        match message {
            ToHub::Declared { request, id } => {
                if let Some(Pending::Declare(answer, subject)) = self.pending.remove(&request) {
                    self.bus.declared.insert(id, subject);
                    let _ = answer.send(Ok(id));
                }
            }
            ToHub::Subscribed { request } => {
                if let Some(Pending::Subscribe(answer)) = self.pending.remove(&request) {
                    let _ = answer.send(Ok(()));
                }
            }
            ToHub::Follow { edge, source, capacity, subjects } => {
                let result = self.follow(edge, &source, capacity, subjects, descriptors);
                self.answer(edge, result, |position_slot| ToSupervisor::Following {
                    edge,
                    position_slot,
                });
            }
            ToHub::Listen { edge, reader, gating, position_slot, bell_slot, subjects } => {
                let slots = (gating && position_slot != 0).then_some(position_slot);
                let result = self.listen(edge, &reader, slots, bell_slot, subjects, descriptors);
                self.answer(edge, result, |start_slot| ToSupervisor::Listening {
                    edge,
                    start_slot,
                });
            }
            ToHub::Begin { edge, start_slot } => self.begin(edge, start_slot),
            ToHub::EdgeOver { edge, gone } => self.edge_over(edge, gone),
            ToHub::Lane { link, capacity } => {
                self.lane_offered(LinkId(link), capacity, descriptors)
            }
            ToHub::LaneReaders { link, slots } => self.lane_readers(LinkId(link), &slots),
            ToHub::LaneStarts { link, slots } => self.lane_starts(LinkId(link), &slots),
            ToHub::LaneReady { link, slots } => self.lane_ready(LinkId(link), &slots),
            ToHub::News(news) => self.pass_on(news),
            ToHub::SubjectList { request, subjects, more } => {
                if let Some(Pending::Subjects(answer)) = self.pending.remove(&request) {
                    let _ = answer.send(Ok((subjects, more)));
                }
            }
            ToHub::LinkList { request, links, more } => {
                if let Some(Pending::Links(answer)) = self.pending.remove(&request) {
                    let _ = answer.send(Ok((links, more)));
                }
            }
            // `hear` has taken all others.
            _ => {}
        }
    }

    /// Passes the domain's events on to subscriptions that want them.
    fn pass_on(&mut self, news: protocol::News) {
        let Some(event) = DomainEvent::of(news).map(Arc::new) else { return };
        let wants = |subscription: &&NewSubscription| subscription.wants(event.subject);
        for subscription in self.bus.subscriptions.values().filter(wants) {
            subscription.inbox.post_event(Arc::clone(&event));
        }
    }

    /// Tells the supervisor whether anybody here wants to hear of the domain.
    fn attend(&mut self) {
        let wants = |subscription: &NewSubscription| {
            lifecycle::SUBJECTS.iter().any(|subject| subscription.wants(subject))
        };
        let wanted = self.bus.subscriptions.values().any(wants);
        if wanted != self.bus.attends {
            self.bus.attends = wanted;
            self.say(&ToSupervisor::Attend { wanted }, Vec::new());
        }
    }

    fn answer(&mut self, edge: Edge, result: Done<u32>, yes: impl Fn(u32) -> ToSupervisor) {
        let message = match result {
            Ok(slot) => yes(slot),
            Err(error) => ToSupervisor::Unable { edge, reason: error.to_string() },
        };
        self.say(&message, Vec::new());
        self.offer_lane_to(edge.reader);
        self.tell_of_lane_readers(edge.source);
    }
}
