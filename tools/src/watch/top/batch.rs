//! The same for scripts: plain tables, or JSON, picture by picture.

use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;

use anyhow::Result;
use ephapse::Domain;

use super::TopArgs;
use crate::stat::watch_signals;
use crate::ui::{Stream, Table, Ui};
use crate::watch::model::{Model, SupervisorRow};
use crate::watch::sight::Sight;
use crate::watch::view::{Order, View};

/// Prints pictures until there are enough, or SIGINT or SIGTERM. Each tells of the interval before
/// it, so the first comes after one.
pub(super) fn run(args: &TopArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = args.place.domain();
    let views: Vec<View> =
        View::ALL.into_iter().filter(|v| args.view.is_none_or(|only| only == *v)).collect();
    let tables: Vec<(View, Order)> =
        views.into_iter().map(|view| Ok((view, args.order(view)?))).collect::<Result<_>>()?;
    let stop = watch_signals()?;
    let mut before = Sight::new(&domain);
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut first = true;
    while left > 0 {
        if stop.recv_timeout(args.interval) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        let sight = Sight::new(&domain);
        let model = Model::of(&sight, Some(&before));
        if args.json {
            ui.json(&model)?;
        } else {
            if !first {
                ui.line(Stream::Out, "")?;
            }
            show(&model, &tables, &domain, ui)?;
        }
        (before, first) = (sight, false);
        left -= 1;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(model: &Model, tables: &[(View, Order)], domain: &Domain, ui: &Ui) -> Result<()> {
    ui.line(Stream::Out, head(model, domain))?;
    for (view, order) in tables {
        let mut rows = view.rows(model);
        order.apply(&mut rows);
        ui.line(Stream::Out, "")?;
        if rows.is_empty() {
            ui.line(Stream::Out, format_args!("no {}", view.name()))?;
            continue;
        }
        let heads = view.columns().iter().map(|&head| head.to_owned()).collect();
        let mut table = Table::with_head(heads, view.names());
        for row in rows {
            table.row(row.cells.into_iter().map(|cell| cell.text));
        }
        ui.table(Stream::Out, table)?;
    }
    Ok(())
}

/// The line above the tables.
pub(super) fn head(model: &Model, domain: &Domain) -> String {
    let supervisor = model.supervisor.as_ref().map_or_else(|| "none".to_owned(), supervisor);
    let [hubs, links, subjects] = [model.hubs.len(), model.open_links(), model.subjects.len()];
    let domain = domain.path().display();
    // What is cut off where there is little room stands last.
    format!(
        "supervisor: {supervisor}  hubs: {hubs}  links: {links}  subjects: {subjects}  in {domain}"
    )
}

fn supervisor(row: &SupervisorRow) -> String {
    let SupervisorRow { pid, state, epoch, troubles, .. } = row;
    let troubles = if *troubles > 0 { format!(", {troubles} troubles") } else { String::new() };
    format!("{state} (pid {pid}, run {epoch}{troubles})")
}
