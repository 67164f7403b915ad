#!/usr/bin/env bash
# Builds the runtime's wasm alone, with other settings than the node's:
#   scripts/wasm.sh OUT.wasm [FEATURE…]
# The project written here is what substrate-wasm-builder would write; it is built in a folder of OUT's name, so that the
# node's own build stays as it is, and what that build compiled already is taken along. OPENLEDGER_NEXT=1 gives the next
# version number. The feature metadata-hash builds it twice: the second time with the digest of what the first describes.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
die() { printf 'wasm: %s\n' "$*" >&2; exit 1; }

[ $# -ge 1 ] || die "say where the wasm is to be written: scripts/wasm.sh OUT.wasm [FEATURE…]"
out=$1
shift
command -v zstd >/dev/null || die "zstd is not installed; it compresses the runtime (apt-get install zstd)"
env_file="${OPENLEDGER_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/openledger/env}"
# shellcheck disable=SC1090
[ ! -e "$env_file" ] || source "$env_file"
work=${out%.wasm}.build
mkdir -p "$work"
echo "wasm: building $(basename "$out")${*:+ with $*} (a few minutes the first time) …" >&2
built=$CARGO_TARGET_DIR/release/wbuild/openledger-runtime/target
[ ! -d "$built" ] || cp -au "$built" "$work/"
mkdir -p "$work/src"
cat >"$work/Cargo.toml.new" <<EOF
[package]
name = "openledger-runtime-blob"
version = "1.0.0"
edition = "2021"
[lib]
name = "openledger_runtime"
crate-type = ["cdylib"]
[dependencies.wasm-project]
package = "openledger-runtime"
path = "$root/runtime"
default-features = false
[profile.release]
panic = "abort"
lto = "thin"
[workspace]
resolver = "2"
[patch.crates-io.wasm-opt]
path = "$root/patches/wasm-opt"
EOF
cmp -s "$work/Cargo.toml.new" "$work/Cargo.toml" || cp "$work/Cargo.toml.new" "$work/Cargo.toml"
cp "$root/Cargo.lock" "$work/Cargo.lock"
printf '#![no_std]\npub use wasm_project::*;\n' >"$work/src/lib.rs.new"
cmp -s "$work/src/lib.rs.new" "$work/src/lib.rs" || cp "$work/src/lib.rs.new" "$work/src/lib.rs"
cargo=(cargo)
[ -z "${WASM_BUILD_TOOLCHAIN:-}" ] || cargo=(rustup run "$WASM_BUILD_TOOLCHAIN" cargo)
features=()
digest=""
for feature in "$@"; do
    if [ "$feature" = metadata-hash ]; then
        digest=$CARGO_TARGET_DIR/release/openledger-runtime-tools
        [ -x "$digest" ] || die "$digest is missing; it computes the digest of the metadata (\`make build\`)"
    else
        features+=(--features "wasm-project/$feature")
    fi
done
# pallet-revive's benchmarks bring contracts that build the standard library; its benchmarks are not ours to run.
export SKIP_PALLET_REVIVE_FIXTURES=1
# The flags are the builder's; with others every crate would be compiled again.
build() (
    cd "$root/runtime"
    unset CARGO_ENCODED_RUSTFLAGS
    SKIP_WASM_BUILD="" CARGO_TARGET_DIR="$work/target" \
        RUSTFLAGS="-C link-arg=--export-table -C link-arg=--export=__heap_base -C link-arg=--import-memory --cfg substrate_runtime " \
        "${cargo[@]}" rustc --quiet --target=wasm32v1-none --manifest-path="$work/Cargo.toml" --profile release "${features[@]}" >&2
)
unset RUNTIME_METADATA_HASH
build
blob=$work/target/wasm32v1-none/release/openledger_runtime.wasm
if [ -n "$digest" ]; then
    RUNTIME_METADATA_HASH=$("$digest" metadata-digest --wasm "$blob")
    export RUNTIME_METADATA_HASH
    echo "wasm: building again with the metadata's digest $RUNTIME_METADATA_HASH …" >&2
    build
fi
# The prefix by which the SDK knows compressed code, then zstd.
{ printf '\x52\xbc\x53\x76\x46\xdb\x8e\x05'; zstd -q -3 -c "$blob"; } >"$out.new"
mv "$out.new" "$out"
echo "wasm: $out, $(stat -c %s "$out") bytes" >&2
