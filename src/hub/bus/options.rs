//! How a subscription is made.

use crate::wait::Wait;

/// What happens to a publisher that is faster than a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Flow {
    /// The publisher waits: nothing is lost. A subscription that stands still for longer than the
    /// publisher's patience is overtaken, and told so. The default.
    #[default]
    Block,
    /// The publisher goes on: the oldest events are lost, and the subscription is told so.
    DropOldest,
}

/// How a subscription is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionOptions {
    pub(super) flow: Flow,
    pub(super) wait: Option<Wait>,
}

impl SubscriptionOptions {
    /// What happens to a publisher that is faster: it waits, unless said otherwise.
    #[must_use]
    pub fn flow(mut self, flow: Flow) -> Self {
        self.flow = flow;
        self
    }

    /// How to wait for events: as the hub does, unless said otherwise.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }
}
