#!/usr/bin/env bash
# OpenAI's SDKs, x402, schemathesis and paying consumers against a worker and a development node: see tests/sdk/run.mjs. Builds nothing
# but the packages. Names as arguments run only those: scripts/sdk.sh javascript schemathesis. EXAMPLES, SEED (schemathesis), CONSUMERS,
# QUESTIONS, BATCH (load; receipts of a batch).
set -euo pipefail
cd "$(dirname "$0")/../tests/sdk"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/openledger/sdk"
export OPENLEDGER_SDK_VENV="$cache/venv"
if ! cmp -s package-lock.json node_modules/.cache/openledger-installed; then
    echo "sdk: installing the packages of tests/sdk …" >&2
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    mkdir -p node_modules/.cache
    cp package-lock.json node_modules/.cache/openledger-installed
fi
if ! cmp -s requirements.txt "$cache/installed"; then
    echo "sdk: installing OpenAI's Python SDK and schemathesis …" >&2
    rm -rf "$cache"
    mkdir -p "$cache"
    python3 -m venv "$cache/venv" >&2
    "$cache/venv/bin/pip" install --quiet --no-cache-dir --no-deps -r requirements.txt >&2
    cp requirements.txt "$cache/installed"
fi
exec node run.mjs "$@"
