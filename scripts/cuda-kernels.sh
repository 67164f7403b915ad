#!/usr/bin/env bash
# Compiles every CUDA kernel for every architecture with the compiler from PyPI; needs no GPU and no CUDA toolkit. Fails where a kernel does
# not compile or spills registers. Writes the report to docs/results/cuda-kernels.md; `--check` writes none, and fails if the committed one is
# of other sources.
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/openledger"
venv="$cache/venv-cuda-kernels"
wheel=nvidia-cuda-nvrtc==13.0.88
if [[ ! -f $venv/$wheel ]]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
    touch "$venv/$wheel"
fi
exec "$venv/bin/python" scripts/cuda-kernels.py --cache "$cache/cuda-kernels" "$@"
