//! ZeroMQ over a Unix socket.

use anyhow::{Context as _, Result};
use zmq::{Context, DONTWAIT, Error, PAIR, Socket};

use super::locked_version;
use crate::message::Message;
use crate::peer::{Mode, Peer, SILENCE, Setup, Side, System, Wait, patiently, spin_to_hear};
use crate::serve::serve;

/// A pair of sockets.
pub(crate) const SYSTEM: System = System {
    name: "zeromq",
    about: "PAIR over ipc://, one I/O thread on each side, default high-water marks",
    ours: false,
    in_process: false,
    modes: &[Mode { wait: Wait::Spin, helpers: 2 }, Mode { wait: Wait::Block, helpers: 2 }],
    version: || {
        let (major, minor, patch) = zmq::version();
        Ok(format!("{major}.{minor}.{patch} (zmq {})", locked_version("zmq")?))
    },
    serve: Some(serve::<Pair>),
    daemon: None,
};

struct Pair {
    socket: Socket,
    message: zmq::Message,
    flags: i32,
    _context: Context,
}

impl Peer for Pair {
    fn connect(setup: &Setup) -> Result<Pair> {
        let context = Context::new();
        let socket = context.socket(PAIR)?;
        let path = setup.dir.join("zeromq.sock");
        let address = format!("ipc://{}", path.display());
        match setup.side {
            // Nothing is said to who binds a socket file that another has; both have one alone.
            Side::A => socket.bind(&address)?,
            Side::B => patiently(|| {
                path.try_exists()?.then_some(()).context("the other side is not there")?;
                Ok(socket.connect(&address)?)
            })?,
        }
        socket.set_rcvtimeo(SILENCE.as_millis() as i32)?;
        let flags = if setup.wait == Wait::Spin { DONTWAIT } else { 0 };
        Ok(Pair { socket, message: zmq::Message::new(), flags, _context: context })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let mut parcel = zmq::Message::with_size(message.len());
        message.write(&mut parcel);
        // With a full queue this sleeps in both modes: a message that cannot be sent at once does
        // not come back.
        Ok(self.socket.send(parcel, 0)?)
    }

    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let mut attempt = || match self.socket.recv(&mut self.message, self.flags) {
            Ok(()) => {
                read(&self.message);
                Ok(true)
            }
            Err(Error::EAGAIN | Error::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        };
        if self.flags == DONTWAIT { spin_to_hear(attempt) } else { attempt() }
    }
}
