//! `ephapse subjects`: what is published in a domain.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use ephapse::SubjectInfo;
use serde::Serialize;

use super::JoinArgs;
use crate::ui::{Stream, Table, Ui};
use crate::up;

/// Arguments of `subjects`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ephapse subjects
  ephapse subjects --dir /run/plant
  ephapse subjects --json | jq -r '.subjects[].subject'")]
pub(crate) struct SubjectsArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

#[derive(Serialize)]
struct Listing {
    domain: PathBuf,
    subjects: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    subject: String,
    id: u32,
    publishers: u32,
    subscriptions: u32,
}

/// Joins for as long as it takes to ask.
pub(crate) fn run(args: SubjectsArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = up::domain(args.join.dir.clone()).path().to_owned();
    let hub = args.join.join("subjects", |hub| hub)?;
    let subjects = hub.subjects().context("cannot list the subjects")?;
    print(domain, subjects, args.json, ui)?;
    Ok(ExitCode::SUCCESS)
}

fn print(domain: PathBuf, subjects: Vec<SubjectInfo>, json: bool, ui: &Ui) -> Result<()> {
    if json {
        let subjects = subjects.into_iter().map(Entry::from).collect();
        return ui.json(&Listing { domain, subjects });
    }
    if subjects.is_empty() {
        ui.note(format_args!("nobody publishes anything in {}", domain.display()));
        return Ok(());
    }
    let mut table = Table::new(["subject", "id", "publishers", "subscriptions"], 1);
    for info in subjects {
        let figures = [info.id, info.publishers, info.subscriptions].map(|n| n.to_string());
        table.row([info.subject].into_iter().chain(figures));
    }
    ui.table(Stream::Out, table)
}

impl From<SubjectInfo> for Entry {
    fn from(info: SubjectInfo) -> Entry {
        let SubjectInfo { subject, id, publishers, subscriptions } = info;
        Entry { subject, id, publishers, subscriptions }
    }
}
