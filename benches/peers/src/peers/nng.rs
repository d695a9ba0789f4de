//! nng over a Unix socket.

use anyhow::{Result, anyhow};
use nng::options::{Options, RecvTimeout};
use nng::{Error, Protocol, Socket};

use super::locked_version;
use crate::message::Message;
use crate::peer::{
    Mode, Peer, SILENCE, Setup, Side, System, Wait, patiently, spin_for_room, spin_to_hear,
};
use crate::serve::serve;

/// A pair of sockets.
pub(crate) const SYSTEM: System = System {
    name: "nng",
    about: "pair0 over ipc:// with its default buffers",
    ours: false,
    in_process: false,
    modes: &[Mode { wait: Wait::Spin, helpers: 2 }, Mode { wait: Wait::Block, helpers: 2 }],
    version: || Ok(format!("{} (nng-sys {})", locked_version("nng")?, locked_version("nng-sys")?)),
    serve: Some(serve::<Pair>),
    daemon: None,
};

struct Pair {
    socket: Socket,
    wait: Wait,
}

impl Peer for Pair {
    fn connect(setup: &Setup) -> Result<Pair> {
        let socket = Socket::new(Protocol::Pair0)?;
        let address = format!("ipc://{}", setup.dir.join("nng.sock").display());
        match setup.side {
            Side::A => socket.listen(&address)?,
            Side::B => patiently(|| Ok(socket.dial(&address)?))?,
        }
        socket.set_opt::<RecvTimeout>(Some(SILENCE))?;
        Ok(Pair { socket, wait: setup.wait })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let mut parcel = nng::Message::with_zeros(message.len());
        message.write(&mut parcel);
        if self.wait == Wait::Block {
            return self.socket.send(parcel).map_err(|(_, error)| anyhow!(error));
        }
        let mut parcel = Some(parcel);
        spin_for_room(|| match parcel.take().map(|parcel| self.socket.try_send(parcel)) {
            Some(Err((back, Error::TryAgain))) => {
                parcel = Some(back);
                Ok(false)
            }
            Some(Err((_, error))) => Err(error.into()),
            Some(Ok(())) | None => Ok(true),
        })
    }

    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let mut attempt = || {
            let received = match self.wait {
                Wait::Spin => self.socket.try_recv(),
                Wait::Block => self.socket.recv(),
            };
            match received {
                Ok(message) => {
                    read(&message);
                    Ok(true)
                }
                Err(Error::TryAgain | Error::TimedOut) => Ok(false),
                Err(error) => Err(error.into()),
            }
        };
        if self.wait == Wait::Spin { spin_to_hear(attempt) } else { attempt() }
    }
}
