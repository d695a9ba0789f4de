//! iceoryx2: publish-subscribe, and its events to wake who sleeps.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use super::locked_version;
use crate::message::Message;
use crate::peer::{BOTH, CONNECT_LIMIT, Peer, SILENCE, Setup, Side, System, Wait, spin_to_hear};
use crate::serve::serve;

/// A service each way, and an event service each way for those who sleep.
pub(crate) const SYSTEM: System = System {
    name: "iceoryx2",
    about: "publish-subscribe of byte slices, loaned, 64 deep, retried until delivered; to block, \
            its events",
    ours: false,
    in_process: false,
    modes: BOTH,
    version: || locked_version("iceoryx2"),
    serve: Some(serve::<Ports>),
    daemon: None,
};

/// Samples that wait for their subscriber.
const DEPTH: usize = 64;

struct Ports {
    publisher: Publisher<ipc::Service, [u8], ()>,
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    bell: Option<(Notifier<ipc::Service>, Listener<ipc::Service>)>,
    _node: Node<ipc::Service>,
}

/// All of it lies in the folder of the pair, or has its name.
fn config(setup: &Setup) -> Result<Config> {
    let mut config = Config::default();
    let dir = setup.dir.to_str().context("a folder that is not UTF-8")?;
    let root = format!("{dir}/iceoryx2");
    config.global.set_root_path(&Path::new(root.as_bytes()).map_err(|e| anyhow!("{root}: {e:?}"))?);
    let run = setup.dir.parent().and_then(|dir| dir.file_name()?.to_str());
    let prefix = format!("{}.", run.context("a folder without a run")?);
    let prefix = FileName::new(prefix.as_bytes());
    config.global.prefix = prefix.map_err(|e| anyhow!("a prefix for iceoryx2: {e:?}"))?;
    Ok(config)
}

impl Peer for Ports {
    fn connect(setup: &Setup) -> Result<Ports> {
        let (out, back) = match setup.side {
            Side::A => ("peers/question", "peers/answer"),
            Side::B => ("peers/answer", "peers/question"),
        };
        // The runner watches for signals.
        let node = NodeBuilder::new()
            .config(&config(setup)?)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()?;
        let service = |name: &str| -> Result<_> {
            Ok(node
                .service_builder(&name.try_into()?)
                .publish_subscribe::<[u8]>()
                .enable_safe_overflow(false)
                .subscriber_max_buffer_size(DEPTH)
                .max_publishers(1)
                .max_subscribers(1)
                .open_or_create()?)
        };
        let (out_service, back_service) = (service(out)?, service(back)?);
        let subscriber = back_service.subscriber_builder().create()?;
        let publisher = out_service
            .publisher_builder()
            .initial_max_slice_len(setup.longest)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        let event = |name: &str| -> Result<_> {
            Ok(node
                .service_builder(&format!("{name}/bell").as_str().try_into()?)
                .event()
                .open_or_create()?)
        };
        let bell = match setup.wait {
            Wait::Spin => None,
            Wait::Block => Some((
                event(out)?.notifier_builder().create()?,
                event(back)?.listener_builder().create()?,
            )),
        };
        // What is sent before the other side subscribes reaches nobody.
        let deadline = Instant::now() + CONNECT_LIMIT;
        let others = || -> Result<bool> {
            let dynamic = out_service.dynamic_config();
            let listens = bell.is_none() || event(out)?.dynamic_config().number_of_listeners() > 0;
            Ok(dynamic.number_of_subscribers() > 0 && listens)
        };
        while !others()? {
            ensure!(Instant::now() < deadline, "nobody has subscribed to {out}");
            std::thread::yield_now();
        }
        Ok(Ports { publisher, subscriber, bell, _node: node })
    }

    #[inline(always)]
    fn send(&mut self, message: Message) -> Result<()> {
        let mut sample = self.publisher.loan_slice_uninit(message.len())?;
        message.write_new(sample.payload_mut());
        send(sample)?;
        if let Some((notifier, _)) = &self.bell {
            notifier.notify()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let mut look = || match self.subscriber.receive()? {
            Some(sample) => {
                read(sample.payload());
                Ok(true)
            }
            None => Ok(false),
        };
        let Some((_, listener)) = &self.bell else {
            return spin_to_hear(look);
        };
        let deadline = Instant::now() + SILENCE;
        loop {
            if look()? {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Ok(false);
            }
            listener.timed_wait(|_| {}, left)?;
        }
    }
}

/// Sends a sample that has been written in full.
#[allow(unsafe_code)]
#[inline(always)]
fn send(
    sample: iceoryx2::sample_mut_uninit::SampleMutUninit<
        ipc::Service,
        [std::mem::MaybeUninit<u8>],
        (),
    >,
) -> Result<()> {
    // SAFETY: the only caller has written all of it.
    unsafe { sample.assume_init() }.send()?;
    Ok(())
}
