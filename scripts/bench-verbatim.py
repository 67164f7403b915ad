"""Our suffix arrays and span queries beside infini-gram's, on the same bytes in one run.

bench-verbatim.py SPEED [--sizes MB ...] [--seed N] [--queries N]

The peer's own indexing (`infini_gram.indexing`) and engine are used as installed. Its tokenizer step is given its result (the
files it would write for bytes: every document behind a byte 255), which it then skips. Only its sorting step is timed, as it
prints it. Queries are timed inside one process, through the engine's own binding, without the Python checks around it.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time

import numpy as np

WORD_STARTS = [9, 10, 11, 12, 13, 32] + list(range(0xE3, 0xEA))


def documents():
    """All sources of the standard library, sorted by path."""
    root = sysconfig.get_paths()["stdlib"]
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in ("site-packages", "__pycache__"))
        for name in sorted(files):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    text = file.read()
                if text and 255 not in text:
                    found.append(text)
    return found


def some_text(rng, corpus, length):
    at = rng.randrange(max(1, len(corpus) - length))
    return corpus[at : at + length].replace(b"\xff", b" ")


def span_query(rng, corpus):
    """An answer: pieces of the corpus, some with a word changed, behind a space (the peer starts spans at words only)."""
    text = b" "
    while len(text) < 100:
        piece = some_text(rng, corpus, rng.randrange(10, 80))
        if rng.random() < 0.5:
            words = piece.split(b" ")
            words[rng.randrange(len(words))] = bytes(rng.choices(b"etaoinshrdlu", k=rng.randrange(2, 9)))
            piece = b" ".join(words)
        text += piece
    return list(text[:120])


def count_query(rng, corpus):
    pattern = some_text(rng, corpus, rng.randrange(1, 65))
    if rng.random() < 0.3:
        pattern = pattern[:-1] + bytes([rng.randrange(32, 127)])
    return list(pattern)


def peer_index(folder, docs, cpus):
    os.makedirs(folder)
    offsets, at = [], 0
    with open(f"{folder}/tokenized.0", "wb") as file:
        for doc in docs:
            offsets.append(at)
            file.write(b"\xff" + doc)
            at += len(doc) + 1
    np.array(offsets, dtype=np.uint64).tofile(f"{folder}/offset.0")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    command = [sys.executable, "-m", "infini_gram.indexing", "--data_dir", folder, "--save_dir", folder, "--token_dtype", "u8"]
    command += ["--cpus", str(cpus), "--mem", "8", "--ulimit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    took = re.search(r"Step 2 \(build_sa\): Done\. Took ([\d.]+) seconds", done.stdout)
    if not took:
        sys.exit(f"infini-gram's indexing failed:\n{done.stdout}\n{done.stderr}")
    return float(took.group(1))


def peer_engines(folder, bow_path):
    from infini_gram.engine import InfiniGramEngine

    common = dict(
        index_dir=folder, eos_token_id=254, vocab_size=255, token_dtype="u8", bow_ids_path=bow_path, attribution_block_size=64
    )
    yield "as it comes", InfiniGramEngine(**common).engine
    # Its best on data that is in memory anyway: without system calls that ask for pages.
    yield "in memory, no prefetch", InfiniGramEngine(
        **common, load_to_ram=True, ds_prefetch_depth=0, sa_prefetch_depth=0, od_prefetch_depth=0
    ).engine


def microseconds(run, items):
    """Per item, and the results."""
    for item in items[:20]:
        run(item)
    start = time.perf_counter()
    results = [run(item) for item in items]
    return (time.perf_counter() - start) * 1e6 / len(items), results


def bench(speed, docs, rng, queries, work):
    size = sum(len(doc) + 1 for doc in docs)
    cpus = os.cpu_count()
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    peer_sort = peer_index(f"{work}/peer", docs, cpus)
    with open(f"{work}/peer/tokenized.0", "rb") as file:
        corpus = file.read()
    spans = [span_query(rng, corpus) for _ in range(queries)]
    counts = [count_query(rng, corpus) for _ in range(queries)]
    with open(f"{work}/queries.json", "w") as file:
        json.dump({"spans": spans, "counts": counts}, file)
    with open(f"{work}/bow", "w") as file:
        file.write("".join(f"{id}\n" for id in WORD_STARTS))

    runs = {}
    for shards in (1, cpus):
        folder = f"{work}/own-{shards}"
        command = [speed, f"{work}/peer/tokenized.0", f"{work}/queries.json", folder, str(shards)]
        runs[shards] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    own = runs[1]
    for shards, run in runs.items():
        assert run["counts"] == own["counts"] and run["found"] == own["found"], f"{shards} shards give other results"

    print(f"\n{size / 1e6:.1f} MB, {len(docs)} documents, {queries} count and {queries} span queries, {cpus} CPUs")
    print(f"  suffix array, s: infini-gram {peer_sort:.2f} with {cpus} CPUs")
    for shards, run in runs.items():
        sort, read, commit = run["sort"], run["read"], run["commit"]
        print(
            f"    ours, {shards} shard(s) on {shards} thread(s): {sort:.2f} with storing = {peer_sort / sort:.1f}x"
            f"   (reading {read:.2f}; trees of every suffix and token {commit:.2f}; all {read + sort + commit:.2f} ="
            f" {peer_sort / (read + sort + commit):.1f}x)"
        )

    best = {}
    for name, engine in peer_engines(f"{work}/peer", f"{work}/bow"):
        took, results = microseconds(lambda query: engine.count(input_ids=query).count, counts)
        same = sum(a == b for a, b in zip(results, own["counts"]))
        print(f"  infini-gram {name}: count {took:.1f} us/query, {same} of {queries} counts identical")
        best["count"] = min(took, best.get("count", took))

        def attribute(query, most=1 << 62):
            return engine.attribute(input_ids=query, delim_ids=[], min_len=1, max_cnt=most, enforce_bow=True)

        # It starts a thread for every word: a part of the queries is enough for the slower setting.
        asked = spans if "memory" in name else spans[: max(1, queries // 10)]
        took, results = microseconds(lambda query: [[s.l, s.r, s.count] for s in attribute(query).spans], asked)
        same = sum(a == b for a, b in zip(results, own["found"]))
        # It lists every place of every span; most of that is left out when only rare spans are asked for.
        rare, _ = microseconds(lambda query: attribute(query, 10), asked[: max(1, queries // 10)])
        print(
            f"  infini-gram {name}: spans {took:.1f} us/query ({rare:.1f} with those of more than 10 places left out),"
            f" {same} of {len(asked)} lists of spans and counts identical"
        )
        best["spans"] = min(took, best.get("spans", took))
        best["rare"] = min(rare, best.get("rare", rare))
    print(f"  ours: count {own['count']:.2f} us = {best['count'] / own['count']:.0f}x the better of the two")
    print(
        f"  ours: spans with counts {own['pieces']:.1f} us = {best['spans'] / own['pieces']:.0f}x"
        f" ({best['rare'] / own['pieces']:.0f}x its rare ones); kept spans with records {own['spans']:.1f} us"
    )
    mean = statistics.mean(len(found) for found in own["found"])
    print(f"  {mean:.1f} maximal spans a query")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("speed")
    parser.add_argument("--sizes", type=float, nargs="*", default=[1.95, 7.8, 31.2], help="MB of sources")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--queries", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed} (again with --seed {arguments.seed}); Python {sys.version.split()[0]}, infini-gram 2.6.0")
    everything = documents()
    for size in arguments.sizes:
        # A sample spread over the library, so that every size has the same kinds of files.
        rng = random.Random(arguments.seed)
        docs, total = [], 0
        for at in sorted(range(len(everything)), key=lambda _: rng.random()):
            if total + len(everything[at]) <= size * 1e6:
                docs.append(at)
                total += len(everything[at]) + 1
        with tempfile.TemporaryDirectory() as work:
            bench(arguments.speed, [everything[at] for at in sorted(docs)], rng, arguments.queries, f"{work}/bench")


main()
