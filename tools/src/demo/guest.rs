//! A bystander of `--kill`: follows everything and publishes, until it is killed.

use anyhow::{Context, Result};
use ephapse::{RecvError, SubscriptionOptions, Wait};

use super::beside::{Beside, EVERYTHING};
use super::report::{Final, Report};
use super::{GUEST, RoleArgs, join};
use crate::children::tell_parent;

/// Runs until it is killed. Publishers wait for it as they do for everybody, while it lives.
pub(crate) fn run(args: &RoleArgs) -> Result<Final> {
    let hub = join(GUEST, args)?;
    let options = SubscriptionOptions::default().wait(Wait::Block);
    let mut notes = hub.subscribe_with([EVERYTHING], options).context("cannot subscribe")?;
    let mut beside = Beside::new(&hub, GUEST)?;
    tell_parent(&Report::Ready)?;
    let mut heard = 0;
    loop {
        match notes.recv() {
            // It hears itself, too.
            Ok(Some(event)) if event.source() == GUEST => continue,
            Ok(Some(_)) => heard += 1,
            Ok(None) => return Ok(Final::default()),
            // Another guest, which was killed.
            Err(RecvError::SourceCorrupt { hub, .. }) if &*hub == GUEST => continue,
            Err(error) => return Err(error).context("the guest's stream is broken"),
        }
        beside.publish(heard, false)?;
    }
}
