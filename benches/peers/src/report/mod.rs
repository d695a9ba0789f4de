//! What is told of a run: numbers, table, pictures, page.
//!
//! In reading order: `summary` (medians over rounds), `slower` (where a rival is better), `text`
//! (how numbers are written), `table`, `markdown`, `dots`, `pictures`, `page`.

mod dots;
mod markdown;
mod page;
mod pictures;
mod slower;
mod summary;
mod table;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::result::Results;
use summary::Summary;

/// Writes all of it into a folder.
pub(crate) fn write(results: &Results, dir: &Path) -> Result<()> {
    let summary = Summary::of(results)?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {dir:?}"))?;
    let write = |name: &str, text: &str| {
        let file = dir.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {file:?}"))
    };
    let json = serde_json::to_string_pretty(results).context("cannot write results")?;
    write("results.json", &json)?;
    write("table.md", &markdown::document(results, &summary))?;
    let pictures = pictures::all(results, &summary)?;
    for picture in &pictures {
        write(&format!("{}.svg", picture.name), &picture.svg)?;
    }
    write("index.html", &page::html(results, &summary, &pictures))
}

/// What the terminal shows.
pub(crate) fn markdown(results: &Results) -> Result<String> {
    Ok(markdown::document(results, &Summary::of(results)?))
}

/// Why rows are missing, in a line.
pub(crate) fn reasons(results: &Results) -> String {
    let reasons = results.absent.iter().map(|one| format!("{}: {}", one.system, one.why));
    reasons.collect::<Vec<_>>().join("; ")
}
