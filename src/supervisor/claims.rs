//! Links of before a restart. They need no supervisor, but what the two sides have to say to each
//! other about lanes does: so a link is known again when both have said that they have it.

use super::hello::EPOCH_SHIFT;
use super::registry::{Link, Registry, Stage};
use crate::limits::{LINKS_MAX, LINKS_PER_HUB_MAX};
use crate::protocol::ToHub;

/// Who opened a link and who accepted it, as one of them says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    opener: u64,
    acceptor: u64,
}

impl Registry {
    /// A hub says that it has a link with another.
    pub(super) fn held(&mut self, from: u64, id: u64, peer: u64, opened: bool) {
        let (opener, acceptor) = if opened { (from, peer) } else { (peer, from) };
        let claim = Claim { opener, acceptor };
        if from == peer || !self.may_hold(from, id) {
            return;
        }
        if self.claims.get(&(id, peer)) == Some(&claim) {
            return self.known_again(id, claim);
        }
        self.claims.insert((id, from), claim);
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.claims.insert(id);
        }
    }

    /// Whether it can be that a hub has this link. One that this run has yet to give is none.
    fn may_hold(&self, hub: u64, id: u64) -> bool {
        let of_hub = |id: u64| self.connections.get(&id).map(|c| c.links.len() + c.claims.len());
        let given = id >> EPOCH_SHIFT != u64::from(self.epoch) || id < self.next_link;
        given
            && !self.links.contains_key(&id)
            && self.links.len() + self.claims.len() < LINKS_MAX
            && of_hub(hub).is_some_and(|links| links < LINKS_PER_HUB_MAX)
    }

    fn known_again(&mut self, id: u64, claim: Claim) {
        let Claim { opener, acceptor } = claim;
        self.links.insert(id, Link { opener, acceptor, request: 0, stage: Stage::Open });
        for side in [opener, acceptor] {
            self.no_longer_held(side, id);
            if let Some(connection) = self.connections.get_mut(&side) {
                connection.links.insert(id);
            }
        }
        for side in [opener, acceptor] {
            self.tell(side, &ToHub::Opened { link: id }, Vec::new());
        }
    }

    /// A link is over for a hub that said it has it.
    pub(super) fn no_longer_held(&mut self, hub: u64, id: u64) {
        self.claims.remove(&(id, hub));
        if let Some(connection) = self.connections.get_mut(&hub) {
            connection.claims.remove(&id);
        }
    }
}
