//! The supervisor: a registry of hubs that passes their descriptors to one another.
//!
//! One thread, one epoll, no event ever. What it keeps is who is there (`registry`); what it does
//! for each message is in `serve`; who may connect, and how often, in `door`. How publishers and
//! subscriptions find one another is in `bus`, how they are brought together in `edges`; what
//! becomes of hubs whose supervisor was restarted in `hello`, and of their links in `claims`.

mod bus;
mod claims;
mod descriptors;
mod door;
mod edges;
mod epoch;
mod flight;
mod hello;
mod lanes;
mod news;
mod notices;
mod registry;
mod serve;
mod subjects;
#[cfg(test)]
mod tests;

use crate::domain::Domain;
use crate::error::Error;
use crate::protocol::ChannelError;
use door::Door;
use flight::Flight;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use registry::Registry;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

const TOKEN_DOOR: u64 = 0;
const TOKEN_STOP: u64 = 1;

/// Set in the token of the process at the other end of a connection. (The other tokens are those
/// of connections: the number of this run above that of the connection, so never 0 or 1.)
const PROCESS: u64 = 1 << 63;

/// Messages taken from one connection before the others have their turn.
const MESSAGES_PER_TURN: usize = 16;

/// Serves one domain: hubs register here, find one another, and are linked.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let domain = ephapse::Domain::at(dir.path().join("domain"));
/// let supervisor = ephapse::Supervisor::bind(domain)?;
/// let stopper = supervisor.stopper();
/// let thread = std::thread::spawn(move || supervisor.run());
/// // … hubs come and go …
/// stopper.stop();
/// thread.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Supervisor {
    domain: Domain,
    door: Door,
    stop: Arc<EventFd>,
    epoll: Epoll,
    registry: Registry,
}

/// Ends a running [`Supervisor`] from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<EventFd>);

impl Stopper {
    /// Makes [`Supervisor::run`] return. Idempotent.
    pub fn stop(&self) {
        // It can only fail when it has been called 2^64 times before.
        let _ = self.0.write(1);
    }
}

impl Supervisor {
    /// Opens the domain's socket. A socket that a dead supervisor left behind is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::SupervisorRunning`] if one is alive; [`Error::ForeignDirectory`],
    /// [`Error::OpenDirectory`], [`Error::Directory`] if the directory is not ours alone or cannot
    /// be made; [`Error::Kernel`]. Nothing stays behind.
    pub fn bind(domain: impl Into<Domain>) -> Result<Self, Error> {
        let domain = domain.into();
        let door = Door::open(&domain)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let stop = EventFd::from_flags(flags).map_err(Error::kernel("eventfd"))?;
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::kernel("epoll_create"))?;
        let watch = |fd: std::os::fd::BorrowedFd<'_>, token| {
            epoll
                .add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))
                .map_err(Error::kernel("epoll_ctl"))
        };
        watch(door.as_fd(), TOKEN_DOOR)?;
        watch(stop.as_fd(), TOKEN_STOP)?;
        let epoch = epoch::next(&domain)?;
        let mut registry = Registry::new(epoch);
        registry.absent = flight::hubs_before(&domain);
        registry.flight = Flight::begin(&domain, epoch);
        Ok(Self { domain, door, stop: Arc::new(stop), epoll, registry })
    }

    /// The domain that it serves.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Something to end [`run`](Self::run) with.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Serves until stopped, then removes the socket. Hubs keep the links that they have.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] if waiting for messages fails, which does not happen on a sound system.
    pub fn run(mut self) -> Result<(), Error> {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let timeout = self.timeout();
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(source) => {
                    let error = Error::Kernel { call: "epoll_wait", source };
                    self.registry.flight.crash(&error.to_string());
                    return Err(error);
                }
            };
            for event in &events[..ready] {
                match event.data() {
                    TOKEN_STOP => {
                        self.registry.leave_word();
                        return Ok(());
                    }
                    TOKEN_DOOR => self.admit(),
                    token if token & PROCESS != 0 => {
                        let hub = self.registry.hub_of(token & !PROCESS);
                        self.registry.doom(hub, "its process has ended");
                    }
                    token => self.serve(token, event.events()),
                }
                self.registry.settle();
            }
            let now = Instant::now();
            self.registry.expire(now);
            if self.door.reopen_at(now) {
                self.watch_door(true);
            }
            self.update_connections();
            self.registry.settle();
            self.forget_ended();
        }
    }

    /// Until the next deadline; for ever without one.
    fn timeout(&self) -> EpollTimeout {
        let deadlines = [self.registry.next_deadline(), self.door.next_deadline()];
        let Some(next) = deadlines.into_iter().flatten().min() else { return EpollTimeout::NONE };
        let left = next.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
    }

    /// Lets everybody in who waits outside.
    fn admit(&mut self) {
        loop {
            match self.door.accept(|uid| self.registry.may_connect(uid)) {
                Ok(Some(visitor)) => {
                    let token = self.registry.add(visitor);
                    if let Err(errno) = self.watch(token) {
                        self.registry.doom(token, format!("it cannot be watched: {errno}"));
                    }
                }
                Ok(None) => return,
                Err(errno) => {
                    // Out of descriptors: the door would be reported again and again.
                    tracing::warn!(%errno, "no new connections for a while");
                    self.registry.flight.fault(&format!("no new connections: {errno}"));
                    self.watch_door(false);
                    return;
                }
            }
        }
    }

    /// Watches a connection, and the process at its other end: a child of it may hold the
    /// connection open.
    fn watch(&mut self, token: u64) -> Result<(), Errno> {
        let Some(connection) = self.registry.connection(token) else { return Ok(()) };
        let interest = EpollFlags::EPOLLIN;
        self.epoll.add(connection.channel.as_fd(), EpollEvent::new(interest, token))?;
        match &connection.process {
            Some(process) => self.epoll.add(process, EpollEvent::new(interest, token | PROCESS)),
            None => Ok(()),
        }
    }

    /// Takes ended connections out of the set. Closing them would not do it where another process
    /// holds them too.
    fn forget_ended(&mut self) {
        for connection in self.registry.take_ended() {
            // What could not be watched is not there.
            let _ = self.epoll.delete(connection.channel.as_fd());
            if let Some(process) = &connection.process {
                let _ = self.epoll.delete(process);
            }
        }
    }

    fn watch_door(&mut self, open: bool) {
        let interest = if open { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        let mut event = EpollEvent::new(interest, TOKEN_DOOR);
        if let Err(errno) = self.epoll.modify(self.door.as_fd(), &mut event) {
            tracing::error!(%errno, "the socket cannot be watched");
        }
    }

    /// Takes what a connection sent, and sends what it could not take before.
    fn serve(&mut self, token: u64, ready: EpollFlags) {
        let hub = self.registry.hub_of(token);
        if ready.contains(EpollFlags::EPOLLOUT)
            && let Some(connection) = self.registry.connection(hub)
        {
            let result = connection.channel.flush();
            self.registry.touch(hub);
            if let Err(error) = result {
                return self.registry.doom(hub, error.to_string());
            }
        }
        for _ in 0..MESSAGES_PER_TURN {
            // Its first message can give it another number.
            let hub = self.registry.hub_of(token);
            let Some(connection) = self.registry.connection(hub) else { return };
            match connection.channel.receive() {
                Ok(Some((message, descriptors))) => {
                    let result = self.registry.handle(hub, message, descriptors);
                    if let Err(fault) = result {
                        self.registry.fault(hub, fault);
                    }
                    self.registry.settle();
                }
                Ok(None) => return,
                Err(error) => {
                    self.part_with(hub, &error);
                    return;
                }
            }
        }
    }

    /// Ends a connection; a peer of another version is told so first.
    fn part_with(&mut self, hub: u64, error: &ChannelError) {
        use crate::protocol::{ProtocolError, wrong_version};
        if let ChannelError::Protocol(ProtocolError::WrongVersion { .. }) = error
            && let Some(connection) = self.registry.connection(hub)
        {
            // It may be gone already; then nobody needs to know.
            let _ = connection.channel.send_bytes(wrong_version().to_vec(), Vec::new());
        }
        match error {
            ChannelError::Protocol(_) => self.registry.fault(hub, error.to_string()),
            // Hubs may die.
            _ => self.registry.doom(hub, error.to_string()),
        }
    }

    /// Watches for room to send exactly on those connections that have something left to send.
    fn update_connections(&mut self) {
        for hub in self.registry.take_changed() {
            let Some(connection) = self.registry.connection(hub) else { continue };
            let queued = connection.channel.has_queued();
            if queued == connection.watched_for_room {
                continue;
            }
            connection.watched_for_room = queued;
            let mut interest = EpollFlags::EPOLLIN;
            interest.set(EpollFlags::EPOLLOUT, queued);
            let mut event = EpollEvent::new(interest, connection.token);
            if let Err(errno) = self.epoll.modify(connection.channel.as_fd(), &mut event) {
                self.registry.doom(hub, errno.desc());
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Before the door gives the lock back: the next one makes a file of that name.
        self.registry.flight.end();
    }
}
