//! Files beside the result: histograms, and pictures of them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, bail};
use ephapse_plot::{Page, Picture, Series, Table, hgrm, hlog};

use crate::output::Output;

/// Which files are wanted.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Files")]
pub(in crate::bench) struct FileArgs {
    /// Percentiles as text in four columns, for plotters of HdrHistogram; one file for each series,
    /// with its name before the extension if there are several.
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,

    /// The histograms of all intervals, as HdrHistogram logs them (version 2, compressed).
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,

    /// A picture: percentiles, and latency over time.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// The same in pixels.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,

    /// One page with pictures, figures, machine and command.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What the files tell.
pub(in crate::bench) struct Story {
    /// Over all.
    pub(in crate::bench) title: String,
    /// What was measured.
    pub(in crate::bench) series: Vec<Series>,
    /// The picture of that, or another one.
    pub(in crate::bench) picture: Option<Picture>,
    /// The figures.
    pub(in crate::bench) table: Table,
    /// Where and how it was measured.
    pub(in crate::bench) facts: Vec<(String, String)>,
    /// When that began.
    pub(in crate::bench) start: SystemTime,
}

/// Open files, each to be written at the end.
#[derive(Default)]
pub(in crate::bench) struct Files {
    hgrm: Vec<Output>,
    hlog: Option<Output>,
    svg: Option<Output>,
    png: Option<Output>,
    html: Option<Output>,
}

impl FileArgs {
    /// Opens those that are wanted, for series of these names.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(in crate::bench) fn open(&self, names: &[String]) -> Result<Files> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(open).transpose();
        let hgrm = match &self.hgrm {
            Some(path) => names
                .iter()
                .map(|name| {
                    let path = if names.len() == 1 { path.clone() } else { with_name(path, name) };
                    self::open(&path)
                })
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        Ok(Files {
            hgrm,
            hlog: open(&self.hlog)?,
            svg: open(&self.svg)?,
            png: open(&self.png)?,
            html: open(&self.html)?,
        })
    }
}

impl Files {
    /// Writes all of them.
    pub(in crate::bench) fn write(self, story: &Story) -> Result<()> {
        let lines = |(name, value): &(String, String)| format!("{name}: {value}");
        let mut comments = vec![story.title.clone()];
        comments.extend(story.facts.iter().map(lines));
        for (file, series) in self.hgrm.into_iter().zip(&story.series) {
            file.write(hgrm::write(&series.times, &comments).as_bytes())?;
        }
        if let Some(file) = self.hlog {
            file.write(hlog::write(&story.series, story.start, &comments)?.as_bytes())?;
        }
        let picture = || {
            let note = comments[1..].join("\n");
            match story.picture.clone() {
                Some(picture) => Picture { note, ..picture },
                None => Picture::of_latency(&story.title, note, &story.series),
            }
        };
        if let Some(file) = self.svg {
            file.write(picture().svg()?.as_bytes())?;
        }
        if let Some(file) = self.png {
            file.write(&picture().png()?)?;
        }
        if let Some(file) = self.html {
            // What the note says stands below, as facts.
            let picture = Picture { title: String::new(), note: String::new(), ..picture() };
            let page = Page {
                title: story.title.clone(),
                pictures: vec![picture],
                table: story.table.clone(),
                facts: story.facts.clone(),
            };
            file.write(page.html()?.as_bytes())?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<Output> {
    if path == Path::new("-") {
        bail!("standard output is for the result: name a file instead of `-`");
    }
    Output::open(path)
}

/// `out.hgrm` and `10k` are `out-10k.hgrm`.
fn with_name(path: &Path, name: &str) -> PathBuf {
    let name: String =
        name.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let mut file = path.file_stem().unwrap_or_default().to_owned();
    file.push(OsString::from(format!("-{name}")));
    if let Some(extension) = path.extension() {
        file.push(".");
        file.push(extension);
    }
    path.with_file_name(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_before_the_extension() {
        for (path, name, expected) in [
            ("out.hgrm", "10k", "out-10k.hgrm"),
            ("a.b/out", "1 M/s", "a.b/out-1-M-s"),
            ("/x/out.tar.gz", "1.5M", "/x/out.tar-1.5M.gz"),
        ] {
            assert_eq!(with_name(Path::new(path), name), Path::new(expected));
        }
    }
}
