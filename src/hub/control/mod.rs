//! The control thread: one for each process, which talks to the supervisors of all its hubs.
//!
//! Hubs and links give it commands through a queue with a lock (nothing on the data path does);
//! it answers through one-shot channels, and leaves what it was not asked for in each hub's mail.

mod bus;
mod edges;
mod half;
mod join;
mod lanes;
mod peers;
mod resume;
mod serve;
mod session;
mod watch;

pub(super) use bus::NewSubscription;
pub(super) use join::join;
pub(super) use resume::Resume;
pub use session::LinkOffer;

use super::builder::{Habits, LinkOptions};
use super::bus::{Routes, SharedOutbox};
use super::link::Link;
use super::state::{HubShared, LinkId};
use crate::domain::Domain;
use crate::error::Error;
use crate::limits::LINK_DEADLINE_MS;
use crate::protocol::{Channel, HubInfo, LinkInfo, SubjectInfo};
use crate::segment::{Process, RingMemory, RingOptions};
use bus::{Bus, BusCommand};
use half::Outgoing;
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;
use session::Session;
use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use watch::{Subject, Watch};

/// How long the supervisor may take to answer what needs nobody else.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a hub that leaves waits for its name to be free.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

type Answer<T> = SyncSender<Result<T, Error>>;

/// What hubs and links ask for. The number is the hub's key.
enum Command {
    Enter(Box<Session>),
    Leave(u64, Answer<()>),
    List(u64, u32, u64, Answer<(Vec<HubInfo>, bool)>),
    WaitFor(u64, u32, String, Answer<HubInfo>),
    Link(u64, u32, Box<Outgoing>),
    Forget(u64, u32),
    EndStream(u64, LinkId),
    StopReading(u64, LinkId),
    CloseLink(u64, LinkId, String),
    Unlink(u64, String, Answer<bool>),
    Bus(u64, BusCommand),
}

/// The queue to the control thread.
#[derive(Clone)]
pub(super) struct Control(Arc<Queue>);

struct Queue {
    commands: Mutex<VecDeque<Command>>,
    wake: EventFd,
    watch: Arc<Watch>,
    /// Domains whose supervisor some hub of this process has lost, and none has found again.
    lost: Mutex<BTreeSet<PathBuf>>,
    next_request: AtomicU32,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

impl Control {
    /// The control thread of this process, which is started when it is first needed. A forked
    /// child gets one of its own.
    pub(super) fn of_this_process() -> Result<Self, Error> {
        static RUNNING: Mutex<Option<(Process, Control)>> = Mutex::new(None);
        let this = Process::current();
        let mut running = RUNNING.lock();
        if let Some((_, control)) = running.as_ref().filter(|(process, _)| *process == this) {
            return Ok(control.clone());
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_flags(flags).map_err(Error::kernel("eventfd"))?;
        let watch = Watch::new().map_err(Error::kernel("epoll_create"))?;
        watch.keep(wake.as_fd(), Subject::Commands).map_err(Error::kernel("epoll_ctl"))?;
        let (commands, watch) = (Mutex::new(VecDeque::new()), Arc::new(watch));
        let next_request = AtomicU32::new(1);
        let lost = Mutex::default();
        let control = Self(Arc::new(Queue { commands, wake, watch, lost, next_request }));
        serve::start(control.clone())?;
        *running = Some((this, control.clone()));
        Ok(control)
    }

    fn give(&self, command: Command) {
        self.0.commands.lock().push_back(command);
        // It can only fail when the counter is full, and then the thread is awake.
        let _ = self.0.wake.write(1);
    }

    /// A hub has lost its supervisor; whether it is the first here to notice.
    fn loses(&self, domain: &Domain) -> bool {
        self.0.lost.lock().insert(domain.path().to_owned())
    }

    /// A hub has found one; whether it is the first that did so again.
    fn finds(&self, domain: &Domain) -> bool {
        self.0.lost.lock().remove(domain.path())
    }

    fn watch(&self) -> &Arc<Watch> {
        &self.0.watch
    }

    fn next_request(&self) -> u32 {
        // Relaxed: only uniqueness counts. 0 stands for the connection itself.
        self.0.next_request.fetch_add(1, Ordering::Relaxed).max(1)
    }

    /// Hands a hub that has joined over to the control thread.
    pub(super) fn enter(
        &self,
        hub: Arc<HubShared>,
        channel: Channel,
        habits: Habits,
        resume: Resume,
        (routes, outbox): (Arc<Routes>, SharedOutbox),
    ) {
        self.finds(&resume.domain);
        let bus = Bus::new(routes, outbox);
        let session = Session::new(hub, channel, habits, self.clone(), bus, resume);
        self.give(Command::Enter(Box::new(session)));
    }

    /// Takes a hub out of its domain, and waits (not for ever) until its name is free.
    pub(super) fn leave(&self, hub: u64) {
        let (answer, left) = sync_channel(1);
        self.give(Command::Leave(hub, answer));
        let _ = left.recv_timeout(LEAVE_TIMEOUT);
    }

    /// Gives a command that will be answered, and waits for the answer.
    fn ask<T>(
        &self,
        hub: u64,
        timeout: Duration,
        what: &str,
        command: impl FnOnce(u32, Answer<T>) -> Command,
    ) -> Result<T, Error> {
        let (answer, answered) = sync_channel(1);
        let request = self.next_request();
        self.give(command(request, answer));
        self.wait(hub, request, &answered, timeout, what)
    }

    /// All pages of a list that is in the order of `key`. The command asks for those after a key.
    fn pages<T, K: PartialOrd + Default + Clone>(
        &self,
        hub: u64,
        key: impl Fn(&T) -> K,
        command: impl Fn(u32, K, Answer<(Vec<T>, bool)>) -> Command,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or_else(K::default, &key);
            let next = |request, answer| command(request, after.clone(), answer);
            let (page, more) = self.ask(hub, ANSWER_TIMEOUT, "an answer", next)?;
            let last = !more || page.last().is_none_or(|last| key(last) <= after);
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    pub(super) fn list(&self, hub: u64) -> Result<Vec<HubInfo>, Error> {
        self.pages(
            hub,
            |hub: &HubInfo| hub.id,
            |request, after, answer| Command::List(hub, request, after, answer),
        )
    }

    pub(super) fn wait_for(
        &self,
        hub: u64,
        name: &str,
        timeout: Duration,
    ) -> Result<HubInfo, Error> {
        self.ask(hub, timeout, &format!("hub {name} to join"), |request, answer| {
            Command::WaitFor(hub, request, name.to_owned(), answer)
        })
    }

    /// Opens a link. The ring is made here, in the caller's thread: a large one takes its time.
    pub(super) fn link(
        &self,
        hub: &Arc<HubShared>,
        to: &str,
        options: LinkOptions,
    ) -> Result<Link, Error> {
        let own = RingOptions {
            capacity: options.send_capacity,
            huge_pages: options.huge_pages,
            start: 0,
        };
        let (writer, ring) =
            RingMemory::create(own).map_err(Error::segment("the ring that we write"))?;
        RingMemory::check(options.receive_capacity)
            .map_err(Error::segment("the ring that we ask for"))?;
        let (answer, opened) = sync_channel(1);
        let outgoing = Outgoing::new(hub, to, writer, ring, options.receive_capacity, answer)?;
        let request = self.next_request();
        self.give(Command::Link(hub.key, request, Box::new(outgoing)));
        let timeout = options.timeout.min(Duration::from_millis(LINK_DEADLINE_MS));
        self.wait(hub.key, request, &opened, timeout, &format!("a link with {to}"))
    }

    fn wait<T>(
        &self,
        hub: u64,
        request: u32,
        answer: &Receiver<Result<T, Error>>,
        timeout: Duration,
        what: &str,
    ) -> Result<T, Error> {
        match answer.recv_timeout(timeout) {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(Error::Closed),
            Err(RecvTimeoutError::Timeout) => {
                self.give(Command::Forget(hub, request));
                Err(Error::TimedOut { what: what.to_owned(), timeout })
            }
        }
    }

    /// Closes the link with a hub, if there is one.
    pub(super) fn unlink(&self, hub: u64, name: &str) -> Result<bool, Error> {
        self.ask(hub, ANSWER_TIMEOUT, "closing a link", |_, answer| {
            Command::Unlink(hub, name.to_owned(), answer)
        })
    }

    /// The hub's broadcast ring has been made.
    pub(super) fn broadcast(&self, hub: u64, ring: OwnedFd, capacity: u64) {
        self.give(Command::Bus(hub, BusCommand::Broadcast(ring, capacity)));
    }

    /// The number of a subject that the hub will publish on; all who subscribe to it follow.
    pub(super) fn declare(&self, hub: u64, subject: &str) -> Result<u32, Error> {
        self.ask(hub, ANSWER_TIMEOUT, "an answer", |request, answer| {
            Command::Bus(hub, BusCommand::Declare(request, subject.to_owned(), answer))
        })
    }

    /// Makes a subscription known; all who publish what it wants take account of it.
    pub(super) fn subscribe(&self, hub: u64, subscription: NewSubscription) -> Result<(), Error> {
        self.ask(hub, ANSWER_TIMEOUT, "an answer", |request, answer| {
            Command::Bus(hub, BusCommand::Subscribe(request, Box::new(subscription), answer))
        })
    }

    pub(super) fn subjects(&self, hub: u64) -> Result<Vec<SubjectInfo>, Error> {
        let name = |info: &SubjectInfo| info.subject.clone();
        self.pages(hub, name, |request, after, answer| {
            Command::Bus(hub, BusCommand::Subjects(request, after, answer))
        })
    }

    pub(super) fn links(&self, hub: u64) -> Result<Vec<LinkInfo>, Error> {
        self.pages(
            hub,
            |link: &LinkInfo| link.id,
            |request, after, answer| Command::Bus(hub, BusCommand::Links(request, after, answer)),
        )
    }

    pub(super) fn unsubscribe(&self, hub: u64, number: u32) {
        self.give(Command::Bus(hub, BusCommand::Unsubscribe(number)));
    }

    /// A number that this process gives only once.
    pub(super) fn next_number(&self) -> u32 {
        self.next_request()
    }

    /// The sending half of a link is gone.
    pub(super) fn end_stream(&self, hub: u64, link: LinkId) {
        self.give(Command::EndStream(hub, link));
    }

    /// The receiving half of a link is gone.
    pub(super) fn stop_reading(&self, hub: u64, link: LinkId) {
        self.give(Command::StopReading(hub, link));
    }

    /// The other side does not keep to the protocol.
    pub(super) fn close_link(&self, hub: u64, link: LinkId, reason: &str) {
        self.give(Command::CloseLink(hub, link, reason.to_owned()));
    }
}
