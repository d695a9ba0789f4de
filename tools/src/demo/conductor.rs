//! The parent of the demo's processes: starts them, hears them, ends them.

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::files::Input;
use super::kills::{Killer, QUIETLY, await_ready};
use super::report::{Final, Report};
use super::summary::{Books, Summary};
use super::{ACTUATOR, DemoArgs, LOGGER, PLANNER, SENSOR};
use crate::children::{Heard, Stage};
use crate::output::Output;
use crate::signals::{self, StopFlag};
use crate::ui::{Progress, Stream, Ui, format};

/// How often the parent looks at the clock and at its signals.
const LOOK: Duration = Duration::from_millis(50);

/// How long the processes may take, beyond the time of sampling, to start and to drain.
const SLACK: Duration = Duration::from_secs(60);

/// When one process fails because of another, the other's own account is on its way.
const CAUSE_WAIT: Duration = Duration::from_millis(500);

/// The order of start: who follows is there before who publishes, who is linked to before who
/// links.
const ROLES: [&str; 4] = [LOGGER, ACTUATOR, PLANNER, SENSOR];

/// Runs the demo; success means that all books agree.
pub(crate) fn run(args: DemoArgs, ui: &Ui) -> Result<ExitCode> {
    let files = match &args.input {
        Some(input) => Some((Input::open(input)?, Output::open(&args.output)?)),
        None => None,
    };
    let (input, output) = files.unzip();
    let is_stream = input.as_ref().is_none_or(Input::is_stream);
    let to_stdout = output.as_ref().is_some_and(Output::is_stdout);

    let stop = signals::watch().context("cannot watch for signals")?;
    let mut stage = Stage::open(ui, "demo")?;
    start(&mut stage, &args, input, output.as_ref())?;
    let deadline = output.is_none().then(|| Instant::now() + args.duration + SLACK);
    let mut conductor = Conductor::new(&stop, deadline, ui);
    if args.kill {
        conductor.killer = Some(Killer::start(&args, &mut stage)?);
    }
    let ended = conductor.conduct(&mut stage);
    let elapsed = conductor.started.elapsed();
    conductor.progress.clear();
    let closed = stage.close();
    let books = ended?;
    closed?;

    if conductor.interrupted && !is_stream {
        bail!("interrupted: the input has not been read to its end, and the output is not kept");
    }
    let killed = conductor.killer.map(Killer::killed);
    let summary = Summary::new(&books, elapsed, conductor.interrupted, killed);
    if summary.ok
        && let Some(output) = output
    {
        output.keep()?;
    }
    let stream = if to_stdout { Stream::Err } else { Stream::Out };
    if args.json {
        ui.json_to(stream, &summary)?;
    } else {
        summary.print(ui, stream)?;
    }
    if !summary.ok {
        bail!("the books of the two ends do not agree: events were lost, repeated or out of order");
    }
    Ok(ExitCode::SUCCESS)
}

fn start(
    stage: &mut Stage,
    args: &DemoArgs,
    input: Option<Input>,
    output: Option<&Output>,
) -> Result<()> {
    let mut data_in = input.map(Input::into_stdio);
    for role in ROLES {
        let mut arguments: Vec<OsString> = Vec::new();
        if args.kill {
            arguments.push(QUIETLY.into());
        }
        arguments.extend(["demo-role".into(), role.into()]);
        let data = match (role, output) {
            (SENSOR, Some(_)) => data_in.take().unwrap_or_else(Stdio::null),
            (ACTUATOR, Some(output)) => output.stdio()?,
            _ => Stdio::null(),
        };
        match output {
            None => {
                let duration = humantime::format_duration(args.duration).to_string();
                arguments.extend(["--duration".into(), duration.into()]);
            }
            Some(output) if output.is_stdout() => arguments.push("--to-stdout".into()),
            Some(_) => {}
        }
        stage.start(role, arguments, data)?;
        if role == LOGGER {
            await_ready(stage, role)?;
        }
    }
    Ok(())
}

/// What has gone wrong, and whether only because something else has.
struct Trouble {
    error: anyhow::Error,
    consequence: bool,
}

struct Conductor<'a> {
    stop: &'a StopFlag,
    deadline: Option<Instant>,
    ui: &'a Ui,
    progress: Progress,
    killer: Option<Killer>,
    started: Instant,
    live: Live,
    books: Books,
    ended: usize,
    sensor_ready: bool,
    asked_to_stop: bool,
    interrupted: bool,
}

impl<'a> Conductor<'a> {
    fn new(stop: &'a StopFlag, deadline: Option<Instant>, ui: &'a Ui) -> Conductor<'a> {
        Conductor {
            stop,
            deadline,
            ui,
            progress: ui.progress(),
            killer: None,
            started: Instant::now(),
            live: Live::default(),
            books: Books::default(),
            ended: 0,
            sensor_ready: false,
            asked_to_stop: false,
            interrupted: false,
        }
    }

    /// Until all have ended, one has failed, or the user has lost patience.
    fn conduct(&mut self, stage: &mut Stage) -> Result<Books> {
        while self.ended < ROLES.len() {
            if self.stop.is_set() && self.sensor_ready && !self.asked_to_stop {
                self.interrupted = true;
                self.stop_sensor(stage);
            }
            if self.stop.is_urgent() {
                bail!("interrupted twice: the processes were ended before they had finished");
            }
            if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
                bail!("the processes have not finished in time");
            }
            self.kill(stage)?;
            if let Some(heard) = stage.crew.hear(LOOK)?
                && let Err(trouble) = self.heard(heard, stage)
            {
                return Err(self.find_cause(trouble, stage));
            }
        }
        Ok(std::mem::take(&mut self.books))
    }

    /// While samples are on their way from the sensor to the actuator.
    fn kill(&mut self, stage: &mut Stage) -> Result<()> {
        let flows = self.live.flows() && self.ended == 0 && !self.asked_to_stop;
        match &mut self.killer {
            Some(killer) if flows => killer.work(stage, self.ui, &mut self.progress),
            _ => Ok(()),
        }
    }

    fn stop_sensor(&mut self, stage: &mut Stage) {
        stage.crew.ask_to_stop(SENSOR);
        self.asked_to_stop = true;
    }

    fn heard(&mut self, heard: Heard, stage: &mut Stage) -> Result<(), Trouble> {
        match heard {
            Heard::Line { from, text } => self.reported(&from, &text, stage),
            Heard::Ended { from, status } => self.has_ended(&from, status),
        }
    }

    fn reported(&mut self, from: &str, text: &str, stage: &mut Stage) -> Result<(), Trouble> {
        let report = serde_json::from_str(text).map_err(|error| {
            Trouble::own(anyhow!(error).context(format!("the {from} has said \"{text}\"")))
        })?;
        match report {
            Report::Ready => self.sensor_ready |= from == SENSOR,
            Report::Live { events, state } => self.live.update(from, events, state),
            Report::OutputClosed => self.stop_sensor(stage),
            Report::Failed { message, consequence } => {
                let error = anyhow!("the {from} has failed: {message}");
                return Err(Trouble { error, consequence });
            }
            Report::Final(books) => self.file(from, books),
        }
        if let Some(line) = self.live.line() {
            self.progress.set(line);
        }
        Ok(())
    }

    fn file(&mut self, from: &str, books: Final) {
        let place = match from {
            SENSOR => &mut self.books.sensor,
            PLANNER => &mut self.books.planner,
            LOGGER => &mut self.books.logger,
            _ => &mut self.books.actuator,
        };
        *place = Some(books);
    }

    fn has_ended(&mut self, from: &str, status: ExitStatus) -> Result<(), Trouble> {
        let reported = match from {
            SENSOR => self.books.sensor.is_some(),
            PLANNER => self.books.planner.is_some(),
            ACTUATOR => self.books.actuator.is_some(),
            LOGGER => self.books.logger.is_some(),
            // The supervisor serves to the end, and the guest is there as long.
            _ => false,
        };
        if !(reported && status.success()) {
            return Err(Trouble::own(anyhow!("the {from} has ended unexpectedly ({status})")));
        }
        self.ended += 1;
        Ok(())
    }

    /// A process that fails because another has gone often speaks first; the one to blame is heard
    /// soon after.
    fn find_cause(&mut self, first: Trouble, stage: &mut Stage) -> anyhow::Error {
        let mut blamed = first;
        let until = Instant::now() + CAUSE_WAIT;
        while blamed.consequence {
            let left = until.saturating_duration_since(Instant::now());
            match stage.crew.hear(left) {
                Ok(Some(heard)) => {
                    let explained = matches!(&heard, Heard::Ended { status, .. }
                        if status.code() == Some(1));
                    if let Err(trouble) = self.heard(heard, stage)
                        && !trouble.consequence
                        && !explained
                    {
                        blamed = trouble;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        blamed.error
    }
}

impl Trouble {
    fn own(error: anyhow::Error) -> Trouble {
        Trouble { error, consequence: false }
    }
}

/// What the line on the terminal shows.
#[derive(Default)]
struct Live {
    planner: Meter,
    actuator: Meter,
    state: Option<String>,
}

#[derive(Default)]
struct Meter {
    last: Option<(Instant, u64)>,
    per_second: f64,
}

impl Meter {
    fn update(&mut self, events: u64) {
        let now = Instant::now();
        if let Some((then, before)) = self.last {
            let seconds = now.duration_since(then).as_secs_f64().max(1e-3);
            self.per_second = events.saturating_sub(before) as f64 / seconds;
        }
        self.last = Some((now, events));
    }
}

impl Live {
    fn update(&mut self, from: &str, events: u64, state: Option<String>) {
        let meter = if from == PLANNER { &mut self.planner } else { &mut self.actuator };
        meter.update(events);
        self.state = state.or(self.state.take());
    }

    fn flows(&self) -> bool {
        self.planner.last.is_some() && self.actuator.last.is_some()
    }

    fn line(&self) -> Option<String> {
        self.planner.last?;
        let rates = [&self.planner, &self.actuator].map(|meter| format::rate(meter.per_second));
        let state = self.state.as_deref().unwrap_or_default();
        Some(format!("sensor ▶ planner {}  planner ▶ actuator {}  {state}", rates[0], rates[1]))
    }
}
