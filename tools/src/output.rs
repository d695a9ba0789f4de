//! A file that is written: opened before anything else is done, so that nothing is done in vain, and
//! put into its place when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// Where it goes.
pub(crate) enum Output {
    /// This process's own standard output.
    Stdout,
    /// A device or a FIFO, written as it comes.
    Direct(File),
    /// A file beside the one that it will replace when it is complete: whoever looks sees either
    /// the old content or all of the new.
    Replace {
        /// What is written.
        file: NamedTempFile,
        /// What it will be.
        target: PathBuf,
    },
}

impl Output {
    /// `-` is standard output.
    pub(crate) fn open(path: &Path) -> Result<Output> {
        if path == Path::new("-") {
            return Ok(Output::Stdout);
        }
        open_file(path).with_context(|| format!("cannot write the output {}", path.display()))
    }

    /// Whether this process's standard output carries the data.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self, Output::Stdout)
    }

    /// For a process that writes it.
    pub(crate) fn stdio(&self) -> Result<Stdio> {
        let shared = match self {
            Output::Stdout => io::stdout().as_fd().try_clone_to_owned().map(Stdio::from),
            Output::Direct(file) => file.try_clone().map(Stdio::from),
            Output::Replace { file, .. } => file.as_file().try_clone().map(Stdio::from),
        };
        shared.context("cannot hand the output to a process")
    }

    /// Writes all of it, and puts it where it belongs.
    pub(crate) fn write(mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self {
            Output::Stdout => io::stdout().lock().write_all(bytes),
            Output::Direct(file) => file.write_all(bytes),
            Output::Replace { file, .. } => file.write_all(bytes),
        };
        written.context("cannot write the output")?;
        self.keep()
    }

    /// All has been written: puts it where it belongs.
    pub(crate) fn keep(self) -> Result<()> {
        let Output::Replace { file, target } = self else {
            return Ok(());
        };
        // Some file systems find out only now that there is no room.
        file.as_file()
            .sync_data()
            .and_then(|()| file.persist(&target).map(drop).map_err(|failed| failed.error))
            .with_context(|| format!("cannot write the output {}", target.display()))
    }
}

fn open_file(path: &Path) -> Result<Output> {
    // Through links, so that a link stays one.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let existing = match fs::metadata(&target) {
        Ok(existing) => Some(existing),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(existing) = &existing {
        // Also refuses directories and files that this user may not write.
        let file = OpenOptions::new().write(true).open(&target)?;
        if !existing.is_file() {
            return Ok(Output::Direct(file));
        }
    }
    let directory = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::metadata(directory)?;
    // As a new file is made: for all, less what the umask takes away.
    let permissions = existing.map_or(fs::Permissions::from_mode(0o666), |e| e.permissions());
    let file = tempfile::Builder::new()
        .prefix(".ephapse-")
        .permissions(permissions)
        .tempfile_in(directory)
        // The caller names the file that was asked for, not the one that could not be made.
        .map_err(|error| io::Error::from(error.kind()))?;
    Ok(Output::Replace { file, target })
}
