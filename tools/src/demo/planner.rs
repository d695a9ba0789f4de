//! The second process: turns samples into decisions, passes lines on, counts acknowledgements.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ephapse::{Event, Hub, Received, RecvError};

use super::averages::Averages;
use super::beside::Beside;
use super::counted::{Incoming, Outgoing};
use super::events::{Ack, CpuSample, Decision, End, Line, LoadSample, MemorySample, ProcessSample};
use super::report::{Data, Final, Report};
use super::{
    ACTUATOR, LIVE_EVERY, LIVE_STRIDE, PLANNER, RoleArgs, SENSOR, START_LIMIT, join, link_options,
};
use crate::children::tell_parent;

/// How long the last acknowledgement may take once all is sent, in sampling mode.
const LAST_ACK_LIMIT: Duration = Duration::from_secs(20);

/// Runs until the sensor has ended and the actuator has acknowledged everything.
pub(crate) fn run(args: &RoleArgs) -> Result<Final> {
    let mut hub: Hub = join(PLANNER, args)?;
    hub.wait_for(ACTUATOR, START_LIMIT)?;
    let beside = Beside::new(&hub, PLANNER)?;
    let actuator = Outgoing::new(hub.link_with(ACTUATOR, link_options())?, beside);
    let from_sensor = hub.accept_timeout(START_LIMIT)?;
    let _from_sensor = from_sensor.context("the sensor has opened no link")?;
    let mut planner = Planner {
        actuator,
        samples: Incoming::new(SENSOR)?,
        acks: Incoming::new(ACTUATOR)?,
        averages: Averages::default(),
        line: Line { number: 0, ends: false, bytes: Vec::new() },
        data: Data::default(),
        end_sent: None,
        handled: 0,
        last_ack: false,
    };
    planner.work(&mut hub, args.duration.is_some())?;
    planner.close(args.duration.is_some())
}

struct Planner {
    actuator: Outgoing,
    samples: Incoming,
    acks: Incoming,
    averages: Averages,
    /// The buffer that every line passes through.
    line: Line,
    data: Data,
    end_sent: Option<Instant>,
    handled: u64,
    last_ack: bool,
}

impl Planner {
    fn work(&mut self, hub: &mut Hub, sampling: bool) -> Result<()> {
        let mut live_due = Instant::now();
        while !self.last_ack {
            match hub.recv_timeout(LIVE_EVERY) {
                Ok(Some(received)) => self.take(&received)?,
                Ok(None) => {}
                Err(error) => self.gone(error)?,
            }
            let waits = self.end_sent.is_some_and(|sent| sent.elapsed() > LAST_ACK_LIMIT);
            ensure!(!(sampling && waits), "the actuator has not acknowledged the end");
            if self.samples.events().is_multiple_of(LIVE_STRIDE) && Instant::now() >= live_due {
                let state = sampling.then(|| self.averages.describe());
                tell_parent(&Report::Live { events: self.samples.events(), state })?;
                live_due = Instant::now() + LIVE_EVERY;
            }
        }
        let sent = self.actuator.number();
        ensure!(self.handled == sent, "{sent} events sent, but {} acknowledged", self.handled);
        Ok(())
    }

    /// The sensor may leave after its end, the actuator after its last acknowledgement.
    fn gone(&self, error: RecvError) -> Result<()> {
        match &error {
            RecvError::PeerGone { peer, .. } | RecvError::LinkClosed { peer, .. }
                if self.end_sent.is_some() && &**peer == SENSOR =>
            {
                Ok(())
            }
            _ => Err(error).context("the planner's stream is broken"),
        }
    }

    fn take(&mut self, received: &Received<'_>) -> Result<()> {
        if received.schema() == Ack::SCHEMA {
            return self.acknowledged(received);
        }
        self.samples.time(received.timestamp());
        match received.schema() {
            CpuSample::SCHEMA => {
                let sample = received.get::<CpuSample>()?;
                self.samples.count(sample.number.to_native());
                let decision = self.averages.cpu(sample);
                self.decided(decision)
            }
            MemorySample::SCHEMA => {
                let sample = received.get::<MemorySample>()?;
                self.samples.count(sample.number.to_native());
                let decision = self.averages.memory(sample);
                self.decided(decision)
            }
            LoadSample::SCHEMA => {
                let sample = received.get::<LoadSample>()?;
                self.samples.count(sample.number.to_native());
                let decision = self.averages.load(sample);
                self.decided(decision)
            }
            ProcessSample::SCHEMA => {
                let sample = received.get::<ProcessSample>()?;
                self.samples.count(sample.number.to_native());
                let decision = self.averages.process(sample);
                self.decided(decision)
            }
            Line::SCHEMA => self.pass_on(received),
            End::SCHEMA => self.ended(received),
            other => bail!("\"{}\" has sent an unknown event ({other:#018x})", received.from()),
        }
    }

    fn decided(&mut self, decision: Decision) -> Result<()> {
        let number = self.actuator.number();
        self.actuator.send(&Decision { number, ..decision })
    }

    fn pass_on(&mut self, received: &Received<'_>) -> Result<()> {
        let line = received.get::<Line>()?;
        self.samples.count(line.number.to_native());
        self.line.number = self.actuator.number();
        self.line.ends = line.ends;
        self.line.bytes.clear();
        self.line.bytes.extend_from_slice(&line.bytes);
        self.data.add(self.line.bytes.len(), self.line.ends);
        self.actuator.send(&self.line)
    }

    fn ended(&mut self, received: &Received<'_>) -> Result<()> {
        let end = received.get::<End>()?;
        let (said, came) = (end.count.to_native(), self.samples.events());
        self.samples.count(end.number.to_native());
        ensure!(said == came, "the sensor has sent {said} events, but {came} have come");
        let count = self.actuator.number();
        self.actuator.send(&End { number: count, count })?;
        self.end_sent = Some(Instant::now());
        Ok(())
    }

    fn acknowledged(&mut self, received: &Received<'_>) -> Result<()> {
        self.acks.time(received.timestamp());
        let ack = received.get::<Ack>()?;
        self.acks.count(ack.number.to_native());
        self.handled = ack.handled.to_native();
        self.last_ack = ack.last;
        Ok(())
    }

    fn close(self, sampling: bool) -> Result<Final> {
        Ok(Final {
            sent: vec![self.actuator.close()?],
            received: vec![self.samples.report(), self.acks.report()],
            decisions: sampling.then(|| self.averages.decisions()),
            data: (!sampling).then_some(self.data),
        })
    }
}
