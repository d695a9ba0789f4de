//! Types that stand on the command line, and their schemas.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ephapse::event::schema::schema_id;
use serde_json::json;

use crate::ui::{Stream, Ui};

/// How it is used.
pub(super) const EXAMPLES: &str = "\
Examples:
  ephapse schema hash --name robot.Pose --version 2 --layout 'Pose{x:f64,y:f64}'
  ephapse schema hash --name robot.Pose pose.layout      the text from a file, or from `-`";

/// Arguments of `schema hash`.
#[derive(Debug, clap::Args)]
pub(super) struct HashArgs {
    /// A file with the text of the layout; `-` is standard input.
    #[arg(value_name = "FILE", required_unless_present = "layout")]
    file: Option<PathBuf>,

    /// The text of the layout.
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    layout: Option<String>,

    /// The event's name.
    #[arg(long, value_name = "NAME")]
    name: String,

    /// The event's version.
    #[arg(long, value_name = "N", default_value_t = 1)]
    version: u32,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints the schema.
pub(super) fn hash(args: HashArgs, ui: &Ui) -> Result<()> {
    let HashArgs { file, layout, name, version, json } = args;
    let layout = match (layout, file) {
        (Some(layout), _) => layout,
        (None, file) => read(&file.unwrap_or_else(|| "-".into()))?,
    };
    if let Err(error) = layout.parse::<ephapse_schema::Type>() {
        ui.note(format_args!("not all of this layout is known: {error}"));
    }
    let schema = format!("{:016x}", schema_id(&name, version, &layout));
    if json {
        let object =
            json!({ "name": name, "version": version, "layout": layout, "schema": schema });
        return ui.json(&object);
    }
    ui.line(Stream::Out, schema)
}

/// A text, without the line feed behind it.
fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text).map(drop)
    } else {
        fs::read_to_string(file).map(|all| text = all)
    };
    read.with_context(|| format!("cannot read the layout from {}", file.display()))?;
    Ok(text.trim_end().to_owned())
}
