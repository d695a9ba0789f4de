//! Why an event was not sent.

use crate::ring::RingError;
use std::sync::Arc;
use thiserror::Error;

/// Why an event was not sent. Nothing of it is visible to the other side.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other side has not read far enough. Try again later, or use a method that waits.
    #[error("the ring to the other hub is full, and it has not made room in time")]
    Full,
    /// The event can never fit.
    #[error(
        "a payload of {len} bytes does not fit: this link takes at most {max} \
         (its ring has {capacity} bytes); open the link with a larger send capacity"
    )]
    TooLarge {
        /// Bytes of the payload.
        len: usize,
        /// Bytes of the longest payload.
        max: usize,
        /// Bytes of the ring.
        capacity: usize,
    },
    /// The other process or its hub is gone. What it had not read is lost with it.
    #[error("hub {peer} is gone")]
    PeerGone {
        /// Its name.
        peer: Arc<str>,
    },
    /// The link was closed.
    #[error("the link with hub {peer} is closed")]
    Closed {
        /// The other hub's name.
        peer: Arc<str>,
    },
    /// The hub that the link belongs to was closed.
    #[error("the own hub is closed")]
    HubClosed,
    /// The other hub claims to have read what cannot have been read. The link is closed.
    #[error("hub {peer} does not keep to the protocol: {why}")]
    ReaderLied {
        /// Its name.
        peer: Arc<str>,
        /// What it claims.
        why: RingError,
    },
    /// The value cannot be serialised.
    #[error(
        "a value of {name} cannot be serialised into {max} bytes or fewer; if it is only too long, \
         open the link with a larger send capacity"
    )]
    Unserialisable {
        /// The name of its type.
        name: &'static str,
        /// Bytes of the longest payload.
        max: usize,
    },
    /// The event can never fit the hub's broadcast ring.
    #[error(
        "a payload of {len} bytes does not fit: this hub publishes at most {max} (its broadcast \
         ring has {capacity} bytes); give it a larger one with HubBuilder::broadcast_capacity"
    )]
    TooLargeToPublish {
        /// Bytes of the payload.
        len: usize,
        /// Bytes of the longest payload.
        max: usize,
        /// Bytes of the ring.
        capacity: usize,
    },
    /// The value that is being serialised tries to send something itself.
    #[error("an event cannot be sent from within the serialisation of another")]
    Busy,
    /// This process is a forked child of the one that opened the hub.
    #[error("links cannot be used after fork; open a new hub in the child")]
    Forked,
}
