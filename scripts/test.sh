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
offchain() { cargo "$1" --manifest-path gpu-offchain/Cargo.toml "${@:2}"; }

stage "format" cargo fmt --all --check
stage "format, primitives" primitives fmt --all --check
stage "format, off-chain" offchain fmt --all --check
# One build serves the node, the tests and the clients; the wasm is in it.
stage "build" cargo build --release --workspace --locked
stage "build, off-chain" offchain build --release --workspace --locked
stage "unit and scenario tests" cargo nextest run --release --workspace --locked --no-fail-fast
stage "primitives" primitives test --release --locked --features openledger-attribution/scale
stage "off-chain" offchain test --release --workspace --locked
stage "lints, primitives" primitives clippy --release --all-targets --locked --quiet --features openledger-attribution/scale -- -D warnings
stage "lints, off-chain" offchain clippy --release --workspace --all-targets --locked --quiet -- -D warnings
stage "lints" cargo clippy --release --workspace --all-targets --locked --quiet -- -D warnings
stage "CUDA kernels compiled" scripts/cuda-kernels.sh --check
stage "CUDA kernels emulated" scripts/cuda-emulate.sh
stage "CUDA backend on a stand-in for the driver" scripts/cuda-driver.sh "$CARGO_TARGET_DIR/release/openledger-bench-gpu" --pairs 2000
stage "worker on that stand-in" scripts/cuda-driver.sh env OPENLEDGER_TEST_BACKEND=cuda cargo test --manifest-path gpu-offchain/Cargo.toml --release --workspace --locked --test worker -- whole
stage "network harness" scripts/net.sh self-test
stage "chain specifications" scripts/chain-specs.sh --check
stage "clients" scripts/clients.sh
stage "network smoke" scripts/net.sh smoke
stage "demo" env CI=1 scripts/demo.sh
stage "OpenAI SDKs, x402, schemathesis" scripts/sdk.sh javascript python x402 schemathesis
stage "demo of the chain" env CI=1 scripts/demo-chain.sh
# Last: it leaves a worker that can be told to die where the shipped one was.
stage "worker killed at every named point" offchain test --release --workspace --locked --features openledger-worker/kill-points --test worker -- kills

printf '\n'
printf '%s\n' "${times[@]}"
printf '%5d s  in all\n' $((SECONDS - started))
