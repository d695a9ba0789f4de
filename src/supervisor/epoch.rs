//! The number of a supervisor's run. Numbers that one run gives, of hubs, links and subjects, must
//! not mean something else in the next: hubs keep them when they lose their supervisor.

use crate::domain::Domain;
use crate::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Runs have numbers from 1 up to this one. Those of hubs have them above their lower 32 bits, and so
/// stay below 2^52: programs that keep numbers as floating point do not lose digits.
const EPOCHS: u32 = 1 << 20;

/// The number of this run, one more than the last one's. Called by the one who holds the domain's
/// lock.
///
/// # Errors
///
/// [`Error::Directory`]: it cannot be kept, so the next run would have it again.
pub(super) fn next(domain: &Domain) -> Result<u32, Error> {
    let path = domain.epoch();
    let epoch = match read(&path) {
        Some(last) => last + 1,
        // The first supervisor here, or somebody has tidied up.
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs() as u32),
    };
    let epoch = (epoch % EPOCHS).max(1);
    write(&path, epoch).map_err(|error| Error::Directory { path, why: error.to_string() })?;
    Ok(epoch)
}

fn read(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|last| *last < EPOCHS)
}

/// Whole or not at all.
fn write(path: &Path, epoch: u32) -> std::io::Result<()> {
    let new = path.with_extension("epoch.new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| writeln!(file, "{epoch}"))
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // It may not even be there.
        let _ = std::fs::remove_file(&new);
    }
    written
}
