#!/usr/bin/env bash
# Files from one worker process to another over loopback, at 1, 4 and 16 times 128 MiB: how fast each is taken in and
# fetched, and the most memory each process ever had. $1 is a folder, $2 another size in MiB.
set -euo pipefail
worker=$CARGO_TARGET_DIR/release/openledger-worker
mkdir -p "$1"
work=$(mktemp -d "$1/exchange.XXXXXX")
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
mebibytes=${2:-128}

# Runs a command; sets `seconds` and `peak` (MiB).
measure() {
    local start end kib=0 now
    start=$(date +%s.%N)
    "$@" >"$work/out" 2>"$work/err" &
    local pid=$!
    while kill -0 $pid 2>/dev/null; do
        # The kernel keeps the highest; the last reading before the end is it, or a page or two under it.
        now=$(awk '/^VmHWM/ { print $2 }' /proc/$pid/status 2>/dev/null || true)
        kib=${now:-$kib}
        sleep 0.05
    done
    wait $pid || { cat "$work/err" >&2; exit 1; }
    end=$(date +%s.%N)
    seconds=$(awk "BEGIN { print $end - $start }")
    peak=$(awk "BEGIN { printf \"%.0f\", $kib / 1024 }")
}

rate() { awk "BEGIN { printf \"%.0f\", $1 * 1.048576 / $2 }"; }

echo "size | add, MB/s | peak MiB | fetch and write out, MB/s | peak MiB of who fetches | of who gives"
for times in 1 4 16; do
    size=$((times * mebibytes))
    head -c $((size << 20)) /dev/urandom >"$work/file"
    measure "$worker" content add --data "$work/a" --json "$work/file"
    add=$(rate $size "$seconds") add_peak=$peak
    cid=$(sed -E 's/.*"cid":"([a-z0-9]+)".*/\1/' "$work/out")
    "$worker" content serve --data "$work/a" --listen 127.0.0.1:0 --upload 0 >"$work/serving" 2>"$work/serving.err" &
    server=$!
    until grep -q /tcp/ "$work/serving"; do sleep 0.05; done
    measure "$worker" content get --data "$work/b" --json "$cid" --out "$work/copy" --peer "$(grep /tcp/ "$work/serving")"
    gives=$(awk '/^VmHWM/ { printf "%.0f", $2 / 1024 }' /proc/$server/status)
    kill "$server"; wait "$server" || true; server=
    cmp "$work/file" "$work/copy"
    echo "$size MiB | $add | $add_peak | $(rate $size "$seconds") | $peak | $gives"
    rm -rf "${work:?}/a" "$work/b" "$work/copy" "$work/file"
done
