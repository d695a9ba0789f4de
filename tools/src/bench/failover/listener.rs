//! The child: receives in one thread, and does with its link what the parent orders in another.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ephapse::event::Timestamp;
use ephapse::{Domain, Hub, Link, RecvError, Subscription};

use super::{Closed, Heard, LISTENER, Order, PUBLISHER, SUBJECT};
use crate::bench::company::Done;
use crate::bench::control::Control;
use crate::bench::events::{Probe, Sample};
use crate::bench::side::Tally;

/// How long anything may take that the parent has begun.
const LIMIT: Duration = Duration::from_secs(20);

/// Between two looks: whether a link has ended, whether all has come.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What has come.
#[derive(Default)]
struct Books {
    /// The number of the next event.
    next: AtomicU64,
    lost: AtomicU64,
}

/// Until the parent hangs up.
pub(in crate::bench) fn child(domain: &Path) -> Result<()> {
    let control = Control::of_child()?;
    let (Order::Prepare, _) = control.receive(LIMIT)? else { bail!("an unexpected order") };
    let mut hub = Hub::builder(LISTENER).domain(Domain::at(domain)).connect()?;
    let subscription = hub.subscribe([SUBJECT])?;
    let books = Arc::new(Books::default());
    thread::Builder::new()
        .name("listen".into())
        .spawn({
            let books = Arc::clone(&books);
            move || listen(subscription, &books)
        })
        .context("cannot start a thread")?;
    control.send(&Done, &[])?;
    let mut link: Option<Link> = None;
    loop {
        while !control.is_readable_within(LOOK_AGAIN)? {
            // The end of the other side's half of a link is there to be received.
            while !matches!(hub.try_recv(), Ok(None)) {}
        }
        let Some((order, _)) = control.next()? else { break };
        match order {
            Order::Prepare => bail!("an order to prepare a second time"),
            Order::Accept => {
                let accepted = hub.accept_timeout(LIMIT)?;
                link = Some(accepted.context("nobody has linked to us")?);
                control.send(&Done, &[])?;
            }
            Order::Close => {
                let ticks = Timestamp::now().ticks();
                if !hub.unlink(PUBLISHER)? {
                    bail!("there is no link to close");
                }
                control.send(&Closed { ticks }, &[])?;
            }
            Order::Finish { count } => {
                let deadline = Instant::now() + LIMIT;
                while books.next.load(Ordering::Acquire) < count && Instant::now() < deadline {
                    thread::sleep(LOOK_AGAIN);
                }
                let missing = count.saturating_sub(books.next.load(Ordering::Acquire));
                let lost = books.lost.load(Ordering::Acquire) + missing;
                control.send(&Heard { lost }, &[])?;
            }
        }
    }
    drop(link);
    Ok(())
}

fn listen(mut subscription: Subscription, books: &Books) -> Result<()> {
    let mut tally = Tally { next: 0, lost: 0 };
    let mut first = None;
    loop {
        let event = match subscription.recv() {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(()),
            // What was missed shows in the number of the next event.
            Err(RecvError::Lagged { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let first = *first.get_or_insert(event.sequence());
        let number = event.sequence() - first;
        let is_right = event.get::<Sample>().is_ok_and(|event| Sample::is_question(event, number));
        if number == tally.next && is_right {
            tally.next += 1;
        } else {
            tally.wrong(number);
        }
        books.lost.store(tally.lost, Ordering::Release);
        books.next.store(tally.next, Ordering::Release);
    }
}
