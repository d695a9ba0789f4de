//! Gives the dynamic library its name for the loader: programs that were linked with one version of
//! the ABI do not start with another.

/// The number in it is `EPH_ABI` of the header.
const SONAME: &str = "libephapse.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
}
