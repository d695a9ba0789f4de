//! How parent and child talk between rounds: messages with descriptors, over a socket.
//!
//! Nothing goes over it while something is measured.

use std::io::{IoSlice, IoSliceMut, stdin};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::args::Setup;
use super::load::Schedule;
use super::shared::adopt;

/// Bytes of the longest message.
const MESSAGE_MAX: usize = 4096;

/// What the parent orders.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Prepare for this. With it comes the shared page; for the bare ring also the descriptors of
    /// the parent's ring and cursors.
    Prepare {
        /// What for.
        setup: Setup,
        /// Where among the cursors the parent's position in the child's ring is; 0 for hubs.
        slot: u32,
    },
    /// Answer this many round trips of the floor, whose words stand at `from`.
    Floor {
        /// Round trips before this.
        from: u64,
        /// Round trips.
        trips: u64,
    },
    /// Answer this many events.
    Answer {
        /// How many.
        trips: u64,
    },
    /// Receive this many events, and say so in the shared page.
    Receive {
        /// How many.
        count: u64,
    },
    /// Receive events that are sent by this schedule, and say so in the shared page; with the
    /// answer comes a file with the ticks that each of them took.
    ReceiveOnSchedule {
        /// Which.
        schedule: Schedule,
    },
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Its hubs have joined; or its ring is there, with the same descriptors as above.
    Joined {
        /// Where among the cursors the child's position in the parent's ring is; 0 for hubs.
        slot: u32,
    },
    /// It is connected with its parent and awaits orders.
    Ready,
    /// An order has been carried out.
    Done {
        /// Events that were missing, repeated or wrong.
        lost: u64,
    },
}

/// One end.
#[derive(Debug)]
pub(crate) struct Control {
    socket: OwnedFd,
}

impl Control {
    /// The parent's end, and the other end, which becomes the child's standard input.
    pub(crate) fn pair() -> Result<(Control, OwnedFd)> {
        let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
        let (socket, other) = socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC)
            .context("cannot make sockets")?;
        Ok((Control { socket }, other))
    }

    /// The child's end.
    pub(crate) fn of_child() -> Result<Control> {
        let socket = stdin().as_fd().try_clone_to_owned().context("cannot use standard input")?;
        Ok(Control { socket })
    }

    /// Sends a message with descriptors.
    pub(crate) fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<()> {
        let bytes = serde_json::to_vec(message).context("cannot write a message")?;
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
        let (bytes, flags) = ([IoSlice::new(&bytes)], MsgFlags::MSG_NOSIGNAL);
        sendmsg::<()>(self.socket.as_raw_fd(), &bytes, rights, flags, None)
            .context("the other process of the benchmark hears no more")?;
        Ok(())
    }

    /// The next message, with the descriptors that came with it.
    ///
    /// # Errors
    /// When none comes within `limit`, or the other process has ended.
    pub(crate) fn receive<M: DeserializeOwned>(
        &self,
        limit: Duration,
    ) -> Result<(M, Vec<OwnedFd>)> {
        self.wait_readable(limit)?;
        self.next()?.context("the other process of the benchmark has ended")
    }

    /// As [`receive`](Control::receive), waiting for ever; `None` when the other process has hung
    /// up.
    pub(crate) fn next<M: DeserializeOwned>(&self) -> Result<Option<(M, Vec<OwnedFd>)>> {
        let mut bytes = [0; MESSAGE_MAX];
        let mut space = cmsg_space!([RawFd; 4]);
        let mut descriptors = Vec::new();
        let len = loop {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let (raw, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_CMSG_CLOEXEC);
            match recvmsg::<()>(raw, &mut slices, Some(&mut space), flags) {
                Ok(received) => {
                    for control in received.cmsgs().context("a message without room")? {
                        if let ControlMessageOwned::ScmRights(raw) = control {
                            descriptors.extend(raw.into_iter().map(adopt));
                        }
                    }
                    break received.bytes;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(errno) => return Err(errno).context("cannot hear the other process"),
            }
        };
        if len == 0 {
            return Ok(None);
        }
        let message = serde_json::from_slice(&bytes[..len]).context("an unexpected message")?;
        Ok(Some((message, descriptors)))
    }

    fn wait_readable(&self, limit: Duration) -> Result<()> {
        if !self.is_readable_within(limit)? {
            bail!("the other process of the benchmark has said nothing for {limit:?}")
        }
        Ok(())
    }

    /// Whether there is a message, or the other process has hung up, before the time is over.
    pub(crate) fn is_readable_within(&self, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, timeout) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(errno).context("cannot wait for the other process"),
            }
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
