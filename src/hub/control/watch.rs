//! What the control thread watches: sockets, doorbells of peers, processes of peers.

use crate::hub::state::LinkId;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Commands,
    /// A hub's connection to its supervisor.
    Socket(u64),
    /// A peer: its doorbell or its process.
    Peer(u64, LinkId),
}

/// An epoll set whose entries have meanings.
///
/// What is watched was made by other processes, who hold it too: closing our descriptor of it does
/// not take it out of the set, [`remove`](Self::remove) does.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: Epoll,
    /// By token; with the descriptor's number.
    subjects: HashMap<u64, (Subject, RawFd)>,
    next: u64,
}

impl Watch {
    pub(super) fn new(epoll: Epoll) -> Self {
        Self { epoll, subjects: HashMap::new(), next: 0 }
    }

    /// Reports what happens to a descriptor; an error or hang-up always is.
    pub(super) fn add(
        &mut self,
        fd: BorrowedFd<'_>,
        interest: EpollFlags,
        subject: Subject,
    ) -> Result<(), Errno> {
        let token = self.next;
        self.next += 1;
        self.epoll.add(fd, EpollEvent::new(interest, token))?;
        self.subjects.insert(token, (subject, fd.as_raw_fd()));
        Ok(())
    }

    /// Reports room to send on a hub's connection, or no longer.
    pub(super) fn want_room(
        &mut self,
        fd: BorrowedFd<'_>,
        hub: u64,
        wanted: bool,
    ) -> Result<(), Errno> {
        let subject = Subject::Socket(hub);
        let Some((token, _)) = self.subjects.iter().find(|(_, (s, _))| *s == subject) else {
            return Ok(());
        };
        let mut interest = EpollFlags::EPOLLIN;
        interest.set(EpollFlags::EPOLLOUT, wanted);
        self.epoll.modify(fd, &mut EpollEvent::new(interest, *token))
    }

    /// Stops watching a descriptor that is about to be closed.
    pub(super) fn remove(&mut self, fd: BorrowedFd<'_>) {
        // It is not there if watching it failed.
        let _ = self.epoll.delete(fd);
        self.subjects.retain(|_, (_, number)| *number != fd.as_raw_fd());
    }

    /// Waits for reports, until `deadline` at most.
    pub(super) fn wait(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Vec<(Subject, EpollFlags)>, Errno> {
        let timeout = deadline.map_or(EpollTimeout::NONE, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            EpollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
        });
        let mut events = [EpollEvent::empty(); 64];
        let ready = match self.epoll.wait(&mut events, timeout) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno),
        };
        let meaning = |event: &EpollEvent| {
            self.subjects.get(&event.data()).map(|(subject, _)| (*subject, event.events()))
        };
        Ok(events[..ready].iter().filter_map(meaning).collect())
    }
}
