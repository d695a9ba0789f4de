//! Compiles the C half of `bench latency --via c`.

fn main() {
    println!("cargo:rerun-if-changed=src/bench/c_side.c");
    println!("cargo:rerun-if-changed=../ffi/include/ephapse.h");
    let mut build = cc::Build::new();
    build.std("c99").warnings(true).extra_warnings(true).opt_level(2);
    build.include("../ffi/include").file("src/bench/c_side.c").compile("bench_c_side");
}
