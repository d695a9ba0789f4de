//! `ephapse metrics`: the counters for Prometheus, over HTTP or once on standard output.

mod families;
mod server;
mod text;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use anyhow::{Context, Result};
use ephapse::Domain;
use serde_json::json;

use self::server::Server;
use super::WhereArgs;
use super::sight::Sight;
use crate::signals;
use crate::ui::{Stream, Ui};

/// Arguments of `metrics`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Counters are read from shared memory at each scrape; no hub is asked or disturbed, and none needs
to answer. The text is OpenMetrics 1.0, at /metrics. Nobody is asked who he is: leave the address
at the loopback, or see to it that only those can reach it who may.

Examples:
  ephapse metrics
  ephapse metrics --listen 127.0.0.1:9100 --dir /run/plant
  ephapse metrics --once | grep missed
  curl http://127.0.0.1:9464/metrics

In prometheus.yml:
  scrape_configs:
    - job_name: ephapse
      static_configs: [{ targets: ['127.0.0.1:9464'] }]")]
pub(crate) struct MetricsArgs {
    /// The address and port to answer at; port 0 takes a free one, and says which.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,

    /// Print the text once, and end.
    #[arg(long, conflicts_with_all = ["listen", "json"])]
    once: bool,

    /// Print one line of JSON on standard output when ready.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: WhereArgs,
}

/// Answers until SIGINT or SIGTERM.
pub(crate) fn run(args: MetricsArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = args.place.domain();
    if args.once {
        ui.line(Stream::Out, scrape(&domain)?.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (stop, stopper) = UnixStream::pair().context("cannot make a socket pair")?;
    signals::watch_once(move || drop(stopper)).context("cannot watch for signals")?;
    let listener = TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen at {}; see --listen", args.listen))?;
    let at = listener.local_addr().context("cannot tell where it listens")?;
    let url = format!("http://{at}/metrics");
    if args.json {
        ui.json(&json!({ "listening": url, "pid": std::process::id() }))?;
    }
    ui.note(format_args!("ephapse: metrics at {url}"));
    let mut server = Server::new(listener, |path| match path {
        "/metrics" => Some(scrape(&domain)),
        "/" => Some(Ok("The metrics are at /metrics.\n".to_owned())),
        _ => None,
    })?;
    server.run(&stop)?;
    Ok(ExitCode::SUCCESS)
}

/// What there is to see now, as text.
fn scrape(domain: &Domain) -> Result<String> {
    text::encode(families::of(&Sight::new(domain)))
}
