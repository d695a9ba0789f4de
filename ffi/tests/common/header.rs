//! What the header declares.

use super::root;
use std::collections::{BTreeMap, BTreeSet};

pub fn header() -> String {
    std::fs::read_to_string(root().join("include/ephapse.h")).unwrap()
}

/// The header without comments and without what is for the preprocessor.
pub fn code() -> String {
    let (mut code, header) = (String::new(), header());
    for (index, part) in header.split("/*").enumerate() {
        code.push_str(if index == 0 { part } else { part.split_once("*/").unwrap().1 });
    }
    let lines: Vec<_> = code.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join(" ")
}

/// The functions that the header declares and does not define itself.
pub fn declared() -> BTreeSet<String> {
    let code = code();
    let statements = code.split(';').filter(|it| !it.contains("typedef") && !it.contains("inline"));
    let name = |it: &str| {
        let before = it.split_once('(')?.0;
        Some(before.rsplit([' ', '*']).next()?.to_owned())
    };
    statements.filter_map(name).filter(|name| name.starts_with("eph_")).collect()
}

/// What every function may give, which the header says once.
const COMMON: [&str; 5] =
    ["EPH_EINVAL", "EPH_EHANDLE", "EPH_EBUSY", "EPH_EFORKED", "EPH_EINTERNAL"];

/// The errors that the header declares, and their numbers.
pub fn errors() -> BTreeMap<String, i32> {
    let error = |line: &str| {
        let (name, rest) = line.strip_prefix("#define ")?.split_once(" (-")?;
        let number: i32 = rest.split_once(')')?.0.parse().ok()?;
        name.starts_with("EPH_E").then(|| (name.to_owned(), -number))
    };
    header().lines().filter_map(error).collect()
}

/// The comment before the declaration of each function, in one line.
fn comments() -> BTreeMap<String, String> {
    let header = header();
    let comment = |part: &str| {
        let (comment, code) = part.split_once("*/")?;
        let declaration = code.split(';').next()?;
        let name = declaration.split_once('(')?.0.rsplit([' ', '*']).next()?;
        Some((name.to_owned(), comment.replace("\n *", "").replace("  ", " ")))
    };
    header.split("/*").filter_map(comment).filter(|(name, _)| name.starts_with("eph_")).collect()
}

/// The functions that a comment names behind an "as", as in "as eph_a() and eph_b()".
fn likened(comment: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in comment.match_indices("s eph_") {
        let mut rest = &comment[at + 2..];
        while rest.starts_with("eph_") {
            let Some((name, behind)) = rest.split_once("()") else { break };
            found.push(name);
            let behind = behind.strip_prefix(',').unwrap_or(behind).trim_start();
            rest = behind.strip_prefix("and ").unwrap_or(behind);
        }
    }
    found
}

/// What the header says that a function may give.
fn documented(name: &str, comments: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found: BTreeSet<_> = COMMON.map(str::to_owned).into();
    let (mut open, mut seen) = (vec![name], BTreeSet::new());
    while let Some(name) = open.pop() {
        let Some(comment) = comments.get(name).filter(|_| seen.insert(name)) else { continue };
        let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        found.extend(comment.split(word).filter(|it| it.starts_with("EPH_E")).map(str::to_owned));
        open.extend(likened(comment));
    }
    found
}

/// Whether the header says of each of these errors, given as numbers, that its function may give it.
pub fn check_documented<'a>(given: impl IntoIterator<Item = (i32, &'a str)>) {
    let (comments, errors) = (comments(), errors());
    let mut checked = 0;
    for (number, function) in given {
        let function = function.strip_suffix("_z").unwrap_or(function);
        if !comments.contains_key(function) {
            continue; // a number that was kept, of which it is not known whose it is
        }
        let said = documented(function, &comments);
        let (error, _) = errors.iter().find(|(_, known)| **known == number).unwrap();
        assert!(said.contains(error), "{function} gave {error}, of which the header says nothing");
        checked += 1;
    }
    assert!(checked > 0);
}
