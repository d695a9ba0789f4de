//! `ephapse hubs`, `links`, `subjects`: what there is in a domain.

use anyhow::{Context, Result};
use ephapse::{Error, Hub, HubInfo, LinkInfo, SubjectInfo};
use serde::Serialize;
use serde_json::json;

use crate::bus::JoinArgs;
use crate::ui::{Stream, Table, Ui};
use crate::up;

/// How each is used.
pub(crate) const HUBS_HELP: &str = "\
Examples:
  ephapse hubs
  ephapse hubs --dir /run/plant
  ephapse hubs --json | jq -r '.hubs[].name'";
pub(crate) const LINKS_HELP: &str = "\
Examples:
  ephapse links
  ephapse links --dir /run/plant
  ephapse links --json | jq -r '.links[] | \"\\(.opener) \\(.acceptor)\"'";
pub(crate) const SUBJECTS_HELP: &str = "\
Examples:
  ephapse subjects
  ephapse subjects --dir /run/plant
  ephapse subjects --json | jq -r '.subjects[].subject'";

/// Arguments of all three.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

/// Something that a domain has many of.
pub(crate) trait Listed: Serialize + Sized {
    /// The command, and the name of the list in JSON.
    const NAME: &'static str;
    /// What is said of a domain that has none.
    const NONE: &'static str;
    /// The first ones are text, the others numbers.
    const COLUMNS: &'static [&'static str];
    const TEXTS: usize;

    /// All, in order.
    fn all(hub: &Hub) -> Result<Vec<Self>, Error>;

    fn cells(self) -> Vec<String>;
}

/// Joins for as long as it takes to ask.
fn list<T: Listed>(args: ListArgs, ui: &Ui) -> Result<()> {
    let domain = up::domain(args.join.dir.clone()).path().to_owned();
    let hub = args.join.join(T::NAME, |hub| hub)?;
    let all = T::all(&hub).with_context(|| format!("cannot list the {}", T::NAME))?;
    if args.json {
        return ui.json(&json!({ "domain": domain, T::NAME: all }));
    }
    if all.is_empty() {
        ui.note(format_args!("{} {}", T::NONE, domain.display()));
        return Ok(());
    }
    let mut table =
        Table::with_head(T::COLUMNS.iter().map(|&name| name.to_owned()).collect(), T::TEXTS);
    all.into_iter().for_each(|one| table.row(one.cells()));
    ui.table(Stream::Out, table)
}

/// Prints who has joined.
pub(crate) fn hubs(args: ListArgs, ui: &Ui) -> Result<()> {
    list::<HubEntry>(args, ui)
}

/// Prints which hubs are linked.
pub(crate) fn links(args: ListArgs, ui: &Ui) -> Result<()> {
    list::<LinkEntry>(args, ui)
}

/// Prints what is published.
pub(crate) fn subjects(args: ListArgs, ui: &Ui) -> Result<()> {
    list::<SubjectEntry>(args, ui)
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct HubEntry {
    name: String,
    id: u64,
    pid: u32,
    uid: u32,
    links: u32,
}

impl Listed for HubEntry {
    const NAME: &'static str = "hubs";
    const NONE: &'static str = "no hub has joined";
    const COLUMNS: &'static [&'static str] = &["name", "id", "pid", "uid", "links"];
    const TEXTS: usize = 1;

    fn all(hub: &Hub) -> Result<Vec<Self>, Error> {
        let mut hubs = hub.hubs()?;
        hubs.retain(|other| other.id != hub.id());
        hubs.sort_by(|a, b| a.name.cmp(&b.name));
        let entry = |hub: HubInfo| {
            let HubInfo { name, id, pid, uid, links, .. } = hub;
            Self { name, id, pid, uid, links }
        };
        Ok(hubs.into_iter().map(entry).collect())
    }

    fn cells(self) -> Vec<String> {
        let [pid, uid, links] = [self.pid, self.uid, self.links].map(|number| number.to_string());
        vec![self.name, self.id.to_string(), pid, uid, links]
    }
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct LinkEntry {
    id: u64,
    opener: String,
    acceptor: String,
}

impl Listed for LinkEntry {
    const NAME: &'static str = "links";
    const NONE: &'static str = "no hubs are linked in";
    const COLUMNS: &'static [&'static str] = &["link", "opener", "acceptor"];
    const TEXTS: usize = 3;

    fn all(hub: &Hub) -> Result<Vec<Self>, Error> {
        let mut links = hub.links()?;
        links.sort_by_key(|link| link.id);
        let entry = |link: LinkInfo| {
            let LinkInfo { id, opener, acceptor, .. } = link;
            Self { id, opener, acceptor }
        };
        Ok(links.into_iter().map(entry).collect())
    }

    fn cells(self) -> Vec<String> {
        vec![self.id.to_string(), self.opener, self.acceptor]
    }
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct SubjectEntry {
    subject: String,
    id: u32,
    publishers: u32,
    subscriptions: u32,
}

impl Listed for SubjectEntry {
    const NAME: &'static str = "subjects";
    const NONE: &'static str = "nobody publishes anything in";
    const COLUMNS: &'static [&'static str] = &["subject", "id", "publishers", "subscriptions"];
    const TEXTS: usize = 1;

    fn all(hub: &Hub) -> Result<Vec<Self>, Error> {
        let entry = |info: SubjectInfo| {
            let SubjectInfo { subject, id, publishers, subscriptions, .. } = info;
            Self { subject, id, publishers, subscriptions }
        };
        Ok(hub.subjects()?.into_iter().map(entry).collect())
    }

    fn cells(self) -> Vec<String> {
        let figures = [self.id, self.publishers, self.subscriptions];
        [self.subject].into_iter().chain(figures.map(|number| number.to_string())).collect()
    }
}
