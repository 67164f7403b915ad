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

# The same code under the next version number.
upgrade_wasm=$CARGO_TARGET_DIR/net-upgrade/openledger_runtime.wasm
build_upgrade() {
    mkdir -p "$(dirname "$upgrade_wasm")"
    OPENLEDGER_NEXT=1 "$root/scripts/wasm.sh" "$upgrade_wasm"
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
