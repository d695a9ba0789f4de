//! Installing what C programs need: the header, both libraries, and how pkg-config and CMake find
//! them. What is installed is a fixed list, so that it can be removed again.

use crate::command::Line;
use crate::place::{root, target};
use anyhow::{Context, Result};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name that the loader looks for; the number is `EPH_ABI` of the header.
const SONAME: &str = "libephapse.so.0";

/// One file below the prefix.
struct Item {
    path: String,
    from: From,
}

enum From {
    /// A file of the project.
    Source(&'static str),
    /// A file of the project in which the prefix, the version and the like are filled in.
    Template(&'static str),
    /// A file that was built.
    Built(&'static str),
    /// A link to a file beside it.
    Link(String),
}

fn items() -> Vec<Item> {
    let library = format!("libephapse.so.{VERSION}");
    let item = |path: &str, from| Item { path: path.to_owned(), from };
    vec![
        item("include/ephapse.h", From::Source("ffi/include/ephapse.h")),
        item(&format!("lib/{library}"), From::Built("libephapse_ffi.so")),
        item(&format!("lib/{SONAME}"), From::Link(library)),
        item("lib/libephapse.so", From::Link(SONAME.to_owned())),
        item("lib/libephapse.a", From::Built("libephapse_ffi.a")),
        item("lib/pkgconfig/ephapse.pc", From::Template("ffi/install/ephapse.pc.in")),
        item(
            "lib/cmake/ephapse/ephapse-config.cmake",
            From::Template("ffi/install/ephapse-config.cmake.in"),
        ),
        item(
            "lib/cmake/ephapse/ephapse-config-version.cmake",
            From::Template("ffi/install/ephapse-config-version.cmake.in"),
        ),
    ]
}

/// Builds the libraries and puts everything below the prefix.
pub(crate) fn install(prefix: &Path) -> Result<()> {
    let prefix = std::path::absolute(prefix)?;
    let logs = target().join("xtask");
    fs::create_dir_all(&logs)?;
    let log = logs.join("install.log");
    let build = Line::new("cargo build --release --package ephapse-ffi");
    build.run(&log).with_context(|| format!("{build} (see {})", log.display()))?;
    for Item { path, from } in items() {
        let to = prefix.join(&path);
        fs::create_dir_all(to.parent().unwrap_or(&prefix))?;
        gone(fs::remove_file(&to)).with_context(|| format!("replacing {}", to.display()))?;
        place(&from, &to, &prefix).with_context(|| format!("installing {}", to.display()))?;
        writeln!(std::io::stdout(), "{}", to.display())?;
    }
    Ok(())
}

fn place(from: &From, to: &Path, prefix: &Path) -> Result<()> {
    match from {
        From::Source(path) => drop(fs::copy(root().join(path), to)?),
        From::Built(name) => drop(fs::copy(target().join("release").join(name), to)?),
        From::Link(name) => symlink(name, to)?,
        From::Template(path) => {
            let text = fs::read_to_string(root().join(path))?;
            let mut parts = VERSION.split('.');
            let mut part = || parts.next().unwrap_or("0");
            let values = [
                ("@PREFIX@", &*prefix.display().to_string()),
                ("@VERSION@", VERSION),
                ("@SONAME@", SONAME),
                ("@MAJOR@", part()),
                ("@MINOR@", part()),
            ];
            let filled = values.iter().fold(text, |text, (name, it)| text.replace(name, it));
            fs::write(to, filled)?;
        }
    }
    Ok(())
}

/// Removes what was installed, and the folders below the prefix that are empty then. What is not
/// there is no fault.
pub(crate) fn remove(prefix: &Path) -> Result<()> {
    for Item { path, .. } in items() {
        let path = prefix.join(path);
        gone(fs::remove_file(&path)).with_context(|| format!("removing {}", path.display()))?;
    }
    // From the inside out.
    for folder in ["lib/cmake/ephapse", "lib/cmake", "lib/pkgconfig", "lib", "include"] {
        let folder = prefix.join(folder);
        match fs::remove_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            result => {
                gone(result).with_context(|| format!("removing {}", folder.display()))?;
            }
        }
    }
    Ok(())
}

fn gone(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_there_and_names_the_version() {
        let header = fs::read_to_string(root().join("ffi/include/ephapse.h")).unwrap();
        let parts: Vec<_> = VERSION.split('.').collect();
        for (name, part) in ["MAJOR", "MINOR", "PATCH"].iter().zip(&parts) {
            assert!(header.contains(&format!("#define EPH_VERSION_{name} {part}\n")), "{name}");
        }
        assert!(header.contains("#define EPH_ABI 0u\n"));
        for Item { from, .. } in items() {
            if let From::Source(path) | From::Template(path) = from {
                assert!(root().join(path).is_file(), "{path}");
            }
        }
    }
}
