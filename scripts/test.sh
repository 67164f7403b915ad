#!/usr/bin/env bash
# Everything CI checks, in order of cost. Stops at the first failure; prints how long each stage took.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
export OPENLEDGER_NODE="${OPENLEDGER_NODE:-$CARGO_TARGET_DIR/release/openledger-node}"
export CARGO_TERM_PROGRESS_WHEN=never

started=$SECONDS
times=()
stage() {
    local name=$1 from=$SECONDS
    shift
    printf '\n\033[1m== %s\033[0m\n' "$name"
    "$@"
    times+=("$(printf '%5d s  %s' $((SECONDS - from)) "$name")")
}

primitives() { cargo "$1" --manifest-path primitives/Cargo.toml "${@:2}"; }

stage "format" cargo fmt --all --check
stage "format, primitives" primitives fmt --all --check
# One build serves the node, the tests and the clients; the wasm is in it.
stage "build" cargo build --release --workspace --locked
stage "unit and scenario tests" cargo nextest run --release --workspace --locked --no-fail-fast
stage "primitives" primitives test --release --locked --features openledger-attribution/scale
stage "lints, primitives" primitives clippy --release --all-targets --locked --quiet --features openledger-attribution/scale -- -D warnings
stage "lints" env SKIP_WASM_BUILD=1 cargo clippy --release --workspace --all-targets --locked --quiet -- -D warnings
stage "network harness" scripts/net.sh self-test
stage "chain specifications" scripts/chain-specs.sh --check
stage "clients" scripts/clients.sh
stage "network smoke" scripts/net.sh smoke
stage "demo" env CI=1 scripts/demo.sh

printf '\n'
printf '%s\n' "${times[@]}"
printf '%5d s  in all\n' $((SECONDS - started))
