//! The domain's directory, its socket, and its supervisor.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use ephapse::counters::{self, ProcessState};
use ephapse::{Domain, Error};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{AccessFlags, Uid, access};
use std::os::fd::AsRawFd;

use super::Finding;
use crate::ui::{format, with_causes};
use crate::watch::asking;

/// The longest path of a Unix socket.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn look(domain: &Domain, timeout: Duration) -> Vec<Finding> {
    let mut findings = vec![directory(domain.path()), path(domain)];
    let there = domain.socket().symlink_metadata().is_ok();
    if there {
        findings.push(stale(domain));
    }
    findings.push(supervisor(domain, timeout, there));
    findings
}

fn directory(path: &Path) -> Finding {
    let what = "directory";
    let shown = path.display();
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return to_be_made(path),
        Err(error) => {
            let advice = "let this user reach it, or choose another with EPHAPSE_DIR or --dir";
            return Finding::problem(what, format!("{shown}: {error}"), advice);
        }
    };
    let (uid, mode) = (Uid::effective().as_raw(), metadata.mode() & 0o777);
    if !metadata.is_dir() {
        let advice = "remove it, or choose another with EPHAPSE_DIR or --dir";
        return Finding::problem(what, format!("{shown} is no directory"), advice);
    }
    if metadata.uid() != uid {
        let seen = format!("{shown} belongs to user {}, not to {uid}", metadata.uid());
        return Finding::problem(
            what,
            seen,
            "run as its owner, or choose another with EPHAPSE_DIR or --dir",
        );
    }
    if mode & 0o077 != 0 {
        let seen = format!("{shown} has mode {mode:03o}: others could prepare a socket in it");
        return Finding::problem(what, seen, format!("chmod 700 {shown}"));
    }
    if mode & 0o300 != 0o300 {
        let seen = format!("{shown} has mode {mode:03o}: no supervisor can make its socket in it");
        return Finding::problem(what, seen, format!("chmod 700 {shown}"));
    }
    Finding::ok(what, format!("{shown}, of this user alone"))
}

/// One that is not there: whether a supervisor could make it.
fn to_be_made(path: &Path) -> Finding {
    let what = "directory";
    let shown = path.display();
    let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
    match access(above, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Finding::ok(what, format!("{shown} is not there yet; `ephapse up` makes it")),
        Err(error) => Finding::problem(
            what,
            format!(
                "{shown} is not there, and nothing can be made in {}: {}",
                above.display(),
                error.desc()
            ),
            "choose another with EPHAPSE_DIR or --dir",
        ),
    }
}

fn path(domain: &Domain) -> Finding {
    let what = "socket path";
    let length = domain.socket().as_os_str().len();
    if length > SOCKET_PATH_MAX {
        let seen = format!("{length} bytes, and the kernel takes {SOCKET_PATH_MAX}");
        return Finding::problem(what, seen, "choose a shorter directory");
    }
    Finding::ok(what, format!("{length} of {SOCKET_PATH_MAX} bytes"))
}

/// A socket that nobody listens at is what a killed supervisor leaves.
fn stale(domain: &Domain) -> Finding {
    let what = "socket";
    let path = domain.socket();
    let shown = path.display();
    let is_socket = fs::symlink_metadata(&path).is_ok_and(|it| it.file_type().is_socket());
    if !is_socket {
        let advice = format!("remove it, and start `ephapse up` again: rm {shown}");
        return Finding::problem(what, format!("{shown} is no socket"), advice);
    }
    match listens(&path) {
        Ok(()) => Finding::ok(what, format!("{shown}; somebody listens")),
        Err(Errno::ECONNREFUSED) => Finding::warning(
            what,
            format!("{shown} is left from a supervisor that was killed"),
            "nothing needs to be removed: the next `ephapse up` takes it over",
        ),
        // It has no room for one more that waits: it hangs, or is very busy.
        Err(Errno::EAGAIN) => {
            Finding::warning(what, format!("{shown}; too many wait for an answer"), "see below")
        }
        Err(error) => {
            Finding::problem(what, format!("{shown}: {}", error.desc()), "start `ephapse up` again")
        }
    }
}

fn listens(path: &Path) -> Result<(), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let ours = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(ours.as_raw_fd(), &UnixAddr::new(path)?)
}

fn supervisor(domain: &Domain, timeout: Duration, there: bool) -> Finding {
    let what = "supervisor";
    let flight = match counters::flight(domain) {
        Ok(flight) => Some(flight),
        Err(Error::NoSupervisor { .. }) if !there => {
            let advice = "start one: `ephapse up`; or embed one: HubBuilder::embedded_supervisor";
            return Finding::warning(what, "none runs in this domain", advice);
        }
        Err(_) => None,
    };
    let known = flight.as_ref().map(|flight| (flight.pid, flight.process));
    match (asking::ask(domain, "doctor", timeout), known) {
        (Ok(listing), _) => {
            let took = format::nanoseconds((listing.took_ms * 1e6) as u64);
            let (hubs, links) = (listing.hubs.len(), listing.links.len());
            let troubles = flight.map_or(0, |flight| flight.troubles.len());
            let seen =
                format!("answers within {took}: {hubs} hubs, {links} links, {troubles} troubles");
            Finding::ok(what, seen)
        }
        (Err(_), Some((pid, ProcessState::Stopped))) => {
            let advice = format!("events still flow; continue it: kill -CONT {pid}");
            Finding::problem(what, format!("process {pid} is stopped"), advice)
        }
        (Err(_), Some((pid, ProcessState::Gone))) => {
            let advice = "events still flow, but nobody can join: start `ephapse up`; hubs find it by themselves";
            Finding::problem(
                what,
                format!("process {pid} is gone, without having been stopped"),
                advice,
            )
        }
        (Err(error), _) => {
            let advice =
                "see its log; events still flow, so it can be restarted: hubs find the next one";
            Finding::problem(what, with_causes(&error), advice)
        }
    }
}
