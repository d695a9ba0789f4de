//! Pipes with names.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::kernel_version;
use crate::message::Message;
use crate::peer::{BOTH, Peer, Setup, Side, System, Wait, spin_for_room, spin_to_hear};
use crate::serve::serve;

/// Two pipes, one each way.
pub(crate) const SYSTEM: System = System {
    name: "pipe",
    about: "two pipes of 64 KiB, the kernel's default",
    ours: false,
    in_process: false,
    modes: BOTH,
    version: kernel_version,
    serve: Some(serve::<Pipes>),
    daemon: None,
};

struct Pipes {
    out: File,
    back: File,
    wait: Wait,
    bytes: Vec<u8>,
}

/// Opens a pipe, which whoever comes first makes. Open for reading and writing it is there without
/// the other side, and never at its end.
fn open(setup: &Setup, name: &str) -> Result<File> {
    let path = setup.dir.join(name);
    match mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno).context("cannot make a pipe"),
    }
    let flags = match setup.wait {
        Wait::Spin => OFlag::O_NONBLOCK,
        Wait::Block => OFlag::empty(),
    };
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(&path);
    file.with_context(|| format!("cannot open {path:?}"))
}

impl Peer for Pipes {
    fn connect(setup: &Setup) -> Result<Pipes> {
        let (out, back) = match setup.side {
            Side::A => ("a-to-b", "b-to-a"),
            Side::B => ("b-to-a", "a-to-b"),
        };
        let (out, back) = (open(setup, out)?, open(setup, back)?);
        Ok(Pipes { out, back, wait: setup.wait, bytes: vec![0; setup.longest] })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let bytes = &mut self.bytes[..message.len()];
        message.write(bytes);
        let mut rest = &*bytes;
        spin_for_room(|| match self.out.write(rest) {
            Err(error) if is_for_now(&error) => Ok(false),
            outcome => {
                rest = &rest[outcome.context("cannot write")?..];
                Ok(rest.is_empty())
            }
        })
    }

    fn receive(&mut self, len: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let mut have = 0;
        let bytes = &mut self.bytes[..len];
        let back = &mut self.back;
        let mut attempt = || match back.read(&mut bytes[have..]) {
            Err(error) if is_for_now(&error) => Ok(false),
            outcome => {
                let more = outcome.context("cannot read")?;
                ensure!(more > 0, "the other side has hung up");
                have += more;
                Ok(have == len)
            }
        };
        let complete = match self.wait {
            Wait::Spin => spin_to_hear(attempt)?,
            Wait::Block => loop {
                if attempt()? {
                    break true;
                }
            },
        };
        if complete {
            read(bytes);
        }
        Ok(complete)
    }
}

fn is_for_now(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
