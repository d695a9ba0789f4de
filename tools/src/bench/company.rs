//! Parent and child of the benchmarks that have no floor: a private domain, one child in a role of
//! its own, and what is common to their results.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::control::Control;
use super::halt::{Halt, Stop};
use super::host;
use super::origin::Origin;
use super::{Role, report};
use crate::children::Stage;
use crate::signals;
use crate::ui::Ui;

/// How long anything may take, apart from what it is about.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Between two questions whether to go on.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Fields are dropped in this order.
pub(super) struct Company {
    control: Control,
    pub(super) stage: Stage,
    pub(super) halt: Halt,
}

/// What a run of rounds came to.
pub(super) struct Outcome {
    pub(super) interrupted: bool,
    pub(super) lost: u64,
}

/// Where something was measured, and whether to its end.
#[derive(Debug, Serialize)]
pub(super) struct Circumstances {
    /// Ended before all rounds were complete.
    pub(super) interrupted: bool,
    #[serde(flatten)]
    pub(super) origin: Origin,
}

impl Circumstances {
    pub(super) fn of(outcome: &Outcome) -> Circumstances {
        Circumstances { interrupted: outcome.interrupted, origin: Origin::here() }
    }

    /// For people: `on CPU, Linux VERSION`.
    pub(super) fn text(&self) -> String {
        let early = if self.interrupted { ", interrupted" } else { "" };
        format!("on {}{early}", self.origin.machine())
    }
}

impl Company {
    /// Starts the child.
    pub(super) fn open(role: Role, ui: &Ui) -> Result<Company> {
        let halt = Halt::default();
        signals::watch_and({
            let halt = halt.clone();
            move || halt.stop(Stop::Interrupted)
        })
        .context("cannot watch for signals")?;
        // The supervisor and the child inherit it.
        host::raise_descriptor_limit()?;
        let mut stage = Stage::open(ui, "bench")?;
        let (control, childs_end) = Control::pair()?;
        // Less talkative than this process: what it would warn of is what is measured.
        let arguments = ["-q", "bench-role", role.name()];
        stage.start(role.name(), arguments, Stdio::from(childs_end))?;
        Ok(Company { control, stage, halt })
    }

    /// Sends an order.
    pub(super) fn order(&self, order: &impl Serialize) -> Result<()> {
        self.control.send(order, &[])
    }

    /// What the child answers.
    pub(super) fn answer<R: DeserializeOwned>(&self) -> Result<R> {
        let deadline = Instant::now() + LIMIT;
        while !self.control.is_readable_within(LOOK_AGAIN)? {
            self.halt.check()?;
            if Instant::now() >= deadline {
                bail!("the other process of the benchmark has said nothing for {LIMIT:?}");
            }
        }
        Ok(self.control.receive(LIMIT)?.0)
    }

    /// Whether the child has answered.
    pub(super) fn has_answered(&self) -> Result<bool> {
        self.control.is_readable_within(Duration::ZERO)
    }

    /// Sends an order, and waits until it has been carried out.
    pub(super) fn ask<R: DeserializeOwned>(&self, order: &impl Serialize) -> Result<R> {
        self.order(order)?;
        self.answer()
    }

    /// As [`ask`](Self::ask), also after an interruption.
    pub(super) fn finish<R: DeserializeOwned>(&self, order: &impl Serialize) -> Result<R> {
        self.order(order)?;
        Ok(self.control.receive(LIMIT)?.0)
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    /// Ends the child and the supervisor, and removes what the run has made. What was complete
    /// before an interruption is still worth telling: then `ended` is no failure.
    pub(super) fn close(self, ended: Result<()>, is_useful: bool) -> Result<bool> {
        let interrupted = self.halt.reason() == Some(Stop::Interrupted);
        let Company { control, stage, .. } = self;
        drop(control);
        let closed = stage.close();
        if !(interrupted && is_useful) {
            ended?;
        }
        closed.map(|()| interrupted)
    }
}

/// Looks again and again until `condition` holds.
pub(super) fn wait_until(
    what: &str,
    halt: &Halt,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    /// Between two looks.
    const PAUSE: Duration = Duration::from_micros(200);

    let deadline = Instant::now() + LIMIT;
    while !condition()? {
        halt.check()?;
        if Instant::now() >= deadline {
            bail!("waited {LIMIT:?} in vain: {what}");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// The child's answer to an order, where there is nothing to say.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done;

pub(super) use report::verdict;
