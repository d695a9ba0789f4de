//! What the header declares.

use super::root;
use std::collections::BTreeSet;

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
