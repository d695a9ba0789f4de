//! What a machine may lack, and how it is had.

use crate::command::Line;
use crate::place::below_target;
use anyhow::{Context, Result, bail};
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

/// Something that a step needs on the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// A component of the Rust toolchain.
    Component(&'static str),
    /// A tool that `cargo install` builds; kept below the target folder.
    CargoTool(&'static str),
    /// A compiler for the C++ parts of the fuzzer.
    CxxCompiler,
    /// A program whose package has its name.
    Program(&'static str),
    /// A Python package; kept below the target folder.
    PythonPackage(&'static str),
}

impl Need {
    /// Sets it up, if it is missing; its output goes to `log`.
    ///
    /// Where that is not possible, the error says what to install.
    pub(crate) fn meet(self, log: &Path) -> Result<()> {
        match self {
            Self::Component(name) => component(name, log),
            Self::CargoTool(name) => cargo_tool(name, log),
            Self::CxxCompiler => cxx_compiler(log),
            Self::Program(name) if succeeds(name, &["--version"]) => Ok(()),
            Self::Program(name) => apt_install(name, log),
            Self::PythonPackage(name) => python_package(name, log),
        }
    }
}

fn component(name: &str, log: &Path) -> Result<()> {
    let subcommand = if name == "rustfmt" { "fmt" } else { name };
    if succeeds("cargo", &[subcommand, "--version"]) {
        return Ok(());
    }
    let add = Line::new("rustup component add").arg(name);
    add.run(log).with_context(|| format!("`cargo {subcommand}` is missing; {add}"))
}

fn cargo_tool(name: &str, log: &Path) -> Result<()> {
    if tools::is_there(name) {
        return Ok(());
    }
    let install = Line::new("cargo install --locked --root").arg(below_target("tools")).arg(name);
    install.run(log).with_context(|| format!("{name} is missing; {install}"))
}

fn python_package(name: &str, log: &Path) -> Result<()> {
    let path = below_target("python");
    let install =
        Line::new("python3 -m pip install --quiet --upgrade --target").arg(&path).arg(name);
    install.run(log).with_context(|| format!("the Python package {name} is missing; {install}"))
}

fn cxx_compiler(log: &Path) -> Result<()> {
    let named = env::var("CXX").ok();
    let names = named.as_deref().into_iter().chain(["c++", "g++", "clang++"]);
    if names.into_iter().any(|name| succeeds(name, &["--version"])) {
        return Ok(());
    }
    apt_install("g++", log).context("or install clang, or name a compiler in CXX")
}

/// Installs a package where we may.
fn apt_install(package: &str, log: &Path) -> Result<()> {
    if !(is_root() && succeeds("apt-get", &["--version"])) {
        bail!("{package} is missing: install it");
    }
    let apt = |words: &str| Line::new(words).env("DEBIAN_FRONTEND", "noninteractive").run(log);
    let install = format!("apt-get install -y --no-install-recommends {package}");
    apt(&install)
        .or_else(|_| {
            apt("apt-get update")?;
            apt(&install)
        })
        .with_context(|| format!("{package} is missing: install it"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Tools that `cargo install` has built, by us or by somebody else.
pub(crate) mod tools {
    use super::{below_target, succeeds};
    use crate::place::root;

    /// The program to start: from the search path, or else where we install it.
    pub(crate) fn find(name: &str) -> String {
        if succeeds(name, &["--version"]) {
            return name.to_owned();
        }
        below_target(&format!("tools/bin/{name}"))
    }

    pub(super) fn is_there(name: &str) -> bool {
        succeeds(&root().join(find(name)).display().to_string(), &["--version"])
            || succeeds(name, &["--version"])
    }
}
