//! The bus: events by subject, whoever wants them.
//!
//! ```text
//!   hub "camera"                                          hub "planner"
//!  ┌───────────────────────────────┐                  ┌─────────────────────────┐
//!  │ Publisher ─▶ Outbox ──lane──────────────────────────▶ Source ─▶ Subscription│
//!  │               │   └─broadcast────────────────────────▶   │  merges by        │
//!  │             Routes            │                  │      │  sequence number  │
//!  └───────────────▲───────────────┘                  └──────▲──────────────────┘
//!                  └── control thread ◀── supervisor ──▶ control thread
//! ```
//!
//! A hub's **outbox** (`outbox`) holds all rings that its publishers write: the broadcast ring,
//! which everybody reads, and a **lane** to each hub that it has a link with. Each event gets the
//! hub's next sequence number and goes one way: over the lanes while its subscribers are few and
//! all at the end of one, over the broadcast otherwise. A **source** (`source`) is one hub as a
//! subscription sees it: it takes whichever of its records has the lowest number, so that a change
//! of the way loses, repeats and reorders nothing.
//!
//! Who listens is found out by the control thread, which leaves it in **routes** (`routes`).

mod audience;
mod canary;
mod content;
mod crowd;
mod envelope;
mod filter;
#[cfg(test)]
mod history;
mod hub;
mod inbox;
mod message;
mod news;
mod options;
mod outbox;
mod outlet;
mod publisher;
mod raw;
mod request;
mod routes;
mod source;
#[cfg(feature = "tokio")]
mod stream;
mod subscription;

pub(super) use content::{Content, Typed};
pub(super) use crowd::summon;
pub use envelope::Envelope;
pub(super) use filter::Filter;
pub(super) use inbox::{Inbox, News};
pub use message::Message;
pub(super) use news::DomainEvent;
pub use options::{Flow, SubscriptionOptions};
pub(super) use outbox::{Manners, Outbox, SharedOutbox};
pub(super) use publisher::Sender;
pub use publisher::{Path, Publisher, Sent};
pub use raw::{RawEvent, RawPublisher};
pub(super) use request::Asking;
pub use request::{REPLY_SUBJECT, Reply, RequestError};
pub(super) use routes::{Gate, LaneOut, Listener, Routes};
pub(super) use source::{Peer, Port, Source};
#[cfg(feature = "tokio")]
pub use stream::AsyncSubscription;
pub use subscription::Subscription;
