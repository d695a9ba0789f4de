//! A child that is many hubs, which take whatever link they are offered.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use ephapse::{Domain, Hub, Wait};
use serde::{Deserialize, Serialize};

use super::company::Done;
use super::control::Control;

/// The only order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Gather {
    /// How many hubs join.
    pub(super) hubs: u32,
}

/// How long the parent may take to say how many.
const ORDER_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at the links.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The name of a hub, by number from 0.
pub(super) fn name(number: u32) -> String {
    format!("crowd-{number}")
}

/// Until the parent hangs up.
pub(super) fn child(domain: &Path) -> Result<()> {
    let control = Control::of_child()?;
    let (Gather { hubs }, _) = control.receive(ORDER_LIMIT)?;
    let mut hubs = (0..hubs)
        .map(|number| {
            let hub = Hub::builder(&name(number)).domain(Domain::at(domain)).wait(Wait::Block);
            hub.connect().with_context(|| format!("the hub \"{}\" cannot join", name(number)))
        })
        .collect::<Result<Vec<Hub>>>()?;
    control.send(&Done, &[])?;
    while !control.is_readable_within(LOOK_AGAIN)? {
        for hub in &mut hubs {
            // Dropped: the other side does the same.
            while hub.try_accept()?.is_some() {}
            // Only the ends of links come in.
            while !matches!(hub.try_recv(), Ok(None)) {}
        }
    }
    Ok(())
}
