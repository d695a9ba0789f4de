//! One command of a check: a line that can be pasted into a shell, and what it must lead to.

use crate::place;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command must show beside success; the reason why not.
pub(crate) type Expect = fn(output: &str) -> Result<(), String>;

/// A program with its arguments and environment.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    env: Vec<(&'static str, String)>,
    words: Vec<String>,
    expect: Option<Expect>,
}

impl Line {
    /// A program and its arguments, divided by blanks.
    pub(crate) fn new(words: &str) -> Self {
        let words = words.split_whitespace().map(str::to_owned).collect();
        Self { env: Vec::new(), words, expect: None }
    }

    /// One more argument, blanks and all.
    pub(crate) fn arg(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// A variable for this command alone.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// What its output must show.
    pub(crate) fn expect(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }

    /// Runs the command in the project's root with nothing on standard input; its output goes to
    /// `log`.
    pub(crate) fn run(&self, log: &Path) -> Result<()> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let status = Command::new(&self.words[0])
            .args(&self.words[1..])
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(place::root())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .with_context(|| format!("starting {}", self.words[0]))?;
        if !status.success() {
            bail!("{status}");
        }
        let Some(expect) = self.expect else { return Ok(()) };
        let output = fs::read(log)?;
        expect(&String::from_utf8_lossy(&output)).map_err(anyhow::Error::msg)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quoted(value))?;
        }
        let words: Vec<_> = self.words.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// A word as a shell understands it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_pasted_into_a_shell() {
        let line = Line::new("cargo test -p x").env("RUSTFLAGS", "--cfg a").arg("it's");
        assert_eq!(line.to_string(), r"RUSTFLAGS='--cfg a' cargo test -p x 'it'\''s'");
    }

    #[test]
    fn what_is_expected_decides_too() {
        let log = std::env::temp_dir().join(format!("xtask-{}.log", std::process::id()));
        let unwanted = |output: &str| match output.trim() {
            "seen" => Err("it was seen".to_owned()),
            _ => Ok(()),
        };
        assert!(Line::new("echo seen").run(&log).is_ok());
        let error = Line::new("echo seen").expect(unwanted).run(&log).unwrap_err();
        assert_eq!(error.to_string(), "it was seen");
        assert!(Line::new("false").run(&log).is_err());
        fs::remove_file(log).unwrap();
    }
}
