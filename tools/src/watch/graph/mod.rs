//! `ephapse graph`: hubs, and what goes between them, as a picture or for other programs.

mod dot;
mod layout;
mod scene;
mod svg;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use self::scene::Scene;
use super::WhereArgs;
use super::sight::Sight;
use crate::cli::duration;
use crate::ui::Ui;

/// Arguments of `graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Hubs and what each sends to which other: directly over links, published over links (lanes), and by
broadcast, as far as somebody reads it. Nobody is asked; rates are those of the interval.

Examples:
  ephapse graph -o plant.svg
  ephapse graph --format dot | dot -Tpdf > plant.pdf
  ephapse graph --json | jq -r '.links[] | \"\\(.from) \\(.to) \\(.way)\"'
  ephapse graph --interval 10s -o plant.svg         rates of ten seconds")]
pub(crate) struct GraphArgs {
    /// What to write [default: what the file's name ends with, else svg].
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,

    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// How long to watch for rates; 0s for none.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    interval: Duration,

    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,

    #[command(flatten)]
    place: WhereArgs,
}

/// What a graph is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A picture for browsers and documents.
    Svg,
    /// For Graphviz.
    Dot,
    /// One JSON object.
    Json,
}

impl GraphArgs {
    fn format(&self) -> Format {
        let ending = self.output.as_ref().and_then(|file| file.extension()?.to_str());
        match (self.format, ending) {
            _ if self.json => Format::Json,
            (Some(format), _) => format,
            (None, Some("dot" | "gv")) => Format::Dot,
            (None, Some("json")) => Format::Json,
            (None, _) => Format::Svg,
        }
    }
}

/// Looks twice, and draws.
pub(crate) fn run(args: GraphArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = args.place.domain();
    let model = Sight::pair(&domain, args.interval).model();
    let text = match args.format() {
        Format::Json => json!({
            "domain": domain.path(),
            "seconds": model.seconds,
            "hubs": model.hubs,
            "links": model.links,
            "publications": model.publications,
        })
        .to_string(),
        Format::Dot => dot::write(&Scene::of(&model)),
        Format::Svg => svg::write(&Scene::of(&model), &domain.path().display().to_string()),
    };
    ui.put(args.output.as_deref(), &text)?;
    Ok(ExitCode::SUCCESS)
}
