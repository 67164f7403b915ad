#!/usr/bin/env bash
# The linear datamodeling score beside dattri's, in an environment of its own outside the checkout.
#   gpu-offchain/bench/lds/run.sh [lds.py|attacks.py] [options]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
: "${CARGO_TARGET_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/openledger/target}"
export CARGO_TARGET_DIR TQDM_DISABLE=1 PYTHONDONTWRITEBYTECODE=1
# The name carries the versions: another list makes another environment.
packages=(dattri==0.3.0 numpy==2.4.6 scikit-learn==1.9.1 safetensors==0.8.0 torch==2.15.0)
name=lds-$(printf '%s\n' "${packages[@]}" | sha256sum | cut -c1-12)
venv=${OPENLEDGER_VENVS:-${XDG_CACHE_HOME:-$HOME/.cache}/openledger/venvs}/$name
if [ ! -e "$venv/ready" ]; then
    echo "python packages, once: about 3 GB of torch" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
    touch "$venv/ready"
fi
cargo build --release --locked --manifest-path "$root/gpu-offchain/Cargo.toml" -p openledger-worker --bin openledger-worker
script=lds.py
case "${1:-}" in *.py) script=$1; shift ;; esac
cd "$here"
exec "$venv/bin/python" "$script" --program "$CARGO_TARGET_DIR/release/openledger-worker" "$@"
