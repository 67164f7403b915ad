#!/usr/bin/env bash
# Measures the benchmarks of the chain's own pallets on the wasm and writes their weights.rs:
#   scripts/weights.sh [PALLET…]      all that have benchmarks unless named, as "attribution channels"
# STEPS and REPEAT say how thoroughly (50 and 20).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
bencher_version=0.28.0
tools=$CARGO_TARGET_DIR/tools
bencher=$tools/bin/frame-omni-bencher
wasm=$CARGO_TARGET_DIR/weights/openledger_runtime.wasm

mkdir -p "$(dirname "$wasm")"
"$root/scripts/wasm.sh" "$wasm" runtime-benchmarks
if [ "$("$bencher" --version 2>/dev/null | awk '{print $2}')" != "$bencher_version" ]; then
    echo "weights: building frame-omni-bencher $bencher_version (ten minutes or more) …" >&2
    # In a folder of its own: a shared one would lock out other builds meanwhile.
    CARGO_TARGET_DIR=$tools/target cargo install --quiet --root "$tools" --version "=$bencher_version" frame-omni-bencher
fi

pallets=("$@")
if [ ${#pallets[@]} -eq 0 ]; then
    for file in "$root"/pallets/*/src/benchmarking.rs; do pallets+=("$(basename "$(dirname "$(dirname "$file")")")"); done
fi
for pallet in "${pallets[@]}"; do
    [ -e "$root/pallets/$pallet/src/benchmarking.rs" ] || { echo "weights: pallets/$pallet has no benchmarks" >&2; exit 1; }
    echo "weights: measuring $pallet …" >&2
    "$bencher" v1 benchmark pallet --runtime "$wasm" --genesis-builder=runtime --genesis-builder-preset=dev \
        --pallet "pallet_openledger_${pallet//-/_}" --extrinsic '*' --steps "${STEPS:-50}" --repeat "${REPEAT:-20}" \
        --template "$root/scripts/weights/template.hbs" --output "$root/pallets/$pallet/src/weights.rs"
done
