//! What hub and supervisor say to one another, and how it travels.
//!
//! Messages go over a SEQPACKET Unix socket, so each arrives whole or not at all, with the
//! descriptors that belong to it. A message is a preamble of 16 bytes, which every version of
//! Ephapse understands, and an rkyv archive, which is checked before anything looks at it.
//!
//! ```text
//!  0        4         6       8        12       16
//!  ┌────────┬─────────┬───────┬────────┬────────┬───────────────┐
//!  │ "EPH:" │ version │ kind  │ length │ 0      │ rkyv archive  │
//!  └────────┴─────────┴───────┴────────┴────────┴───────────────┘
//! ```
//!
//! A peer of another version is answered with a preamble alone, of kind [`KIND_WRONG_VERSION`].

pub(crate) mod channel;
mod descriptors;
pub(crate) mod messages;
#[cfg(test)]
mod tests;

pub(crate) use channel::{Channel, ChannelError};
use messages::{ArchivedToHub, ArchivedToSupervisor};
pub(crate) use messages::{
    Edge, LaneSlot, News, Subject, Terms, ToHub, ToSupervisor, check_name, clean_reason,
};
pub use messages::{HubInfo, LinkInfo, RefusalCode, SubjectInfo};
use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;

/// Changes whenever a message means something else.
pub(crate) const PROTOCOL_VERSION: u16 = 3;

const MAGIC: [u8; 4] = *b"EPH:";
pub(crate) const PREAMBLE_BYTES: usize = 16;
const KIND_TO_SUPERVISOR: u16 = 1;
const KIND_TO_HUB: u16 = 2;
/// A preamble alone: "my version is the one in this preamble, I do not know yours".
pub(crate) const KIND_WRONG_VERSION: u16 = 0xFFFF;

/// Why bytes are not a message. Whoever sent them is disconnected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Not this protocol at all.
    #[error("{len} bytes that are not a message of this protocol")]
    Garbage {
        /// Bytes that came.
        len: usize,
    },
    /// Another version of this protocol.
    #[error("the other side speaks protocol version {found}, this one version {expected}")]
    WrongVersion {
        /// Ours.
        expected: u16,
        /// Theirs.
        found: u16,
    },
    /// A message for the other side, or with another length than it says, or not valid inside.
    #[error("a message of kind {kind} and {len} bytes that is not valid")]
    Invalid {
        /// The kind in its preamble.
        kind: u16,
        /// Bytes that came.
        len: usize,
    },
}

/// A message that goes in one direction.
pub(crate) trait Message: Sized {
    const KIND: u16;
    fn archive(&self, to: AlignedVec) -> Result<AlignedVec, Failure>;
    fn restore(archive: &[u8]) -> Result<Self, Failure>;
}

macro_rules! message {
    ($type:ty, $archived:ty, $kind:expr) => {
        impl Message for $type {
            const KIND: u16 = $kind;
            fn archive(&self, to: AlignedVec) -> Result<AlignedVec, Failure> {
                rkyv::api::high::to_bytes_in::<_, Failure>(self, to)
            }
            fn restore(archive: &[u8]) -> Result<Self, Failure> {
                let archived = rkyv::access::<$archived, Failure>(archive)?;
                rkyv::deserialize::<Self, Failure>(archived)
            }
        }
    };
}
message!(ToSupervisor, ArchivedToSupervisor, KIND_TO_SUPERVISOR);
message!(ToHub, ArchivedToHub, KIND_TO_HUB);

fn preamble(version: u16, kind: u16, len: usize) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[0..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&version.to_le_bytes());
    bytes[6..8].copy_from_slice(&kind.to_le_bytes());
    bytes[8..12].copy_from_slice(&(len as u32).to_le_bytes());
    bytes
}

/// What is said to a peer of another version.
pub(crate) fn wrong_version() -> [u8; PREAMBLE_BYTES] {
    preamble(PROTOCOL_VERSION, KIND_WRONG_VERSION, 0)
}

/// The bytes of a message; `None` if it is longer than messages may be, which the limits on its
/// parts exclude.
pub(crate) fn encode<M: Message>(message: &M) -> Option<Vec<u8>> {
    let archive = message.archive(AlignedVec::new()).ok()?;
    let len = PREAMBLE_BYTES + archive.len();
    (len <= crate::limits::MESSAGE_MAX).then(|| {
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&preamble(PROTOCOL_VERSION, M::KIND, archive.len()));
        bytes.extend_from_slice(&archive);
        bytes
    })
}

/// The message in bytes that came from anywhere.
///
/// # Errors
///
/// [`ProtocolError`]: nothing of a message that is not wholly valid is used.
pub(crate) fn decode<M: Message>(bytes: &[u8]) -> Result<M, ProtocolError> {
    let len = bytes.len();
    let Some((preamble, archive)) = bytes.split_first_chunk::<PREAMBLE_BYTES>() else {
        return Err(ProtocolError::Garbage { len });
    };
    let word = |at: usize| u16::from_le_bytes([preamble[at], preamble[at + 1]]);
    if preamble[0..4] != MAGIC {
        return Err(ProtocolError::Garbage { len });
    }
    let (version, kind) = (word(4), word(6));
    if version != PROTOCOL_VERSION {
        return Err(ProtocolError::WrongVersion { expected: PROTOCOL_VERSION, found: version });
    }
    let declared = u32::from_le_bytes([preamble[8], preamble[9], preamble[10], preamble[11]]);
    if kind != M::KIND || declared as usize != archive.len() {
        return Err(ProtocolError::Invalid { kind, len });
    }
    // Archives are read at an alignment of 16; the bytes may lie anywhere.
    let mut aligned: AlignedVec = AlignedVec::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    M::restore(&aligned).map_err(|Failure| ProtocolError::Invalid { kind, len })
}
