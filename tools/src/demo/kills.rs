//! `--kill`: while the demo runs, the supervisor and a guest are killed and started again.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::report::Report;
use super::{DemoArgs, GUEST, START_LIMIT};
use crate::children::Stage;
use crate::ui::{Progress, Ui};

/// In a shorter run there would be nothing to see.
const SHORTEST: Duration = Duration::from_secs(2);

/// Between two kills.
const PAUSE: Duration = Duration::from_millis(250);

/// Nothing is killed so shortly before the end of sampling.
const QUIET: Duration = Duration::from_millis(500);

const SUPERVISOR: &str = "supervisor";

/// For the processes of such a run: each of them would warn whenever the supervisor goes.
pub(crate) const QUIETLY: &str = "-qq";

/// Who is killed, in turn.
const VICTIMS: [&[&str]; 3] = [&[GUEST], &[SUPERVISOR], &[SUPERVISOR, GUEST]];

/// Kills from time to time.
pub(crate) struct Killer {
    duration: Duration,
    /// When to kill next, and when no more.
    times: Option<(Instant, Instant)>,
    turn: usize,
    killed: Vec<&'static str>,
}

impl Killer {
    /// Starts the guest.
    pub(crate) fn start(args: &DemoArgs, stage: &mut Stage) -> Result<Killer> {
        if args.duration < SHORTEST {
            bail!("--kill needs a --duration of at least {SHORTEST:?}");
        }
        start_guest(stage)?;
        Ok(Killer { duration: args.duration, times: None, turn: 0, killed: Vec::new() })
    }

    /// While events flow: kills, if it is time, and starts again; says whom.
    pub(crate) fn work(
        &mut self,
        stage: &mut Stage,
        ui: &Ui,
        progress: &mut Progress,
    ) -> Result<()> {
        let now = Instant::now();
        let (next, last) =
            *self.times.get_or_insert_with(|| (now, now + self.duration.saturating_sub(QUIET)));
        if now < next || now > last {
            return Ok(());
        }
        let victims = VICTIMS[self.turn % VICTIMS.len()];
        self.turn += 1;
        for victim in victims {
            match *victim {
                SUPERVISOR => stage.kill_supervisor()?,
                other => stage.crew.kill(other)?,
            }
        }
        progress.clear();
        ui.note(format_args!("killed: {}", victims.join(" and ")));
        for victim in victims {
            match *victim {
                SUPERVISOR => {
                    stage.restart_supervisor()?;
                    stage.await_supervisor()?;
                }
                _ => start_guest(stage)?,
            }
        }
        self.killed.extend(victims);
        self.times = Some((Instant::now() + PAUSE, last));
        Ok(())
    }

    /// Whom, in this order.
    pub(crate) fn killed(self) -> Vec<&'static str> {
        self.killed
    }
}

/// Returns when it has subscribed.
fn start_guest(stage: &mut Stage) -> Result<()> {
    stage.start(GUEST, [QUIETLY, "demo-role", GUEST], Stdio::null())?;
    await_ready(stage, GUEST)
}

/// Waits for the word of one that has subscribed.
pub(crate) fn await_ready(stage: &mut Stage, name: &str) -> Result<()> {
    let said = stage.crew.wait_line(name, START_LIMIT)?;
    match serde_json::from_str(&said) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Failed { message, .. }) => bail!("the {name} has failed: {message}"),
        _ => bail!("the {name} has said \"{said}\""),
    }
}
