//! What becomes of a result: text or JSON, conditions that it must meet, and files.

mod check;
mod files;

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

pub(super) use self::check::Checks;
pub(super) use self::files::{FileArgs, Files, Story};
use crate::ui::Ui;

/// How a result is printed, and judged.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ResultArgs {
    /// Print the result as one JSON object.
    #[arg(long)]
    pub(super) json: bool,

    /// Fail unless the result meets these conditions: fields of the JSON object, such as
    /// 'lost=0,ratio_p50<1.5'; `*` stands for every element of a list, and times take units:
    /// 'runs.*.latency_ns.p99<50us'.
    #[arg(long, value_name = "CONDITIONS")]
    pub(super) check: Option<Checks>,
}

impl ResultArgs {
    /// Prints the result, by `text` unless JSON is wanted, and judges it.
    pub(super) fn tell(
        &self,
        result: &impl Serialize,
        ui: &Ui,
        text: impl FnOnce() -> Result<()>,
    ) -> Result<ExitCode> {
        if self.json {
            ui.json(result)?;
        } else {
            text()?;
        }
        let Some(checks) = &self.check else { return Ok(ExitCode::SUCCESS) };
        let value = serde_json::to_value(result).context("cannot read the result")?;
        match checks.failures(&value) {
            Ok(failures) if failures.is_empty() => Ok(ExitCode::SUCCESS),
            Ok(failures) => {
                failures.iter().for_each(|failure| ui.error(&anyhow!("--check: {failure}")));
                Ok(ExitCode::FAILURE)
            }
            Err(unknown) => {
                ui.error(&unknown);
                Ok(ExitCode::from(2))
            }
        }
    }
}

/// The worse of two ends.
pub(super) fn worse(one: ExitCode, other: ExitCode) -> ExitCode {
    if one == ExitCode::SUCCESS { other } else { one }
}
