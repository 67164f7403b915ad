#!/usr/bin/env bash
# Measures the benchmarks of the chain's own pallets on the wasm and writes their weights.rs:
#   scripts/weights.sh [PALLET…]      all that have benchmarks unless named, as "attribution channels"
# STEPS and REPEAT say how thoroughly (50 and 20); WASM=FILE measures a runtime built with runtime-benchmarks before. A pallet
# with a benchmark that fails keeps its weights; the others are measured all the same, and the script ends with an error.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
tool=$CARGO_TARGET_DIR/release/openledger-runtime-tools
die() { printf 'weights: %s\n' "$*" >&2; exit 1; }

pallets=("$@")
if [ ${#pallets[@]} -eq 0 ]; then
    for file in "$root"/pallets/*/src/benchmarking.rs; do pallets+=("$(basename "$(dirname "$(dirname "$file")")")"); done
fi
for pallet in "${pallets[@]}"; do
    [ -e "$root/pallets/$pallet/src/benchmarking.rs" ] ||
        die "pallets/$pallet has no benchmarks; these have: $(cd "$root/pallets" && ls -d */src/benchmarking.rs | cut -d/ -f1 | tr '\n' ' ')"
done
[ -x "$tool" ] || die "$tool is missing; \`make build\` builds it"

wasm=${WASM:-$CARGO_TARGET_DIR/weights/openledger_runtime.wasm}
if [ -z "${WASM:-}" ]; then
    mkdir -p "$(dirname "$wasm")"
    "$root/scripts/wasm.sh" "$wasm" runtime-benchmarks
fi

failed=()
done=0
for pallet in "${pallets[@]}"; do
    done=$((done + 1))
    echo "weights: measuring $pallet ($done of ${#pallets[@]}) …" >&2
    "$tool" weights --wasm "$wasm" --pallet "pallet_openledger_${pallet//-/_}" --steps "${STEPS:-50}" --repeat "${REPEAT:-20}" \
        --output "$root/pallets/$pallet/src/weights.rs" || failed+=("$pallet")
done
[ ${#failed[@]} -eq 0 ] || die "these keep the weights they had, for the reasons above: ${failed[*]}"
echo "weights: done; build and test again, then commit the files" >&2
