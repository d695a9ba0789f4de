//! A socket that carries messages and descriptors, with a bounded queue for what the kernel does
//! not take at once.

use super::{Message, ProtocolError, decode, descriptors, encode};
use crate::limits::MESSAGE_MAX;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Messages, and bytes of them, that wait for a peer that does not read; more, and the connection
/// is given up. One hub that goes can have a thousand messages sent to another at once.
const QUEUE_MAX: usize = 8192;
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Tries, a millisecond apart, while the kernel has no room for more descriptors in flight: no
/// event would tell when it has.
const PATIENCE: u32 = 50;

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ChannelError {
    #[error("the other side closed the connection")]
    HungUp,
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("the connection failed: {0}")]
    Kernel(Errno),
    #[error("the other side has not read {QUEUE_MAX} messages or {QUEUE_BYTES_MAX} bytes")]
    QueueFull,
    #[error("a message is too long")]
    TooLong,
    #[error("no answer in time")]
    TimedOut,
}

/// What to send: bytes, and descriptors that are closed once they have been sent.
#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// One end of a connection, non-blocking.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: Arc<OwnedFd>,
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    buffer: Box<[u8]>,
}

impl Channel {
    /// A connected, non-blocking SEQPACKET socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        // One byte more than allowed, so that what is too long shows itself.
        let buffer = vec![0; MESSAGE_MAX + 1].into();
        Self { socket: Arc::new(socket), queue: VecDeque::new(), queued_bytes: 0, buffer }
    }

    /// For who watches it, to keep for as long.
    pub(crate) fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    /// Sends a message, or queues it.
    pub(crate) fn send<M: Message>(
        &mut self,
        message: &M,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), ChannelError> {
        let bytes = encode(message).ok_or(ChannelError::TooLong)?;
        self.send_bytes(bytes, descriptors)
    }

    pub(crate) fn send_bytes(
        &mut self,
        bytes: Vec<u8>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), ChannelError> {
        if self.queue.len() >= QUEUE_MAX || self.queued_bytes >= QUEUE_BYTES_MAX {
            return Err(ChannelError::QueueFull);
        }
        self.queued_bytes += bytes.len();
        self.queue.push_back(Outgoing { bytes, descriptors });
        self.flush()
    }

    /// Whether messages wait for the socket to become writable.
    pub(crate) fn has_queued(&self) -> bool {
        self.queued() > 0
    }

    /// How many do.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Sends what is queued, as far as the kernel takes it.
    pub(crate) fn flush(&mut self) -> Result<(), ChannelError> {
        let mut patience = PATIENCE;
        while let Some(next) = self.queue.front() {
            match send_one(&self.socket, next) {
                Ok(()) => {
                    self.queued_bytes -= next.bytes.len();
                    self.queue.pop_front();
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::ETOOMANYREFS | Errno::ENOBUFS) if patience > 0 => {
                    patience -= 1;
                    // Sleep: no event tells when there is room again.
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(ChannelError::HungUp),
                Err(errno) => return Err(ChannelError::Kernel(errno)),
            }
        }
        Ok(())
    }

    /// The next message, if one has arrived, with its descriptors: fewer than were sent if this
    /// process can have no more of them.
    pub(crate) fn receive<M: Message>(
        &mut self,
    ) -> Result<Option<(M, Vec<OwnedFd>)>, ChannelError> {
        let received = loop {
            match descriptors::receive(&self.socket, &mut self.buffer) {
                Ok(received) => break received,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ECONNRESET) => return Err(ChannelError::HungUp),
                Err(errno) => return Err(ChannelError::Kernel(errno)),
            }
        };
        if received.len == 0 {
            return Err(ChannelError::HungUp);
        }
        let message = decode(&self.buffer[..received.len])?;
        Ok(Some((message, received.descriptors)))
    }

    /// The next message, waiting for it.
    pub(crate) fn receive_by<M: Message>(
        &mut self,
        deadline: Instant,
    ) -> Result<(M, Vec<OwnedFd>), ChannelError> {
        loop {
            if let Some(received) = self.receive()? {
                return Ok(received);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ChannelError::TimedOut);
            }
            let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(ChannelError::Kernel(errno)),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn send_one(socket: &OwnedFd, message: &Outgoing) -> Result<(), Errno> {
    let raw: Vec<RawFd> = message.descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&message.bytes)], control, flags, None)?;
    Ok(())
}
