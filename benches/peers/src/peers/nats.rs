//! NATS: its server on the loopback address, and its official client.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::locked_version;
use crate::message::Message;
use crate::peer::{Mode, Peer, SILENCE, Setup, Side, System, Wait, patiently};
use crate::serve::serve;

/// Core NATS, without persistence.
pub(crate) const SYSTEM: System = System {
    name: "nats",
    about: "publish and subscribe through nats-server on 127.0.0.1, clients in tokio on one thread",
    ours: false,
    in_process: false,
    modes: &[Mode { wait: Wait::Block, helpers: 1 }],
    version,
    serve: Some(serve::<Connection>),
    daemon: Some(run_server),
};

const QUESTIONS: &str = "peers.question";
const ANSWERS: &str = "peers.answer";

/// Where `setup.sh` puts the server, if it is not among the system's programs.
const SET_UP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/setup/bin");

fn server() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([PathBuf::from(SET_UP)]);
    let found = folders.find_map(|dir| Some(dir.join("nats-server")).filter(|file| file.is_file()));
    found.context("there is no nats-server; benches/peers/setup.sh installs it")
}

fn version() -> Result<String> {
    let output = Command::new(server()?).arg("--version").output();
    let output = output.context("cannot start nats-server")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let server = text.trim().trim_start_matches("nats-server: ").trim_start_matches('v');
    Ok(format!("{server} (async-nats {})", locked_version("async-nats")?))
}

/// This process becomes the server, on a port of its choice, which it writes into a file.
fn run_server(dir: &Path) -> Result<()> {
    let error = Command::new(server()?)
        .args(["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir"])
        .arg(dir)
        .exec();
    Err(error).context("cannot become nats-server")
}

/// The address in the file of ports.
fn address(dir: &Path) -> Result<String> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ports") {
            let text = fs::read_to_string(&path)?;
            let ports: serde_json::Value = serde_json::from_str(&text)?;
            let address = ports["nats"][0].as_str().context("no address in the file of ports")?;
            return Ok(address.to_owned());
        }
    }
    bail!("nats-server has not written its port")
}

struct Connection {
    client: Client,
    subscriber: Subscriber,
    subject: &'static str,
    runtime: Runtime,
}

impl Peer for Connection {
    fn connect(setup: &Setup) -> Result<Connection> {
        let (subject, back) = match setup.side {
            Side::A => (QUESTIONS, ANSWERS),
            Side::B => (ANSWERS, QUESTIONS),
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let address = patiently(|| address(&setup.dir))?;
        let (client, subscriber) = runtime.block_on(async {
            let client = async_nats::connect(&address).await?;
            let subscriber = client.subscribe(back).await?;
            client.flush().await?;
            anyhow::Ok((client, subscriber))
        })?;
        // The server knows of the subscription when it answers; the other side asks for that file.
        fs::write(setup.dir.join(back), [])?;
        patiently(|| fs::metadata(setup.dir.join(subject)).context("nobody has subscribed"))?;
        Ok(Connection { client, subscriber, subject, runtime })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let mut bytes = vec![0; message.len()];
        message.write(&mut bytes);
        Ok(self.runtime.block_on(self.client.publish(self.subject, bytes.into()))?)
    }

    fn receive(&mut self, _: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        let next = async { timeout(SILENCE, self.subscriber.next()).await };
        match self.runtime.block_on(next) {
            Ok(Some(message)) => {
                read(&message.payload);
                Ok(true)
            }
            Ok(None) => bail!("the server has hung up"),
            Err(_) => Ok(false),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.runtime.block_on(self.client.flush())?)
    }
}
