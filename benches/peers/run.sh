#!/usr/bin/env bash
# Sets up, builds and runs: `benches/peers/run.sh [ARGUMENTS]`, by default `run`. A rival that cannot
# be built is left out, and the table says why.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
export PATH="$here/target/setup/bin:$PATH"
build=(cargo build --release --manifest-path "$here/Cargo.toml")
log="$here/target/build.log"

# All at once; if that fails, those features that build alone.
reasons=()
if ! "${build[@]}"; then
    features=""
    for feature in aeron crossbeam iceoryx2 ipc-channel nats nng rtrb zenoh zeromq; do
        if "${build[@]}" --no-default-features --features "$feature" 2>"$log"; then
            features+="$feature,"
        else
            why=$(grep -m1 -E '^error' "$log" || tail -n1 "$log")
            echo "run: $feature cannot be built: $why" >&2
            reasons+=(--not-built "$feature=$why")
        fi
    done
    "${build[@]}" --no-default-features --features "$features"
fi

arguments=("$@")
[[ $# == 0 ]] && arguments=(run)
case ${arguments[0]} in
run | check) arguments+=(${reasons[@]+"${reasons[@]}"}) ;;
esac
exec "$here/target/release/peers" "${arguments[@]}"
