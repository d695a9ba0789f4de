//! Installing the command with its manual pages and completions, and what C programs need: the
//! header, both libraries, and how pkg-config and CMake find them. What is installed is a fixed list,
//! and pages whose names begin as the command's, so that it can be removed again.

use crate::command::Line;
use crate::place::{root, target};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    /// What the installed command prints when it is asked for the completions of this shell.
    Completions(&'static str),
}

/// The command, and where its manual pages are.
const COMMAND: &str = "bin/ephapse";
const PAGES: &str = "share/man/man1";

fn items() -> Vec<Item> {
    let library = format!("libephapse.so.{VERSION}");
    let item = |path: &str, from| Item { path: path.to_owned(), from };
    vec![
        item(COMMAND, From::Built("ephapse")),
        item("share/bash-completion/completions/ephapse", From::Completions("bash")),
        item("share/zsh/site-functions/_ephapse", From::Completions("zsh")),
        item("share/fish/vendor_completions.d/ephapse.fish", From::Completions("fish")),
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

/// Builds command and libraries and puts everything below the prefix.
pub(crate) fn install(prefix: &Path) -> Result<()> {
    let prefix = std::path::absolute(prefix)?;
    let logs = target().join("xtask");
    fs::create_dir_all(&logs)?;
    let log = logs.join("install.log");
    let build = Line::new("cargo build --release --package ephapse-ffi --package ephapse-tools");
    build.run(&log).with_context(|| format!("{build} (see {})", log.display()))?;
    for Item { path, from } in items() {
        let to = prefix.join(&path);
        fs::create_dir_all(to.parent().unwrap_or(&prefix))?;
        gone(fs::remove_file(&to)).with_context(|| format!("replacing {}", to.display()))?;
        place(&from, &to, &prefix).with_context(|| format!("installing {}", to.display()))?;
        writeln!(std::io::stdout(), "{}", to.display())?;
    }
    let pages = output(&prefix, &["man".as_ref(), prefix.join(PAGES).as_os_str()])?;
    std::io::stdout().write_all(&pages)?;
    Ok(())
}

/// What the installed command prints.
fn output(prefix: &Path, arguments: &[&OsStr]) -> Result<Vec<u8>> {
    let command = prefix.join(COMMAND);
    let output = Command::new(&command).args(arguments).output();
    let output = output.with_context(|| format!("starting {}", command.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", command.display(), error.trim_end());
    Ok(output.stdout)
}

fn place(from: &From, to: &Path, prefix: &Path) -> Result<()> {
    match from {
        From::Source(path) => drop(fs::copy(root().join(path), to)?),
        From::Built(name) => drop(fs::copy(target().join("release").join(name), to)?),
        From::Link(name) => symlink(name, to)?,
        From::Completions(shell) => {
            fs::write(to, output(prefix, &["completions".as_ref(), shell.as_ref()])?)?;
        }
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
    let installed = items().into_iter().map(|item| prefix.join(item.path));
    for path in installed.chain(pages(prefix)?) {
        gone(fs::remove_file(&path)).with_context(|| format!("removing {}", path.display()))?;
    }
    for folder in folders() {
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

/// The folders of all that is installed, from the inside out.
fn folders() -> Vec<PathBuf> {
    let paths = items().into_iter().map(|item| item.path).chain([format!("{PAGES}/ephapse.1")]);
    let mut folders = Vec::new();
    for path in paths {
        folders.extend(Path::new(&path).ancestors().skip(1).map(Path::to_owned));
    }
    folders.sort();
    folders.dedup();
    folders.retain(|folder| !folder.as_os_str().is_empty());
    folders.reverse();
    folders
}

/// The manual pages that are there: the command's, and those of what it can do.
fn pages(prefix: &Path) -> Result<Vec<PathBuf>> {
    let folder = prefix.join(PAGES);
    let names = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.with_context(|| format!("listing {}", folder.display()))?,
    };
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    Ok(names.iter().map(|name| name.path()).filter(|path| is_page(path)).collect())
}

fn is_page(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let rest = name.strip_prefix("ephapse").and_then(|rest| rest.strip_suffix(".1"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
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
    fn pages_are_known_by_their_names() {
        let is_page = |name: &str| is_page(&Path::new("share/man/man1").join(name));
        assert!(["ephapse.1", "ephapse-sub.1", "ephapse-bench-join.1"].into_iter().all(is_page));
        assert!(!["ephapse.7", "ephapsed.1", "ls.1", "ephapse-sub.1.gz"].into_iter().any(is_page));
    }

    #[test]
    fn inner_folders_come_first() {
        let folders = folders();
        let at = |folder: &str| folders.iter().position(|other| other == Path::new(folder));
        assert!(at("lib/cmake/ephapse") < at("lib/cmake") && at("lib/cmake") < at("lib"));
        assert!(at("share/man/man1").is_some() && at("bin").is_some() && at("").is_none());
    }

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
