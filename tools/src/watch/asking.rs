//! Questions to the supervisor, which may hang: a thread asks, and who asks waits only so long.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ephapse::{Domain, Hub};
use serde::Serialize;

use crate::listing::{HubEntry, LinkEntry, Listed, SubjectEntry};
use crate::up;

/// What there is in a domain, as its supervisor knows it.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    pub(crate) hubs: Vec<HubEntry>,
    pub(crate) links: Vec<LinkEntry>,
    pub(crate) subjects: Vec<SubjectEntry>,
    /// How long the supervisor took for all of it.
    pub(crate) took_ms: f64,
}

/// Joins for as long as it takes to ask. Where no answer comes in time, the thread that waits for
/// it ends with the process.
pub(crate) fn ask(domain: &Domain, command: &str, timeout: Duration) -> Result<Listing> {
    let (tell, answer) = sync_channel(1);
    let (domain, name) = (domain.clone(), format!("ephapse-{command}-{}", std::process::id()));
    let asking = move || {
        // Nobody may be waiting any more.
        let _ = tell.send(listing(domain, &name));
    };
    thread::Builder::new().name("asking".into()).spawn(asking).context("cannot start a thread")?;
    match answer.recv_timeout(timeout) {
        Ok(listing) => listing,
        Err(RecvTimeoutError::Timeout) => {
            let timeout = humantime::format_duration(timeout);
            bail!("the supervisor does not answer within {timeout}: it hangs, or is stopped")
        }
        Err(RecvTimeoutError::Disconnected) => bail!("asking the supervisor has failed"),
    }
}

fn listing(domain: Domain, name: &str) -> Result<Listing> {
    let start = Instant::now();
    let hub = up::join(Hub::builder(name), domain)?;
    let (hubs, links) = (HubEntry::all(&hub)?, LinkEntry::all(&hub)?);
    let subjects = SubjectEntry::all(&hub)?;
    Ok(Listing { hubs, links, subjects, took_ms: start.elapsed().as_secs_f64() * 1e3 })
}
