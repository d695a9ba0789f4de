//! C programs for tests: compiled, linked with the library that was just built, and run.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

pub mod header;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What every compiler must be content with.
pub const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// What makes a program look at its own memory.
pub const SANITIZED: [&str; 3] =
    ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

/// What makes it look at what its threads share.
pub const THREADS: [&str; 1] = ["-fsanitize=thread"];

/// Where programs note the errors that they were given; see `check.h`.
const LEDGER: &str = "ledger";

/// A folder for programs and domains, with the library in it as it is installed.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["libephapse.so", "libephapse.so.0"] {
            symlink(built("libephapse_ffi.so"), dir.path().join(name)).unwrap();
        }
        symlink(built("libephapse_ffi.a"), dir.path().join("libephapse.a")).unwrap();
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What programs have noted that were run here: an error, and the function that gave it.
    pub fn noted(&self) -> Vec<(i32, String)> {
        let text = std::fs::read_to_string(self.dir.path().join(LEDGER)).unwrap_or_default();
        let pair = |line: &str| {
            let (number, function) = line.split_once(' ').unwrap();
            (number.parse().unwrap(), function.to_owned())
        };
        text.lines().map(pair).collect()
    }

    /// A directory for a domain, which is not there yet.
    pub fn domain(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Compiles a program of `tests/c` or `examples` as C99, linked with the dynamic library.
    pub fn program(&self, source: &str, flags: &[&str]) -> PathBuf {
        let name = Path::new(source).file_stem().unwrap().to_str().unwrap();
        let program = self.dir.path().join(format!("{name}-{}", flags.len()));
        let object = program.with_extension("o");
        let dir = self.dir.path().display();
        let mut compiler = Command::new("cc");
        compiler.args(["-std=c99", "-D_GNU_SOURCE", "-g", "-O1", "-pthread"]).args(STRICT);
        compiler.args(flags).arg("-I").arg(root().join("include"));
        succeed(compiler.arg("-c").arg(root().join(source)).arg("-o").arg(&object));
        let mut linker = Command::new("cc");
        linker.args(linked_with(flags)).args(["-pthread", "-o"]).args([&program, &object]);
        linker.args([format!("-L{dir}"), "-lephapse".to_owned(), format!("-Wl,-rpath,{dir}")]);
        succeed(linker.arg("-lm"));
        program
    }
}

/// The crate's own folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A library that was built beside this test.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    let places = [deps.join(name), deps.parent().unwrap().join(name)];
    places.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{name} is not built"))
}

/// Runs a command that must succeed, and shows what it said if it does not.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{command:?}\n{}\n{said}", output.status);
    output
}

/// What looks at a program while it runs; `EPHAPSE_CHECKS` names another than the usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    /// AddressSanitizer and UndefinedBehaviorSanitizer.
    Addresses,
    Valgrind,
    /// ThreadSanitizer, with which the library is built too.
    Threads,
}

impl Checks {
    fn chosen() -> Self {
        match std::env::var("EPHAPSE_CHECKS").as_deref() {
            Err(_) | Ok("addresses") => Self::Addresses,
            Ok("valgrind") => Self::Valgrind,
            Ok("threads") => Self::Threads,
            Ok(other) => panic!("EPHAPSE_CHECKS={other} is not addresses, valgrind or threads"),
        }
    }
}

/// What a program is compiled with for them.
pub fn checks() -> &'static [&'static str] {
    match Checks::chosen() {
        Checks::Addresses => &SANITIZED,
        Checks::Valgrind => &[],
        Checks::Threads => &THREADS,
    }
}

/// What a program is linked with, beside the library. The compiler's ThreadSanitizer is older than
/// the one that the library was built for, so that is linked.
fn linked_with(flags: &[&str]) -> Vec<String> {
    if flags != THREADS {
        return flags.iter().map(|flag| (*flag).to_owned()).collect();
    }
    let output = succeed(Command::new("rustc").args(["--print", "target-libdir"]));
    let folder = String::from_utf8(output.stdout).unwrap();
    let files = std::fs::read_dir(folder.trim()).unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &PathBuf| path.to_string_lossy().ends_with("_rt.tsan.a");
    let runtime = files.into_iter().find(is_it).expect("the runtime of ThreadSanitizer");
    let whole = ["-Wl,--whole-archive", &runtime.display().to_string(), "-Wl,--no-whole-archive"];
    whole.into_iter().chain(["-rdynamic", "-lrt", "-ldl", "-lresolv"]).map(str::to_owned).collect()
}

/// Runs a program that was compiled with [`checks`], which must find nothing.
pub fn run(program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "240"]);
    if Checks::chosen() == Checks::Valgrind {
        command.args(["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full"]);
        // What runs until the process ends is possibly lost.
        command.args(["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"]);
    }
    let known = root().join("tests/c/threads.supp");
    command.env("TSAN_OPTIONS", format!("halt_on_error=1:suppressions={}", known.display()));
    command.arg(program).env("EPHAPSE_LEDGER", program.with_file_name(LEDGER));
    command.args(args).env("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0");
    succeed(command.env("UBSAN_OPTIONS", "print_stacktrace=1"))
}
