//! Compiles the C half of `bench latency --via c`, and finds out what compiles the rest.

use std::process::Command;

fn main() {
    println!("cargo:rustc-env=EPHAPSE_RUSTC={}", rustc().as_deref().unwrap_or("rustc unknown"));
    println!("cargo:rerun-if-changed=src/bench/c_side.c");
    println!("cargo:rerun-if-changed=../ffi/include/ephapse.h");
    let mut build = cc::Build::new();
    build.std("c99").warnings(true).extra_warnings(true).opt_level(2);
    build.include("../ffi/include").file("src/bench/c_side.c").compile("bench_c_side");
}

/// What `rustc --version` says.
fn rustc() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}
