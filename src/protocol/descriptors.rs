//! Receiving a message with its descriptors.
//!
//! # Safety
//!
//! Descriptors that the kernel has put into this process are owned at once, also when it had to
//! leave some out: a peer that sends too many, or a process at its limit, must not leak any. (The
//! wrapper in nix gives no access to those that did arrive.)

#![allow(unsafe_code)]

use crate::limits::DESCRIPTORS_MAX;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// One message.
pub(super) struct Received {
    /// Bytes in the buffer; 0 when the other side hung up.
    pub len: usize,
    pub descriptors: Vec<OwnedFd>,
}

/// Room for the descriptors of one message, aligned as control messages are.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

// SAFETY: CMSG_SPACE only computes.
const CONTROL_BYTES: usize =
    unsafe { libc::CMSG_SPACE((DESCRIPTORS_MAX * size_of::<RawFd>()) as u32) } as usize;

/// Receives one message without waiting.
pub(super) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Received, Errno> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid msghdr.
    let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = CONTROL_BYTES as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: header, slice, buffer and control are valid for the call.
    let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let len = Errno::result(result)? as usize;
    // What is longer than a message may be fills the buffer, and so does not decode.
    Ok(Received { len, descriptors: own_all(&header) })
}

/// Takes ownership of every descriptor that a received header holds.
fn own_all(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut owned = Vec::new();
    // SAFETY: the kernel filled the header's control buffer, which is alive.
    let mut cmsg = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !cmsg.is_null() {
        // SAFETY: not null, so it lies whole in the control buffer, aligned.
        let head = unsafe { &*cmsg };
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: CMSG_LEN only computes.
            let prefix = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = (head.cmsg_len as usize).saturating_sub(prefix) / size_of::<RawFd>();
            // SAFETY: the data follows the head, in the control buffer.
            let data = unsafe { libc::CMSG_DATA(cmsg) }.cast::<RawFd>();
            for index in 0..count {
                // SAFETY: the kernel wrote `count` descriptors.
                let slot = unsafe { data.add(index) };
                // SAFETY: as above; the data need not be aligned.
                let raw = unsafe { slot.read_unaligned() };
                // SAFETY: just made for us by the kernel; nobody else knows its number.
                owned.push(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
        // SAFETY: both point into the same control buffer.
        cmsg = unsafe { libc::CMSG_NXTHDR(header, cmsg) };
    }
    owned
}
