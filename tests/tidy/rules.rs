//! The rules that the compiler and clippy do not know. Each takes the project and returns what
//! breaks it.

use crate::source::{File, Project, has_word};
use std::collections::BTreeMap;

/// Where, and what to do.
pub(crate) type Findings = Vec<String>;

pub(crate) const FILE_LINES_MAX: usize = 400;
pub(crate) const FUNCTION_LINES_MAX: usize = 70;

/// The only places of what is shipped where `unsafe` may be. Others that need it call these.
const UNSAFE_ISLANDS: [&str; 19] = [
    "src/segment/",
    "src/ring/",
    "src/event/mod.rs",
    "src/event/payload.rs",
    "src/event/clock.rs",
    "src/sync/",
    "src/wait/ring.rs",
    "src/protocol/descriptors.rs",
    "src/supervisor/door.rs",
    "src/hub/received.rs",
    "src/hub/bus/envelope.rs",
    "src/hub/bus/stream.rs",
    "tools/src/bench/shared.rs",
    "tools/src/bench/c_side.rs",
    "ffi/src/abi.rs",
    "ffi/src/memory.rs",
    "ffi/src/table/",
    "ffi/src/turn",
    "ffi/src/types.rs",
];

/// Waiting is what these are for.
const SLEEPERS: [&str; 2] = ["src/wait/bell.rs", "src/event/clock.rs"];

fn finding(file: &File, at: usize, what: &str) -> String {
    format!("{}:{}: {what}", file.path, at + 1)
}

pub(crate) fn long_files(project: &Project) -> Findings {
    let long = project.rust().filter(|file| file.lines.len() > FILE_LINES_MAX);
    long.map(|file| {
        let what = format!("{} lines; divide it, {FILE_LINES_MAX} at most", file.lines.len());
        finding(file, FILE_LINES_MAX, &what)
    })
    .collect()
}

pub(crate) fn long_functions(project: &Project) -> Findings {
    let mut findings = Findings::new();
    for file in project.rust() {
        for function in &file.functions {
            let lines = function.last - function.first + 1;
            if lines > FUNCTION_LINES_MAX {
                let name = &function.name;
                let what = format!("`{name}` has {lines} lines; {FUNCTION_LINES_MAX} at most");
                findings.push(finding(file, function.first, &what));
            }
        }
    }
    findings
}

pub(crate) fn files_without_purpose(project: &Project) -> Findings {
    // What the derive macro must refuse is quoted by line in files beside it.
    let cases = |file: &&File| file.path.starts_with("tests/derive/");
    let silent = project.rust().filter(|f| !cases(f)).filter(|file| !file.text.starts_with("//! "));
    silent.map(|file| finding(file, 0, "begin with `//!` and what the file is for")).collect()
}

pub(crate) fn unsafe_elsewhere(project: &Project) -> Findings {
    let mut findings = Findings::new();
    let shipped = ["src/", "derive/src/", "schema/src/", "tools/src/", "ffi/src/"];
    for file in project.rust().filter(|f| shipped.iter().any(|start| f.path.starts_with(start))) {
        if UNSAFE_ISLANDS.iter().any(|island| file.path.starts_with(island)) {
            continue;
        }
        for (at, line) in file.shipped() {
            if has_word(&line.code, "unsafe") {
                let what = "`unsafe` outside of its islands; call one of them instead";
                findings.push(finding(file, at, what));
            }
        }
    }
    findings
}

/// A module that says `# Safety` at its top, or a reason at every place.
pub(crate) fn unsafe_unexplained(project: &Project) -> Findings {
    let mut findings = Findings::new();
    let explains = |file: &File| file.module_docs().any(|line| line == "//! # Safety");
    for file in project.rust() {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let parent = project.file(&format!("{folder}/mod.rs"));
        if explains(file) || parent.is_some_and(explains) {
            continue;
        }
        for (at, line) in file.lines.iter().enumerate() {
            let explained = file.says(at, 8, &["SAFETY:", "# Safety"]);
            if has_word(&line.code, "unsafe") && !explained {
                let what = "say why in a `// SAFETY:` comment, or in `//! # Safety` at the top";
                findings.push(finding(file, at, what));
            }
        }
    }
    findings
}

/// Both ends of every pair carry its label.
pub(crate) fn orders_without_partner(project: &Project) -> Findings {
    let mut findings = Findings::new();
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in project.library() {
        for (at, line) in file.shipped() {
            for (start, _) in line.comment.match_indices("SYNC(") {
                let label = line.comment[start + 5..].split(')').next().unwrap_or_default();
                ends.entry(label.to_owned()).or_default().push(finding(file, at, ""));
            }
            let orders = ["Ordering::Release", "Ordering::Acquire", "Ordering::AcqRel"];
            let ordered = orders.iter().any(|order| has_word(&line.code, order));
            if ordered && !file.says(at, 4, &["SYNC("]) {
                let what = "name the other end: `// SYNC(label): pairs with …`";
                findings.push(finding(file, at, what));
            }
        }
    }
    for (label, places) in ends {
        if places.len() < 2 {
            findings.push(format!("{}SYNC({label}) has no other end in src/", places[0]));
        }
    }
    findings
}

/// In the same function, or just above.
pub(crate) fn relaxed_unexplained(project: &Project) -> Findings {
    let mut findings = Findings::new();
    for file in project.library() {
        for (at, line) in file.shipped() {
            if !has_word(&line.code, "Ordering::Relaxed") {
                continue;
            }
            let function = file.function_at(at);
            let (first, last) = function.map_or((at, at), |f| (f.first, f.last));
            let words = ["Relaxed", "relaxed"];
            if !file.says(last, last - first + 6, &words) {
                findings.push(finding(file, at, "say why it is enough: `// Relaxed: …`"));
            }
        }
    }
    findings
}

pub(crate) fn left_undone(project: &Project) -> Findings {
    let mut findings = Findings::new();
    for file in project.rust() {
        for (at, line) in file.lines.iter().enumerate() {
            for undone in ["todo!", "unimplemented!", "dbg!", "#[ignore"] {
                if line.code.contains(undone) {
                    findings.push(finding(file, at, &format!("finish it: `{undone}`")));
                }
            }
        }
    }
    findings
}

/// Whoever waits, waits for the event itself. Where there is nothing to wait on, a comment says so.
pub(crate) fn sleeps(project: &Project) -> Findings {
    let mut findings = Findings::new();
    for file in project.rust().filter(|file| !SLEEPERS.contains(&file.path.as_str())) {
        let library = file.path.starts_with("src/");
        for (at, line) in file.lines.iter().enumerate().filter(|(_, l)| l.test || library) {
            if has_word(&line.code, "thread::sleep") && !file.says(at, 3, &["Sleep:"]) {
                let what = "wait for the event itself; if there is none: `// Sleep: why`";
                findings.push(finding(file, at, what));
            }
        }
    }
    findings
}

pub(crate) fn prints(project: &Project) -> Findings {
    let mut findings = Findings::new();
    for file in project.library() {
        for (at, line) in file.shipped() {
            let macros = ["print!", "println!", "eprint!", "eprintln!"];
            if macros.iter().any(|name| line.code.contains(name)) {
                findings.push(finding(file, at, "the library does not print; use `tracing`"));
            }
        }
    }
    findings
}

/// Every dependency has its reason in a comment above it; one comment serves three lines at most.
/// What a member inherits has it in the workspace's table.
pub(crate) fn dependencies_without_reason(project: &Project) -> Findings {
    let mut findings = Findings::new();
    for file in project.files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let (mut table, mut uncovered) = ("", 3);
        for (at, line) in file.text.lines().enumerate() {
            if line.starts_with('[') {
                (table, uncovered) = (line.trim_matches(['[', ']']), uncovered + 1);
                if table.contains("dependencies.") && uncovered > 3 {
                    findings.push(finding(file, at, "say in a comment above why it is needed"));
                }
            } else if line.starts_with('#') {
                uncovered = 0;
            } else if line.trim().is_empty() {
                uncovered = 3;
            } else if table.ends_with("dependencies") && line.contains('=') {
                uncovered += 1;
                let own = line.contains("path =") || line.contains(".workspace = true");
                if uncovered > 3 && !own {
                    findings.push(finding(file, at, "say in a comment above why it is needed"));
                }
            }
        }
    }
    findings
}

/// What is written here is for people who have this project and nothing else.
pub(crate) fn references_to_elsewhere(project: &Project) -> Findings {
    let mut findings = Findings::new();
    let kept = |file: &&File| !(file.path.ends_with(".lock") || file.path.starts_with("LICENSE"));
    for file in project.files.iter().filter(kept) {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(what) = elsewhere(line) {
                findings.push(finding(file, at, &format!("{what}, which readers do not have")));
            }
        }
    }
    findings
}

fn elsewhere(line: &str) -> Option<&'static str> {
    let lower = line.to_lowercase();
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let alone = |at: usize| !lower[..at].ends_with(part);
    let number = |rest: &str| {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        after.len() < rest.len() && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    if lower.contains(concat!("/wo", "rk/")) {
        return Some("a path on one machine");
    }
    if lower.match_indices(concat!("sha", "red/")).any(|(at, _)| alone(at)) {
        return Some("a folder outside of the project");
    }
    let hash = |at: usize| at == 0 || lower[..at].ends_with([' ', '(']);
    let issue = |at: usize| {
        let rest = lower[at + 5..].trim_start_matches('s').trim_start();
        alone(at) && number(rest.trim_start_matches('#'))
    };
    let numbered = lower.match_indices('#').any(|(at, _)| hash(at) && number(&lower[at + 1..]))
        || lower.match_indices("issue").any(|(at, _)| issue(at));
    numbered.then_some("the number of an issue")
}

/// Each invariant of the architecture names, in backticks, a check of `tests/tidy.rs`.
pub(crate) fn invariants_without_check(project: &Project) -> Findings {
    const MARK: &str = "**Architecture Invariant:**";
    let Some(file) = project.file("ARCHITECTURE.md") else {
        return vec!["ARCHITECTURE.md:1: write it, with its invariants".to_owned()];
    };
    let checks = project.file("tests/tidy.rs").map_or("", |file| file.text.as_str());
    let lines: Vec<_> = file.text.lines().collect();
    let starts: Vec<_> = (0..lines.len()).filter(|at| lines[*at].starts_with(MARK)).collect();
    if starts.is_empty() {
        return vec![finding(file, 0, &format!("no line begins with `{MARK}`"))];
    }
    let named = |at: usize| {
        let paragraph: Vec<_> =
            lines[at..].iter().take_while(|line| !line.trim().is_empty()).copied().collect();
        let text = paragraph.join(" ");
        let mut quoted = text.split('`').skip(1).step_by(2);
        quoted
            .any(|name| name.starts_with("invariant_") && checks.contains(&format!("fn {name}()")))
    };
    let what = "name the check in backticks: `invariant_…`, a function of tests/tidy.rs";
    starts.into_iter().filter(|at| !named(*at)).map(|at| finding(file, at, what)).collect()
}
