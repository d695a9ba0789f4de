//! `ephapse links`: which hubs are linked.

use std::path::PathBuf;

use anyhow::{Context, Result};
use ephapse::{Hub, LinkInfo};
use serde::Serialize;

use crate::ui::{Stream, Table, Ui};
use crate::up;

/// Arguments of `links`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ephapse links
  ephapse links --dir /run/plant
  ephapse links --json | jq -r '.links[] | \"\\(.opener) \\(.acceptor)\"'")]
pub(crate) struct LinksArgs {
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
    links: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: u64,
    opener: String,
    acceptor: String,
}

/// Joins for as long as it takes to ask.
pub(crate) fn run(args: LinksArgs, ui: &Ui) -> Result<()> {
    let domain = up::domain(args.dir);
    let path = domain.path().to_owned();
    let own_name = format!("ephapse-links-{}", std::process::id());
    let hub = up::join(Hub::builder(&own_name), domain)?;
    let mut links = hub.links().context("cannot list the links")?;
    links.sort_by_key(|link| link.id);
    if args.json {
        let links = links.into_iter().map(Entry::from).collect();
        return ui.json(&Listing { domain: path, links });
    }
    if links.is_empty() {
        ui.note(format_args!("no hubs are linked in {}", path.display()));
        return Ok(());
    }
    let mut table = Table::new(["link", "opener", "acceptor"], 3);
    for LinkInfo { id, opener, acceptor } in links {
        table.row([id.to_string(), opener, acceptor]);
    }
    ui.table(Stream::Out, table)
}

impl From<LinkInfo> for Entry {
    fn from(LinkInfo { id, opener, acceptor }: LinkInfo) -> Entry {
        Entry { id, opener, acceptor }
    }
}
