//! `ephapse request`: asks, and prints the reply.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ephapse::Reply;
use serde::Serialize;

use super::show::{Form, Object, Shown};
use super::{JoinArgs, capacity_for, subject};
use crate::cli::duration;
use crate::ui::{Data, Stream, Ui};

/// Arguments of `request`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The first reply counts. Without anybody who has subscribed to the subject it fails at once.

Examples:
  ephapse request time.now                          an empty request
  ephapse request sum '[1, 2, 3]' --timeout 200ms
  ephapse request image.scale - --raw < big > small
  ephapse request time.now --json | jq -r .text")]
pub(crate) struct RequestArgs {
    /// What is asked for.
    #[arg(value_name = "SUBJECT", value_parser = subject)]
    subject: String,

    /// The payload; `-` is all of standard input. Nothing is an empty payload.
    #[arg(value_name = "BODY")]
    body: Option<OsString>,

    /// How long to wait for the reply.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    timeout: Duration,

    /// Print the reply's payload as it is, without a line feed behind it.
    #[arg(long, conflicts_with = "json")]
    raw: bool,

    /// Print one JSON object. A payload is `text`, or `hex` if it is none.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// The reply; the subject is the request's.
    #[serde(flatten)]
    reply: Object<'a>,
    took_ns: u64,
}

/// Asks once.
pub(crate) fn run(args: RequestArgs, ui: &Ui) -> Result<ExitCode> {
    let body = match args.body {
        Some(body) if body == "-" => {
            let mut all = Vec::new();
            io::stdin().lock().read_to_end(&mut all).context("cannot read standard input")?;
            all
        }
        body => body.unwrap_or_default().into_vec(),
    };
    let capacity = capacity_for(body.len());
    let mut hub = args.join.join("request", |hub| hub.broadcast_capacity(capacity))?;
    let start = Instant::now();
    let reply = hub.request_bytes(&args.subject, &body, args.timeout)?;
    let took = start.elapsed();
    print(&args.subject, &reply, took, Form::of(args.raw, args.json), ui)?;
    Ok(ExitCode::SUCCESS)
}

fn print(subject: &str, reply: &Reply, took: Duration, form: Form, ui: &Ui) -> Result<()> {
    let bytes = reply.bytes();
    match form {
        Form::Raw => {
            let mut data = Data::open()?;
            data.put(|out| out.write_all(bytes))?;
            data.flush()
        }
        Form::Json => ui.json(&Answer {
            reply: Object::of(&reply.envelope()).about(subject),
            took_ns: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
        }),
        Form::Human => ui.line(Stream::Out, Shown(bytes)),
    }
}
