//! ipc-channel: channels of bytes between two processes.

use std::fs;

use anyhow::{Result, anyhow};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel, channel,
};
use serde::{Deserialize, Serialize};

use super::locked_version;
use crate::message::Message;
use crate::peer::{BOTH, Peer, Setup, Side, System, Wait, patiently, spin_to_hear};
use crate::serve::serve;

/// Two channels, one each way.
pub(crate) const SYSTEM: System = System {
    name: "ipc-channel",
    about: "two channels of raw bytes, without serialisation",
    ours: false,
    in_process: false,
    modes: BOTH,
    version: || locked_version("ipc-channel"),
    serve: Some(serve::<Channels>),
    daemon: None,
};

struct Channels {
    out: IpcBytesSender,
    back: IpcBytesReceiver,
    wait: Wait,
    scratch: Vec<u8>,
}

/// What side B sends over the channel by which the two find each other.
#[derive(Serialize, Deserialize)]
struct Hello {
    /// To side B.
    questions: IpcBytesSender,
    /// For the channel to side A.
    answers: IpcSender<IpcBytesSender>,
}

impl Peer for Channels {
    fn connect(setup: &Setup) -> Result<Channels> {
        let name_file = setup.dir.join("ipc-channel");
        let (out, back) = match setup.side {
            Side::A => {
                let (server, name) = IpcOneShotServer::<Hello>::new()?;
                let unfinished = setup.dir.join("ipc-channel.new");
                fs::write(&unfinished, name)?;
                fs::rename(&unfinished, &name_file)?;
                let (_, hello) = server.accept()?;
                let (answers, back) = bytes_channel()?;
                hello.answers.send(answers)?;
                (hello.questions, back)
            }
            Side::B => {
                let name = patiently(|| Ok(fs::read_to_string(&name_file)?))?;
                let (questions, back) = bytes_channel()?;
                let (answers, received) = channel()?;
                IpcSender::connect(name)?.send(Hello { questions, answers })?;
                (received.recv()?, back)
            }
        };
        Ok(Channels { out, back, wait: setup.wait, scratch: vec![0; setup.longest] })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let bytes = &mut self.scratch[..message.len()];
        message.write(bytes);
        Ok(self.out.send(bytes)?)
    }

    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        if self.wait == Wait::Block {
            read(&self.back.recv().map_err(|error| anyhow!("cannot receive: {error}"))?);
            return Ok(true);
        }
        spin_to_hear(|| match self.back.try_recv() {
            Ok(bytes) => {
                read(&bytes);
                Ok(true)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(error) => Err(anyhow!("cannot receive: {error}")),
        })
    }
}
