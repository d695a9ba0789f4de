//! Runs steps and tells of them, one short line each.

use crate::command::Line;
use crate::steps::{Step, logs};
use crate::{fuzz, place};
use anyhow::{Context, Result, bail};
use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Lines of a failed command's output that are shown; the rest is in its log.
const SHOWN_LINES: usize = 150;

/// Runs the steps one after the other, until one fails.
pub(crate) fn steps(steps: &[&Step]) -> Result<()> {
    let began = Instant::now();
    let folder = logs();
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for step in steps {
        let began = Instant::now();
        tell(format_args!("{:<8} ", step.name));
        let outcome = run_step(step, &folder);
        let (time, about) = (seconds(began.elapsed()), step.about);
        match &outcome {
            Ok(()) => tell(format_args!("ok {time:>9}  {about}\n")),
            Err(_) => tell(format_args!("{} FAILED after {time}: {about}\n", step.name)),
        }
        outcome?;
    }
    tell(format_args!("all {} steps passed in {}\n", steps.len(), seconds(began.elapsed())));
    Ok(())
}

/// Fuzzes one target, or all in turn.
pub(crate) fn fuzzing(target: Option<&str>, seconds: u32) -> Result<()> {
    let folder = logs();
    fs::create_dir_all(&folder)?;
    for need in fuzz::NEEDS {
        need.meet(&folder.join("setup.log"))?;
    }
    run_line(&fuzz::build(), &folder.join("fuzz-build.log"))?;
    let targets = target.map_or_else(fuzz::names, |name| vec![name.to_owned()]);
    for name in targets {
        let log = folder.join(format!("fuzz-{name}.log"));
        tell(format_args!("{name} for {seconds} s … "));
        run_line(&fuzz::run(&name, seconds), &log)?;
        tell(format_args!("nothing found ({})\n", log.display()));
    }
    Ok(())
}

fn run_step(step: &Step, folder: &Path) -> Result<()> {
    for need in step.needs {
        let log = folder.join("setup.log");
        need.meet(&log).with_context(|| format!("setting up (see {})", log.display()))?;
    }
    for (number, line) in (step.lines)().iter().enumerate() {
        run_line(line, &folder.join(format!("{}-{}.log", step.name, number + 1)))?;
    }
    Ok(())
}

/// Runs a command; if it fails, shows what it printed and how to repeat it.
fn run_line(line: &Line, log: &Path) -> Result<()> {
    let Err(error) = line.run(log) else { return Ok(()) };
    let output = fs::read(log).unwrap_or_default();
    let output = String::from_utf8_lossy(&output);
    let lines: Vec<_> = output.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    tell(format_args!("\n{}\n", shown.join("\n")));
    let (root, log) = (place::root().display(), log.display());
    bail!("{error:#}\nall of its output: {log}\nto repeat it, in {root}:\n  {line}");
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// To standard output, at once; nobody listening is no reason to stop.
fn tell(what: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{what}").and_then(|()| out.flush());
}
