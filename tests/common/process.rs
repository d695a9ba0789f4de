//! A second process: this test binary again, in another role.
//!
//! A test file that needs one has a test `child_entry` that calls [`enter`], which returns at once
//! in the process of the tests. Parent and child talk over a socket that is the child's standard
//! input.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::unistd::Pid;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const ROLE: &str = "EPHAPSE_TEST_ROLE";
const PARENT: &str = "EPHAPSE_TEST_PARENT";

/// Longer than anything takes that does not hang.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// In a child: plays its role, with the socket to the parent. Elsewhere: nothing.
pub(crate) fn enter(play: impl FnOnce(&str, &Wire)) {
    let Ok(role) = std::env::var(ROLE) else { return };
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    // The parent may have died before that.
    let parent = std::env::var(PARENT).unwrap();
    if nix::unistd::getppid().to_string() == parent {
        play(&role, &Wire(std::io::stdin().as_fd().try_clone_to_owned().unwrap()));
    }
}

/// A child of this process, killed and reaped when this is dropped.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) wire: Wire,
}

impl Child {
    pub(crate) fn spawn(role: &str) -> Self {
        let kind = SockType::SeqPacket;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_entry", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(PARENT, std::process::id().to_string())
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, wire: Wire(ours) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Kills and reaps it: after this it has done all that it ever did.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops it, and waits until it stands still.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let status = format!("/proc/{}/stat", self.pid());
        wait_until("the child stands still", || super::host::state_in(&status) == Some('T'));
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(mut self) {
        let mut status = None;
        wait_until("the child's end", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success(), "the child failed: {status:?}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when it has been reaped before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Messages and descriptors between parent and child.
pub(crate) struct Wire(OwnedFd);

impl Wire {
    pub(crate) fn send(&self, text: &str) {
        self.send_with(text, &[]);
    }

    pub(crate) fn send_with(&self, text: &str, descriptors: &[BorrowedFd<'_>]) {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &[][..] } else { &rights[..] };
        let bytes = [IoSlice::new(text.as_bytes())];
        let flags = MsgFlags::MSG_NOSIGNAL;
        // A child that has been killed does not listen.
        let _ = sendmsg::<()>(self.0.as_raw_fd(), &bytes, control, flags, None);
    }

    /// The next message; `None` when the other side is gone.
    pub(crate) fn receive(&self) -> Option<String> {
        self.receive_with().map(|(text, _)| text)
    }

    pub(crate) fn expect(&self, text: &str) {
        assert_eq!(self.receive().as_deref(), Some(text), "from the other process");
    }

    /// Whether a message is there, or the other side is gone.
    pub(crate) fn is_readable(&self, within: Duration) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(within).unwrap()).unwrap() > 0
    }

    pub(crate) fn receive_with(&self) -> Option<(String, Vec<OwnedFd>)> {
        assert!(self.is_readable(LONG), "no word from the other process");
        let mut bytes = vec![0; 64 << 10];
        let mut control = nix::cmsg_space!([RawFd; 8]);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let fd = self.0.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), flags).ok()?;
        let mut descriptors = Vec::new();
        for part in message.cmsgs().unwrap() {
            let ControlMessageOwned::ScmRights(raw) = part else { continue };
            // SAFETY: the kernel has just made these descriptors for us.
            descriptors.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
        let len = message.bytes;
        (len > 0).then(|| (String::from_utf8(bytes[..len].to_vec()).unwrap(), descriptors))
    }
}

/// Waits for a condition, not for ever.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "this did not happen: {what}");
        // Sleep: between two looks at the condition.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Does something that must not take long, in a thread of its own: a hang fails the test.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = channel();
    let thread = std::thread::spawn(move || {
        let _ = done.send(work());
    });
    match result.recv_timeout(limit) {
        Ok(result) => {
            thread.join().unwrap();
            result
        }
        Err(RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}
