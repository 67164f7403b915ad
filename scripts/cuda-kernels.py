#!/usr/bin/env python3
"""Compiles gpu-offchain/backend-cuda/kernels/*.cu for every architecture with NVRTC and reports what each kernel needs.

Registers, spills and static shared memory are what the assembler says of a kernel; bytes are its machine code in the cubin. Results are kept
under --cache by source, options and compiler, as the program itself keeps its cubins, so that only what changed is compiled."""

import argparse
import concurrent.futures
import ctypes
import hashlib
import json
import os
import pathlib
import re
import struct
import sys
import sysconfig

ARCHS = ["sm_80", "sm_89", "sm_90"]
# The options of gpu-offchain/backend-cuda/src/kernels.rs, and the assembler's report.
OPTIONS = ["--std=c++17", "--fmad=false"]
REPORT = "--ptxas-options=-v"
KERNELS = pathlib.Path("gpu-offchain/backend-cuda/kernels")
# The largest static shared memory that a kernel may have without asking.
MOST_SHARED = 48 * 1024


def library():
    """NVRTC of this virtual environment; its second library is found because it is loaded already."""
    folder = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    builtins = next(folder.rglob("libnvrtc-builtins.so.*"), None)
    main = next(folder.rglob("libnvrtc.so.*"), None)
    if not builtins or not main:
        sys.exit(f"no NVRTC under {folder}: remove the virtual environment and run scripts/cuda-kernels.sh again")
    ctypes.CDLL(str(builtins), ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(main))


def compile_one(task):
    """One file for one architecture: (error or '', log, cubin)."""
    path, arch = task
    nvrtc = library()
    source = (KERNELS / "common.cuh").read_text() + pathlib.Path(path).read_text()
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), os.path.basename(path).encode(), 0, None, None)
    options = [f"--gpu-architecture={arch}", *OPTIONS, REPORT]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*[o.encode() for o in options]))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    if code != 0:
        return {"error": log.value.decode()}
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return {"kernels": kernels(log.value.decode(), code_sizes(cubin.raw))}


def code_sizes(elf):
    """Bytes of machine code of every kernel: sections .text.NAME of a 64-bit ELF file."""
    at = struct.unpack_from("<Q", elf, 0x28)[0]
    each, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", elf, at + i * each) for i in range(count)]
    strings = sections[names][4]
    sizes = {}
    for name, _, _, _, _, size in sections:
        end = elf.index(b"\0", strings + name)
        text = elf[strings + name : end].decode()
        if text.startswith(".text."):
            sizes[text[6:]] = size
    return sizes


def kernels(log, sizes):
    """What the assembler's log says of each kernel."""
    found = {}
    for name, body in re.findall(r"Compiling entry function '(\w+)'(.*?)(?=Compiling entry function|\Z)", log, re.S):
        number = lambda pattern: int((re.search(pattern, body) or [0, 0])[1])
        found[name] = {
            "registers": number(r"Used (\d+) registers"),
            "spills": number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
            "shared": number(r"(\d+) bytes smem"),
            "bytes": sizes[name],
        }
    missing = set(sizes) - set(found)
    if missing:
        sys.exit(f"the assembler's log does not speak of {sorted(missing)}: the form of its report has changed")
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--cache", type=pathlib.Path, required=True)
    arguments.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    nvrtc = library()
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    version = f"{major.value}.{minor.value}"
    common = (KERNELS / "common.cuh").read_text()
    files = sorted(KERNELS.glob("*.cu"))
    key = lambda path, arch: hashlib.sha256(
        json.dumps([common, path.read_text(), arch, OPTIONS, version, pathlib.Path(__file__).read_text()]).encode()
    ).hexdigest()
    # The largest first: they take longest.
    tasks = [(path, arch) for path in sorted(files, key=lambda p: -p.stat().st_size) for arch in ARCHS]
    kept = {task: options.cache / f"{key(*task)}.json" for task in tasks}
    todo = [task for task in tasks if not kept[task].exists()]
    failed = False
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for task, result in zip(todo, pool.map(compile_one, [(str(path), arch) for path, arch in todo])):
            if "error" in result:
                failed = True
                print(f"{task[0]} for {task[1]} does not compile:\n{result['error']}", file=sys.stderr)
            else:
                kept[task].write_text(json.dumps(result["kernels"]))
    if failed:
        sys.exit(1)
    results = {task: json.loads(kept[task].read_text()) for task in tasks}
    sources = hashlib.sha256("".join(p.read_text() for p in [KERNELS / "common.cuh", *files]).encode()).hexdigest()
    lines = [
        "# The CUDA kernels, compiled",
        "",
        "Every kernel as NVRTC compiles it, without a GPU: what it needs, not how fast it is. `make cuda-kernels` prints this; it fails where a",
        "kernel does not compile or spills registers. Shared memory is the static part.",
        "",
        f"NVRTC {version}, options `{' '.join(OPTIONS)}`, sources `sha256:{sources}`.",
        "",
        "| file | kernel | " + " | ".join(f"{arch}: registers | spills | shared | bytes" for arch in ARCHS) + " |",
        "| --- | --- |" + " --: | --: | --: | --: |" * len(ARCHS),
    ]
    wrong = []
    for path in files:
        for name in sorted(results[path, ARCHS[0]]):
            cells = []
            for arch in ARCHS:
                kernel = results[path, arch][name]
                cells += [str(kernel[what]) for what in ("registers", "spills", "shared", "bytes")]
                if kernel["spills"]:
                    wrong.append(f"{name} spills {kernel['spills']} bytes on {arch}")
                if kernel["shared"] > MOST_SHARED:
                    wrong.append(f"{name} has {kernel['shared']} bytes of static shared memory on {arch}")
            lines.append(f"| {path.stem} | {name} | " + " | ".join(cells) + " |")
    total = sum(len(results[path, ARCHS[0]]) for path in files)
    lines += ["", f"{total} kernels × {len(ARCHS)} architectures compiled, {len(wrong)} complaints."]
    report = "\n".join(lines) + "\n"
    print(report)
    committed = pathlib.Path("docs/results/cuda-kernels.md")
    if options.check:
        if f"sha256:{sources}" not in committed.read_text():
            wrong.append(f"{committed} is of other sources: run make cuda-kernels and commit it")
    else:
        committed.write_text(report)
    for line in wrong:
        print(line, file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
