#!/usr/bin/env python3
"""The table of a run from own.jsonl and peers.jsonl: each figure with the one it is compared with."""

import json
import pathlib
import sys

# Targets that run.sh has no measurement for.
UNMEASURED = [
    "Zipf over adapters of which 5% are resident",
]


def read(path):
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def main():
    folder = pathlib.Path(sys.argv[1])
    own, peers = read(folder / "own.jsonl"), read(folder / "peers.jsonl")
    machine = next(x for x in own if x["what"] == "machine")
    copy = next(x for x in own if x["what"] == "copy")["bytes_per_second"]
    versions = next((x for x in peers if x["what"] == "peers"), {})
    known = ", ".join(f"{k} {v or 'absent'}" for k, v in versions.items() if k != "what")
    print(f"{machine['device']} ({machine['arch']}), NVRTC {machine['nvrtc']}, backend `{machine['backend']}`. Peers: {known or 'not run'}.")
    print(f"Copy bandwidth, read and written: {copy / 1e12:.2f} TB/s. Medians of seven. 1B shape, random weights, bf16, r=16, all modules.\n")

    decode = {(x["mode"], x["batch"], x["adapters"]): x for x in own if x["what"] == "decode"}
    peer = {(x["what"], x["adapters"]): x["tokens_per_second"] for x in peers if "tokens_per_second" in x and "batch" in x and (x["batch"] == x["adapters"] or x["batch"] == 64)}
    print("| decode | tokens/s | of the roofline | of own base, batch 64 |\n| --- | --: | --: | --: |")
    for (mode, batch, adapters), x in decode.items():
        share = f"{x['of_base_64']:.2f}" if x["of_base_64"] else ""
        print(f"| {mode}, batch {batch}, {adapters or 'no'} adapters | {x['tokens_per_second']:,.0f} | {x['of_roofline']:.2f} | {share} |")
    for x in own:
        if x["what"] == "decode, 8 bits":
            print(f"| {x['mode']}, batch {x['batch']}, modules in 8 bits | {x['tokens_per_second']:,.0f} | {x['of_roofline']:.2f} | |")
    print("\n| peer, batch | tokens/s | own beside it |\n| --- | --: | --: |")
    for x in peers:
        if x["what"] in ("peers", "peft training"):
            continue
        if "missing" in x:
            print(f"| {x['what']} | not measured: {x['missing']} | |")
            continue
        mine = decode.get(("fast", x["batch"], x["adapters"]))
        ratio = f"{mine['tokens_per_second'] / x['tokens_per_second']:.2f}" if mine else ""
        print(f"| {x['what']}, {x['batch']} | {x['tokens_per_second']:,.0f} | {ratio} |")

    print("\n| decoding, one operation after another | tokens/s | beside graphs |\n| --- | --: | --: |")
    for x in own:
        if x["what"] == "decode, one operation after another":
            print(f"| {x['mode']}, batch {x['batch']} | {x['tokens_per_second']:,.0f} | {x['of_graphs']:.2f} |")

    ratio = lambda a, b: f"{a / b:.2f}" if a and b else "not measured"
    speed = lambda *key: decode.get(key, {}).get("tokens_per_second")
    rows = [
        ("base decode, batch 1, of the roofline", "0.70", f"{decode['fast', 1, 0]['of_roofline']:.2f}"),
        ("base decode, batch 64, of the roofline", "0.60", f"{decode['fast', 64, 0]['of_roofline']:.2f}"),
        ("one shared adapter, batch 64, of own base", "0.93", ratio(speed("fast", 64, 1), speed("fast", 64, 0))),
        ("64 distinct adapters, of own base", "0.60", ratio(speed("fast", 64, 64), speed("fast", 64, 0))),
        ("PEFT's mixed batch, 64 adapters, times", "20", ratio(speed("fast", 64, 64), peer.get(("peft mixed batch", 64)))),
        ("PEFT's mixed batch, 8 adapters, times", "8", ratio(speed("fast", 8, 8), peer.get(("peft mixed batch", 8)))),
        ("stacked bmm in a CUDA graph, 64 adapters, times", "1.3", ratio(speed("fast", 64, 64), peer.get(("torch graph, stacked bmm", 64)))),
        ("verifiable mode, batch 64, times slower at most", "1.6", ratio(speed("fast", 64, 0), speed("verifiable", 64, 0))),
        ("scoring rows of 64 KiB, of copy bandwidth", "0.80", f"{next(x for x in own if x['what'] == 'scoring')['of_copy']:.2f}"),
    ]
    training = {x["mode"]: x["tokens_per_second"] for x in own if x["what"] == "training"}
    of_peer = next((x["tokens_per_second"] for x in peers if x["what"] == "peft training" and "tokens_per_second" in x), None)
    of_few = next((x["of_few"] for x in own if x["what"] == "engine" and x["registered"] == 2000), None)
    rows += [
        ("2,000 registered adapters, of 64, the same 64 active", "0.93", f"{of_few:.2f}" if of_few else "not measured"),
        ("training, of torch and PEFT", "0.60", ratio(training.get("fast"), of_peer)),
    ]
    print("\n| promise | target | measured |\n| --- | --: | --: |")
    for what, target, measured in rows:
        print(f"| {what} | {target} | {measured} |")
    for what in UNMEASURED:
        print(f"| {what} | | not measured |")


if __name__ == "__main__":
    main()
