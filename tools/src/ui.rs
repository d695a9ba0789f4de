//! All that the command prints.
//!
//! Results go to standard output, everything else (notes, progress, errors) to standard error.
//! Colours and ruled tables only where a terminal shows them.

mod data;
pub(crate) mod format;
mod table;

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

pub(crate) use self::data::Data;
pub(crate) use self::table::Table;

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    // On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    // Even into a file or a pipe.
    Always,
    // Not even on a terminal.
    Never,
}

impl Color {
    fn applies(self, terminal: bool) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            // https://no-color.org: set and not empty.
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }
}

/// Where a summary goes: standard error when standard output carries data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Whoever read standard output has gone away, as `head` does: no fault, and nothing left to do.
#[derive(Debug)]
pub(crate) struct OutputClosed;

impl Display for OutputClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of standard output has closed it")
    }
}

impl std::error::Error for OutputClosed {}

/// What it means that something could not be written to standard output.
fn unwritten(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    }
}

/// The one way to standard output and standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    out_terminal: bool,
    err_terminal: bool,
    out_color: bool,
    err_color: bool,
    verbosity: i8,
}

impl Ui {
    /// Looks at what the two streams are. `verbosity` counts `-v` less `-q`.
    pub(crate) fn new(color: Color, verbosity: i8) -> Ui {
        let (out_terminal, err_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Ui {
            out_terminal,
            err_terminal,
            out_color: color.applies(out_terminal),
            err_color: color.applies(err_terminal),
            verbosity,
        }
    }

    /// Prints one line.
    ///
    /// # Errors
    /// [`OutputClosed`] when nobody reads standard output any more; `main` takes it for success.
    pub(crate) fn line(&self, stream: Stream, text: impl Display) -> Result<()> {
        let written = match stream {
            Stream::Out => {
                let mut out = io::stdout().lock();
                writeln!(out, "{text}").and_then(|()| out.flush())
            }
            Stream::Err => writeln!(io::stderr(), "{text}"),
        };
        match (written, stream) {
            (Ok(()), _) | (Err(_), Stream::Err) => Ok(()),
            (Err(error), _) => Err(unwritten(error)),
        }
    }

    /// Prints one JSON object on one line of standard output.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.json_to(Stream::Out, value)
    }

    /// As [`json`](Ui::json), where the caller says.
    pub(crate) fn json_to(&self, stream: Stream, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).context("cannot write the result as JSON")?;
        self.line(stream, text)
    }

    /// Prints a whole text, or writes it into a file.
    pub(crate) fn put(&self, file: Option<&Path>, text: &str) -> Result<()> {
        let Some(file) = file else { return self.line(Stream::Out, text.trim_end()) };
        let text = format!("{}\n", text.trim_end());
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Prints a table, ruled on a terminal.
    pub(crate) fn table(&self, stream: Stream, table: Table) -> Result<()> {
        self.line(stream, table.render(self.is_terminal(stream)))
    }

    /// Says something on standard error, unless `--quiet`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.is_quiet() {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Says what went wrong, with all causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let head = self.paint(Stream::Err, "31;1", "error:");
        let _ = writeln!(io::stderr(), "ephapse: {head} {}", with_causes(error));
    }

    /// A line on standard error that is rewritten in place; silent where there is no terminal.
    pub(crate) fn progress(&self) -> Progress {
        Progress { shown: self.err_terminal && !self.is_quiet(), dirty: false }
    }

    /// Bold where colours are wanted.
    pub(crate) fn strong(&self, stream: Stream, text: &str) -> String {
        self.paint(stream, "1", text)
    }

    /// Green or red where colours are wanted.
    pub(crate) fn verdict(&self, stream: Stream, good: bool, text: &str) -> String {
        self.paint(stream, if good { "32;1" } else { "31;1" }, text)
    }

    /// Whether a person looks at this stream.
    pub(crate) fn is_terminal(&self, stream: Stream) -> bool {
        match stream {
            Stream::Out => self.out_terminal,
            Stream::Err => self.err_terminal,
        }
    }

    /// How much is told: 0 is usual, each `-v` adds one, each `-q` takes one away.
    pub(crate) fn verbosity(&self) -> i8 {
        self.verbosity
    }

    fn is_quiet(&self) -> bool {
        self.verbosity < 0
    }

    /// Whether colours go to standard output.
    pub(crate) fn colors_output(&self) -> bool {
        self.out_color
    }

    /// Whether colours go to standard error.
    pub(crate) fn colors_errors(&self) -> bool {
        self.err_color
    }

    fn paint(&self, stream: Stream, code: &str, text: &str) -> String {
        let color = match stream {
            Stream::Out => self.out_color,
            Stream::Err => self.err_color,
        };
        if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The error and its causes on one line. A cause that the line above already ends with is left
/// out: many errors print their source themselves.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// See [`Ui::progress`]. The line is wiped when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    dirty: bool,
}

impl Progress {
    /// Shows `text` in place of what stood there. Keep it short: a line that wraps cannot be wiped.
    pub(crate) fn set(&mut self, text: impl Display) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[2K{text}");
            self.dirty = true;
        }
    }

    /// Wipes the line.
    pub(crate) fn clear(&mut self) {
        if self.dirty {
            let _ = write!(io::stderr(), "\r\x1b[2K");
            self.dirty = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let inner = anyhow::anyhow!("no such file");
        let told = inner.context("cannot open x: no such file").context("cannot start");
        assert_eq!(with_causes(&told), "cannot start: cannot open x: no such file");
    }
}
