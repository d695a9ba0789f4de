//! `ephapse capture`, `replay`: events into a file, and out of it again.
//!
//! # The file
//!
//! An MCAP file (<https://mcap.dev/spec>), which other tools can list and cut. What is written of
//! it, from front to back:
//!
//! - `Metadata` "ephapse.capture": patterns, domain, the name of the hub that captured.
//! - `Chunk`s, uncompressed, each with a checksum over its content and followed by its message
//!   indexes. One is written whole at least each second, or when it has 1 MiB, so that a capture
//!   that is killed leaves a file that can be read up to there.
//! - `DataEnd` with a checksum over all that stands before it; channels, statistics and an index of
//!   the chunks by time and channel; `Footer` with a checksum over these.
//!
//! Times are nanoseconds since 1970: `log_time` is when the event came, `publish_time` when it was
//! sent (the same, if it carried no timestamp). A clock that is set meanwhile changes neither.
//!
//! Each subject of each hub and schema has a `Channel`: its topic is the subject, its message
//! encoding `ephapse-1`, its metadata `source`, `source_id` and `schema` (16 hexadecimal digits, all
//! zero for raw bytes), and of what type its events are, if a hub said so: `type`, `version`, `layout`.
//! A message is
//!
//! ```text
//!  0          8               16          18      20   24
//!  ┌──────────┬───────────────┬───────────┬───────┬────┬─────────────┬─────────┐
//!  │ sequence │ time left, ns │ extension,│ flags │ 0  │ [extension] │ payload │
//!  │          │ (0: none)     │ bytes     │       │    │             │         │
//!  └──────────┴───────────────┴───────────┴───────┴────┴─────────────┴─────────┘
//! ```
//!
//! with all numbers little-endian, and extension and payload byte for byte as they were sent. The
//! time left is from when the event was sent to the deadline in its extension, which counts in ticks
//! that mean nothing on another host. The only flag is 1: the event carried a timestamp.
//!
//! What was missed stands where it was missed, on the channel `ephapse.capture.missed`, as JSON:
//! `{"hub":"camera","missed":12}`.

mod events;
mod file;
mod info;
mod message;
mod outlets;
mod pace;
mod record;
mod replay;
mod select;
mod writer;

pub(crate) use self::record::{CaptureArgs, run as capture};
pub(crate) use self::replay::{ReplayArgs, run as replay};

/// The name of the metadata record.
const METADATA: &str = "ephapse.capture";

/// How messages are written.
const ENCODING: &str = "ephapse-1";

/// Where it is said what was missed.
const MISSED_TOPIC: &str = "ephapse.capture.missed";
