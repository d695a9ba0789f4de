//! `ephapse hubs`: who has joined a domain.

use std::path::PathBuf;

use anyhow::{Context, Result};
use ephapse::{Hub, HubInfo};
use serde::Serialize;

use crate::ui::{Stream, Table, Ui};
use crate::up;

/// Arguments of `hubs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ephapse hubs
  ephapse hubs --dir /run/plant
  ephapse hubs --json | jq -r '.hubs[].name'")]
pub(crate) struct HubsArgs {
    /// The domain's directory [default: $EPHAPSE_DIR, or see `ephapse --help`].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    domain: PathBuf,
    hubs: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    id: u64,
    pid: u32,
    uid: u32,
    links: u32,
}

/// Joins for as long as it takes to ask.
pub(crate) fn run(args: HubsArgs, ui: &Ui) -> Result<()> {
    let domain = up::domain(args.dir);
    let path = domain.path().to_owned();
    let own_name = format!("ephapse-cli-{}", std::process::id());
    let hub = up::join(Hub::builder(&own_name), domain)?;
    let mut hubs = hub.hubs().context("cannot list the hubs")?;
    hubs.retain(|other| other.id != hub.id());
    hubs.sort_by(|a, b| a.name.cmp(&b.name));
    if args.json {
        let hubs = hubs.into_iter().map(Entry::from).collect();
        return ui.json(&Listing { domain: path, hubs });
    }
    if hubs.is_empty() {
        ui.note(format_args!("no hub has joined {}", path.display()));
        return Ok(());
    }
    let mut table = Table::new(["name", "id", "pid", "uid", "links"], 1);
    for hub in &hubs {
        let figures = [hub.id.to_string(), hub.pid.to_string(), hub.uid.to_string()];
        table.row([hub.name.clone()].into_iter().chain(figures).chain([hub.links.to_string()]));
    }
    ui.table(Stream::Out, table)
}

impl From<HubInfo> for Entry {
    fn from(hub: HubInfo) -> Entry {
        Entry { name: hub.name, id: hub.id, pid: hub.pid, uid: hub.uid, links: hub.links }
    }
}
