//! The checks, in order. A new one is an entry in [`STEPS`].

use crate::command::Line;
use crate::place::below_target;
use crate::setup::Need;
use crate::{fuzz, place};

/// One check: what it needs on the machine, and its commands, all of which must succeed.
#[derive(Debug)]
pub(crate) struct Step {
    /// For `--only`.
    pub name: &'static str,
    /// For `--list`.
    pub about: &'static str,
    /// Set up before it runs, where it is missing.
    pub needs: &'static [Need],
    /// Run one after the other.
    pub lines: fn() -> Vec<Line>,
}

/// Seconds that each target is fuzzed for in a run of all checks.
const FUZZ_SECONDS: u32 = 20;

/// What compiles the library against model-checked atomics.
const MODEL: &str = "--cfg ephapse_model";

/// All checks; the quick ones first.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "format",
        about: "every file is formatted",
        needs: &[Need::Component("rustfmt")],
        lines: || {
            let fuzz = "cargo fmt --manifest-path fuzz/Cargo.toml -- --check";
            vec![Line::new("cargo fmt --all --check"), Line::new(fuzz)]
        },
    },
    Step {
        name: "lints",
        about: "no warnings, also when compiled for the model checker",
        needs: &[Need::Component("clippy")],
        lines: || {
            let all = "cargo clippy --workspace --all-targets --features tokio -- -D warnings";
            // Most of the library is left out there, so much of the rest has no user.
            let model = "cargo clippy -p ephapse -p ephapse-ffi --lib --profile test -- -D warnings \
                         -A dead_code";
            vec![Line::new(all), for_model(model)]
        },
    },
    Step {
        name: "docs",
        about: "the documentation builds, and its links lead somewhere",
        needs: &[],
        lines: || {
            vec![
                Line::new("cargo doc --workspace --no-deps --features tokio")
                    .env("RUSTDOCFLAGS", "-D warnings"),
            ]
        },
    },
    Step {
        name: "tests",
        about: "unit, integration and documentation tests",
        needs: &[],
        lines: || {
            // Tests start the command `ephapse`.
            let build = "cargo build --package ephapse-tools";
            let all = "cargo test --workspace --features tokio";
            vec![Line::new(build), Line::new(all).expect(tests_ran)]
        },
    },
    Step {
        name: "histories",
        about: "random histories, in one process and of many: no event lost, repeated or reordered",
        needs: &[],
        lines: || {
            let one = Line::new("cargo test -p ephapse --release --lib history::nothing");
            let many = Line::new("cargo test -p ephapse --release --test bus_histories");
            [one.env("EPHAPSE_RUNS", "2000"), many.env("EPHAPSE_RUNS", "200")]
                .map(|line| line.expect(tests_ran))
                .into()
        },
    },
    Step {
        name: "release",
        about: "what a send and a receive may cost, in an optimised build",
        needs: &[],
        lines: || {
            vec![Line::new("cargo test -p ephapse --release --test hot_path*").expect(tests_ran)]
        },
    },
    Step {
        name: "c",
        about: "a million events from and to Python, C under sanitizers and valgrind, what is installed",
        needs: &[
            Need::CxxCompiler,
            Need::Program("valgrind"),
            Need::Program("cmake"),
            Need::Program("pkg-config"),
        ],
        lines: || {
            let exchange = "cargo test -p ephapse-ffi --release --test exchange";
            let fuzz = "cargo test -p ephapse-ffi --test programs random";
            let valgrind = "cargo test -p ephapse-ffi --test programs --test errors every";
            // Names with blanks in them are what scripts get wrong.
            let prefix = below_target("installed with blanks");
            let install = Line::new("cargo xtask install --prefix").arg(&prefix);
            vec![
                Line::new(exchange).env("EPHAPSE_EVENTS", "1000000").expect(tests_ran),
                Line::new(fuzz).env("EPHAPSE_RUNS", "20").expect(tests_ran),
                Line::new(valgrind).env("EPHAPSE_CHECKS", "valgrind").expect(tests_ran),
                for_threads("threads random"),
                install.clone(),
                Line::new("sh ffi/tests/installed/check.sh").arg(&prefix),
                install.arg("--remove"),
                // Which fails if anything has stayed behind.
                Line::new("rmdir").arg(&prefix),
            ]
        },
    },
    Step {
        name: "histograms",
        about: "what `bench` writes, read by another implementation of HdrHistogram, in Python",
        needs: &[Need::PythonPackage("hdrhistogram")],
        lines: || {
            let directory = below_target("histograms");
            let bench = format!(
                "cargo run --release -- bench load --rate 5k,max --duration 100ms --rounds 2 \
                 --tolerance 99 --json --hgrm {directory}/out.hgrm --hlog {directory}/out.hlog"
            );
            let check = format!(
                "mkdir -p {directory}; {bench} > {directory}/out.json; \
                 python3 tools/tests/read_histograms.py {directory}"
            );
            let python = below_target("python");
            vec![
                Line::new("sh -e -c").arg(check).env("PYTHONPATH", &python).expect(histograms_read),
            ]
        },
    },
    Step {
        name: "model",
        about: "the protocols without locks under the model checker, and that it sees broken ones",
        needs: &[],
        lines: || {
            let test = |package| format!("cargo test -p {package} --lib --release model");
            let lines = ["ephapse", "ephapse-ffi"].map(test);
            lines.map(|line| for_model(&line).expect(tests_ran)).into()
        },
    },
    Step {
        name: "fuzz",
        about: "each fuzz target for a short while",
        needs: fuzz::NEEDS,
        lines: || {
            let runs = fuzz::names().into_iter().map(|name| fuzz::run(&name, FUZZ_SECONDS));
            [fuzz::build()].into_iter().chain(runs).collect()
        },
    },
    Step {
        name: "demo",
        about: "four processes, linked and not; nothing lost",
        needs: &[],
        lines: || {
            let line = "cargo run --release -- demo --duration 2s --json";
            vec![Line::new(line).expect(says_ok)]
        },
    },
];

/// The names of all steps.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

/// The steps of these names, or all if there are none, in the order of the table.
pub(crate) fn chosen(only: &[String]) -> Vec<&'static Step> {
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    STEPS.iter().filter(wanted).collect()
}

/// In a target folder of its own: other flags would have everything built anew each time.
fn for_model(line: &str) -> Line {
    Line::new(line).env("RUSTFLAGS", MODEL).env("CARGO_TARGET_DIR", below_target("model"))
}

/// Tests of programs in C with the library and them under ThreadSanitizer. In a target folder of its
/// own, as above. The tests themselves, in Rust, are not what it is to look at.
fn for_threads(tests: &str) -> Line {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let line = format!("cargo test -p ephapse-ffi --target {target} --test programs -- {tests}");
    // What is precompiled of the standard library is not built for it; see `threads.supp`.
    let flags = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";
    Line::new(&line)
        .env("RUSTC_BOOTSTRAP", "1") // as for fuzzing
        .env("RUSTFLAGS", flags)
        .env("CARGO_TARGET_DIR", below_target("threads"))
        .env("EPHAPSE_CHECKS", "threads")
        .env("TSAN_OPTIONS", "report_bugs=0")
        .expect(tests_ran)
}

/// A filter that fits nothing makes `cargo test` succeed.
fn tests_ran(output: &str) -> Result<(), String> {
    let passed = output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    match passed.sum() {
        0 => Err("no test was run".to_owned()),
        _ => Ok(()),
    }
}

fn histograms_read(output: &str) -> Result<(), String> {
    match output.contains("all histograms are as the result says") {
        true => Ok(()),
        false => Err("the script has not come to its end".to_owned()),
    }
}

fn says_ok(output: &str) -> Result<(), String> {
    let dense: String = output.split_whitespace().collect();
    match dense.contains(r#""ok":true"#) {
        true => Ok(()),
        false => Err(r#"the summary does not say "ok":true"#.to_owned()),
    }
}

/// The folder for what the steps print.
pub(crate) fn logs() -> std::path::PathBuf {
    place::target().join("xtask")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_in_the_order_of_the_table() {
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&only).iter().map(|step| step.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["tests", "format"]), ["format", "tests"]);
        assert_eq!(names(&[]).len(), STEPS.len());
    }

    #[test]
    fn a_run_without_tests_is_not_a_success() {
        let result = |passed| format!("x\ntest result: ok. {passed} passed; 0 failed; 0 ignored\n");
        assert!(tests_ran(&result(0)).is_err());
        assert!(tests_ran("").is_err());
        assert!(tests_ran(&(result(0) + &result(3))).is_ok());
    }

    #[test]
    fn the_summary_of_the_demo_is_read() {
        assert!(says_ok("Compiling x\n{\n  \"links\": [],\n  \"ok\": true\n}").is_ok());
        assert!(says_ok("{\"ok\":false}").is_err());
    }
}
