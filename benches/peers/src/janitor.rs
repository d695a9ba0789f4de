//! Removes what a run has made, also when the run is killed.
//!
//! A process of its own reads a pipe that the runner and all that it starts hold open. When the
//! pipe ends, the last of them is gone, whatever ended it; then the janitor removes the run's
//! folder and what else in shared memory has its name, and has systems look for what has neither.

use std::fs;
use std::io::{PipeWriter, Read, pipe, stdin};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tempfile::Builder;

use crate::host::SHARED_MEMORY;
use crate::peers;

/// How folders of runs begin.
const PREFIX: &str = "ephapse-peers-";

/// The folder of a run, and who removes it.
#[derive(Debug)]
pub(crate) struct Run {
    dir: PathBuf,
    /// `None` when it is over.
    line: Option<PipeWriter>,
    janitor: Child,
}

impl Run {
    /// Makes the folder, in shared memory if there is such a place. Processes that are started
    /// from now on hold the pipe.
    pub(crate) fn open() -> Result<Run> {
        let shared = Path::new(SHARED_MEMORY);
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let (end, line) = pipe().context("cannot make a pipe")?;
        let dir = Builder::new().prefix(PREFIX).tempdir_in(&parent);
        let dir = dir.with_context(|| format!("cannot make a folder in {parent:?}"))?;
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let janitor = Command::new(program)
            .arg("janitor")
            .arg(dir.path())
            .stdin(end)
            .stdout(Stdio::null())
            // Ctrl-C on a terminal is not for it.
            .process_group(0)
            .spawn()
            .context("cannot start the process that cleans up")?;
        // From here on it is the janitor's.
        let dir = dir.keep();
        fcntl(&line, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot share the pipe")?;
        Ok(Run { dir, line: Some(line), janitor })
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.line = None;
        let _ = self.janitor.wait();
    }
}

/// The janitor itself: waits for the end of standard input, and removes.
pub(crate) fn run(dir: &Path) -> Result<()> {
    let mut nothing = Vec::new();
    stdin().lock().read_to_end(&mut nothing).context("cannot wait for the end of the run")?;
    peers::tidy();
    remove_named_like(dir)?;
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {dir:?}"))
        }
        _ => Ok(()),
    }
}

/// What lies beside a run's folder and begins with its name.
fn remove_named_like(dir: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(());
    };
    let name = name.as_encoded_bytes();
    for entry in fs::read_dir(parent).context("cannot look beside the run's folder")? {
        let path = entry.context("cannot look beside the run's folder")?.path();
        let is_like = path.file_name().is_some_and(|other| {
            other.len() > name.len() && other.as_encoded_bytes().starts_with(name)
        });
        if is_like {
            fs::remove_file(&path).with_context(|| format!("cannot remove {path:?}"))?;
        }
    }
    Ok(())
}
