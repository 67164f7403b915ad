#!/usr/bin/env bash
# A network of node processes: scripts/net.sh [scenario] [flags]; scripts/net.sh --help lists both.
#   scripts/net.sh build-upgrade   builds the runtime that the scenario `upgrade` moves to; it does so itself if need be
#   scripts/net.sh self-test       tests the harness on stand-ins for the node
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
die() { printf 'net: %s\n' "$*" >&2; exit 1; }

command -v node >/dev/null || die "node is not installed; run scripts/setup.sh"
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || die "node is version $(node -v); 20 or newer is needed"

packages() {
    local stamp=$root/tests/net/node_modules/.cache/openledger-installed
    if cmp -s "$root/tests/net/package-lock.json" "$stamp"; then return; fi
    echo "net: installing the packages of tests/net …" >&2
    (cd "$root/tests/net" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
    mkdir -p "$(dirname "$stamp")"
    cp "$root/tests/net/package-lock.json" "$stamp"
}

upgrade_dir=$CARGO_TARGET_DIR/net-upgrade
upgrade_wasm=$upgrade_dir/openledger_runtime.compressed.wasm

# The same code under the next version number. substrate-wasm-builder left a project that builds the wasm alone; it is
# built again beside the first result, so that the node's own build stays as it is.
build_upgrade() {
    local project=$CARGO_TARGET_DIR/release/wbuild/openledger-runtime
    [ -d "$project/target" ] || die "there is no build of the runtime in $CARGO_TARGET_DIR to start from; run \`make build\`"
    command -v zstd >/dev/null || die "zstd is not installed; it compresses the runtime (apt-get install zstd)"
    local env_file="${OPENLEDGER_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/openledger/env}"
    # shellcheck disable=SC1090
    [ ! -e "$env_file" ] || source "$env_file"
    mkdir -p "$upgrade_dir"
    echo "net: building the runtime under the next version number (a few minutes the first time) …" >&2
    # What is compiled already is taken along.
    cp -au "$project/target" "$upgrade_dir/"
    local cargo=(cargo)
    [ -z "${WASM_BUILD_TOOLCHAIN:-}" ] || cargo=(rustup run "$WASM_BUILD_TOOLCHAIN" cargo)
    # The flags are the builder's; with others every crate would be compiled again.
    (
        cd "$root/runtime"
        unset CARGO_ENCODED_RUSTFLAGS
        OPENLEDGER_NEXT=1 SKIP_WASM_BUILD="" CARGO_TARGET_DIR="$upgrade_dir/target" \
            RUSTFLAGS="-C link-arg=--export-table -C link-arg=--export=__heap_base -C link-arg=--import-memory --cfg substrate_runtime " \
            "${cargo[@]}" rustc --quiet --target=wasm32v1-none --manifest-path="$project/Cargo.toml" --profile release
    ) >&2
    # The prefix by which the SDK knows compressed code, then zstd.
    { printf '\x52\xbc\x53\x76\x46\xdb\x8e\x05'; zstd -q -3 -c "$upgrade_dir/target/wasm32v1-none/release/openledger_runtime.wasm"; } >"$upgrade_wasm.new"
    mv "$upgrade_wasm.new" "$upgrade_wasm"
    echo "net: $upgrade_wasm, $(stat -c %s "$upgrade_wasm") bytes" >&2
}

case "${1:-}" in
    build-upgrade)
        build_upgrade
        exit
        ;;
    self-test)
        packages
        cd "$root/tests/net"
        exec node --test --test-reporter=spec test/*.test.mjs
        ;;
    upgrade)
        # Built anew each time, so that it is never older than the node; nothing happens when nothing changed.
        if [ -z "${UPGRADE_WASM:-}" ] && [[ " $* " != *" --wasm"* ]]; then
            build_upgrade
            export UPGRADE_WASM=$upgrade_wasm
        fi
        ;;
esac
packages
exec node "$root/tests/net/run.mjs" "$@"
