//! What two processes that send events to one another are told: the arguments that such benchmarks
//! share, and what they mean in full.

use anyhow::{Result, bail, ensure};
use clap::value_parser;
use serde::{Deserialize, Serialize};

use super::modes::{Layer, PathMode, Switch, Via, WaitMode};
use super::output::ResultArgs;

/// Payload of an event of one cache line.
const SIZE_DEFAULT: u32 = 32;

/// The largest payload: rings of four times this must still be ordinary.
const SIZE_MAX: i64 = 16 << 20;

/// Body of a record of one cache line, without the layer above the ring.
const BARE_BODY: u32 = 56;

/// One sample of eight bytes is kept for each round trip of a round.
const COUNT_MAX: u64 = 100_000_000;

/// What latency and throughput have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// Payload bytes of an event [default: 32; 56 with --layer ring]. Powers of two up to 65536
    /// are typed events, other sizes raw bytes.
    #[arg(long, value_name = "BYTES", value_parser = value_parser!(u32).range(8..=SIZE_MAX))]
    pub(super) size: Option<u32>,

    /// How many events, all rounds together [default: about a second's worth].
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=COUNT_MAX))]
    pub(super) count: Option<u64>,

    /// How a reader waits [default: spin for latency and --layer ring, else adaptive].
    #[arg(long, value_enum, value_name = "HOW")]
    wait: Option<WaitMode>,

    /// Rounds of measuring, alternating with the floor or the rival.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub(super) rounds: u32,

    /// Open links that each reader looks at; all but one are idle.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    links: u32,

    /// Hubs in the domain; all but two are idle, and publish what both sides subscribe to.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u32).range(2..=1000))]
    pub(super) hubs: u32,

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

    #[command(flatten)]
    pub(super) output: ResultArgs,
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
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What both processes need to know.
    pub(crate) setup: Setup,
    /// Events of one round.
    pub(crate) per_round: u64,
    /// Rounds.
    pub(crate) rounds: u32,
    /// Events that are committed at once.
    pub(crate) batch: u32,
    /// What becomes of the result.
    pub(super) output: ResultArgs,
}

impl Common {
    /// What both processes need to know.
    pub(super) fn setup(&self, usual_wait: WaitMode, available: &[usize]) -> Result<Setup> {
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

    /// All that the run needs to know.
    pub(super) fn plan(&self, setup: Setup, usual_count: u64, batch: u32) -> Result<Plan> {
        let count = self.count.unwrap_or(usual_count);
        let per_round = count / u64::from(self.rounds);
        ensure!(
            per_round > 0,
            "--count {count} is less than one event for each of {} rounds",
            self.rounds
        );
        Ok(Plan { setup, per_round, rounds: self.rounds, batch, output: self.output.clone() })
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

/// An argument such as `0,1`.
pub(super) fn cpu_pair(text: &str) -> Result<(usize, usize), String> {
    let number = |text: &str| text.trim().parse().map_err(|_| format!("`{text}` is no processor"));
    match text.split_once(',') {
        Some((first, second)) => Ok((number(first)?, number(second)?)),
        None => Err("expected two processors, such as 0,1".into()),
    }
}

/// The two of `--cpus`, or the first two that there are.
pub(super) fn choose_cpus(
    wanted: Option<(usize, usize)>,
    available: &[usize],
) -> Result<(usize, usize)> {
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
