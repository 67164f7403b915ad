#!/usr/bin/env bash
# Serving and training beside transformers and peft on this machine, in one run. Arguments go to bench.py (--reps, --new, --only, --threads, --mode).
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/peers-env.sh)
work="${XDG_CACHE_HOME:-$HOME/.cache}/openledger/bench-engine"
mkdir -p "$work"
cargo build --release --locked --manifest-path gpu-offchain/Cargo.toml -p openledger-trainer --example bench_engine
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TQDM_DISABLE=1
"$python" tests/peers/transformers/bench.py "${CARGO_TARGET_DIR:-gpu-offchain/target}/release/examples/bench_engine" "$work" "$@"
