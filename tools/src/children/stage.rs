//! A private domain for one run: a directory of its own, a supervisor process in it, and the
//! processes of the run. Nothing of it remains afterwards, however the run ends.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::Crew;
use crate::ui::Ui;

/// How long the supervisor may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);

const SUPERVISOR: &str = "supervisor";

/// See the module. Fields are dropped in this order: first the processes, then their directory.
pub(crate) struct Stage {
    /// The processes, the supervisor among them.
    pub(crate) crew: Crew,
    directory: TempDir,
}

impl Stage {
    /// Makes the directory (mode 0700) and starts the supervisor; returns when it listens.
    pub(crate) fn open(ui: &Ui, what: &str) -> Result<Stage> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("ephapse-{what}-"))
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot make a temporary directory")?;
        let mut stage = Stage { crew: Crew::new(ui)?, directory };
        stage.start(SUPERVISOR, ["up", "--json"], Stdio::null())?;
        stage.await_supervisor()?;
        Ok(stage)
    }

    /// Starts a child with `arguments` and `--dir DIRECTORY`; see [`Crew::start`].
    pub(crate) fn start<A: AsRef<OsStr>>(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        data: Stdio,
    ) -> Result<()> {
        let mut all: Vec<_> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        all.push("--dir".into());
        all.push(self.directory.path().into());
        self.crew.start(name, all, data)
    }

    /// Kills the supervisor (SIGKILL).
    pub(crate) fn kill_supervisor(&mut self) -> Result<()> {
        self.crew.kill(SUPERVISOR)
    }

    /// Starts another one in the same directory; does not wait until it listens. It is less
    /// talkative, because those who come back all at once give it much to warn of.
    pub(crate) fn restart_supervisor(&mut self) -> Result<()> {
        self.start(SUPERVISOR, ["-q", "up", "--json"], Stdio::null())
    }

    /// Waits until it listens.
    pub(crate) fn await_supervisor(&mut self) -> Result<()> {
        let line = self.crew.wait_line(SUPERVISOR, START_LIMIT);
        line.map(drop).context("the supervisor does not listen")
    }

    /// The domain's directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Ends what still runs, the supervisor last, and removes the directory.
    ///
    /// # Errors
    /// When the supervisor ends badly or the directory cannot be removed.
    pub(crate) fn close(mut self) -> Result<()> {
        self.crew.end_all();
        match self.crew.end(SUPERVISOR) {
            Some(status) if status.success() => {}
            Some(status) => bail!("the supervisor has ended badly ({status})"),
            None => bail!("the supervisor cannot be waited for"),
        }
        // The supervisor has usually removed it with its socket.
        match self.directory.close() {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("cannot remove the temporary directory")
            }
            _ => Ok(()),
        }
    }
}
