#!/usr/bin/env bash
# Installs the packages of tests/clients from its lock file; does nothing when they are there already.
set -euo pipefail
cd "$(dirname "$0")/../tests/clients"
stamp=node_modules/.cache/openledger/installed
if [ -e "$stamp" ] && cmp -s package-lock.json "$stamp"; then exit 0; fi
command -v node >/dev/null || { echo "node is not installed; run scripts/setup.sh" >&2; exit 1; }
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || { echo "node is version $(node -v); the client tests need 20 or newer" >&2; exit 1; }
echo "clients: installing the packages of tests/clients (a minute) …" >&2
# Without install scripts: the programs are in the packages, and nothing here needs building.
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
mkdir -p "$(dirname "$stamp")"
cp package-lock.json "$stamp"
