//! What happens in the domain, for the hubs that want to know.

use super::registry::{Registry, Stage};
use crate::protocol::{News, ToHub};

impl Registry {
    /// A hub wants to be told, or no longer.
    pub(super) fn attend(&mut self, hub: u64, wanted: bool) {
        if wanted {
            self.attending.insert(hub);
        } else {
            self.attending.remove(&hub);
        }
    }

    /// Tells all who want to know.
    pub(super) fn announce(&mut self, news: News) {
        if self.attending.is_empty() {
            return;
        }
        let message = ToHub::News(news);
        for hub in self.attending.iter().copied().collect::<Vec<_>>() {
            self.tell(hub, &message, Vec::new());
        }
    }

    /// A link is open.
    pub(super) fn announce_link(&mut self, id: u64) {
        let Some(link) = self.links.get(&id) else { return };
        if let (Some(opener), Some(acceptor)) = (self.info(link.opener), self.info(link.acceptor)) {
            self.announce(News::Linked { link: id, opener, acceptor });
        }
    }

    /// What there is to say of the end of a link: nothing if it has never been open.
    pub(super) fn end_of_link(&self, id: u64) -> Option<News> {
        let link = self.links.get(&id).filter(|link| link.stage == Stage::Open)?;
        let (opener, acceptor) = (self.info(link.opener)?, self.info(link.acceptor)?);
        Some(News::Unlinked { link: id, opener, acceptor })
    }
}
