//! The child: answers and receives, as its parent orders over standard input.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::args::{Layer, PathMode, Setup, Via};
use super::bare_side::Own;
use super::control::{Control, Order, Report};
use super::floor::Floor;
use super::halt::Halt;
use super::load::Arrivals;
use super::shared::{Page, Word, numbers_to_file};
use super::side::EchoSide;
use super::{bus_side, c_side, host, hub_side};

/// How long the parent may take to say what for.
const PREPARE_LIMIT: Duration = Duration::from_secs(30);

/// Until the parent hangs up.
pub(super) fn run(domain: &Path) -> Result<()> {
    let control = Control::of_child()?;
    let (Order::Prepare { setup, slot }, descriptors) = control.receive(PREPARE_LIMIT)? else {
        bail!("an order before the preparation");
    };
    let mut descriptors = descriptors.into_iter();
    let page = Page::open(descriptors.next().context("the shared page has not come")?)?;
    let descriptors: Vec<OwnedFd> = descriptors.collect();
    let mut side = prepare(&control, domain, &setup, slot, &descriptors)?;
    drop(descriptors);
    host::pin(setup.cpus.1)?;
    control.send(&Report::Ready, &[])?;
    let floor = Floor::new(&page, setup.wait);
    // Nobody halts the child but its parent, by ending it.
    let never = Halt::default();
    let mut ready = 0;
    while let Some((order, _)) = control.next()? {
        let lost = match order {
            Order::ReceiveOnSchedule { schedule } => {
                let mut arrivals = Arrivals::new(schedule, &page);
                ready += 1;
                page.word(Word::Ready).store(ready, Ordering::Release);
                let lost = side.receive_on_schedule(&mut arrivals)?;
                let file = numbers_to_file(&arrivals.ticks)?;
                control.send(&Report::Done { lost }, &[file.as_fd()])?;
                continue;
            }
            Order::Prepare { .. } => bail!("an order to prepare a second time"),
            Order::Floor { from, trips } => floor.pong(from, trips, &never).map(|()| 0)?,
            Order::Answer { trips } => side.echo(trips)?,
            Order::Receive { count } => side.receive(count, &page)?,
        };
        control.send(&Report::Done { lost }, &[])?;
    }
    Ok(())
}

/// Connects with the parent. Threads that this starts are not bound to a processor.
fn prepare(
    control: &Control,
    domain: &Path,
    setup: &Setup,
    slot: u32,
    descriptors: &[OwnedFd],
) -> Result<Box<dyn EchoSide>> {
    match (setup.layer, setup.path, descriptors) {
        (Layer::Hub, PathMode::Link, _) if setup.via == Via::C => {
            let joined = c_side::join_echo(domain, setup)?;
            control.send(&Report::Joined { slot: 0 }, &[])?;
            joined.echo_side()
        }
        (Layer::Hub, PathMode::Link, _) => {
            let joined = hub_side::join_echo(domain, setup)?;
            control.send(&Report::Joined { slot: 0 }, &[])?;
            joined.echo_side(setup)
        }
        (Layer::Hub, ..) => {
            let joined = bus_side::join_echo(domain, setup)?;
            control.send(&Report::Joined { slot: 0 }, &[])?;
            joined.echo_side(setup)
        }
        (Layer::Ring, _, [ring, cursors]) => {
            let own = Own::create()?;
            control.send(&Report::Joined { slot: own.slot }, &own.descriptors())?;
            Ok(Box::new(own.join(ring, cursors, slot)?))
        }
        (Layer::Ring, ..) => bail!("the parent's ring has not come"),
    }
}
