#!/usr/bin/env bash
# Runs a program on a stand-in for the CUDA driver that does the project's kernels on the CPU; needs a C++ compiler and no GPU:
#   scripts/cuda-driver.sh PROGRAM ARGS...
# The libraries are built once for every state of their sources. gpu-offchain/backend-cuda/emulation/driver.cpp says what it can and cannot
# show, and which environment variables it knows.
set -euo pipefail
[[ $# -gt 0 ]] || { echo "usage: $0 PROGRAM ARGS..." >&2; exit 2; }
root="$(cd "$(dirname "$0")/.." && pwd)"
emulation="$root/gpu-offchain/backend-cuda/emulation"
compiler="${CXX:-g++}"
flags=(-std=c++20 -O2 -fno-strict-aliasing -ffp-contract=off -w -fPIC -shared -fvisibility=hidden)
[[ $(uname -m) == x86_64 ]] && flags+=(-mfma -mavx2)
key="$({ printf '%s\n' "$compiler" "${flags[@]}" && cat "$0" "$emulation"/*.{h,cpp,py} "$emulation"/../kernels/*; } | sha256sum | cut -c1-16)"
all="${CARGO_TARGET_DIR:-$root/target}/cuda-driver"
libraries="$all/$key"
if [[ ! -d $libraries ]]; then
    mkdir -p "$all"
    work="$(mktemp -d "$all/part.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    python3 "$emulation/kernels.py" "$work"
    "$compiler" "${flags[@]}" -I "$work" -o "$work/libcuda.so" "$emulation/driver.cpp"
    "$compiler" "${flags[@]}" -I "$work" -o "$work/libnvrtc.so" "$emulation/nvrtc.cpp"
    ln -s libcuda.so "$work/libcuda.so.1"
    # Another run may have been faster.
    mv -T "$work" "$libraries" 2>/dev/null || [[ -d $libraries ]]
fi
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
# The stand-in's images are no cubins: where a program keeps those of a GPU they would be found later.
export XDG_CACHE_HOME="$libraries/cache"
exec "$@"
