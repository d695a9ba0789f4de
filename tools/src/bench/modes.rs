//! The choices that arguments of `bench` give.

use ephapse::Wait;
use serde::{Deserialize, Serialize};

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

/// How readers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WaitMode {
    /// Look again at once.
    Spin,
    /// Sleep at once.
    Block,
    /// Spin a while, then sleep.
    Adaptive,
}

/// Which way events take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PathMode {
    /// A link, used directly.
    Link,
    /// Published, without a link: the broadcast.
    Broadcast,
    /// Published, with a link to the subscriber: what the publisher chooses then.
    Auto,
}

impl PathMode {
    /// As it is asked for.
    pub(super) fn name(self) -> &'static str {
        match self {
            PathMode::Link => "link",
            PathMode::Broadcast => "broadcast",
            PathMode::Auto => "auto",
        }
    }
}

/// Which interface is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// Typed events.
    Rust,
    /// The C ABI, called by a program in C.
    C,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layer {
    /// Typed events through hubs and a link.
    Hub,
    /// Records of 56 bytes through two rings.
    Ring,
}

impl From<WaitMode> for Wait {
    fn from(mode: WaitMode) -> Wait {
        match mode {
            WaitMode::Spin => Wait::Spin,
            WaitMode::Block => Wait::Block,
            WaitMode::Adaptive => Wait::default(),
        }
    }
}
