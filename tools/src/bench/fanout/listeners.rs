//! The child: a hub and a thread for each subscription.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use ephapse::{Domain, Flow, Hub, RecvError, Subscription, SubscriptionOptions, Wait};

use super::{FlowMode, Heard, Order, SUBJECT};
use crate::bench::company::Done;
use crate::bench::control::Control;
use crate::bench::events::{Probe, Sample};
use crate::bench::host;
use crate::bench::shared::{Page, Word};
use crate::bench::side::Tally;

/// How long the parent may take to say what for.
const ORDER_LIMIT: Duration = Duration::from_secs(30);

/// Until the parent hangs up.
pub(in crate::bench) fn child(domain: &Path) -> Result<()> {
    let control = Control::of_child()?;
    let (order, descriptors) = control.receive(ORDER_LIMIT)?;
    let Order::Prepare { hubs, publisher_cpu } = order else { bail!("an unexpected order") };
    let page = descriptors.into_iter().next().context("the shared page has not come")?;
    let page = Page::open(page)?;
    // Threads that are started from now on are bound as this one is.
    host::keep_off(publisher_cpu)?;
    let hubs = (0..hubs)
        .map(|number| {
            let name = format!("subscriber-{number}");
            let hub = Hub::builder(&name).domain(Domain::at(domain)).wait(Wait::Block);
            hub.connect().with_context(|| format!("the hub \"{name}\" cannot join"))
        })
        .collect::<Result<Vec<Hub>>>()?;
    control.send(&Done, &[])?;
    while let Some((order, _)) = control.next()? {
        let Order::Listen { subscribers, flow, count, burst } = order else {
            bail!("an unexpected order")
        };
        let hubs = hubs.get(..subscribers as usize).context("more than there are hubs")?;
        let round = Round { flow, count, burst, subscribers, page: &page, had: AtomicU64::new(0) };
        let lost = round.run(hubs, &control)?;
        control.send(&Heard { lost }, &[])?;
    }
    Ok(())
}

/// One round, as all threads see it.
struct Round<'a> {
    flow: FlowMode,
    count: u64,
    burst: u64,
    subscribers: u32,
    page: &'a Page,
    /// Bursts that have been received, over all subscriptions.
    had: AtomicU64,
}

impl Round<'_> {
    /// All subscriptions at once; events that were lost.
    fn run(&self, hubs: &[Hub], control: &Control) -> Result<u64> {
        let flow = match self.flow {
            FlowMode::Block => Flow::Block,
            FlowMode::DropOldest => Flow::DropOldest,
        };
        let options = SubscriptionOptions::default().flow(flow);
        let subscriptions = hubs.iter().map(|hub| hub.subscribe_with([SUBJECT], options));
        let subscriptions = subscriptions.collect::<Result<Vec<_>, _>>()?;
        thread::scope(|scope| {
            let listen = |subscription| scope.spawn(|| self.listen(subscription));
            let threads: Vec<_> = subscriptions.into_iter().map(listen).collect();
            control.send(&Done, &[])?;
            let lost = threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow!("a subscriber has panicked"))?);
            lost.sum()
        })
    }

    fn listen(&self, mut subscription: Subscription) -> Result<u64> {
        let mut tally = Tally { next: 0, lost: 0 };
        let mut burst_end = self.count.min(self.burst);
        let mut first = None;
        while tally.next < self.count {
            let event = match subscription.recv() {
                Ok(Some(event)) => event,
                Ok(None) => bail!("the hub was closed"),
                // What was missed shows in the number of the next event.
                Err(RecvError::Lagged { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let first = *first.get_or_insert(event.sequence());
            let number = event.sequence() - first;
            let is_right =
                event.get::<Sample>().is_ok_and(|event| Sample::is_question(event, number));
            tally.see(number, is_right);
            drop(event);
            while tally.next >= burst_end && burst_end > 0 {
                self.had_burst(burst_end);
                if burst_end == self.count {
                    break;
                }
                burst_end = self.count.min(burst_end + self.burst);
            }
        }
        Ok(tally.lost)
    }

    /// The last one to have had a burst wakes the publisher.
    fn had_burst(&self, end: u64) {
        let had = self.had.fetch_add(1, Ordering::AcqRel) + 1;
        if had == u64::from(self.subscribers) * end.div_ceil(self.burst) {
            self.page.word(Word::Received).store(end, Ordering::Release);
            self.page.futex_wake(Word::Received);
        }
    }
}
