#!/bin/sh
# Uses what was installed as programs do: check.sh PREFIX, from the project's root. What it makes is
# in PREFIX/check, and gone afterwards.
set -eu

prefix=$(cd "$1" && pwd)
lib=$prefix/lib
made=$prefix/check
rm -rf "$made"
mkdir "$made"
trap 'rm -rf "$made"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# The command.
"$prefix/bin/ephapse" --version > "$made/version" || fail "the command does not start"
[ -f "$prefix/share/man/man1/ephapse-sub.1" ] || fail "there is no manual"
bash -n "$prefix/share/bash-completion/completions/ephapse" || fail "bash cannot complete"

# The names that linkers and loaders look for.
[ "$(readlink "$lib/libephapse.so")" = libephapse.so.0 ] || fail "libephapse.so leads elsewhere"
real=$(readlink "$lib/libephapse.so.0")
[ -f "$lib/$real" ] || fail "libephapse.so.0 leads nowhere"
readelf -d "$lib/$real" > "$made/dynamic"
grep -q 'soname: \[libephapse.so.0\]' "$made/dynamic" || fail "it has another soname"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$made/dynamic" |
    grep -v -e '^libc\.so\.6$' -e '^libgcc_s\.so\.1$' -e '^ld-linux' || true)
[ -z "$needed" ] || fail "it needs more than the C library: $needed"
others=$(nm -D --defined-only "$lib/$real" | awk '$3 !~ /^eph_/' || true)
[ -z "$others" ] || fail "it exports what is not its own: $others"

# pkg-config, which quotes what has blanks in it, for a shell that looks again.
export PKG_CONFIG_PATH="$lib/pkgconfig" EPHAPSE_DIR="$made/domain"
pkg-config --exact-version "$(echo "$real" | sed 's/libephapse.so.//')" ephapse
flags=$(pkg-config --cflags --libs ephapse)
eval "cc ffi/examples/hello.c $flags -o '$made/dynamic-hello'"
LD_LIBRARY_PATH=$lib "$made/dynamic-hello"
flags="$(pkg-config --cflags ephapse) '$lib/libephapse.a'"
others=$(pkg-config --static --libs-only-l ephapse | sed 's/-lephapse//')
eval "cc ffi/examples/hello.c $flags $others -o '$made/static-hello'"
readelf -d "$made/static-hello" | grep -q libephapse && fail "it is not linked statically"
"$made/static-hello"

# CMake, with both libraries, in C and in C++.
cmake -S ffi/tests/installed -B "$made/cmake" -DCMAKE_PREFIX_PATH="$prefix" \
    -DEXAMPLES="$PWD/ffi/examples"
cmake --build "$made/cmake"
(cd "$made/cmake" && ctest --output-on-failure --no-tests=error)
