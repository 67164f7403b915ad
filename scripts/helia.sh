#!/usr/bin/env bash
# Files both ways between a worker's content exchange and helia. Installs helia's packages from their lock file once.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/tests/peers/helia"
if ! cmp -s package-lock.json node_modules/.installed; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    cp package-lock.json node_modules/.installed
fi
exec node helia.mjs "$CARGO_TARGET_DIR/release/openledger-worker"
