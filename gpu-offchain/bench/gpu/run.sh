#!/usr/bin/env bash
# On a machine with an NVIDIA GPU and without Rust: checks the CUDA backend, measures it and its peers, and writes one table.
#
#   gpu-offchain/bench/gpu/run.sh PROGRAM OUT
#
# PROGRAM is openledger-bench-gpu, built elsewhere (`make bench-gpu`) and carried here; OUT a folder for the results. Exit codes: 0 all
# checks passed, 1 one failed, 3 no CUDA here. PEERS=0 leaves out torch and PEFT, PAIRS sets how many scores are compared with the CPU's, TOY=1
# measures next to nothing, to try this script.
set -uo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
program="${1:?the program openledger-bench-gpu}"
out="${2:?a folder for the results}"
mkdir -p "$out"
python=python3
# CUDA's libraries: what the system has, then the toolkit's folder, then the wheels that torch brings.
folders=(/usr/local/nvidia/lib64 /usr/local/cuda/lib64)
while read -r folder; do folders+=("$folder"); done < <("$python" - 2>/dev/null <<'EOF'
import pathlib, sysconfig
for root in {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]}:
    for folder in sorted(pathlib.Path(root).glob("nvidia/**/lib")):
        print(folder)
EOF
)
for folder in "${folders[@]}"; do
    [[ -d $folder ]] && export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done

"$program" --pairs "${PAIRS:-100000000}" --cache "$out/cubin" ${TOY:+--toy} --measure "$out/own.jsonl" | tee "$out/checks.txt"
code=${PIPESTATUS[0]}
rm -rf "$out/cubin"
if [[ $code != 0 ]]; then
    exit "$code"
fi
: >"$out/peers.jsonl"
if [[ ${PEERS:-1} != 0 ]]; then
    "$python" "$here/peers.py" "$out/peers.jsonl" || echo "the peers broke off: the table has what they gave until then"
fi
"$python" "$here/table.py" "$out" | tee "$out/table.md"
