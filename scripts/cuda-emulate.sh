#!/usr/bin/env bash
# Runs every CUDA kernel on the CPU, thread by thread, beside a naive computation; needs a C++ compiler and no GPU. With `--sanitize` also
# looks for accesses outside of buffers. The kernels' text is used as it is, but for the few instructions that have no C++ spelling.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 - "$work/all.cpp" <<'EOF'
import pathlib, re, sys
root = pathlib.Path("gpu-offchain/backend-cuda")
common = (root / "kernels/common.cuh").read_text().replace('extern "C" __global__ void', "static void")
text = f'#include "device.h"\n{common}'
for path in sorted((root / "kernels").glob("*.cu")):
    kernel = path.read_text()
    kernel = re.sub(r"extern __shared__ (\w+) memory\[\];", r"static \1 memory[8192];", kernel)
    kernel = re.sub(r'asm volatile\("mma.*?\);', "emulated_mma(c, a, b);", kernel, flags=re.S)
    kernel = re.sub(r'u32 at = \(u32\)__cvta_generic.*?"memory"\);', "memcpy(to, from, 16);", kernel, flags=re.S)
    kernel = re.sub(r'asm volatile\("cp.async.*?\);', "", kernel)
    text += f"namespace k_{path.stem} {{\n{kernel}\n#undef CHUNK\n#undef ROWS\n#undef SIDE\n}}\n"
pathlib.Path(sys.argv[1]).write_text(text + '#include "kernels.cpp"\n')
EOF
flags=(-std=c++20 -O1 -ffp-contract=off -w)
[[ $(uname -m) == x86_64 ]] && flags+=(-mfma)
if [[ ${1:-} == --sanitize ]]; then
    flags+=(-g -fsanitize=address,undefined -fno-sanitize=alignment)
    export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0
fi
"${CXX:-g++}" "${flags[@]}" -I gpu-offchain/backend-cuda/emulation -o "$work/all" "$work/all.cpp"
"$work/all"
# Once more with the threads taking turns the other way round.
BACKWARDS=1 "$work/all" | tail -1
