//! Ephapse: a link, and the broadcast.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ephapse::limits::{BROADCAST_CAPACITY_DEFAULT, RING_CAPACITY_DEFAULT};
use ephapse::{
    Domain, Hub, Link, LinkOptions, Path as Way, RawEvent, RawPublisher, Subscription, Supervisor,
};

use crate::message::Message;
use crate::peer::{BOTH, CONNECT_LIMIT, Peer, SILENCE, Setup, Side, System, Wait, patiently};
use crate::serve::serve;

/// A ring each way between the two hubs.
pub(crate) const LINK: System = System {
    name: "ephapse-link",
    about: "two hubs and a link; raw bytes written and read in the ring",
    ours: true,
    in_process: false,
    modes: BOTH,
    version: || Ok(env!("CARGO_PKG_VERSION").to_owned()),
    serve: Some(serve::<Linked>),
    daemon: Some(supervise),
};

/// The ring that each hub owns and all others read.
pub(crate) const BROADCAST: System = System {
    name: "ephapse-broadcast",
    about: "publisher and subscription on a subject, over the broadcast rings",
    serve: Some(serve::<Broadcast>),
    ..LINK
};

const A: &str = "a";
const B: &str = "b";

/// Records of the longest message for which a ring has room at least.
const ROOM: usize = 4;

/// Bytes of a record besides its payload, at most.
const OVERHEAD: usize = 128;

fn supervise(dir: &Path) -> Result<()> {
    Ok(Supervisor::bind(Domain::at(dir.join("domain")))?.run()?)
}

fn join(setup: &Setup) -> Result<ephapse::HubBuilder> {
    let name = if setup.side == Side::A { A } else { B };
    let wait = match setup.wait {
        Wait::Spin => ephapse::Wait::Spin,
        Wait::Block => ephapse::Wait::Block,
    };
    let domain = Domain::at(setup.dir.join("domain"));
    Ok(Hub::builder(name).domain(domain).wait(wait).timestamps(false))
}

fn capacity(setup: &Setup, least: usize) -> usize {
    (ROOM * (setup.longest + OVERHEAD)).next_power_of_two().max(least)
}

/// A hub with its link.
struct Linked {
    hub: Hub,
    link: Link,
}

impl Peer for Linked {
    fn connect(setup: &Setup) -> Result<Linked> {
        let mut hub = patiently(|| Ok(join(setup)?.connect()?))?;
        let link = match setup.side {
            Side::A => {
                let bytes = capacity(setup, RING_CAPACITY_DEFAULT);
                let options = LinkOptions::default().send_capacity(bytes).receive_capacity(bytes);
                hub.wait_for(B, CONNECT_LIMIT)?;
                hub.link_with(B, options)?
            }
            Side::B => {
                let link = hub.accept_timeout(CONNECT_LIMIT)?;
                link.with_context(|| format!("no link for {CONNECT_LIMIT:?}"))?
            }
        };
        Ok(Linked { hub, link })
    }

    #[inline(always)]
    fn send(&mut self, message: Message) -> Result<()> {
        let mut loan = self.link.loan(message.len())?;
        message.write(&mut loan);
        loan.send();
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let event = self.hub.recv_timeout(SILENCE)?;
        if let Some(event) = &event {
            read(event.bytes());
        }
        Ok(event.is_some())
    }
}

const QUESTIONS: &str = "peers.question";
const ANSWERS: &str = "peers.answer";

/// A hub that publishes and subscribes.
struct Broadcast {
    publisher: RawPublisher,
    subscription: Subscription,
    _hub: Hub,
}

impl Peer for Broadcast {
    fn connect(setup: &Setup) -> Result<Broadcast> {
        let (out, back) = match setup.side {
            Side::A => (QUESTIONS, ANSWERS),
            Side::B => (ANSWERS, QUESTIONS),
        };
        let bytes = capacity(setup, BROADCAST_CAPACITY_DEFAULT);
        let build = || Ok(join(setup)?.broadcast_capacity(bytes).links_for(0).connect()?);
        let hub = patiently(build)?;
        let subscription = hub.subscribe([back])?;
        let publisher = hub.raw_publisher(out)?;
        let deadline = Instant::now() + CONNECT_LIMIT;
        while publisher.receivers() == 0 {
            ensure!(Instant::now() < deadline, "nobody has subscribed to {out}");
            std::thread::yield_now();
        }
        Ok(Broadcast { publisher, subscription, _hub: hub })
    }

    #[inline(always)]
    fn send(&mut self, message: Message) -> Result<()> {
        let write = |bytes: &mut [u8]| message.write(bytes);
        let sent = self.publisher.send(&RawEvent::written(0, message.len(), &write))?;
        ensure!(sent.path == Way::Broadcast, "a message went over {:?}", sent.path);
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let event = self.subscription.recv_timeout(SILENCE)?;
        if let Some(event) = &event {
            read(event.bytes());
        }
        Ok(event.is_some())
    }
}
