//! `ephapse top`: hubs, links and subjects as they move, on a full screen or as plain text.

mod app;
mod batch;
mod draw;
mod screen;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::value_parser;

use super::WhereArgs;
use super::view::{Order, View};
use crate::stat::seconds;
use crate::ui::{Stream, Ui};

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nobody is asked: hubs and supervisor write counters into memory that is read here, also while they
are stopped. Where standard output is no terminal, plain tables are printed as with -b.

Keys: 1 2 3 and Tab choose the table, arrows or j k the row, s the column to sort by, r reverses,
/ filters by name, p pauses, + and - change the interval, ? helps, q or Ctrl-C quits.

Examples:
  ephapse top
  ephapse top --view links --sort P99
  ephapse top -b -n 3                               three times, for a script
  ephapse top -b -n 1 --json | jq '.subjects[] | {subject, rate: .sent.per_second}'")]
pub(crate) struct TopArgs {
    /// Print plain text, again and again, instead of a full screen.
    #[arg(short, long)]
    batch: bool,

    /// End after so many pictures.
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Look again each so many seconds (or a time such as 200ms).
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,

    /// The table to begin with; with -b, the only one to print [default: hubs; with -b all].
    #[arg(long, value_name = "TABLE", value_enum)]
    view: Option<View>,

    /// The column to sort by, by its head, such as MISSED.
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,

    /// Sort the other way round.
    #[arg(short, long)]
    reverse: bool,

    /// Show only what has this in its name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,

    /// With -b: print one JSON object for each picture.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: WhereArgs,
}

impl TopArgs {
    /// How a table is ordered at first.
    fn order(&self, view: View) -> Result<Order> {
        let column = match &self.sort {
            Some(sort) => {
                let found = view.columns().iter().position(|head| head.eq_ignore_ascii_case(sort));
                match found {
                    Some(found) => found,
                    // With all tables, some have no such column.
                    None if self.view.is_none() && self.sorts_some() => view.first_sort(),
                    None => bail!("no column {sort:?}; there are {}", self.heads().join(", ")),
                }
            }
            None => view.first_sort(),
        };
        Ok(Order { column, reverse: self.reverse, filter: self.filter.to_lowercase() })
    }

    fn sorts_some(&self) -> bool {
        let sort = self.sort.as_deref().unwrap_or_default();
        self.heads().iter().any(|head| head.eq_ignore_ascii_case(sort))
    }

    /// The heads that there are in the tables that are wanted.
    fn heads(&self) -> Vec<&'static str> {
        let wanted =
            View::ALL.into_iter().filter(|view| self.view.is_none_or(|only| only == *view));
        let mut heads = Vec::new();
        for head in wanted.flat_map(|view| view.columns()) {
            if !heads.contains(head) {
                heads.push(*head);
            }
        }
        heads
    }
}

/// Shows it until it is told to stop.
pub(crate) fn run(args: TopArgs, ui: &Ui) -> Result<ExitCode> {
    let plain = args.batch || args.json || !ui.is_terminal(Stream::Out) || !screen::has_keys();
    if plain { batch::run(&args, ui) } else { screen::run(&args, ui) }
}
