//! What `bench` can be asked for, and what that means in full.

use anyhow::{Result, bail, ensure};
use clap::value_parser;
use serde::{Deserialize, Serialize};

use super::modes::Switch;
pub(crate) use super::modes::{Layer, PathMode, Via, WaitMode};
use super::{failover, fanout, join, reconnect};

/// Payload of an event of one cache line.
const SIZE_DEFAULT: u32 = 32;

/// The largest payload: rings of four times this must still be ordinary.
const SIZE_MAX: i64 = 16 << 20;

/// Body of a record of one cache line, without the layer above the ring.
const BARE_BODY: u32 = 56;

/// One sample of eight bytes is kept for each round trip of a round.
const COUNT_MAX: u64 = 100_000_000;

/// About a second of round trips, spinning and blocking.
const TRIPS_SPINNING: u64 = 1_000_000;
const TRIPS_BLOCKING: u64 = 20_000;

/// Bytes to move if no count is given: large events come in smaller numbers.
const LATENCY_BYTES: u64 = 2 << 30;
const THROUGHPUT_BYTES: u64 = 5 << 28;

const LATENCY_HELP: &str = "\
Examples:
  ephapse bench latency                            beside a bare ping-pong of a cache line
  ephapse bench latency --wait block --json        how long waking up takes
  ephapse bench latency --path broadcast           published, for whoever subscribes";
const THROUGHPUT_HELP: &str = "\
Examples:
  ephapse bench throughput                         beside the ring of the crate rtrb
  ephapse bench throughput --batch 16 --json | jq .ratio";

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Measuring alternates in rounds with something to compare with: for latency the floor, a bare
ping-pong of a cache line (with --wait block: of a futex) between the same two processes; for
throughput the ring of the crate rtrb between two threads. A round is compared with the runs
before and after it; ratios are medians over the rounds, percentiles are of all rounds together.
The other benchmarks compare nothing, or (fanout) many with one.

Examples:
  ephapse bench latency                            one event of 32 bytes, there and back
  ephapse bench latency --wait block               how long waking up takes
  ephapse bench latency --links 100                with 99 idle links beside it
  ephapse bench latency --layer ring               the ring alone
  ephapse bench throughput --timestamps off
  ephapse bench throughput --batch 16 --json | jq .ratio
  ephapse bench latency --path broadcast           published, for whoever subscribes
  ephapse bench latency --path broadcast --hubs 100
  ephapse bench fanout --subscribers 50            what each further subscription costs
  ephapse bench failover --how close               from a link's end to the first broadcast")]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Time of one event from process to process: half of its way there and back.
    #[command(after_help = LATENCY_HELP)]
    Latency(Common),
    /// Events per second, one way.
    #[command(after_help = THROUGHPUT_HELP)]
    Throughput {
        #[command(flatten)]
        common: Common,

        /// Commit this many events at once.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=65_536))]
        batch: u32,
    },
    /// Processor time that an event costs its publisher, by number of subscriptions.
    Fanout(fanout::FanoutArgs),
    /// Time from the end of a link, or a pause at its other end, to the first event that goes
    /// another way.
    Failover(failover::FailoverArgs),
    /// Time from the start of a new supervisor until it knows all hubs of the killed one.
    Reconnect(reconnect::ReconnectArgs),
    /// Time to join, to see who is there, and to open a link.
    Join(join::JoinArgs),
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Payload bytes of an event [default: 32; 56 with --layer ring]. Powers of two up to 65536
    /// are typed events, other sizes raw bytes.
    #[arg(long, value_name = "BYTES", value_parser = value_parser!(u32).range(8..=SIZE_MAX))]
    size: Option<u32>,

    /// How many events, all rounds together [default: about a second's worth].
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=COUNT_MAX))]
    count: Option<u64>,

    /// How a reader waits [default: spin for latency and --layer ring, else adaptive].
    #[arg(long, value_enum, value_name = "HOW")]
    wait: Option<WaitMode>,

    /// Rounds of measuring, alternating with the floor or the rival.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Open links that each reader looks at; all but one are idle.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    links: u32,

    /// Hubs in the domain; all but two are idle, and publish what both sides subscribe to.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u32).range(2..=1000))]
    hubs: u32,

    /// The processors of the two processes [default: the first two available].
    #[arg(long, value_name = "A,B", value_parser = cpu_pair)]
    cpus: Option<(usize, usize)>,

    /// Whether events carry the time at which they were sent [default: on].
    #[arg(long, value_enum, value_name = "WHEN")]
    timestamps: Option<Switch>,

    /// Which way events take.
    #[arg(long, value_enum, value_name = "PATH", default_value = "link")]
    path: PathMode,

    /// Through which interface: C for latency over a link, with the default size.
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value = "rust")]
    via: Via,

    /// What to measure: the whole public interface, or the bare ring below it.
    #[arg(long, value_enum, value_name = "LAYER", default_value = "hub")]
    layer: Layer,

    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What both processes need to know.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Payload bytes.
    pub(crate) size: usize,
    /// How readers wait.
    pub(crate) wait: WaitMode,
    /// Links in the set of each reader.
    pub(crate) links: u32,
    /// Hubs in the domain.
    pub(crate) hubs: u32,
    /// This process's processor and the child's.
    pub(crate) cpus: (usize, usize),
    /// Whether events carry their time.
    pub(crate) timestamps: bool,
    /// What is measured.
    pub(crate) layer: Layer,
    /// Which way events take.
    pub(crate) path: PathMode,
    /// Through which interface.
    pub(crate) via: Via,
}

/// All that a run needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// What both processes need to know.
    pub(crate) setup: Setup,
    /// Events of one round.
    pub(crate) per_round: u64,
    /// Rounds.
    pub(crate) rounds: u32,
    /// Events that are committed at once.
    pub(crate) batch: u32,
    /// Whether to answer in JSON.
    pub(crate) json: bool,
}

/// What was asked for, checked against the host.
#[derive(Debug)]
pub(crate) enum Request {
    /// `bench latency`
    Latency(Plan),
    /// `bench throughput`
    Throughput(Plan),
    /// `bench fanout`
    Fanout(fanout::FanoutArgs),
    /// `bench failover`
    Failover(failover::FailoverArgs),
    /// `bench reconnect`
    Reconnect(reconnect::ReconnectArgs),
    /// `bench join`
    Join(join::JoinArgs),
}

impl BenchArgs {
    /// Fills in what was left out.
    ///
    /// # Errors
    /// Wrong use: arguments that contradict one another or the host.
    pub(crate) fn into_request(self, available: &[usize]) -> Result<Request> {
        Ok(match self.what {
            What::Latency(common) => {
                let setup = common.setup(WaitMode::Spin, available)?;
                let trips =
                    if setup.wait == WaitMode::Block { TRIPS_BLOCKING } else { TRIPS_SPINNING };
                let count = (LATENCY_BYTES / setup.size as u64).clamp(1000, trips);
                Request::Latency(common.plan(setup, count, 1)?)
            }
            What::Throughput { common, batch } => {
                let setup = common.setup(WaitMode::Adaptive, available)?;
                ensure!(setup.via == Via::Rust, "--via c is about latency");
                ensure!(
                    batch == 1 || setup.path == PathMode::Link,
                    "what is published goes one by one: leave out --batch or --path"
                );
                let count = THROUGHPUT_BYTES / setup.record_bytes() as u64;
                Request::Throughput(common.plan(setup, count.max(1000), batch)?)
            }
            What::Fanout(args) => Request::Fanout(args),
            What::Failover(args) => Request::Failover(args),
            What::Reconnect(args) => Request::Reconnect(args),
            What::Join(args) => Request::Join(args),
        })
    }
}

impl Common {
    fn setup(&self, usual_wait: WaitMode, available: &[usize]) -> Result<Setup> {
        let bare = self.layer == Layer::Ring;
        let usual_wait = if bare { WaitMode::Spin } else { usual_wait };
        let setup = Setup {
            size: self.size.unwrap_or(if bare { BARE_BODY } else { SIZE_DEFAULT }) as usize,
            wait: self.wait.unwrap_or(usual_wait),
            links: self.links,
            hubs: self.hubs,
            cpus: choose_cpus(self.cpus, available)?,
            timestamps: !bare && self.timestamps != Some(Switch::Off),
            layer: self.layer,
            path: self.path,
            via: self.via,
        };
        ensure!(
            setup.path == PathMode::Link || setup.links == 1,
            "--links is about links that are used directly: leave it out, or --path"
        );
        ensure!(
            setup.path != PathMode::Link || setup.hubs == 2,
            "--hubs is about what is published: say --path broadcast, or leave it out"
        );
        ensure!(
            setup.via == Via::Rust
                || (setup.path == PathMode::Link
                    && setup.links == 1
                    && !bare
                    && setup.size == SIZE_DEFAULT as usize),
            "--via c is measured over one link with {SIZE_DEFAULT} bytes: leave out the others"
        );
        if bare {
            self.check_bare(&setup)?;
        }
        ensure!(
            setup.cpus.0 != setup.cpus.1 || setup.wait == WaitMode::Block,
            "--cpus {0},{0}: two processes that spin need a processor each; with one, use --wait \
             block",
            setup.cpus.0
        );
        Ok(setup)
    }

    /// The ring below the hubs knows neither doorbells nor clocks.
    fn check_bare(&self, setup: &Setup) -> Result<()> {
        let body = BARE_BODY as usize;
        ensure!(
            setup.size == body,
            "--layer ring is measured with {body} bytes, one cache line with the commit word; \
             leave out --size"
        );
        ensure!(setup.wait == WaitMode::Spin, "--layer ring has no doorbell: use --wait spin");
        ensure!(setup.links == 1, "--layer ring has no links: leave out --links");
        ensure!(setup.path == PathMode::Link, "--layer ring has no other path: leave out --path");
        ensure!(
            self.timestamps != Some(Switch::On),
            "--layer ring has no timestamps: leave out --timestamps"
        );
        Ok(())
    }

    fn plan(&self, setup: Setup, usual_count: u64, batch: u32) -> Result<Plan> {
        let count = self.count.unwrap_or(usual_count);
        let per_round = count / u64::from(self.rounds);
        ensure!(
            per_round > 0,
            "--count {count} is less than one event for each of {} rounds",
            self.rounds
        );
        Ok(Plan { setup, per_round, rounds: self.rounds, batch, json: self.json })
    }
}

impl Setup {
    /// Bytes of a ring for four events.
    pub(crate) fn room(&self) -> usize {
        (4 * self.record_bytes()).next_power_of_two()
    }

    /// Bytes of one event in a ring: header and payload, in whole cache lines.
    pub(crate) fn record_bytes(&self) -> usize {
        let header = match self.layer {
            Layer::Hub => 32,
            Layer::Ring => 8,
        };
        (header + self.size).next_multiple_of(64)
    }
}

fn cpu_pair(text: &str) -> Result<(usize, usize), String> {
    let number = |text: &str| text.trim().parse().map_err(|_| format!("`{text}` is no processor"));
    match text.split_once(',') {
        Some((first, second)) => Ok((number(first)?, number(second)?)),
        None => Err("expected two processors, such as 0,1".into()),
    }
}

fn choose_cpus(wanted: Option<(usize, usize)>, available: &[usize]) -> Result<(usize, usize)> {
    match (wanted, available) {
        (Some((first, second)), _) => {
            for cpu in [first, second] {
                ensure!(
                    available.contains(&cpu),
                    "--cpus: there is no processor {cpu} for this process; it may use {available:?}"
                );
            }
            Ok((first, second))
        }
        (None, [first, second, ..]) => Ok((*first, *second)),
        (None, _) => bail!(
            "two processors are needed, and this process may use {available:?} only (see nproc and \
             taskset); with one, try `--cpus N,N --wait block`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_and_checked() {
        assert_eq!(cpu_pair("0,1"), Ok((0, 1)));
        assert_eq!(cpu_pair("3, 2"), Ok((3, 2)));
        assert!(cpu_pair("1").is_err());
        assert!(cpu_pair("a,b").is_err());
        assert_eq!(choose_cpus(None, &[2, 5, 7]).unwrap(), (2, 5));
        assert_eq!(choose_cpus(Some((7, 2)), &[2, 5, 7]).unwrap(), (7, 2));
        assert!(choose_cpus(Some((0, 2)), &[2, 5, 7]).is_err());
        assert!(choose_cpus(None, &[2]).is_err());
    }
}
