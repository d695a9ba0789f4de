//! The descriptors that hubs send: what they must be, and how to be rid of others.

use super::serve::Fault;
use crate::protocol::ToSupervisor;
use nix::fcntl::{FcntlArg, fcntl};
use std::os::fd::OwnedFd;

/// What a descriptor has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory,
    Pipe,
}

/// The descriptors that belong to a message, and what to say of others.
fn expected(message: &ToSupervisor) -> (&'static [Kind], &'static str) {
    use Kind::{Memory, Pipe};
    match message {
        // Ring, cursors, doorbell.
        ToSupervisor::Link { .. }
        | ToSupervisor::Accept { .. }
        | ToSupervisor::Broadcast { .. } => (&[Memory, Memory, Pipe], "two memfds and a pipe"),
        // Cursors, doorbell.
        ToSupervisor::Subscribe { .. } => (&[Memory, Pipe], "a memfd and a pipe"),
        // Ring.
        ToSupervisor::Lane { .. } => (&[Memory], "a memfd"),
        _ => (&[], "nothing"),
    }
}

/// Whether these are the descriptors that belong to a message.
///
/// # Errors
///
/// What they are instead. They have been closed, or will be: closing a descriptor that a hostile
/// hub chose (a socket that lingers, a file of a file system in user space) can take for ever, so
/// a thread of its own does it.
pub(super) fn check_descriptors(
    message: &ToSupervisor,
    descriptors: Vec<OwnedFd>,
) -> Result<Vec<OwnedFd>, Fault> {
    let (kinds, what) = expected(message);
    let fault = if descriptors.len() != kinds.len() {
        format!("{} descriptors came instead of {}", descriptors.len(), kinds.len())
    } else if !descriptors.iter().zip(kinds).all(|(fd, kind)| is_of(fd, *kind)) {
        format!("descriptors came that are not {what}")
    } else {
        return Ok(descriptors);
    };
    if !descriptors.is_empty() {
        // Without a thread they are closed here, when the closure is dropped.
        let name = "ephapse-close".to_owned();
        let _ = std::thread::Builder::new().name(name).spawn(move || drop(descriptors));
    }
    Err(fault)
}

/// Asks without touching what is behind the descriptor.
fn is_of(fd: &OwnedFd, kind: Kind) -> bool {
    let question = match kind {
        Kind::Memory => FcntlArg::F_GET_SEALS,
        Kind::Pipe => FcntlArg::F_GETPIPE_SZ,
    };
    fcntl(fd, question).is_ok()
}
