//! For people who operate: what hubs, links and subjects do, seen in shared counters without asking
//! anybody.
//!
//! [`model`] makes of two looks ([`sight`]) what there is to say; the commands are views of it.

mod asking;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod dump;
pub(crate) mod graph;
mod history;
mod labels;
mod latency;
pub(crate) mod metrics;
mod model;
pub(crate) mod report;
pub(crate) mod sight;
pub(crate) mod top;
mod view;

use std::path::PathBuf;

use ephapse::Domain;

use crate::up;

/// Where to look.
#[derive(Debug, clap::Args)]
pub(crate) struct WhereArgs {
    /// The domain's directory [default: $EPHAPSE_DIR, or see `ephapse --help`].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl WhereArgs {
    fn domain(&self) -> Domain {
        up::domain(self.dir.clone())
    }
}
