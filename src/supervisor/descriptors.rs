//! The descriptors that hubs send: what they must be, and how to be rid of others.

use super::serve::Fault;
use nix::fcntl::{FcntlArg, fcntl};
use std::os::fd::OwnedFd;

/// Ring, cursors, doorbell.
const LINK_DESCRIPTORS: usize = 3;

/// Whether these are the descriptors of a link, or none where none belong.
///
/// # Errors
///
/// What they are instead. They have been closed, or will be: closing a descriptor that a hostile
/// hub chose (a socket that lingers, a file of a file system in user space) can take for ever, so
/// a thread of its own does it.
pub(super) fn check_descriptors(
    carries_link: bool,
    descriptors: Vec<OwnedFd>,
) -> Result<Vec<OwnedFd>, Fault> {
    let expected = if carries_link { LINK_DESCRIPTORS } else { 0 };
    let fault = if descriptors.len() != expected {
        format!("{} descriptors came instead of {expected}", descriptors.len())
    } else if !descriptors.iter().zip([is_memory, is_memory, is_pipe]).all(|(fd, is)| is(fd)) {
        "descriptors came that are not two memfds and a pipe".to_owned()
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
fn is_memory(fd: &OwnedFd) -> bool {
    fcntl(fd, FcntlArg::F_GET_SEALS).is_ok()
}

fn is_pipe(fd: &OwnedFd) -> bool {
    fcntl(fd, FcntlArg::F_GETPIPE_SZ).is_ok()
}
