//! Errors of the control plane: connecting, discovering, linking, supervising.
//!
//! Sending and receiving have small enums of their own (`SendError`, `RecvError`).

use crate::protocol::{ProtocolError, RefusalCode};
use crate::segment::SegmentError;
use nix::errno::Errno;
use std::path::PathBuf;
use thiserror::Error;

/// Why something on the control plane did not work. Unless the variant says otherwise nothing has
/// changed, and the call can be repeated when its cause is gone.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens on the domain's socket.
    #[error("no supervisor listens on {}; start one with `ephapse up`", path.display())]
    NoSupervisor {
        /// The socket.
        path: PathBuf,
    },
    /// Another supervisor serves the domain.
    #[error(
        "a supervisor is running already in {} (pid {pid}); stop it, or choose another directory \
         with EPHAPSE_DIR", path.display()
    )]
    SupervisorRunning {
        /// The directory.
        path: PathBuf,
        /// The other supervisor's process, or "unknown".
        pid: String,
    },
    /// The directory belongs to somebody else.
    #[error(
        "the directory {} belongs to user {owner}, not to user {uid} who wants to use it; choose \
         another one with EPHAPSE_DIR", path.display()
    )]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        uid: u32,
    },
    /// Others may enter the directory.
    #[error(
        "the directory {} has mode {mode:04o}, and must have 0700 so that nobody else can reach \
         the socket; chmod it, or choose another one with EPHAPSE_DIR", path.display()
    )]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The directory cannot be used.
    #[error("the directory {} cannot be used: {why}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Supervisor and hub are of different versions.
    #[error(
        "the supervisor speaks protocol version {found}, this program version {expected}; \
         run the same version of ephapse on both sides"
    )]
    Version {
        /// Ours.
        expected: u16,
        /// The supervisor's.
        found: u16,
    },
    /// The supervisor or the other hub said no.
    #[error("{reason}")]
    Refused {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        reason: String,
    },
    /// The supervisor said something that cannot be understood. The connection is closed.
    #[error("the supervisor does not keep to the protocol: {0}")]
    Protocol(ProtocolError),
    /// The connection to the supervisor is gone; open links go on working.
    #[error("the connection to the supervisor is lost: {why}")]
    Disconnected {
        /// What happened.
        why: String,
    },
    /// No answer within the time.
    #[error("{what} did not happen within {timeout:?}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        timeout: std::time::Duration,
    },
    /// Shared memory could not be made or was not accepted.
    #[error("shared memory for {what}: {source}")]
    Segment {
        /// Whose.
        what: String,
        /// Why.
        source: SegmentError,
    },
    /// A kernel call failed.
    #[error("{call} failed: {source}")]
    Kernel {
        /// Which.
        call: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
    /// A bound of this process was reached.
    #[error("the limit of {limit} {what} is reached")]
    LimitReached {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// An event could not be sent.
    #[error(transparent)]
    Send(crate::send_error::SendError),
    /// An event that expects no reply.
    #[error("the event on {subject} expects no reply: it was not sent with Hub::request")]
    NotARequest {
        /// Its subject.
        subject: String,
    },
    /// The hub has been closed.
    #[error("the hub is closed")]
    Closed,
    /// This process is a forked child of the one that opened the hub.
    #[error("hubs cannot be used after fork; open a new one in the child")]
    Forked,
}

impl Error {
    pub(crate) fn kernel(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Kernel { call, source }
    }

    /// As [`kernel`](Self::kernel), for calls that the standard library makes.
    pub(crate) fn io(call: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| {
            let source = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            Self::Kernel { call, source }
        }
    }

    pub(crate) fn segment(what: impl Into<String>) -> impl FnOnce(SegmentError) -> Self {
        move |source| Self::Segment { what: what.into(), source }
    }

    pub(crate) fn refused(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self::Refused { code, reason: reason.into() }
    }
}
