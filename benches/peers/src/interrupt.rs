//! SIGINT and SIGTERM as something that can be waited for beside sockets.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use thiserror::Error;

/// How often a wait looks whether processes still live.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The user does not want to wait any longer.
#[derive(Debug, Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Knows whether somebody has asked to stop.
#[derive(Debug)]
pub(crate) struct Interrupt {
    pipe: UnixStream,
}

impl Interrupt {
    /// Watches from now on.
    pub(crate) fn watch() -> Result<Interrupt> {
        let (end, line) = UnixStream::pair().context("cannot make a socket")?;
        end.set_nonblocking(true).context("cannot watch for signals")?;
        for signal in [SIGINT, SIGTERM] {
            let line = line.try_clone().context("cannot watch for signals")?;
            pipe::register(signal, line).context("cannot watch for signals")?;
        }
        Ok(Interrupt { pipe: end })
    }

    /// Waits until something can be read from one of these; returns its index.
    ///
    /// # Errors
    /// When interrupted, when the time is over, or when `check` fails, which is asked now and then.
    pub(crate) fn wait_readable(
        &self,
        sources: &[BorrowedFd<'_>],
        limit: Duration,
        mut check: impl FnMut() -> Result<()>,
    ) -> Result<usize> {
        let deadline = Instant::now() + limit;
        loop {
            let mut polled: Vec<PollFd<'_>> = std::iter::once(self.pipe.as_fd())
                .chain(sources.iter().copied())
                .map(|source| PollFd::new(source, PollFlags::POLLIN))
                .collect();
            let left = deadline.saturating_duration_since(Instant::now()).min(LOOK_AGAIN);
            match poll(&mut polled, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).context("cannot wait for other processes"),
            }
            if polled[0].any() == Some(true) {
                // It stays interrupted: nothing is read.
                bail!(Interrupted);
            }
            if let Some(index) = polled[1..].iter().position(|source| source.any() == Some(true)) {
                return Ok(index);
            }
            check()?;
            if Instant::now() >= deadline {
                bail!("nothing has happened for {limit:?}");
            }
        }
    }
}
