#!/usr/bin/env bash
# Compares with transformers and peft, both ways: golden files made anew from a seed (SEED, else by chance) and read by the Rust tests, and
# adapters trained here read by peft. With WRITE=1 the committed golden files are made anew, from seed 1.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/peers-env.sh)
here=tests/peers/transformers
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TQDM_DISABLE=1
if [ "${WRITE:-0}" = 1 ]; then
    "$python" "$here/golden.py" gpu-offchain/golden --seed 1
    exit
fi
seed=${SEED:-$RANDOM}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/golden.py" "$work/golden" --seed "$seed"
offchain() { cargo "$1" --release --locked --manifest-path gpu-offchain/Cargo.toml "${@:2}"; }
OPENLEDGER_GOLDEN="$work/golden" offchain test -p openledger-model -p openledger-trainer --test peers -- --nocapture
offchain run -p openledger-trainer --example for_peft -- "$work/golden" "$work/trained"
"$python" "$here/check.py" "$work/golden" "$work/trained"
