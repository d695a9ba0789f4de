//! What the control thread watches: sockets, doorbells of peers, processes of peers.

use crate::hub::state::LinkId;
use crate::protocol::Edge;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Where descriptors of processes have a number of the process's own (Linux 6.9 and later).
const PROCESSES: FsType = FsType(0x5049_4446);

/// What a report is about. The first number is the key of the hub of ours that it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Commands,
    /// A hub's connection to its supervisor.
    Socket(u64),
    /// The doorbell of the other side of a link: it is gone.
    Link(u64, LinkId),
    /// The doorbell of a hub that publishes: it is gone.
    Source(u64, u64),
    /// The doorbell of a subscription: it is over.
    Listener(u64, Edge),
    /// A process, by [`Watching::number`]: it has ended.
    Process(u64),
}

/// An epoll set whose entries have meanings.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: Epoll,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    subjects: HashMap<u64, Subject>,
    last: u64,
    /// Processes, each watched once however many peers it has: by the number that it has in its
    /// file system.
    processes: HashMap<u64, Weak<Watching>>,
}

/// Something that is watched for as long as this is there.
///
/// Mostly others made it, and hold it too: closing our descriptor of it does not take it out of
/// the set, so dropping this does, first.
#[derive(Debug)]
pub(super) struct Watching {
    watch: Arc<Watch>,
    fd: Arc<OwnedFd>,
    number: u64,
}

impl Watch {
    pub(super) fn new() -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, entries: Mutex::default() })
    }

    /// Reports when there is something to read, for as long as the set is there.
    pub(super) fn keep(&self, fd: BorrowedFd<'_>, subject: Subject) -> Result<(), Errno> {
        self.enter(fd, EpollFlags::EPOLLIN, |_| subject).map(drop)
    }

    /// Reports when there is something to read.
    pub(super) fn input(
        self: &Arc<Self>,
        fd: Arc<OwnedFd>,
        subject: Subject,
    ) -> Result<Watching, Errno> {
        let number = self.enter(&*fd, EpollFlags::EPOLLIN, |_| subject)?;
        Ok(Watching { watch: Arc::clone(self), fd, number })
    }

    /// Reports when nobody is left who hears the doorbell.
    pub(super) fn doorbell(
        self: &Arc<Self>,
        pipe: Arc<OwnedFd>,
        subject: Subject,
    ) -> Result<Watching, Errno> {
        // Errors are reported without being asked for.
        let number = self.enter(&*pipe, EpollFlags::empty(), |_| subject)?;
        Ok(Watching { watch: Arc::clone(self), fd: pipe, number })
    }

    /// Reports when the process ends.
    pub(super) fn process(self: &Arc<Self>, fd: OwnedFd) -> Result<Arc<Watching>, Errno> {
        let identity = identity(&fd);
        let known = |entries: &Entries| entries.processes.get(&identity?)?.upgrade();
        if let Some(known) = known(&self.entries.lock()) {
            return Ok(known);
        }
        let number = self.enter(&fd, EpollFlags::EPOLLIN, Subject::Process)?;
        let process = Arc::new(Watching { watch: Arc::clone(self), fd: Arc::new(fd), number });
        if let Some(identity) = identity {
            let processes = &mut self.entries.lock().processes;
            processes.retain(|_, known| known.strong_count() > 0);
            processes.insert(identity, Arc::downgrade(&process));
        }
        Ok(process)
    }

    fn enter(
        &self,
        fd: impl std::os::fd::AsFd,
        interest: EpollFlags,
        subject: impl FnOnce(u64) -> Subject,
    ) -> Result<u64, Errno> {
        let mut entries = self.entries.lock();
        entries.last += 1;
        let number = entries.last;
        self.epoll.add(fd, EpollEvent::new(interest, number))?;
        entries.subjects.insert(number, subject(number));
        Ok(number)
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
        let entries = self.entries.lock();
        let meaning = |event: &EpollEvent| {
            entries.subjects.get(&event.data()).map(|subject| (*subject, event.events()))
        };
        Ok(events[..ready].iter().filter_map(meaning).collect())
    }
}

/// The number of a process that no other ever has; `None` where its descriptor does not tell.
fn identity(process: &OwnedFd) -> Option<u64> {
    fstatfs(process).ok().filter(|fs| fs.filesystem_type() == PROCESSES)?;
    fstat(process).ok().map(|stat| stat.st_ino)
}

impl Watching {
    /// The number in reports about a process.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reports room to send also, or no longer.
    pub(super) fn want_room(&self, wanted: bool) -> Result<(), Errno> {
        let mut interest = EpollFlags::EPOLLIN;
        interest.set(EpollFlags::EPOLLOUT, wanted);
        self.watch.epoll.modify(&*self.fd, &mut EpollEvent::new(interest, self.number))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It is there: adding it succeeded, and nobody else takes it out.
        let _ = self.watch.epoll.delete(&*self.fd);
        self.watch.entries.lock().subjects.remove(&self.number);
    }
}
