//! The control thread's loop.

use super::session::{Pending, Session};
use super::watch::{Subject, Watch};
use super::{Command, Control};
use crate::error::Error;
use crate::hub::receive::Leaving;
use crate::hub::state::LinkId;
use crate::protocol::ToSupervisor;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollFlags};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Instant;

struct ControlThread {
    control: Control,
    watch: Watch,
    sessions: HashMap<u64, Session>,
}

/// Starts the control thread.
pub(super) fn start(control: Control) -> Result<(), Error> {
    let epoll =
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::kernel("epoll_create"))?;
    let mut watch = Watch::new(epoll);
    watch
        .add(control.0.wake.as_fd(), EpollFlags::EPOLLIN, Subject::Commands)
        .map_err(Error::kernel("epoll_ctl"))?;
    let thread = ControlThread { control, watch, sessions: HashMap::new() };
    std::thread::Builder::new()
        .name("ephapse-control".to_owned())
        .spawn(move || without_signals(|| thread.run()))
        .map_err(Error::io("starting the control thread"))?;
    Ok(())
}

/// Signals are the program's own threads' business.
fn without_signals(run: impl FnOnce()) {
    // It cannot fail with a full set.
    let _ = nix::sys::signal::SigSet::all().thread_block();
    run();
}

impl ControlThread {
    fn run(mut self) {
        loop {
            let reports = match self.watch.wait(self.next_deadline()) {
                Ok(reports) => reports,
                Err(errno) => {
                    tracing::error!(%errno, "the control thread cannot wait");
                    return;
                }
            };
            for (subject, ready) in reports {
                match subject {
                    Subject::Commands => self.obey(),
                    Subject::Socket(hub) => self.listen(hub, ready),
                    Subject::Peer(hub, link) => self.peer_gone(hub, link),
                }
            }
            self.tidy();
            self.resume();
        }
    }

    /// When a hub next looks for a supervisor.
    fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().filter_map(|session| session.resume.deadline()).min()
    }

    /// Hubs that have lost their supervisor look whether there is one again.
    fn resume(&mut self) {
        let now = Instant::now();
        for (hub, session) in &mut self.sessions {
            if session.try_to_resume(now)
                && let Some(channel) = &session.channel
            {
                let subject = Subject::Socket(*hub);
                if let Err(errno) = self.watch.add(channel.as_fd(), EpollFlags::EPOLLIN, subject) {
                    session.disconnected(errno.desc());
                }
            }
        }
    }

    fn obey(&mut self) {
        let _ = self.control.0.wake.read();
        loop {
            let Some(command) = self.control.0.commands.lock().pop_front() else { return };
            self.do_one(command);
        }
    }

    fn do_one(&mut self, command: Command) {
        let (Command::Leave(hub, ..)
        | Command::List(hub, ..)
        | Command::WaitFor(hub, ..)
        | Command::Link(hub, ..)
        | Command::Forget(hub, ..)
        | Command::EndStream(hub, ..)
        | Command::StopReading(hub, ..)
        | Command::CloseLink(hub, ..)
        | Command::Unlink(hub, ..)
        | Command::Bus(hub, ..)) = command
        else {
            return self.enter(command);
        };
        let Some(session) = self.sessions.get_mut(&hub) else { return };
        match command {
            Command::Enter(_) => {}
            Command::Leave(_, answer) => session.leave(answer),
            Command::List(_, request, after, answer) => {
                let message = ToSupervisor::List { request, after };
                session.ask(request, &message, Vec::new(), Pending::List(answer));
            }
            Command::WaitFor(_, request, name, answer) => {
                let message = ToSupervisor::WaitFor { request, name };
                session.ask(request, &message, Vec::new(), Pending::WaitFor(answer));
            }
            Command::Link(_, request, outgoing) => session.open(request, *outgoing),
            Command::Forget(_, request) => {
                if session.pending.remove(&request).is_some() {
                    session.say(&ToSupervisor::Cancel { request }, Vec::new());
                }
            }
            Command::EndStream(_, link) => session.half_ended(link, |l| l.stream_ended = true),
            Command::StopReading(_, link) => session.half_ended(link, |l| l.reading_ended = true),
            Command::CloseLink(_, link, reason) => session.close(link, reason),
            Command::Unlink(_, name, answer) => {
                let _ = answer.send(Ok(session.unlink(&name)));
            }
            Command::Bus(_, command) => session.obey_for_bus(command),
        }
    }

    fn enter(&mut self, command: Command) {
        let Command::Enter(mut session) = command else { return };
        let hub = session.hub.key;
        let watched = session.channel.as_ref().map(|channel| {
            self.watch.add(channel.as_fd(), EpollFlags::EPOLLIN, Subject::Socket(hub))
        });
        if let Some(Err(errno)) = watched {
            session.disconnected(errno.desc());
        }
        self.sessions.insert(hub, *session);
    }

    /// Takes what a supervisor says.
    fn listen(&mut self, hub: u64, ready: EpollFlags) {
        loop {
            let Some(session) = self.sessions.get_mut(&hub) else { return };
            let Some(channel) = session.channel.as_mut() else { return };
            if ready.contains(EpollFlags::EPOLLOUT)
                && let Err(error) = channel.flush()
            {
                return session.disconnected(&error.to_string());
            }
            match channel.receive() {
                Ok(Some((message, descriptors))) => {
                    if let Some(link) = session.hear(message, descriptors) {
                        self.watch_peer(hub, link);
                    }
                }
                Ok(None) => return,
                Err(error) => return session.disconnected(&error.to_string()),
            }
        }
    }

    /// From now on we hear when the other side of a link dies.
    fn watch_peer(&mut self, hub: u64, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&hub) else { return };
        let Some(watched) = session.links.get(&link) else { return };
        let subject = Subject::Peer(hub, link);
        let result =
            self.watch.add(watched.pipe.as_fd(), EpollFlags::empty(), subject).and_then(|()| {
                match &watched.process {
                    Some(process) => self.watch.add(process.as_fd(), EpollFlags::EPOLLIN, subject),
                    None => Ok(()),
                }
            });
        if let Err(errno) = result {
            session.close(link, format!("its process cannot be watched: {errno}"));
        }
    }

    fn peer_gone(&mut self, hub: u64, link: LinkId) {
        if let Some(session) = self.sessions.get_mut(&hub) {
            session.link_over(link, Leaving::PeerGone);
        }
    }

    /// After a round: hubs that have left, links that are over, connections with a full queue.
    fn tidy(&mut self) {
        for (hub, session) in &mut self.sessions {
            let Some(channel) = &session.channel else { continue };
            let queued = channel.has_queued();
            if queued != session.watched_for_room {
                session.watched_for_room = queued;
                if let Err(errno) = self.watch.want_room(channel.as_fd(), *hub, queued) {
                    session.disconnected(errno.desc());
                }
            }
        }
        let watch = &mut self.watch;
        self.sessions.retain(|_, session| {
            let is_over = session.is_over();
            if is_over {
                session.over.extend(session.links.drain().map(|(_, link)| link));
            }
            for link in session.over.drain(..) {
                watch.remove(link.pipe.as_fd());
                if let Some(process) = &link.process {
                    watch.remove(process.as_fd());
                }
            }
            if let Some(channel) = session.lost.take() {
                watch.remove(channel.as_fd());
            }
            !is_over
        });
    }
}
