//! Unix sockets that keep messages apart.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, connect, listen,
    recv, send, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::kernel_version;
use crate::message::Message;
use crate::peer::{
    BOTH, Peer, SILENCE, Setup, Side, System, Wait, patiently, spin_for_room, spin_to_hear,
};
use crate::serve::serve;

/// One socket.
pub(crate) const SYSTEM: System = System {
    name: "seqpacket",
    about: "a Unix SEQPACKET socket with the kernel's default buffers",
    ours: false,
    in_process: false,
    modes: BOTH,
    version: kernel_version,
    serve: Some(serve::<Socket>),
    daemon: None,
};

struct Socket {
    socket: OwnedFd,
    bytes: Vec<u8>,
    flags: MsgFlags,
}

fn new_socket() -> Result<OwnedFd> {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    socket(family, kind, SockFlag::SOCK_CLOEXEC, None).context("cannot make a socket")
}

fn address(setup: &Setup) -> Result<UnixAddr> {
    let path: PathBuf = setup.dir.join("peer.sock");
    UnixAddr::new(&path).with_context(|| format!("{path:?} cannot be the name of a socket"))
}

impl Peer for Socket {
    fn connect(setup: &Setup) -> Result<Socket> {
        let socket = match setup.side {
            Side::A => patiently(|| {
                let socket = new_socket()?;
                connect(socket.as_raw_fd(), &address(setup)?)?;
                Ok(socket)
            })?,
            Side::B => {
                let listener = new_socket()?;
                bind(listener.as_raw_fd(), &address(setup)?).context("cannot bind a socket")?;
                listen(&listener, Backlog::new(1)?).context("cannot listen")?;
                super::accepted(accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?)
            }
        };
        let silence = TimeVal::milliseconds(SILENCE.as_millis() as i64);
        setsockopt(&socket, ReceiveTimeout, &silence).context("cannot set a time-out")?;
        let flags = match setup.wait {
            Wait::Spin => MsgFlags::MSG_DONTWAIT,
            Wait::Block => MsgFlags::empty(),
        };
        Ok(Socket { socket, bytes: vec![0; setup.longest], flags })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let bytes = &mut self.bytes[..message.len()];
        message.write(bytes);
        let flags = self.flags | MsgFlags::MSG_NOSIGNAL;
        spin_for_room(|| match send(self.socket.as_raw_fd(), bytes, flags) {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            outcome => Ok(outcome.context("cannot send")? == bytes.len()),
        })
    }

    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let (bytes, flags) = (&mut self.bytes, self.flags);
        let mut attempt = || match recv(self.socket.as_raw_fd(), bytes, flags) {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            outcome => {
                let len = outcome.context("cannot receive")?;
                ensure!(len > 0, "the other side has hung up");
                read(&bytes[..len]);
                Ok(true)
            }
        };
        if flags.contains(MsgFlags::MSG_DONTWAIT) { spin_to_hear(attempt) } else { attempt() }
    }
}
