#!/usr/bin/env bash
# Runs every CUDA kernel on the CPU, thread by thread, beside a naive computation; needs a C++ compiler and no GPU. With `--sanitize` also
# looks for accesses outside of buffers. The kernels' text is used as it is, but for the few instructions that have no C++ spelling.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
emulation=gpu-offchain/backend-cuda/emulation
python3 "$emulation/kernels.py" "$work"
flags=(-std=c++20 -O1 -ffp-contract=off -w)
[[ $(uname -m) == x86_64 ]] && flags+=(-mfma)
if [[ ${1:-} == --sanitize ]]; then
    flags+=(-g -fsanitize=address,undefined -fno-sanitize=alignment)
    export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0
fi
"${CXX:-g++}" "${flags[@]}" -I "$work" -o "$work/all" "$emulation/kernels.cpp"
"$work/all"
# Once more with the threads taking turns the other way round.
BACKWARDS=1 "$work/all" | tail -1
