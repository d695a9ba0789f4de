//! The third process: carries decisions out (by counting them), writes lines, acknowledges both.
//!
//! It never waits for the planner while it works: an acknowledgement covers all that came before
//! it, so one for which there is no room is left out and the next one says it too. Therefore the
//! planner may always wait for the actuator, and the two cannot wait for one another.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ephapse::{Event, Hub, Received};

use super::beside::Beside;
use super::counted::{Incoming, Outgoing};
use super::events::{Ack, Decision, End, Line};
use super::report::{Data, Final, Report};
use super::{ACTUATOR, LIVE_EVERY, LIVE_STRIDE, PLANNER, RoleArgs, START_LIMIT, join};
use crate::children::tell_parent;

/// Lines between two acknowledgements. A decision is acknowledged at once.
const LINES_PER_ACK: u64 = 64;

/// How long the planner may take to make room for the last acknowledgement.
const LAST_ACK_LIMIT: Duration = Duration::from_secs(10);

/// What one write hands over.
const WRITE_BYTES: usize = 1 << 17;

/// Runs until the planner's end.
pub(crate) fn run(args: &RoleArgs) -> Result<Final> {
    let mut hub: Hub = join(ACTUATOR, args)?;
    let planner = hub.accept_timeout(START_LIMIT)?;
    let planner = planner.context("the planner has opened no link")?;
    let planner = Outgoing::new(planner, Beside::new(&hub, ACTUATOR)?);
    let output = match args.duration {
        Some(_) => None,
        None => Some(Output::open(args.to_stdout)?),
    };
    let events = Incoming::new(PLANNER)?;
    let mut actuator = Actuator { planner, events, output, data: Data::default(), ended: false };
    actuator.work(&mut hub)?;
    let data = actuator.output.is_some().then_some(actuator.data);
    let Actuator { planner, events, .. } = actuator;
    let (sent, received) = (vec![planner.close()?], vec![events.report()]);
    Ok(Final { sent, received, data, ..Final::default() })
}

struct Actuator {
    planner: Outgoing,
    events: Incoming,
    output: Option<Output>,
    data: Data,
    ended: bool,
}

impl Actuator {
    fn work(&mut self, hub: &mut Hub) -> Result<()> {
        let mut live_due = Instant::now();
        while !self.ended {
            let took = match hub.try_recv()? {
                Some(received) => {
                    self.take(&received)?;
                    true
                }
                None => false,
            };
            if !took {
                // Nothing waits: let whoever reads the output see all of it.
                self.flush()?;
                if let Some(received) = hub.recv_timeout(LIVE_EVERY)? {
                    self.take(&received)?;
                }
            }
            if self.events.events().is_multiple_of(LIVE_STRIDE) && Instant::now() >= live_due {
                tell_parent(&Report::Live { events: self.events.events(), state: None })?;
                live_due = Instant::now() + LIVE_EVERY;
            }
        }
        Ok(())
    }

    fn take(&mut self, received: &Received<'_>) -> Result<()> {
        self.events.time(received.timestamp());
        match received.schema() {
            Decision::SCHEMA => {
                let decision = received.get::<Decision>()?;
                self.events.count(decision.number.to_native());
                let shares = [decision.value.to_native(), decision.average.to_native()];
                ensure!(shares.iter().all(|share| share.is_finite()), "a decision without measure");
                self.acknowledge()
            }
            Line::SCHEMA => self.write(received),
            End::SCHEMA => self.end(received),
            other => bail!("\"{}\" has sent an unknown event ({other:#018x})", received.from()),
        }
    }

    fn write(&mut self, received: &Received<'_>) -> Result<()> {
        let line = received.get::<Line>()?;
        self.events.count(line.number.to_native());
        self.data.add(line.bytes.len(), line.ends);
        let output = self.output.as_mut().context("a line has come where none is expected")?;
        output.write(&line.bytes)?;
        if self.events.events().is_multiple_of(LINES_PER_ACK) {
            self.acknowledge()?;
        }
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<()> {
        let ack = self.ack(false);
        self.planner.try_send(&ack).map(drop)
    }

    fn end(&mut self, received: &Received<'_>) -> Result<()> {
        let end = received.get::<End>()?;
        let (said, came) = (end.count.to_native(), self.events.events());
        self.events.count(end.number.to_native());
        ensure!(said == came, "the planner has sent {said} events, but {came} have come");
        self.flush()?;
        let ack = self.ack(true);
        self.planner.send_timeout(&ack, LAST_ACK_LIMIT)?;
        self.ended = true;
        Ok(())
    }

    fn ack(&self, last: bool) -> Ack {
        Ack { number: self.planner.number(), handled: self.events.events(), last }
    }

    fn flush(&mut self) -> Result<()> {
        self.output.as_mut().map_or(Ok(()), Output::flush)
    }
}

/// The descriptor that the parent has put in the place of standard input.
struct Output {
    writer: BufWriter<File>,
    is_stdout: bool,
    closed: bool,
}

impl Output {
    fn open(is_stdout: bool) -> Result<Output> {
        let file = io::stdin().as_fd().try_clone_to_owned().context("there is no output")?;
        let writer = BufWriter::with_capacity(WRITE_BYTES, File::from(file));
        Ok(Output { writer, is_stdout, closed: false })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.writer.write_all(bytes);
        self.settle(written)
    }

    fn flush(&mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.writer.flush();
        self.settle(flushed)
    }

    /// Whoever reads standard output may stop reading, which is no fault: the rest is dropped, and
    /// the parent has the sensor stop.
    fn settle(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Err(error) if self.is_stdout && error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                tell_parent(&Report::OutputClosed)
            }
            other => other.context("cannot write the output"),
        }
    }
}
