//! `ephapse`: run a supervisor, see who is there, publish and subscribe, see the runtime at work,
//! measure it.
//!
//! Exit codes: 0 is success, 1 failure, 2 wrong use.

#![deny(unsafe_code)]

mod bench;
mod bus;
mod capture;
mod children;
mod cli;
mod demo;
mod listing;
mod logging;
mod manual;
mod meter;
mod output;
mod pieces;
mod schema;
mod signals;
mod stat;
mod ui;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::cli::{Cli, Command};
use crate::ui::{OutputClosed, Ui};

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let ui = Ui::new(cli.color, cli.verbosity());
    match dispatch(cli, &ui) {
        Ok(code) => code,
        Err(error) if error.is::<OutputClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli, ui: &Ui) -> Result<ExitCode> {
    logging::start(ui)?;
    if let Some(parent) = cli.child_of {
        // A supervisor without its parent still has a socket to remove; the others have nothing.
        let signal = match cli.command {
            Command::Up(_) => Signal::SIGTERM,
            _ => Signal::SIGKILL,
        };
        children::die_with_parent(parent, signal)?;
    }
    match cli.command {
        Command::Up(args) => up::run(args, cli.child_of.is_some(), ui).map(|()| ExitCode::SUCCESS),
        Command::Hubs(args) => listing::hubs(args, ui).map(|()| ExitCode::SUCCESS),
        Command::Links(args) => listing::links(args, ui).map(|()| ExitCode::SUCCESS),
        Command::Pub(args) => bus::publish(args, ui),
        Command::Sub(args) => bus::subscribe(args, ui),
        Command::Monitor(args) => bus::monitor(args, ui),
        Command::Capture(args) => capture::capture(args, ui),
        Command::Replay(args) => capture::replay(args, ui),
        Command::Request(args) => bus::request(args, ui),
        Command::Reply(args) => bus::reply(args, ui),
        Command::Hz(args) => meter::hz(args, ui),
        Command::Bw(args) => meter::bw(args, ui),
        Command::Delay(args) => meter::delay(args, ui),
        Command::Subjects(args) => listing::subjects(args, ui).map(|()| ExitCode::SUCCESS),
        Command::Stat(args) => stat::run(args, ui),
        Command::Schema(args) => schema::run(args, ui).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::run(args, ui),
        Command::Bench(args) => bench::run(args, ui),
        Command::Completions { shell } => cli::completions(shell, ui).map(|()| ExitCode::SUCCESS),
        Command::Man { directory } => {
            manual::write_pages(&directory, ui).map(|()| ExitCode::SUCCESS)
        }
        Command::DemoRole(args) => demo::role(args),
        Command::BenchRole(args) => bench::role(args).map(|()| ExitCode::SUCCESS),
    }
}
