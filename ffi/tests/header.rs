//! The header against compilers, and against the library.

mod common;

use common::{Place, STRICT, built, root, succeed};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

fn header() -> String {
    std::fs::read_to_string(root().join("include/ephapse.h")).unwrap()
}

/// The header without comments and without what is for the preprocessor.
fn code() -> String {
    let (mut code, header) = (String::new(), header());
    for (index, part) in header.split("/*").enumerate() {
        code.push_str(if index == 0 { part } else { part.split_once("*/").unwrap().1 });
    }
    let lines: Vec<_> = code.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join(" ")
}

/// The functions that the header declares and does not define itself.
fn declared() -> BTreeSet<String> {
    let code = code();
    let statements = code.split(';').filter(|it| !it.contains("typedef") && !it.contains("inline"));
    let name = |it: &str| {
        let before = it.split_once('(')?.0;
        Some(before.rsplit([' ', '*']).next()?.to_owned())
    };
    statements.filter_map(name).filter(|name| name.starts_with("eph_")).collect()
}

#[test]
fn it_is_clean_in_c99_and_in_cpp17() {
    let place = Place::new();
    for (compiler, standard, name) in
        [("cc", "-std=c99", "only.c"), ("c++", "-std=c++17", "only.cpp")]
    {
        let source = place.path().join(name);
        std::fs::write(&source, "#include <ephapse.h>\n#include <ephapse.h>\n").unwrap();
        let mut command = Command::new(compiler);
        command.arg(standard).args(STRICT).args(["-fsyntax-only", "-I"]);
        succeed(command.arg(root().join("include")).arg(source));
    }
}

#[test]
fn the_library_exports_what_it_declares_and_nothing_else() {
    let output =
        succeed(Command::new("nm").args(["-D", "--defined-only"]).arg(built("libephapse_ffi.so")));
    let text = String::from_utf8(output.stdout).unwrap();
    let exported: BTreeSet<_> =
        text.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, declared());
    assert_eq!(exported.len(), 56);
    let output = succeed(Command::new("readelf").arg("-d").arg(built("libephapse_ffi.so")));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("soname: [libephapse.so.0]"), "{text}");
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    let known =
        |line: &str| ["libc.so", "libgcc_s.so", "ld-linux"].iter().any(|it| line.contains(it));
    assert!(needed.clone().all(known), "{text}");
}

/// What is declared is also defined in Rust with as many arguments, of the same kinds.
#[test]
fn signatures_are_the_same_on_both_sides() {
    let rust = rust_signatures();
    let c = c_signatures();
    assert_eq!(rust.len(), 56);
    assert_eq!(c, rust);
}

/// The kinds of the arguments of each function: a pointer, or a number of so many bits.
type Signatures = BTreeMap<String, Vec<&'static str>>;

fn c_signatures() -> Signatures {
    let code = code();
    let kind = |argument: &str| match argument.trim() {
        it if it.contains('*') || it.contains("_fn ") => "pointer",
        it if it.contains("int64_t") && !it.contains("uint") => "i64",
        it if it.contains("uint64_t") => "u64",
        it if it.contains("uint32_t") => "u32",
        it if it.contains("size_t") => "usize",
        it if it.starts_with("int ") => "i32",
        it => panic!("{it}"),
    };
    let mut found = Signatures::new();
    for name in declared() {
        let at = code.find(&format!("{name}(")).unwrap() + name.len() + 1;
        let arguments = code[at..].split_once(')').unwrap().0;
        let arguments = arguments.split(',').filter(|it| it.trim() != "void");
        found.insert(name, arguments.map(kind).collect());
    }
    found
}

fn rust_signatures() -> Signatures {
    let mut found = Signatures::new();
    let kind = |argument: &str| match argument.rsplit(':').next().unwrap().trim() {
        it if it.starts_with("Handle<") || it.starts_with("In<") || it.starts_with("Out<") => {
            "pointer"
        }
        it if it.starts_with("Option<") || it.starts_with("types") || it == "User" => "pointer",
        "i64" => "i64",
        "u64" => "u64",
        "u32" => "u32",
        "usize" => "usize",
        "c_int" => "i32",
        it if it.ends_with('>') => "pointer",
        it => panic!("{it}"),
    };
    for file in std::fs::read_dir(root().join("src")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let code = std::fs::read_to_string(path).unwrap().replace('\n', " ");
        for (at, _) in code.match_indices("fn eph_") {
            let (name, rest) = code[at + 3..].split_once('(').unwrap();
            let arguments = rest.split_once(')').unwrap().0;
            let arguments = arguments.split(',').map(str::trim).filter(|it| !it.is_empty());
            found.insert(name.to_owned(), arguments.map(kind).collect());
        }
    }
    found
}
