"""The kernels as C++ that device.h can run: their text as it is, but for the few instructions that have no C++ spelling.

kernels.py FOLDER writes there: kernels.inc, every file's kernels in a namespace of their own; names.inc, a list of the kernels; sources.inc,
the hashes of what the program gives NVRTC to compile.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = HERE.parent / "kernels"


def rewritten(kernel):
    kernel = re.sub(r"extern __shared__ (\w+) memory\[\];", r"\1* memory = (\1*)dynamic_shared;", kernel)
    kernel = re.sub(r'asm volatile\("mma.*?\);', "emulated_mma(c, a, b);", kernel, flags=re.S)
    kernel = re.sub(r'u32 at = \(u32\)__cvta_generic.*?"memory"\);', "memcpy(to, from, 16);", kernel, flags=re.S)
    return re.sub(r'asm volatile\("cp.async.*?\);', "", kernel)


def fnv(text):
    """The 64-bit FNV-1a hash; nvrtc.cpp computes the same."""
    hash = 0xCBF29CE484222325
    for byte in text.encode():
        hash = (hash ^ byte) * 0x100000001B3 % (1 << 64)
    return hash


def main():
    to = pathlib.Path(sys.argv[1])
    common = (KERNELS / "common.cuh").read_text()
    text = common.replace('extern "C" __global__ void', "static __global__ void")
    hashes = []
    for path in sorted(KERNELS.glob("*.cu")):
        kernel = path.read_text()
        hashes.append(fnv(common + kernel))
        macros = sorted(set(re.findall(r"^#define (\w+)", kernel, flags=re.M)))
        text += f"namespace k_{path.stem} {{\n{rewritten(kernel)}\n}}\n" + "".join(f"#undef {name}\n" for name in macros)
    (to / "kernels.inc").write_text(text)
    (to / "sources.inc").write_text("".join(f"0x{hash:016x},\n" for hash in hashes))
    # Macros make some of the kernels, so that only the preprocessor knows them all.
    marks = ["-D__global__=KERNEL_HERE", "-D__launch_bounds__(...)=BOUNDS(__VA_ARGS__)"]
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    command = [*compiler, "-E", "-P", "-x", "c++", *marks, str(to / "kernels.inc")]
    seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names, space = [], ""
    for found in re.finditer(r"namespace (k_\w+)|KERNEL_HERE void (?:BOUNDS\((\d+)[^)]*\) )?(\w+)\(", seen):
        space = found[1] or space
        if found[3]:
            names.append(f"    X({space}, {found[3]}, {found[2] or 1024})")
    (to / "names.inc").write_text("#define EACH_KERNEL(X) \\\n" + " \\\n".join(names) + "\n")


main()
