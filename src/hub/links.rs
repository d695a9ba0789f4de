//! Links that this hub opens, and those that others open with it.

use super::{Hub, Link, LinkOptions, after, mail};
use crate::error::Error;
use crate::protocol::LinkInfo;
use crate::wait::Woken;
use std::time::{Duration, Instant};

impl Hub {
    /// Opens a link with the hub of that name, of the default capacity each way. When this
    /// returns, the other side has attached: nothing that is sent is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] (unknown, declined, linked already, limits; two hubs that have just
    /// closed their link count as linked until the supervisor has heard of it from both), [`Error::TimedOut`],
    /// [`Error::Segment`], [`Error::Disconnected`]. Nothing stays behind.
    pub fn link_to(&mut self, name: &str) -> Result<Link, Error> {
        self.link_with(name, LinkOptions::default())
    }

    /// Opens a link with options.
    ///
    /// # Errors
    ///
    /// As [`link_to`](Self::link_to).
    pub fn link_with(&mut self, name: &str, options: LinkOptions) -> Result<Link, Error> {
        self.usable()?;
        let link = self.control.link(&self.shared, name, options)?;
        // A hub that only opens links and never receives must not collect those that have ended;
        // what is not taken goes by itself.
        if self.leaving < mail::MUCH {
            self.take_mail();
        }
        Ok(link)
    }

    /// All open links of the domain, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`], [`Error::TimedOut`].
    pub fn links(&self) -> Result<Vec<LinkInfo>, Error> {
        self.usable()?;
        self.control.links(self.shared.key)
    }

    /// Closes the link with the hub of that name, whoever opened it; whether there was one. What
    /// was sent over it before can still be received on both sides, what is published goes by the
    /// other way.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Forked`].
    pub fn unlink(&self, name: &str) -> Result<bool, Error> {
        self.usable()?;
        self.control.unlink(self.shared.key, name)
    }

    /// The next link that another hub has opened with this one, if there is one. Its events
    /// arrive whether it is taken or not; it is needed to answer. (A hub that never receives is not
    /// told how links end; of more than 2,048 that ended, those that brought nothing are forgotten.)
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn try_accept(&mut self) -> Result<Option<Link>, Error> {
        self.usable()?;
        self.take_mail();
        self.forget_ended();
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
