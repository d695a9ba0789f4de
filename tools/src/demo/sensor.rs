//! The first process: samples this host, or cuts an input into lines.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use ephapse::Hub;

use super::beside::Beside;
use super::counted::Outgoing;
use super::events::{End, Line};
use super::report::{Data, Final, Report};
use super::sampler::{Sampler, TICK};
use super::{PLANNER, RoleArgs, SENSOR, START_LIMIT, link_options};
use crate::children::tell_parent;
use crate::pieces::{Pieces, Stoppable};
use crate::signals::{self, StopFlag};

/// What a [`Line`] needs besides its bytes: number, flag, length and place of the bytes, and what
/// may be left free for alignment (24 bytes and less than 16).
const LINE_OVERHEAD: usize = 64;

/// Longer pieces gain nothing: copying them already costs far more than passing them on.
const PIECE_MAX: usize = 64 * 1024;

/// Runs until the time is over, the input ends, or the parent says so.
pub(crate) fn run(args: &RoleArgs) -> Result<Final> {
    let (stop_reader, stop_writer) = UnixStream::pair().context("cannot make a socket pair")?;
    let stop = signals::watch_parent(move || drop(stop_writer))
        .context("cannot watch for the parent's signal")?;
    tell_parent(&Report::Ready)?;
    let mut hub: Hub = super::join(SENSOR, args)?;
    hub.wait_for(PLANNER, START_LIMIT)?;
    let beside = Beside::new(&hub, SENSOR)?;
    let mut planner = Outgoing::new(hub.link_with(PLANNER, link_options())?, beside);
    let data = match args.duration {
        Some(duration) => {
            sample_until(Instant::now() + duration, &stop, &mut planner)?;
            None
        }
        None => Some(send_lines(stop_reader, &mut planner)?),
    };
    let count = planner.number();
    planner.send(&End { number: count, count })?;
    Ok(Final { sent: vec![planner.close()?], data, ..Final::default() })
}

fn sample_until(deadline: Instant, stop: &StopFlag, planner: &mut Outgoing) -> Result<()> {
    let mut sampler = Sampler::new()?;
    let mut next = Instant::now();
    while next < deadline && !stop.is_set() {
        sampler.sample(planner)?;
        // A late look does not make the next ones hurry.
        next = (next + TICK).max(Instant::now());
        thread::sleep(next.min(deadline).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn send_lines(stop: UnixStream, planner: &mut Outgoing) -> Result<Data> {
    let longest = planner.max_payload().saturating_sub(LINE_OVERHEAD).clamp(1, PIECE_MAX);
    let input = io::stdin().as_fd().try_clone_to_owned().context("there is no input")?;
    let mut pieces = Pieces::new(Stoppable::new(File::from(input), stop), longest);
    let mut data = Data::default();
    // The same buffer for every line: nothing is allocated on the way.
    let mut line = Line { number: 0, ends: false, bytes: Vec::with_capacity(longest) };
    while let Some(ends) = pieces.next(&mut line.bytes).context("cannot read the input")? {
        line.number = planner.number();
        line.ends = ends;
        planner.send(&line)?;
        data.add(line.bytes.len(), ends);
    }
    Ok(data)
}
