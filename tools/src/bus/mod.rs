//! `ephapse pub`, `sub`, `monitor`, `request`, `reply`: the bus, from a shell.
//!
//! Payloads are raw bytes, whatever they mean. Data goes to standard output, all that is said about
//! it to standard error.

mod filter;
mod lifecycle;
mod listen;
mod monitor;
mod publish;
mod reply;
mod request;
mod show;
mod subscribe;
mod totals;

use std::path::PathBuf;

use anyhow::Result;
use ephapse::event::subject::check_subject;
use ephapse::limits::RING_CAPACITY_MAX;
use ephapse::{Event, Hub, HubBuilder};
use rkyv::{Archive, Serialize};

pub(crate) use self::listen::{Ended, Follow, Listener};
pub(crate) use self::monitor::{MonitorArgs, run as monitor};
pub(crate) use self::publish::{PubArgs, run as publish, wait_for};
pub(crate) use self::reply::{ReplyArgs, run as reply};
pub(crate) use self::request::{RequestArgs, run as request};
pub(crate) use self::subscribe::{SubArgs, run as subscribe};
pub(crate) use self::totals::number_of;
use crate::up;

/// The type of a publisher that sends raw bytes only.
#[derive(Event, Archive, Serialize)]
#[event(name = "ephapse.cli.Bytes")]
pub(crate) struct Bytes;

/// How a command joins.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JoinArgs {
    /// The name to join with [default: ephapse-, the command, and the process's id].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The domain's directory [default: see `ephapse --help`].
    #[arg(long, value_name = "DIR", env = up::DIR_VARIABLE, hide_env_values = true)]
    #[arg(value_parser = up::directory())]
    pub(crate) dir: Option<PathBuf>,
}

impl JoinArgs {
    /// The same by another name.
    pub(crate) fn named(&self, name: &str) -> JoinArgs {
        JoinArgs { name: Some(name.to_owned()), dir: self.dir.clone() }
    }

    /// Joins with what `options` add.
    pub(crate) fn join(
        self,
        command: &str,
        options: impl FnOnce(HubBuilder) -> HubBuilder,
    ) -> Result<Hub> {
        let domain = up::domain(self.dir);
        let name = self.name.unwrap_or_else(|| format!("ephapse-{command}-{}", std::process::id()));
        // Whatever others publish can be read here.
        let builder = Hub::builder(&name).largest_ring(RING_CAPACITY_MAX);
        up::join(options(builder), domain)
    }
}

/// An argument that is a subject, without wildcards.
fn subject(text: &str) -> Result<String, String> {
    check_subject(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Bytes of a broadcast ring for events with payloads of up to `longest` bytes and extensions.
pub(crate) fn capacity_for(longest: usize) -> usize {
    use ephapse::limits::{BROADCAST_CAPACITY_DEFAULT, EXTENSION_MAX};
    // An event takes half of the ring at most; a header, and what a record is rounded up to.
    let whole = longest.saturating_add(EXTENSION_MAX + 64).min(RING_CAPACITY_MAX / 2);
    (2 * whole).next_power_of_two().clamp(BROADCAST_CAPACITY_DEFAULT, RING_CAPACITY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_large_enough() {
        assert_eq!(capacity_for(0), 256 << 10);
        assert_eq!(capacity_for(1 << 20), 4 << 20);
        assert_eq!(capacity_for(usize::MAX), 1 << 30);
    }
}
