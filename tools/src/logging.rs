//! What the library tells its subscriber, on standard error.

use std::str::FromStr;

use anyhow::{Context, Result};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::ui::Ui;

const VARIABLE: &str = "EPHAPSE_LOG";

/// Starts logging: as `EPHAPSE_LOG` says, else as `-v` and `-q` say.
pub(crate) fn start(ui: &Ui) -> Result<()> {
    let usual = match ui.verbosity() {
        ..=-2 => "off",
        -1 => "error",
        0 => "warn",
        1 => "info",
        2 => "debug",
        3.. => "trace",
    };
    let wanted = std::env::var(VARIABLE).ok().filter(|value| !value.is_empty());
    let wanted = wanted.as_deref().unwrap_or(usual);
    let filter = Targets::from_str(wanted)
        .with_context(|| format!("{VARIABLE}={wanted:?} is not a list of levels"))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(ui.colors_errors())
        .without_time();
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}
