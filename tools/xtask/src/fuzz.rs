//! Fuzzing: `cargo fuzz` with AddressSanitizer, on the toolchain that builds everything else.

use crate::command::Line;
use crate::place::{below_target, root};
use crate::setup::{Need, tools};
use std::fs;

/// What fuzzing needs on the machine.
pub(crate) const NEEDS: &[Need] = &[Need::CxxCompiler, Need::CargoTool("cargo-fuzz")];

/// The targets, which are the files in `fuzz/fuzz_targets`.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(root().join("fuzz/fuzz_targets")).into_iter().flatten().flatten();
    let name =
        |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned());
    let mut names: Vec<_> = entries.filter_map(name).collect();
    names.sort();
    names
}

/// A target's name as an argument.
pub(crate) fn known(name: &str) -> Result<String, String> {
    let names = names();
    match names.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("the targets are {}", names.join(", "))),
    }
}

/// Builds all targets.
pub(crate) fn build() -> Line {
    cargo_fuzz("build")
}

/// Runs a target for so many seconds. What it finds interesting is kept below the target folder
/// for the next run; what crashes it, in `fuzz/artifacts`.
pub(crate) fn run(name: &str, seconds: u32) -> Line {
    let corpus = below_target(&format!("fuzz/corpus/{name}"));
    // The fuzzer wants it to exist.
    let _ = fs::create_dir_all(root().join(&corpus));
    let mut line = cargo_fuzz("run").arg(name).arg(corpus);
    let seeds = format!("fuzz/seeds/{name}");
    if root().join(&seeds).is_dir() {
        line = line.arg(seeds);
    }
    line.arg("--").arg(format!("-max_total_time={seconds}")).arg("-timeout=10")
}

fn cargo_fuzz(verb: &str) -> Line {
    // `cargo` looks for its own tools in PATH; by its path the tool is found wherever we put it.
    Line::new(&format!("{} {verb} --target-dir", tools::find("cargo-fuzz")))
        .arg(below_target("fuzz"))
        // Sanitizers are not stable; nothing else of what this allows is used.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "--cfg ephapse_fuzz")
}
