//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the project, which is where all commands run.
pub(crate) fn root() -> &'static Path {
    // This package lies two folders below it.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A folder below [`target`] as an argument: relative to the root where that is possible.
pub(crate) fn below_target(name: &str) -> String {
    let path = target().join(name);
    path.strip_prefix(root()).unwrap_or(&path).display().to_string()
}
