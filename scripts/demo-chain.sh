#!/usr/bin/env bash
# The development chain with three things done on it: see tests/clients/demo.mjs. Builds nothing but the client packages.
# Ports: RPC_PORT (9944), ETH_RPC_PORT (8545). Node binary: OPENLEDGER_NODE. CI=1 ends when it is done.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/client-packages.sh
exec node tests/clients/demo.mjs
