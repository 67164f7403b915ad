#!/usr/bin/env bash
# The whole loop on this machine: see tests/demo/loop.mjs. Builds nothing. DATA=dir takes your own texts, CI=1 ends when it is
# done. Ports: RPC_PORT (9944), ETH_RPC_PORT (8545), WORKER_PORT (8700), LIAR_PORT (8701).
set -euo pipefail
cd "$(dirname "$0")/.."
exec node tests/demo/loop.mjs
