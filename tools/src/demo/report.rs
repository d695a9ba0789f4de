//! What the processes of the demo tell their parent, one JSON line each.

use anyhow::Result;
use ephapse::{Error, RecvError, RefusalCode, SendError};
use serde::{Deserialize, Serialize};

use super::counted::{Arrived, Sent};
use crate::children::tell_parent;
use crate::ui::with_causes;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub(crate) enum Report {
    /// The sensor can be asked to stop from here on; the logger and the guest have subscribed.
    Ready,
    /// Now and then: how many events have come so far, and what they amount to.
    Live { events: u64, state: Option<String> },
    /// Nobody reads the data any more.
    OutputClosed,
    /// It cannot go on. `consequence`: because another one has gone.
    Failed { message: String, consequence: bool },
    /// The last line of one that has done its work.
    Final(Final),
}

/// The books of one process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Final {
    pub(crate) sent: Vec<Sent>,
    pub(crate) received: Vec<Arrived>,
    /// The planner's decisions.
    pub(crate) decisions: Option<Decisions>,
    /// What was sent or written of the input.
    pub(crate) data: Option<Data>,
}

/// How often the planner has decided what.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Decisions {
    pub(crate) throttle: u64,
    pub(crate) hold: u64,
    pub(crate) boost: u64,
}

/// How much of the input has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Data {
    /// Adds one part of a line.
    pub(crate) fn add(&mut self, length: usize, ends: bool) {
        self.bytes += length as u64;
        self.lines += u64::from(ends);
    }
}

/// Sends the outcome of a role to the parent, which prints it.
pub(crate) fn conclude(outcome: &Result<Final>) -> Result<()> {
    match outcome {
        Ok(books) => tell_parent(&Report::Final(books.clone())),
        Err(error) => tell_parent(&Report::Failed {
            message: with_causes(error),
            consequence: is_consequence(error),
        }),
    }
}

/// Whether it failed because another process has gone; that one's end is the news.
fn is_consequence(error: &anyhow::Error) -> bool {
    use RefusalCode::{HubGone, UnknownHub};
    let sending =
        matches!(error.downcast_ref(), Some(SendError::PeerGone { .. } | SendError::Closed { .. }));
    let receiving = matches!(
        error.downcast_ref(),
        Some(RecvError::PeerGone { .. } | RecvError::LinkClosed { .. })
    );
    let joining = matches!(
        error.downcast_ref(),
        Some(
            Error::Refused { code: HubGone | UnknownHub, .. }
                | Error::Disconnected { .. }
                | Error::NoSupervisor { .. }
                | Error::TimedOut { .. }
        )
    );
    sending || receiving || joining
}
