#!/usr/bin/env bash
# Suffix arrays and span queries beside PyPI's infini-gram 2.6.0, on the sources of Python's standard library, in one run.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"
venv="${OPENLEDGER_VENVS:-$HOME/.cache/openledger}/venv-infini-gram"

if ! "$venv/bin/python" -c 'import infini_gram, numpy' 2>/dev/null; then
    # Its wheel is for CPython 3.11 and newer.
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet 'infini-gram==2.6.0' 'numpy<3'
fi
cargo build --release --locked --manifest-path gpu-offchain/Cargo.toml -p openledger-verbatim --example speed
exec "$venv/bin/python" scripts/bench-verbatim.py "$CARGO_TARGET_DIR/release/examples/speed" "$@"
