//! `ephapse schema list`: what hubs publish.

use anyhow::Result;
use ephapse::counters::{self, SchemaText};
use ephapse_schema::EventType;
use serde_json::{Value, json};

use super::Place;
use crate::ui::{Stream, Table, Ui};
use crate::up;

/// How it is used.
pub(super) const EXAMPLES: &str = "\
Examples:
  ephapse schema list
  ephapse schema list --json | jq -r '.schemas[] | \"\\(.name) \\(.schema)\"'";

/// Arguments of `schema list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

/// Prints what is described.
pub(super) fn run(args: ListArgs, ui: &Ui) -> Result<()> {
    let domain = up::domain(args.place.dir);
    let all = counters::schemas(Some(&domain));
    if args.json {
        let schemas: Vec<_> = all.iter().map(object).collect();
        return ui.json(&json!({ "domain": domain.path(), "schemas": schemas }));
    }
    if all.is_empty() {
        ui.note(format_args!("no hub publishes events of a type in {}", domain.path().display()));
        return Ok(());
    }
    let mut table = Table::new(["name", "schema", "hubs", "version", "bytes"], 3);
    for text in all {
        let ty = type_of(&text);
        let bytes = match ty.as_ref().map(EventType::layout) {
            Some(layout) if layout.is_flat() => layout.size.to_string(),
            Some(layout) => format!("{}+", layout.size),
            None => "?".to_owned(),
        };
        let id = format!("{:016x}", text.id);
        table.row([text.name, id, text.hubs.join(" "), text.version.to_string(), bytes]);
    }
    ui.table(Stream::Out, table)
}

/// The type, if all of its layout is known.
pub(super) fn type_of(text: &SchemaText) -> Option<EventType> {
    EventType::parse(&text.name, text.version, &text.layout).ok()
}

fn object(text: &SchemaText) -> Value {
    let ty = type_of(text);
    json!({
        "name": text.name,
        "version": text.version,
        "schema": format!("{:016x}", text.id),
        "size": ty.as_ref().map(|ty| ty.layout().size),
        "flat": ty.as_ref().map(|ty| ty.layout().is_flat()),
        "layout": text.layout,
        "hubs": text.hubs,
    })
}
