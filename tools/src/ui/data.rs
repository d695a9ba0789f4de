//! Standard output for data in bulk.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};

use super::unwritten;

/// What one write is filled with.
const WRITE_BYTES: usize = 1 << 16;

/// Standard output with a buffer that is written when it is full or when the caller says so, not
/// with every line.
#[derive(Debug)]
pub(crate) struct Data {
    out: BufWriter<File>,
}

impl Data {
    /// Nothing else should be printed on standard output while this is used.
    pub(crate) fn open() -> Result<Data> {
        let out = io::stdout().as_fd().try_clone_to_owned().context("there is no output")?;
        Ok(Data { out: BufWriter::with_capacity(WRITE_BYTES, File::from(out)) })
    }

    /// Writes by `write`.
    ///
    /// # Errors
    /// [`OutputClosed`](super::OutputClosed) when nobody reads standard output any more.
    #[inline]
    pub(crate) fn put(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<()> {
        write(&mut self.out).map_err(unwritten)
    }

    /// Shows what is in the buffer.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(unwritten)
    }
}

impl AsFd for Data {
    /// Poll, asked for nothing, reports when its reader has gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.out.get_ref().as_fd()
    }
}
