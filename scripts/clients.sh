#!/usr/bin/env bash
# Runs the foreign clients of tests/clients against a node, one file after the other, each on a chain of its own.
# Node binary: OPENLEDGER_NODE. FULL=1 searches estimates finer and over more transactions. PEER=anvil runs the Ethereum
# part against anvil. Names of test files as arguments run only those: scripts/clients.sh viem staking
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/client-packages.sh
cd tests/clients
files=()
for name in "$@"; do files+=("$name.test.mjs"); done
if [ ${#files[@]} = 0 ]; then
    if [ "${PEER:-node}" = anvil ]; then
        files=(viem ethers cast transactions filters estimate foundry hardhat)
        files=("${files[@]/%/.test.mjs}")
    else
        files=(*.test.mjs)
    fi
fi
exec node --test --test-concurrency=1 --test-timeout=600000 --test-reporter=spec "${files[@]}"
