#!/usr/bin/env bash
# Builds the runtime's wasm alone, with other settings than the node's:
#   scripts/wasm.sh OUT.wasm [FEATURE…]
# substrate-wasm-builder left a project that builds the wasm and nothing else; it is built again in a folder of OUT's name, so
# that the node's own build stays as it is and what is compiled already is taken along. OPENLEDGER_NEXT=1 gives the next
# version number.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
die() { printf 'wasm: %s\n' "$*" >&2; exit 1; }

[ $# -ge 1 ] || die "say where the wasm is to be written: scripts/wasm.sh OUT.wasm [FEATURE…]"
out=$1
shift
project=$CARGO_TARGET_DIR/release/wbuild/openledger-runtime
[ -d "$project/target" ] || die "there is no build of the runtime in $CARGO_TARGET_DIR to start from; run \`make build\`"
command -v zstd >/dev/null || die "zstd is not installed; it compresses the runtime (apt-get install zstd)"
env_file="${OPENLEDGER_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/openledger/env}"
# shellcheck disable=SC1090
[ ! -e "$env_file" ] || source "$env_file"
work=${out%.wasm}.build
mkdir -p "$work"
echo "wasm: building $(basename "$out")${*:+ with $*} (a few minutes the first time) …" >&2
cp -au "$project/target" "$work/"
cargo=(cargo)
[ -z "${WASM_BUILD_TOOLCHAIN:-}" ] || cargo=(rustup run "$WASM_BUILD_TOOLCHAIN" cargo)
features=()
for feature in "$@"; do features+=(--features "wasm-project/$feature"); done
# pallet-revive's benchmarks bring contracts that build the standard library; its benchmarks are not ours to run.
export SKIP_PALLET_REVIVE_FIXTURES=1
# The flags are the builder's; with others every crate would be compiled again.
(
    cd "$root/runtime"
    unset CARGO_ENCODED_RUSTFLAGS
    SKIP_WASM_BUILD="" CARGO_TARGET_DIR="$work/target" \
        RUSTFLAGS="-C link-arg=--export-table -C link-arg=--export=__heap_base -C link-arg=--import-memory --cfg substrate_runtime " \
        "${cargo[@]}" rustc --quiet --target=wasm32v1-none --manifest-path="$project/Cargo.toml" --profile release "${features[@]}"
) >&2
# The prefix by which the SDK knows compressed code, then zstd.
{ printf '\x52\xbc\x53\x76\x46\xdb\x8e\x05'; zstd -q -3 -c "$work/target/wasm32v1-none/release/openledger_runtime.wasm"; } >"$out.new"
mv "$out.new" "$out"
echo "wasm: $out, $(stat -c %s "$out") bytes" >&2
