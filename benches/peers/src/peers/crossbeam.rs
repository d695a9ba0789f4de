//! crossbeam-channel: bounded channels between two threads of one process.

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};

use super::{locked_version, meeting::Meeting};
use crate::message::Message;
use crate::peer::{BOTH, Peer, SILENCE, Setup, System, Wait, spin_for_room, spin_to_hear};
use crate::serve::serve;

/// Two channels, one each way.
pub(crate) const SYSTEM: System = System {
    name: "crossbeam",
    about: "two bounded channels of 1,024; 64 bytes lie in the channel, more in a box that is sent",
    ours: false,
    in_process: true,
    modes: BOTH,
    version: || locked_version("crossbeam-channel"),
    serve: Some(serve::<Channels>),
    daemon: None,
};

const CAPACITY: usize = 1024;

/// Bytes that are sent without a box.
const INLINE: usize = 64;

enum Parcel {
    Inline([u8; INLINE]),
    Boxed(Box<[u8]>),
}

impl Parcel {
    #[inline(always)]
    fn of(message: Message) -> Parcel {
        if message.len() == INLINE {
            let mut bytes = [0; INLINE];
            message.write(&mut bytes);
            return Parcel::Inline(bytes);
        }
        let mut bytes = Box::new_uninit_slice(message.len());
        message.write_new(&mut bytes);
        Parcel::Boxed(written(bytes))
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        match self {
            Parcel::Inline(bytes) => bytes,
            Parcel::Boxed(bytes) => bytes,
        }
    }
}

#[allow(unsafe_code)]
fn written(bytes: Box<[std::mem::MaybeUninit<u8>]>) -> Box<[u8]> {
    // SAFETY: the only caller has had all of it written.
    unsafe { bytes.assume_init() }
}

static MEETING: Meeting<Channels> = Meeting::new();

struct Channels {
    out: Sender<Parcel>,
    back: Receiver<Parcel>,
    wait: Wait,
}

impl Peer for Channels {
    fn connect(setup: &Setup) -> Result<Channels> {
        MEETING.meet(setup.side, || {
            let ((to_b, from_a), (to_a, from_b)) = (bounded(CAPACITY), bounded(CAPACITY));
            let wait = setup.wait;
            (Channels { out: to_b, back: from_b, wait }, Channels { out: to_a, back: from_a, wait })
        })
    }

    #[inline(always)]
    fn send(&mut self, message: Message) -> Result<()> {
        let parcel = Parcel::of(message);
        if self.wait == Wait::Block {
            return self.out.send(parcel).ok().context("the other thread has ended");
        }
        let mut parcel = Some(parcel);
        spin_for_room(|| match parcel.take().map(|parcel| self.out.try_send(parcel)) {
            Some(Err(TrySendError::Full(back))) => {
                parcel = Some(back);
                Ok(false)
            }
            Some(Err(TrySendError::Disconnected(_))) => anyhow::bail!("the other thread has ended"),
            Some(Ok(())) | None => Ok(true),
        })
    }

    #[inline(always)]
    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        if self.wait == Wait::Block {
            return match self.back.recv_timeout(SILENCE) {
                Ok(parcel) => {
                    read(parcel.bytes());
                    Ok(true)
                }
                Err(RecvTimeoutError::Timeout) => Ok(false),
                Err(error) => Err(error.into()),
            };
        }
        spin_to_hear(|| match self.back.try_recv() {
            Ok(parcel) => {
                read(parcel.bytes());
                Ok(true)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(error) => Err(error.into()),
        })
    }
}
