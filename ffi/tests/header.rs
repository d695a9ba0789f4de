//! The header against compilers, and against the library.

mod common;

#[path = "../../tests/common"]
#[allow(dead_code)] // shared with the library's own tests
mod others {
    pub(crate) mod host;
    pub(crate) mod process;
}

use common::header::{code, declared, header};
use common::{Place, SANITIZED, STRICT, built, root, succeed};
use ephapse::{Domain, Hub, Supervisor};
use others::process::wait_until;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command};

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

/// The pieces of code at the top of the header, in their order.
fn examples() -> Vec<String> {
    let header = header();
    let top = header.split_once("WORDS").unwrap().0;
    let mut pieces = vec![String::new()];
    for line in top.lines() {
        match line.strip_prefix(" *     ") {
            Some(code) => *pieces.last_mut().unwrap() += &format!("{code}\n"),
            None if line == " *" => {}
            None => pieces.push(String::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The two processes that the header shows: one program, which is each of them in turn.
#[test]
fn its_examples_work() {
    let place = Place::new();
    let [declarations, publishes, subscribes] = &examples()[..] else { panic!("{:?}", examples()) };
    let program = format!(
        "{declarations}
         #include <stdio.h>
         #include <stdlib.h>
         static void die(const char *why) {{ fputs(why, stderr); exit(1); }}
         static void steer(const double *position, float heading) {{
             exit(position[2] == 2.0 && heading == 0.5f ? 0 : 1);
         }}
         static void publish(void) {{\n{publishes}}}
         static void subscribe(void) {{\n{subscribes}}}
         int main(int argc, char **argv) {{
             (void)argv;
             if (argc > 1) publish(); else subscribe();
             return argc > 1 ? 0 : 1;
         }}"
    );
    let source = place.path().join("shown.c");
    std::fs::write(&source, program).unwrap();
    let program = place.program(source.to_str().unwrap(), &SANITIZED);
    let domain = Domain::at(place.domain("shown"));
    let _supervisor = Supervisor::bind(domain.clone()).unwrap().spawn().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        // What is shown frees nothing: its processes go on for ever, or end.
        command.args(args).env("EPHAPSE_DIR", domain.path()).env("ASAN_OPTIONS", "detect_leaks=0");
        command
    };
    let mut planner = Ended(run(&[]).spawn().unwrap());
    // It has subscribed when somebody who publishes on such a subject has it for a receiver.
    let watcher = Hub::builder("watcher").domain(domain.clone()).connect().unwrap();
    let probe = watcher.raw_publisher("robot.probe").unwrap();
    wait_until("the subscription", || probe.receivers() == 1);
    succeed(&mut run(&["publishes"]));
    assert!(planner.0.wait().unwrap().success());
}

/// A process that is killed if the test ends before it.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
