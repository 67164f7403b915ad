#!/usr/bin/env bash
# Makes the virtual environment of the peers (torch, transformers, peft) outside the checkout; does nothing when it is there. Prints its python.
# PyPI's torch brings CUDA's libraries along, about 5 GB on disk; only its CPU part is used.
set -euo pipefail
packages=(torch==2.9.1 transformers==5.23.0 peft==0.21.2 safetensors numpy)
cache="${OPENLEDGER_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/openledger/peers}"
stamp="$cache/installed"
if ! { [ -e "$stamp" ] && [ "$(cat "$stamp")" = "${packages[*]}" ]; }; then
    command -v python3 >/dev/null || { echo "python3 is not installed; run scripts/setup.sh" >&2; exit 1; }
    echo "peers: installing ${packages[*]} into $cache (about 3 GB of downloads, ten minutes) …" >&2
    rm -rf "$cache"
    mkdir -p "$cache"
    python3 -m venv "$cache/venv" >&2
    "$cache/venv/bin/pip" install --quiet --no-cache-dir "${packages[@]}" >&2
    echo "${packages[*]}" >"$stamp"
    du -sh "$cache" | sed 's/^/peers: /' >&2
fi
echo "$cache/venv/bin/python"
