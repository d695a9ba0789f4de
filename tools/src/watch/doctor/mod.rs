//! `ephapse doctor`: whether kernel, limits, processor and a domain's directory are as they should
//! be, and what to do where they are not.

mod domain;
mod host;
mod kernel;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::WhereArgs;
use crate::cli::duration;
use crate::ui::{Stream, Ui};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A problem keeps Ephapse from working; a warning makes it slower, or may become a problem. The exit
code is 1 if there is a problem. To see whether the supervisor answers, it joins for a moment.

Examples:
  ephapse doctor
  ephapse doctor -q                                 only what is not well
  ephapse doctor --json | jq '.findings[] | select(.state != \"ok\")'")]
pub(crate) struct DoctorArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,

    /// How long the supervisor may take to answer.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    timeout: Duration,

    #[command(flatten)]
    place: WhereArgs,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Problem,
}

/// What was looked at, and what was seen.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    seen: String,
    /// What to do, where something is not well.
    advice: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, seen: impl Into<String>) -> Finding {
        Finding { what, state: State::Ok, seen: seen.into(), advice: None }
    }

    fn warning(what: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { what, state: State::Warning, seen: seen.into(), advice: Some(advice.into()) }
    }

    fn problem(what: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { what, state: State::Problem, seen: seen.into(), advice: Some(advice.into()) }
    }
}

/// Looks at everything.
pub(crate) fn run(args: DoctorArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = args.place.domain();
    let mut findings = kernel::look();
    findings.extend(host::look(&domain));
    findings.extend(domain::look(&domain, args.timeout));
    let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
    if args.json {
        let domain = domain.path();
        ui.json(&json!({ "domain": domain, "state": worst, "findings": findings }))?;
    } else {
        show(&findings, ui)?;
    }
    Ok(if worst == State::Problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(findings: &[Finding], ui: &Ui) -> Result<()> {
    let shown = |finding: &&Finding| finding.state > State::Ok || ui.verbosity() >= 0;
    let widest = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    for finding in findings.iter().filter(shown) {
        let (word, good) = match finding.state {
            State::Ok => ("ok     ", true),
            State::Warning => ("warning", false),
            State::Problem => ("PROBLEM", false),
        };
        let word = ui.verdict(Stream::Out, good, word);
        let Finding { what, seen, .. } = finding;
        ui.line(Stream::Out, format_args!("{word}  {what:widest$}  {seen}"))?;
        if let Some(advice) = &finding.advice {
            ui.line(Stream::Out, format_args!("{:9}{:widest$}  → {advice}", "", ""))?;
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    if problems + warnings > 0 || ui.verbosity() >= 0 {
        ui.line(Stream::Out, format_args!("{problems} problems, {warnings} warnings"))?;
    }
    Ok(())
}
