//! The control thread's loop.

use super::session::{Pending, Session};
use super::watch::Subject;
use super::{Command, Control};
use crate::error::Error;
use crate::protocol::ToSupervisor;
use nix::sys::epoll::EpollFlags;
use std::collections::HashMap;
use std::time::Instant;

struct ControlThread {
    control: Control,
    sessions: HashMap<u64, Session>,
}

/// Starts the control thread.
pub(super) fn start(control: Control) -> Result<(), Error> {
    let thread = ControlThread { control, sessions: HashMap::new() };
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
            let reports = match self.control.watch().wait(self.next_deadline()) {
                Ok(reports) => reports,
                Err(errno) => {
                    tracing::error!(%errno, "the control thread cannot wait");
                    return;
                }
            };
            for (subject, ready) in reports {
                self.report(subject, ready);
            }
            self.tidy();
            self.resume();
        }
    }

    /// What the supervisor said of somebody before it was gone is heard first.
    fn report(&mut self, subject: Subject, ready: EpollFlags) {
        match subject {
            Subject::Commands => self.obey(),
            Subject::Socket(hub) => self.listen(hub, ready),
            Subject::Link(hub, link) => self.after_all(hub, |session| session.peer_gone(link)),
            Subject::Source(hub, id) => self.after_all(hub, |session| session.source_gone(id)),
            Subject::Listener(hub, edge) => {
                self.after_all(hub, |session| session.edge_over(edge, false));
            }
            Subject::Process(number) => {
                for hub in self.sessions.keys().copied().collect::<Vec<u64>>() {
                    self.after_all(hub, |session| session.process_gone(number));
                }
            }
        }
    }

    fn after_all(&mut self, hub: u64, tell: impl FnOnce(&mut Session)) {
        self.listen(hub, EpollFlags::empty());
        if let Some(session) = self.sessions.get_mut(&hub) {
            tell(session);
        }
    }

    /// When a hub next looks for a supervisor.
    fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().filter_map(|session| session.resume.deadline()).min()
    }

    /// Hubs that have lost their supervisor look whether there is one again.
    fn resume(&mut self) {
        let now = Instant::now();
        self.sessions.values_mut().for_each(|session| session.try_to_resume(now));
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
        session.watch_channel();
        self.sessions.insert(session.hub.key, *session);
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
                Ok(Some((message, descriptors))) => session.hear(message, descriptors),
                Ok(None) => return,
                Err(error) => return session.disconnected(&error.to_string()),
            }
        }
    }

    /// After a round: connections with a full queue, hubs that have left.
    fn tidy(&mut self) {
        for session in self.sessions.values_mut() {
            let (Some(channel), Some(watched)) = (&session.channel, &session.watched) else {
                continue;
            };
            let queued = channel.has_queued();
            if queued != session.watched_for_room {
                session.watched_for_room = queued;
                if let Err(errno) = watched.want_room(queued) {
                    session.disconnected(errno.desc());
                }
            }
        }
        self.sessions.retain(|_, session| !session.is_over());
    }
}
