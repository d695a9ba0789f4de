//! Connecting to a supervisor.

use super::ANSWER_TIMEOUT;
use crate::domain::Domain;
use crate::error::Error;
use crate::protocol::{
    Channel, ChannelError, ProtocolError, RefusalCode, ToHub, ToSupervisor, check_name,
};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// Connects and introduces a hub; gives the connection and the hub's id.
pub(in crate::hub) fn join(domain: &Domain, name: &str) -> Result<(Channel, u64), Error> {
    check_name(name).map_err(|reason| Error::refused(RefusalCode::InvalidName, reason))?;
    domain.check()?;
    let mut channel = Channel::new(dial(domain)?);
    channel
        .send(&ToSupervisor::Hello { name: name.to_owned(), resume: 0 }, Vec::new())
        .map_err(fault)?;
    let (answer, _) = channel.receive_by(Instant::now() + ANSWER_TIMEOUT).map_err(fault)?;
    match answer {
        ToHub::Welcome { id } => Ok((channel, id)),
        ToHub::Refused { code, reason, .. } => Err(Error::Refused { code, reason }),
        _ => Err(Error::Protocol(ProtocolError::Invalid { kind: 0, len: 0 })),
    }
}

/// Connects without waiting, to a supervisor that may be there again.
pub(super) fn redial(domain: &Domain) -> Result<OwnedFd, Error> {
    domain.check()?;
    let path = domain.socket();
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
        .map_err(Error::kernel("socket"))?;
    let address = UnixAddr::new(&path).map_err(Error::kernel("socket address"))?;
    connect(socket.as_raw_fd(), &address).map_err(Error::kernel("connect"))?;
    Ok(socket)
}

fn dial(domain: &Domain) -> Result<OwnedFd, Error> {
    let path = domain.socket();
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
        .map_err(Error::kernel("socket"))?;
    // A supervisor that is stopped, with a full queue, must not hold us for ever.
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(ANSWER_TIMEOUT.as_secs() as i64))
        .map_err(Error::kernel("setsockopt"))?;
    let address = UnixAddr::new(&path).map_err(Error::kernel("socket address"))?;
    loop {
        // Blocking: a supervisor that is busy lets us wait in its queue.
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Err(Error::NoSupervisor { path }),
            Err(Errno::EAGAIN) => return Err(fault(ChannelError::TimedOut)),
            Err(source) => return Err(Error::Kernel { call: "connect", source }),
        }
    }
    Ok(socket)
}

/// What an end of the connection means to who wanted something.
pub(super) fn fault(error: ChannelError) -> Error {
    match error {
        ChannelError::Protocol(ProtocolError::WrongVersion { expected, found }) => {
            Error::Version { expected, found }
        }
        ChannelError::Protocol(error) => Error::Protocol(error),
        ChannelError::TimedOut => Error::TimedOut {
            what: "an answer of the supervisor".to_owned(),
            timeout: ANSWER_TIMEOUT,
        },
        other => Error::Disconnected { why: other.to_string() },
    }
}
