#!/usr/bin/env bash
# Chain specifications (chain-specs/README.md):
#   scripts/chain-specs.sh                       write the reviewed genesis of every preset
#   scripts/chain-specs.sh --check               fail if that would change anything
#   scripts/chain-specs.sh launch FILE OUT_DIR   make the specification of a public chain from a launch file
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
command -v node >/dev/null || { echo "chain-specs: node is not installed; run scripts/setup.sh" >&2; exit 1; }
exec node "$root/chain-specs/specs.mjs" "$@"
