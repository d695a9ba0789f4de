//! Somebody between a hub and its supervisor, who reads and changes what they say: a hostile hub
//! that keeps to the protocol where the test wants it to.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, accept4, bind, connect, listen, recvmsg, sendmsg, socket,
};
use parking_lot::Mutex;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One message, with its descriptors.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// A connection that knows nothing of what goes over it.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    pub(crate) fn connect(domain: &ephapse::Domain) -> Result<Self, Errno> {
        let socket = seqpacket();
        connect(socket.as_raw_fd(), &UnixAddr::new(&domain.socket())?)?;
        Ok(Self(socket))
    }

    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None)?;
        Ok(())
    }

    fn pass_on(&self, message: &Message) -> Result<(), Errno> {
        let borrowed: Vec<_> = message.descriptors.iter().map(AsFd::as_fd).collect();
        self.send(&message.bytes, &borrowed)
    }

    /// The next message; `None` when the other side has hung up.
    pub(crate) fn receive(&self) -> Option<Message> {
        let mut buffer = vec![0; 256 << 10];
        let mut control = nix::cmsg_space!([RawFd; 8]);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let (fd, flags) = (self.0.as_raw_fd(), MsgFlags::MSG_CMSG_CLOEXEC);
        let received = recvmsg::<()>(fd, &mut slices, Some(&mut control), flags).ok()?;
        let mut descriptors = Vec::new();
        for part in received.cmsgs().unwrap() {
            let ControlMessageOwned::ScmRights(raw) = part else { continue };
            // SAFETY: the kernel has just made these descriptors for us.
            descriptors.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
        let len = received.bytes;
        (len > 0).then(|| Message { bytes: buffer[..len].to_vec(), descriptors })
    }

    /// Waits until the other side hangs up, and says what came before.
    pub(crate) fn receive_to_the_end(&self) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            let ready = wait_for(&[&self.0], super::process::LONG.as_millis() as u16);
            assert!(ready[0], "the supervisor does not hang up");
            match self.receive() {
                Some(message) => all.push(message),
                None => return all,
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn seqpacket() -> OwnedFd {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

/// Which of some descriptors have something to say.
fn wait_for(sockets: &[&OwnedFd], milliseconds: u16) -> Vec<bool> {
    let mut fds: Vec<_> =
        sockets.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    // An interrupted wait is one in which nothing happened.
    let _ = poll(&mut fds, PollTimeout::from(milliseconds));
    fds.iter().map(|fd| fd.any().unwrap_or(true)).collect()
}

/// Looks at, and changes, each message to the supervisor.
type Change = Arc<Mutex<dyn FnMut(&mut Message) + Send>>;

/// A domain whose hubs live in another one.
pub(crate) struct Proxy {
    domain: ephapse::Domain,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Proxy {
    pub(crate) fn start(
        real: &ephapse::Domain,
        change: impl FnMut(&mut Message) + Send + 'static,
    ) -> Self {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let domain = ephapse::Domain::at(dir.path());
        let door = listen_at(&domain.socket());
        let stop = Arc::new(AtomicBool::new(false));
        let (real, stopped) = (real.clone(), Arc::clone(&stop));
        let change: Change = Arc::new(Mutex::new(change));
        let thread = std::thread::spawn(move || serve(&door, &real, &change, &stopped));
        Self { domain, stop, thread: Some(thread), _dir: dir }
    }

    pub(crate) fn domain(&self) -> ephapse::Domain {
        self.domain.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen_at(path: &Path) -> OwnedFd {
    let door = seqpacket();
    bind(door.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
    listen(&door, Backlog::MAXCONN).unwrap();
    door
}

/// Passes on, in both directions, what hubs and supervisor say.
fn serve(door: &OwnedFd, real: &ephapse::Domain, change: &Change, stop: &AtomicBool) {
    let mut pairs: Vec<(Socket, Socket)> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut sockets = vec![door];
        sockets.extend(pairs.iter().flat_map(|(hub, supervisor)| [&hub.0, &supervisor.0]));
        let ready = wait_for(&sockets, 10);
        let mut index = 0;
        pairs.retain(|(hub, supervisor)| {
            index += 2;
            (!ready[index - 1] || forward(hub, supervisor, |m| change.lock()(m)))
                && (!ready[index] || forward(supervisor, hub, |_| {}))
        });
        if ready[0] {
            let hub = accept4(door.as_raw_fd(), SockFlag::SOCK_CLOEXEC).unwrap();
            // SAFETY: the kernel has just made it for us.
            let hub = Socket(unsafe { OwnedFd::from_raw_fd(hub) });
            if let Ok(supervisor) = Socket::connect(real) {
                pairs.push((hub, supervisor));
            }
        }
    }
}

/// Whether the connection goes on.
fn forward(from: &Socket, to: &Socket, change: impl FnOnce(&mut Message)) -> bool {
    let Some(mut message) = from.receive() else { return false };
    change(&mut message);
    to.pass_on(&message).is_ok()
}
