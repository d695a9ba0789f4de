//! Aeron over shared memory: exclusive publications, with its media driver in a third process.

use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rusteron_client::{
    AERON_IPC_STREAM, Aeron as Client, AeronContext, AeronExclusivePublication, AeronOfferError,
    AeronSubscription, Handlers,
};
use rusteron_media_driver::bindings::aeron_threading_mode_t;
use rusteron_media_driver::{AeronDriver, AeronDriverContext};

use super::locked_version;
use crate::message::Message;
use crate::peer::{
    CONNECT_LIMIT, Mode, Peer, Setup, Side, System, Wait, patiently, spin_for_room, spin_to_hear,
};
use crate::serve::serve;

/// It has no way to sleep until something comes. Its driver sets how far publications may go, and
/// sleeps most of the time.
const SPIN: &[Mode] = &[Mode { wait: Wait::Spin, helpers: 0 }];

/// With the settings that it comes with.
pub(crate) const AS_INSTALLED: System = System {
    name: "aeron",
    about: "exclusive publications over IPC, claimed in place up to its MTU; C client and C driver \
            (one thread) as installed",
    ours: false,
    in_process: false,
    modes: SPIN,
    version: || {
        let rusteron = locked_version("rusteron-client")?;
        Ok(format!("{} (rusteron {rusteron})", Client::version_text()))
    },
    serve: Some(serve::<Streams<false>>),
    daemon: Some(drive::<false>),
};

/// With every page of its files touched before.
pub(crate) const PRE_TOUCHED: System = System {
    name: "aeron-pretouched",
    about: "the same with files that are not sparse, touched by the clients before use",
    serve: Some(serve::<Streams<true>>),
    daemon: Some(drive::<true>),
    ..AS_INSTALLED
};

const QUESTIONS: i32 = 1001;
const ANSWERS: i32 = 1002;

/// Fragments that one poll hands out at most; what its samples use.
const FRAGMENTS: usize = 10;

fn folder(dir: &Path) -> Result<CString> {
    Ok(CString::new(dir.join("aeron").into_os_string().into_encoded_bytes())?)
}

/// The media driver, until the process is ended.
fn drive<const PRE_TOUCHED: bool>(dir: &Path) -> Result<()> {
    let context = AeronDriverContext::new()?;
    context.set_dir(&folder(dir)?)?;
    context.set_dir_delete_on_start(true)?;
    context.set_dir_delete_on_shutdown(true)?;
    context.set_threading_mode(aeron_threading_mode_t::AERON_THREADING_MODE_SHARED)?;
    if PRE_TOUCHED {
        context.set_term_buffer_sparse_file(false)?;
    }
    let driver = AeronDriver::new(&context)?;
    driver.start(true)?;
    loop {
        driver.main_idle_strategy(driver.main_do_work()?);
    }
}

struct Streams<const PRE_TOUCHED: bool> {
    publication: AeronExclusivePublication,
    subscription: AeronSubscription,
    /// Longer messages go in several fragments.
    longest_claim: usize,
    scratch: Vec<u8>,
    /// What has come of a message in fragments.
    parts: Vec<u8>,
    _client: Client,
}

impl<const PRE_TOUCHED: bool> Peer for Streams<PRE_TOUCHED> {
    fn connect(setup: &Setup) -> Result<Self> {
        let (out, back) = match setup.side {
            Side::A => (QUESTIONS, ANSWERS),
            Side::B => (ANSWERS, QUESTIONS),
        };
        let client = patiently(|| {
            let context = AeronContext::new()?;
            context.set_dir(&folder(&setup.dir)?)?;
            context.set_pre_touch_mapped_memory(PRE_TOUCHED)?;
            let client = Client::new(&context)?;
            client.start()?;
            Ok(client)
        })?;
        let publication = client
            .async_add_exclusive_publication(AERON_IPC_STREAM, out)?
            .poll_blocking(CONNECT_LIMIT)?;
        let subscription = client
            .async_add_subscription(AERON_IPC_STREAM, back, Handlers::NONE, Handlers::NONE)?
            .poll_blocking(CONNECT_LIMIT)?;
        let deadline = Instant::now() + CONNECT_LIMIT;
        while !(publication.is_connected() && subscription.is_connected()) {
            ensure!(Instant::now() < deadline, "the other side has not connected");
            std::thread::sleep(Duration::from_micros(100));
        }
        let longest_claim = publication.max_payload_length()?;
        let (scratch, parts) = (vec![0; setup.longest], Vec::with_capacity(setup.longest));
        Ok(Streams { publication, subscription, longest_claim, scratch, parts, _client: client })
    }

    #[inline(always)]
    fn send(&mut self, message: Message) -> Result<()> {
        if message.len() <= self.longest_claim {
            return spin_for_room(|| match self.publication.try_claim_owned(message.len()) {
                Ok(mut claim) => {
                    message.write(claim.data());
                    claim.commit()?;
                    Ok(true)
                }
                Err(error) => later(error),
            });
        }
        let bytes = &mut self.scratch[..message.len()];
        message.write(bytes);
        spin_for_room(|| match self.publication.offer(bytes) {
            Ok(_) => Ok(true),
            Err(error) => later(error),
        })
    }

    #[inline(always)]
    fn receive(&mut self, len: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let parts = &mut self.parts;
        spin_to_hear(|| {
            let mut heard = false;
            let see = |fragment: &[u8], _| {
                if parts.is_empty() && fragment.len() == len {
                    heard = true;
                    return read(fragment);
                }
                // One publication, so fragments come in order and without others in between.
                parts.extend_from_slice(fragment);
                if parts.len() >= len {
                    heard = true;
                    read(parts);
                    parts.clear();
                }
            };
            self.subscription.poll_fn(see, FRAGMENTS)?;
            Ok(heard)
        })
    }
}

/// Whether it is only for now that a message does not go.
#[cold]
fn later(error: AeronOfferError) -> Result<bool> {
    if error.is_retryable() {
        return Ok(false);
    }
    bail!("cannot send: {error:?}")
}
