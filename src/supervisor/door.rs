//! The socket: one supervisor for each directory, and who comes in.

use crate::domain::Domain;
use crate::error::Error;
use crate::segment::Process;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, getsockopt, listen, socket,
};
use nix::sys::stat::{fstat, stat};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// How long to wait for descriptors to become free.
const PAUSE: Duration = Duration::from_millis(100);

/// The listening socket, and the lock that makes it the only one.
#[derive(Debug)]
pub(super) struct Door {
    domain: Domain,
    socket: OwnedFd,
    lock: ManuallyDrop<Flock<File>>,
    process: Process,
    paused_until: Option<Instant>,
}

/// Somebody who has come in.
#[derive(Debug)]
pub(super) struct Visitor {
    pub socket: OwnedFd,
    pub uid: u32,
    pub pid: u32,
    pub process: Option<OwnedFd>,
}

impl Door {
    pub(super) fn open(domain: &Domain) -> Result<Self, Error> {
        domain.prepare()?;
        let lock = lock(domain)?;
        // We hold the lock, so whoever made the socket that is there is gone.
        match nix::unistd::unlink(&domain.socket()) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(source) => return Err(Error::Kernel { call: "unlink of a stale socket", source }),
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
            .map_err(Error::kernel("socket"))?;
        let address = UnixAddr::new(&domain.socket()).map_err(Error::kernel("socket address"))?;
        bind(socket.as_raw_fd(), &address).map_err(Error::kernel("bind"))?;
        listen(&socket, Backlog::MAXCONN).map_err(Error::kernel("listen"))?;
        let (domain, lock) = (domain.clone(), ManuallyDrop::new(lock));
        Ok(Self { domain, socket, lock, process: Process::current(), paused_until: None })
    }

    /// The next visitor who may come in. Others are sent away and the next one is looked at.
    ///
    /// # Errors
    ///
    /// The kernel has no descriptors left; the door stays shut for a while.
    pub(super) fn accept(
        &mut self,
        may_connect: impl Fn(u32) -> bool,
    ) -> Result<Option<Visitor>, Errno> {
        loop {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = match accept4(self.socket.as_raw_fd(), flags) {
                Ok(raw) => own(raw),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR | Errno::ECONNABORTED) => continue,
                Err(errno) => {
                    self.paused_until = Some(Instant::now() + PAUSE);
                    return Err(errno);
                }
            };
            let Ok(credentials) = getsockopt(&socket, PeerCredentials) else { continue };
            if !may_connect(credentials.uid()) {
                tracing::warn!(uid = credentials.uid(), "too many connections of one user");
                continue;
            }
            let process = peer_process(&socket, credentials.pid());
            let pid = credentials.pid().cast_unsigned();
            return Ok(Some(Visitor { socket, uid: credentials.uid(), pid, process }));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Whether the door, shut for a while, is to be opened again.
    pub(super) fn reopen_at(&mut self, now: Instant) -> bool {
        self.paused_until.take_if(|until| *until <= now).is_some()
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if !self.process.is_current() {
            return; // socket and lock are the parent's; to drop the lock would give it back
        }
        // Both are ours while the lock is held, which is until after this.
        let _ = nix::unistd::unlink(&self.domain.socket());
        let _ = nix::unistd::unlink(&self.domain.lock());
        // SAFETY: dropped here and nowhere else.
        #[allow(unsafe_code)]
        unsafe {
            ManuallyDrop::drop(&mut self.lock);
        }
    }
}

/// Takes the domain's lock, which the kernel gives back when its holder dies.
fn lock(domain: &Domain) -> Result<Flock<File>, Error> {
    let path = domain.lock();
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::Directory { path: path.clone(), why: error.to_string() })?;
        let mut pid = String::new();
        // Whatever can be read is good enough for an error text.
        let _ = Read::by_ref(&mut file).take(16).read_to_string(&mut pid);
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EINTR)) => continue,
            Err((_, Errno::EWOULDBLOCK)) => {
                let pid = if pid.trim().is_empty() { "unknown" } else { pid.trim() }.to_owned();
                return Err(Error::SupervisorRunning { path: domain.path().to_owned(), pid });
            }
            Err((_, source)) => return Err(Error::Kernel { call: "flock", source }),
        };
        // The one who held it may have removed the file between our open and our lock.
        let ours = fstat(&*lock).map_err(Error::kernel("fstat"))?;
        if stat(&path).is_ok_and(|there| there.st_ino == ours.st_ino) {
            // For the error text above, no more.
            let _ = lock.set_len(0);
            let _ = write!(&mut *lock, "{}", std::process::id());
            return Ok(lock);
        }
    }
}

/// A descriptor of the process at the other end: what was there when it connected, not whoever
/// has its number now.
fn peer_process(socket: &OwnedFd, pid: i32) -> Option<OwnedFd> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let mut raw: libc::c_int = -1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both out-parameters are valid and of the size that is said.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut raw).cast(),
            &raw mut len,
        )
    };
    if result == 0 && raw >= 0 {
        return Some(own(raw));
    }
    // Kernels before 6.5. The peer cannot have gone and its number been given to another while
    // its socket is still connected and nothing has been read from it, or we see it hang up.
    // SAFETY: pidfd_open takes two integers.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    (pid > 0 && result >= 0).then(|| own(result as i32))
}

#[allow(unsafe_code)]
fn own(raw: i32) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(raw) }
}
