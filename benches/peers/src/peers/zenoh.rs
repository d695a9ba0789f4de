//! zenoh between two peers, with its shared memory.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use zenoh::handlers::FifoChannelHandler;
use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::qos::CongestionControl;
use zenoh::sample::Sample;
use zenoh::shm::{
    BlockOn, GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder,
};
use zenoh::{Config, Session, Wait as _};

use super::locked_version;
use crate::message::Message;
use crate::peer::{
    CONNECT_LIMIT, Mode, Peer, SILENCE, Setup, Side, System, Wait, patiently, spin_to_hear,
};
use crate::serve::serve;

/// Two peers without a router.
pub(crate) const SYSTEM: System = System {
    name: "zenoh",
    about: "two peers over a Unix socket, blocking instead of dropping; from 3,072 bytes (its own \
            threshold) written into its shared memory, below sent inline",
    ours: false,
    in_process: false,
    modes: &[Mode { wait: Wait::Spin, helpers: 4 }, Mode { wait: Wait::Block, helpers: 4 }],
    version: || locked_version("zenoh"),
    serve: Some(serve::<Peers>),
    daemon: None,
};

/// From this length on zenoh itself puts messages into shared memory.
const SHARED_FROM: usize = 3072;

const SOCKET: &str = "zenoh.sock";

/// Bytes of shared memory to allocate from: zenoh's own default.
const POOL: usize = 16 << 20;

struct Peers {
    publisher: Publisher<'static>,
    subscriber: Subscriber<FifoChannelHandler<Sample>>,
    provider: ShmProvider<PosixShmProviderBackend>,
    wait: Wait,
    _session: Session,
}

/// Its shared memory has names of its own; it knows which of them nobody uses any more.
pub(super) fn tidy() {
    zenoh::shm::cleanup_orphaned_shm_segments();
}

/// Errors of zenoh are boxed without a common type.
fn said(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

fn config(setup: &Setup) -> Result<Config> {
    let mut config = Config::default();
    let endpoint = format!("[\"unixsock-stream/{}\"]", setup.dir.join(SOCKET).display());
    let (own, other) = match setup.side {
        Side::A => ("listen/endpoints", "connect/endpoints"),
        Side::B => ("connect/endpoints", "listen/endpoints"),
    };
    let set = [
        ("mode", "\"peer\""),
        (own, &endpoint),
        (other, "[]"),
        ("scouting/multicast/enabled", "false"),
        ("scouting/gossip/enabled", "false"),
        ("transport/shared_memory/enabled", "true"),
    ];
    for (key, value) in set {
        config.insert_json5(key, value).map_err(said)?;
    }
    Ok(config)
}

impl Peer for Peers {
    fn connect(setup: &Setup) -> Result<Peers> {
        let (out, back) = match setup.side {
            Side::A => ("peers/question", "peers/answer"),
            Side::B => ("peers/answer", "peers/question"),
        };
        if setup.side == Side::B {
            // Who comes before the listener tries again only after a second.
            let socket = setup.dir.join(SOCKET);
            patiently(|| socket.try_exists()?.then_some(()).context("nobody listens"))?;
        }
        let session = zenoh::open(config(setup)?).wait().map_err(said)?;
        let subscriber = session.declare_subscriber(back).wait().map_err(said)?;
        let publisher = session
            .declare_publisher(out)
            .congestion_control(CongestionControl::Block)
            .wait()
            .map_err(said)?;
        let backend = PosixShmProviderBackend::builder(POOL).wait().map_err(said)?;
        let provider = ShmProviderBuilder::backend(backend).wait();
        let deadline = Instant::now() + CONNECT_LIMIT;
        while !publisher.matching_status().wait().map_err(said)?.matching() {
            ensure!(Instant::now() < deadline, "nobody has subscribed to {out}");
            std::thread::yield_now();
        }
        Ok(Peers { publisher, subscriber, provider, wait: setup.wait, _session: session })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        if message.len() < SHARED_FROM {
            let mut bytes = vec![0; message.len()];
            message.write(&mut bytes);
            return self.publisher.put(bytes).wait().map_err(said);
        }
        let alloc = self.provider.alloc(message.len());
        let mut bytes = alloc.with_policy::<BlockOn<GarbageCollect>>().wait().map_err(said)?;
        message.write(&mut bytes);
        self.publisher.put(bytes).wait().map_err(said)
    }

    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let mut see = |sample: Option<Sample>| {
            if let Some(sample) = &sample {
                read(&sample.payload().to_bytes());
            }
            Ok(sample.is_some())
        };
        if self.wait == Wait::Block {
            return see(self.subscriber.recv_timeout(SILENCE).map_err(said)?);
        }
        spin_to_hear(|| match self.subscriber.try_recv() {
            Ok(sample) => see(sample),
            Err(error) => bail!("{error}"),
        })
    }
}
