//! The input of `--input`, opened before anything is started, and handed to the sensor as a
//! descriptor.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

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
