//! What `bench` can be asked for, and what that means in full.

use anyhow::{Result, ensure};
use clap::value_parser;

use super::compare::CompareArgs;
use super::intrinsic::IntrinsicArgs;
use super::latency::LatencyArgs;
use super::load::{LoadArgs, LoadPlan};
pub(crate) use super::modes::{Layer, PathMode, Via, WaitMode};
use super::setup::Common;
pub(crate) use super::setup::{Plan, Setup};
use super::sweep::SweepArgs;
use super::{failover, fanout, join, reconnect};

/// About a second of round trips, spinning and blocking.
const TRIPS_SPINNING: u64 = 1_000_000;
const TRIPS_BLOCKING: u64 = 20_000;

/// Bytes to move if no count is given: large events come in smaller numbers.
const LATENCY_BYTES: u64 = 2 << 30;
const THROUGHPUT_BYTES: u64 = 5 << 28;

const LATENCY_HELP: &str = "\
Examples:
  ephapse bench latency --size 1024 --path broadcast
  ephapse bench latency --history --interval 5s          a line every five seconds, until Ctrl-C
  ephapse bench latency --rounds 20 --json > after.json  to `bench compare` with another one
  ephapse bench latency --hgrm out.hgrm --svg out.svg --html out.html
  ephapse bench latency --check 'lost=0,ratio_p50<1.5'   for a machine that watches";

const THROUGHPUT_HELP: &str = "\
Examples:
  ephapse bench throughput --batch 16
  ephapse bench throughput --path broadcast --size 1024
  ephapse bench throughput --json --check 'lost=0,ratio>0.5'";

const LOAD_HELP: &str = "\
The sender keeps to a schedule, and the latency of an event counts from the moment at which it
should have been sent: a stall is counted for each event that it delayed. With `max` it counts
from when the event was sent. A run whose sender falls behind its rate says FAIL and ends with 1.

Examples:
  ephapse bench load                                     10k, 100k and 1M events per second
  ephapse bench load --rate 1M,max --path broadcast
  ephapse bench load --rate 10k --wait block --size 1024
  ephapse bench load --svg load.svg --hlog load.hlog --html load.html
  ephapse bench load --json --check 'lost=0,runs.*.latency_ns.p99<50us'";

const SWEEP_HELP: &str = "\
As `bench load`, for each size and each number of hubs a domain of its own.

Examples:
  ephapse bench sweep                                    four sizes, three rates, a link
  ephapse bench sweep --sizes 8,64,512,4096 --rate 100k,max --svg sweep.svg
  ephapse bench sweep --path broadcast --sizes 32 --domain-hubs 2,10,100 --rate 10k";

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
  ephapse bench load --rate 10k,1M,max             at fixed rates, with all percentiles
  ephapse bench intrinsic                          what the machine itself takes away
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
    Latency {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        extras: LatencyArgs,
    },
    /// Events per second, one way.
    #[command(after_help = THROUGHPUT_HELP)]
    Throughput {
        #[command(flatten)]
        common: Common,

        /// Commit this many events at once.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=65_536))]
        batch: u32,
    },
    /// Latency of events that are sent at fixed rates, counted from when they should have been sent.
    #[command(after_help = LOAD_HELP)]
    Load {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// The same for every size with every rate and every number of hubs: a table and a picture.
    #[command(after_help = SWEEP_HELP)]
    Sweep {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        load: LoadArgs,
        #[command(flatten)]
        sweep: SweepArgs,
    },
    /// What the machine itself does to a thread that only reads the clock.
    Intrinsic(IntrinsicArgs),
    /// Whether two results differ by more than their rounds differ among themselves.
    Compare(CompareArgs),
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

/// What was asked for, checked against the host.
#[derive(Debug)]
pub(crate) enum Request {
    /// `bench latency`
    Latency(Plan, LatencyArgs),
    /// `bench throughput`
    Throughput(Plan),
    /// `bench load`
    Load(LoadPlan),
    /// `bench sweep`
    Sweep(LoadPlan, SweepArgs),
    /// `bench intrinsic`
    Intrinsic(IntrinsicArgs),
    /// `bench compare`
    Compare(CompareArgs),
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
            What::Latency { common, extras } => {
                let setup = common.setup(WaitMode::Spin, available)?;
                let trips =
                    if setup.wait == WaitMode::Block { TRIPS_BLOCKING } else { TRIPS_SPINNING };
                let count = (LATENCY_BYTES / setup.size as u64).clamp(1000, trips);
                Request::Latency(common.plan(setup, count, 1)?, extras)
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
            What::Load { common, load } => {
                let setup = common.setup(WaitMode::Spin, available)?;
                ensure!(common.count.is_none(), "--count: say --duration, with --rate");
                Request::Load(load.plan(&common, setup)?)
            }
            What::Sweep { mut common, load, sweep } => {
                ensure!(common.count.is_none(), "--count: say --duration, with --rate");
                ensure!(common.size.is_none(), "--size: a sweep takes --sizes");
                ensure!(common.hubs == 2, "--hubs: a sweep takes --domain-hubs");
                // What the largest point can do, all can.
                let (hubs, size) = sweep.largest();
                (common.hubs, common.size) = (hubs, Some(size));
                let setup = common.setup(WaitMode::Spin, available)?;
                Request::Sweep(load.plan(&common, setup)?, sweep)
            }
            What::Intrinsic(args) => {
                args.check(available)?;
                Request::Intrinsic(args)
            }
            What::Compare(args) => Request::Compare(args),
            What::Fanout(args) => Request::Fanout(args),
            What::Failover(args) => Request::Failover(args),
            What::Reconnect(args) => Request::Reconnect(args),
            What::Join(args) => Request::Join(args),
        })
    }
}
