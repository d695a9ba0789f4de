//! The input and the output of `--input` and `--output`, opened before anything is started, and
//! handed to the sensor and the actuator as descriptors.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

/// What the sensor reads.
pub(crate) struct Input {
    stdio: Stdio,
    is_stream: bool,
}

impl Input {
    /// `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Input> {
        if path == Path::new("-") {
            let shared = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            let meta = shared.and_then(|file| file.metadata()).context("no standard input")?;
            return Ok(Input { stdio: Stdio::inherit(), is_stream: !meta.is_file() });
        }
        let named = || format!("cannot open the input {}", path.display());
        let file = File::open(path).with_context(named)?;
        let meta = file.metadata().with_context(named)?;
        if meta.is_dir() {
            bail!("cannot read the input {}: it is a directory", path.display());
        }
        Ok(Input { stdio: file.into(), is_stream: !meta.is_file() })
    }

    /// Whether it has no end of its own to wait for, as a pipe, a terminal or a device, so that an
    /// interrupt is as good an end as any.
    pub(crate) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// For the sensor.
    pub(crate) fn into_stdio(self) -> Stdio {
        self.stdio
    }
}

/// What the actuator writes.
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

    /// For the actuator.
    pub(crate) fn stdio(&self) -> Result<Stdio> {
        let shared = match self {
            Output::Stdout => io::stdout().as_fd().try_clone_to_owned().map(Stdio::from),
            Output::Direct(file) => file.try_clone().map(Stdio::from),
            Output::Replace { file, .. } => file.as_file().try_clone().map(Stdio::from),
        };
        shared.context("cannot hand the output to the actuator")
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
