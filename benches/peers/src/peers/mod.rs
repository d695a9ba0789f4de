//! All systems, one file each.
//!
//! One that was left out of this program (each rival is a feature of the crate) is still named, so
//! that the table says so.

mod ephapse;
mod pipe;
mod seqpacket;

#[cfg(any(feature = "rtrb", feature = "crossbeam"))]
mod meeting;

#[cfg(feature = "aeron")]
mod aeron;
#[cfg(feature = "crossbeam")]
mod crossbeam;
#[cfg(feature = "iceoryx2")]
mod iceoryx2;
#[cfg(feature = "ipc-channel")]
mod ipc_channel;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nng")]
mod nng;
#[cfg(feature = "rtrb")]
mod rtrb;
#[cfg(feature = "zenoh")]
mod zenoh;
#[cfg(feature = "zeromq")]
mod zeromq;

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};

use crate::peer::{BOTH, System};

/// A system of a module that is compiled with a feature, or what stands for it without.
macro_rules! rival {
    ($feature:literal, $module:ident :: $system:ident, $name:literal) => {{
        #[cfg(feature = $feature)]
        let system = $module::$system;
        #[cfg(not(feature = $feature))]
        let system = left_out($name);
        system
    }};
}

/// All, in the order of tables.
pub(crate) fn all() -> Vec<System> {
    vec![
        ephapse::LINK,
        ephapse::BROADCAST,
        rival!("iceoryx2", iceoryx2::SYSTEM, "iceoryx2"),
        rival!("aeron", aeron::AS_INSTALLED, "aeron"),
        rival!("aeron", aeron::PRE_TOUCHED, "aeron-pretouched"),
        rival!("rtrb", rtrb::SYSTEM, "rtrb"),
        rival!("crossbeam", crossbeam::SYSTEM, "crossbeam"),
        seqpacket::SYSTEM,
        pipe::SYSTEM,
        rival!("zeromq", zeromq::SYSTEM, "zeromq"),
        rival!("nng", nng::SYSTEM, "nng"),
        rival!("ipc-channel", ipc_channel::SYSTEM, "ipc-channel"),
        rival!("zenoh", zenoh::SYSTEM, "zenoh"),
        rival!("nats", nats::SYSTEM, "nats"),
    ]
}

/// Has systems remove what processes of theirs have left in places that are not ours.
pub(crate) fn tidy() {
    #[cfg(feature = "zenoh")]
    zenoh::tidy();
}

/// Stands for what was not compiled.
#[allow(dead_code, reason = "all features may be there")]
fn left_out(name: &'static str) -> System {
    System {
        name,
        about: "",
        ours: false,
        in_process: false,
        modes: BOTH,
        version: || Ok("not built".to_owned()),
        serve: None,
        daemon: None,
    }
}

/// The version of a package that this program was built with.
fn locked_version(package: &str) -> Result<String> {
    let lock = include_str!("../../Cargo.lock");
    let heading = format!("name = \"{package}\"\nversion = \"");
    let at = lock.find(&heading).with_context(|| format!("no {package} in Cargo.lock"))?;
    let rest = &lock[at + heading.len()..];
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// The version of what is a part of the kernel.
fn kernel_version() -> Result<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    Ok(format!("Linux {}", release.context("cannot ask for the kernel's version")?.trim()))
}

/// Takes a descriptor that accept(2) has just returned.
#[allow(unsafe_code)]
fn accepted(descriptor: RawFd) -> OwnedFd {
    // SAFETY: by the rule above it is open, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
