//! Who may use whom in the library.

use crate::rules::Findings;
use crate::source::{File, Line, Project, has_word};

/// Each module of the library and what it may use of the others. A line uses only those above it.
const LAYERS: [(&str, &[&str]); 14] = [
    ("limits", &[]),
    ("sync", &["limits"]),
    ("ring", &["limits", "sync"]),
    ("segment", &["limits", "sync", "ring"]),
    ("wait", &["limits", "sync", "ring", "segment"]),
    ("event", &["limits", "sync"]),
    ("protocol", &["limits"]),
    ("send_error", &["ring"]),
    ("error", &["limits", "segment", "protocol", "send_error"]),
    ("domain", &["limits", "error"]),
    ("counters", &["limits", "segment", "event", "error", "domain"]),
    (
        "hub",
        &[
            "limits",
            "sync",
            "ring",
            "segment",
            "wait",
            "event",
            "protocol",
            "error",
            "domain",
            "counters",
            "send_error",
        ],
    ),
    (
        "supervisor",
        &["limits", "sync", "segment", "event", "protocol", "error", "domain", "counters"],
    ),
    ("embedded", &["domain", "error", "hub", "supervisor"]),
];

/// Not part of what is shipped, or the root itself.
const OUTSIDE: [&str; 2] = ["lib", "fuzzing"];

/// Uses of a module that is not above the one that uses it.
pub(crate) fn against_the_layers(project: &Project) -> Findings {
    let mut findings = Findings::new();
    for file in project.library() {
        let path = module_path(file);
        let Some(module) = path.first().filter(|name| !OUTSIDE.contains(name)) else { continue };
        let Some((_, above)) = LAYERS.iter().find(|(name, _)| name == module) else {
            findings.push(format!("{}:1: give `{module}` its place in LAYERS", file.path));
            continue;
        };
        let code = shipped_code(file);
        for used in ["crate::", "ephapse::", &"super::".repeat(path.len())] {
            for (at, name) in first_names(&code, used) {
                if name != *module && !above.contains(&name.as_str()) {
                    let place = format!("{}:{}", file.path, line_of(&code, at));
                    findings.push(format!("{place}: `{module}` may use {above:?}, not `{name}`"));
                }
            }
        }
    }
    findings
}

/// Uses of any of these modules or types in one module.
pub(crate) fn mentions(project: &Project, module: &str, forbidden: &[&str]) -> Findings {
    mentions_except(project, module, forbidden, &[])
}

/// The same, where some paths of what is forbidden are allowed.
pub(crate) fn mentions_except(
    project: &Project,
    module: &str,
    forbidden: &[&str],
    allowed: &[&str],
) -> Findings {
    let mut findings = Findings::new();
    let start = format!("src/{module}");
    for file in project.library().filter(|file| file.path.starts_with(&start)) {
        for (at, line) in file.shipped() {
            let code = allowed.iter().fold(line.code.clone(), |code, path| code.replace(path, ""));
            for name in forbidden.iter().filter(|name| uses(&code, name)) {
                let place = format!("{}:{}", file.path, at + 1);
                findings.push(format!("{place}: `{name}` has no business in `{module}`"));
            }
        }
    }
    findings
}

/// A path or a type anywhere; a module only as part of a path, for variables may be called so.
fn uses(code: &str, name: &str) -> bool {
    let path = name.contains("::") || name.starts_with(char::is_uppercase);
    let in_path = [format!("{name}::"), format!("::{name}")].iter().any(|it| code.contains(it));
    has_word(code, name) && (path || in_path)
}

/// `src/hub/control/mod.rs` is `hub`, `control`.
fn module_path(file: &File) -> Vec<&str> {
    let path = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|name| *name != "mod").collect()
}

/// Code that is not for tests, with the lines of the file.
fn shipped_code(file: &File) -> String {
    let code = |line: &Line| if line.test { String::new() } else { line.code.clone() };
    file.lines.iter().map(|line| code(line) + "\n").collect()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The names that follow a prefix: `crate::ring`, `crate::{ring::Kind, limits}`.
fn first_names(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let name = |text: &str| text.chars().take_while(|c| part(*c)).collect::<String>();
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        // `super::super::` holds `super::` twice; only the whole of it is meant.
        if code[..at].ends_with(|c: char| part(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => names.push((at, name(rest))),
            Some(group) => names.extend(group_names(group).map(|item| (at, name(item)))),
        }
    }
    names.retain(|(_, name)| !name.is_empty() && name != "super" && name != "self");
    names
}

/// The items of a group, up to its closing brace.
fn group_names(group: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            '}' => {
                items.push(&group[start..at]);
                break;
            }
            _ => {}
        }
    }
    items.into_iter().map(str::trim)
}
