//! Links that other hubs open with this one.

use super::{Hub, Link, after};
use crate::error::Error;
use crate::wait::Woken;
use std::time::{Duration, Instant};

impl Hub {
    /// The next link that another hub has opened with this one, if there is one. Its events
    /// arrive whether it is taken or not; it is needed to answer.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn try_accept(&mut self) -> Result<Option<Link>, Error> {
        self.usable()?;
        self.take_mail();
        Ok(self.accepted.pop_front())
    }

    /// As [`try_accept`](Self::try_accept), waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn accept_timeout(&mut self, timeout: Duration) -> Result<Option<Link>, Error> {
        self.accept_by(after(timeout))
    }

    /// As [`try_accept`](Self::try_accept), waiting for as long as it takes. `None` only when the
    /// hub is closed.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn accept(&mut self) -> Result<Option<Link>, Error> {
        self.accept_by(None)
    }

    fn accept_by(&mut self, by: Option<Instant>) -> Result<Option<Link>, Error> {
        loop {
            if let Some(link) = self.try_accept()? {
                return Ok(Some(link));
            }
            self.bell.arm();
            let over = by.is_some_and(|by| Instant::now() >= by);
            if over || self.shared.is_closed() {
                self.bell.disarm();
                return Ok(None);
            }
            // Nothing about mail needs a fence: the control thread rings in any case.
            while !self.shared.has_mail() && self.bell.sleep(by) == Woken::LookAgain {}
            self.bell.disarm();
        }
    }
}
