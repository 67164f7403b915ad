"""Mislabelled records found, and what a provider of 5% of the records gains by gaming.

Digits as in lds.py. A provider holds 50 of the 1,000 training examples, all of them of its own; its share of an answer is the share
of its rows in that answer's list (at most 64 eligible rows, shares of their sum, as the chain has it), its share of all the mean
over answers that have a list. Every attack trains the model anew on what the attack makes of the training set.

Copies are found as the chain does it, by what records have in common: a record is its cells (position and value), and two with at
least 0.7 of all their cells in common (what MinHash estimates) are one family, of which the first trains. "Held": rows that look wrong
(see `held`) are in no list of this method until a person has looked at them.
"""

import argparse
import subprocess
import tempfile

import numpy as np
from safetensors.numpy import load_file, save_file

import perceptron

TOP = 64
Z = 4.0
OWN = 50
# Robust deviations of the logarithm beyond which a self-influence is an outlier.
DEVIATIONS = 3


def export(path, parts, offsets):
    tensors = {"offsets": np.asarray(offsets, np.int64)}
    for name, (x, delta) in parts.items():
        tensors[f"{name}.x"] = np.ascontiguousarray(x, np.float32)
        tensors[f"{name}.delta"] = np.ascontiguousarray(delta, np.float32)
    save_file(tensors, path)


def program(command, train, query, rows, queries):
    """Exact scores of rows for queries, and the norms of both, as floats."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{name}" for name in ("train", "query", "out")]
        export(names[0], train, rows)
        export(names[1], query, queries)
        command = [command, "attribute", "influence", "--train", names[0], "--query", names[1], "--out", names[2]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = load_file(names[2])
        return found["scores"], found["query_norms"], found["row_norms"]


def single(n):
    return np.arange(n + 1)


def gradients(parts, offsets):
    """Per row the sum over its tokens, all layers behind one another."""
    layers = [np.einsum("ni,no->nio", x.astype(np.float64), d.astype(np.float64)) for x, d in parts.values()]
    flat = np.concatenate([g.reshape(len(g), -1) for g in layers], 1)
    return np.add.reduceat(flat, offsets[:-1], axis=0)


def shares(scores, eligible):
    """Of each list: the best rows that are eligible, of their sum. Answers without one are left out."""
    kept = np.where(eligible & (scores > 0), scores, 0)
    if kept.shape[1] > TOP:
        least = np.partition(kept, -TOP, 1)[:, -TOP][:, None]
        kept = np.where(kept >= least, kept, 0)
    total = kept.sum(1)
    return kept[total > 0] / total[total > 0, None]


def knn_shapley(x, y, test_x, test_y, k=5):
    """Values of all rows, one line a test (Jia et al., 2019), nearest by Euclid."""
    values = np.zeros((len(test_x), len(x)))
    place = np.arange(1, len(x) + 1)
    for at, (point, label) in enumerate(zip(test_x, test_y)):
        order = np.argsort(((x - point) ** 2).sum(1), kind="stable")
        gain = (y[order] == label).astype(np.float64)
        steps = np.append(gain[:-1] - gain[1:], gain[-1]) * np.minimum(k, place) / (k * place)
        values[at, order] = steps[::-1].cumsum()[::-1]
    return values


def auc(suspicion, is_bad):
    """That a bad one is more suspicious than a good one."""
    ranks = suspicion.argsort(kind="stable").argsort() + 1.0
    bad = is_bad.sum()
    return (ranks[is_bad].sum() - bad * (bad + 1) / 2) / (bad * (len(is_bad) - bad))


def families(x, y):
    """Whether each record is the first of its family."""
    first = np.ones(len(x), bool)
    for at in range(1, len(x)):
        earlier = first[:at]
        same = (x[:at][earlier] == x[at]).sum(1) + (y[:at][earlier] == y[at])
        cells = x.shape[1] + 1
        first[at] = not (same / (2 * cells - same) >= 0.7).any()
    return first


def held(x, y, self_influence):
    """What waits for a person: outliers of self-influence, and negative value to the other folds' nearest."""
    rng = np.random.Generator(np.random.PCG64([len(x), 8]))
    values = np.zeros(len(x))
    for fold in np.array_split(rng.permutation(len(x)), 5):
        rest = np.setdiff1d(np.arange(len(x)), fold)
        values[rest] += knn_shapley(x[rest], y[rest], x[fold], y[fold]).sum(0)
    logs = np.log2(np.maximum(self_influence, 1))
    spread = np.median(np.abs(logs - np.median(logs))) * 1.4826
    return (values < 0) | (logs > np.median(logs) + DEVIATIONS * spread)


def owned(data, x, y, owner, command, rows=None, hold=False):
    """The provider's share by each method, of a model trained on these examples. `rows` groups them."""
    copy = object.__new__(perceptron.Data)
    copy.__dict__.update(data.__dict__, x=x, y=y)
    rows = single(len(x)) if rows is None else rows
    owner = owner[rows[:-1]]
    train_w = perceptron.full_models(copy, 3)
    result = {"this method": [], "GradDot": []}
    for w in train_w:
        train = perceptron.factors(w, x, y)
        test = perceptron.factors(w, data.test_x, data.test_y)
        scores, query_norms, row_norms = program(command, train, test, rows, single(len(data.test_y)))
        lanes = perceptron.HIDDEN * min(64, x.shape[1]) + data.classes * (perceptron.HIDDEN + 1)
        eligible = scores**2 * lanes >= Z**2 * query_norms[:, None] * row_norms[None]
        if hold:
            eligible &= ~held(x, y, row_norms)[None]
        result["this method"].append(shares(scores, eligible)[:, owner].sum(1).mean())
        dots = gradients(test, single(len(data.test_y))) @ gradients(train, rows).T
        result["GradDot"].append(shares(dots, True)[:, owner].sum(1).mean())
    values = knn_shapley(x, y, data.test_x, data.test_y)
    values = np.add.reduceat(values, rows[:-1], axis=1)
    # Every positive value is paid: there is no list.
    kept = np.maximum(values, 0)
    kept = kept[kept.sum(1) > 0]
    result["KNN-Shapley"] = [(kept[:, owner].sum(1) / kept.sum(1)).mean()]
    return {method: np.mean(found) for method, found in result.items()}


def attacks(data, command):
    """Name -> the provider's shares with and without families."""
    rng = np.random.Generator(np.random.PCG64([data.seed, 5]))
    x, y = data.x.copy(), data.y.copy()
    owner = np.zeros(len(x), bool)
    mine = rng.permutation(len(x))[:OWN]
    owner[mine] = True

    def more(make, times):
        parts = [(x, y, owner)] + [(make(x[mine].copy()), y[mine], np.ones(OWN, bool)) for _ in range(times)]
        return tuple(np.concatenate(all_of) for all_of in zip(*parts))

    def word(copies):
        at = rng.integers(0, x.shape[1] - 1, len(copies))
        copies[np.arange(len(copies)), at] = rng.integers(0, 17, len(copies)) / 16
        return copies

    wrong = y.copy()
    wrong[mine] = (y[mine] + rng.integers(1, data.classes, OWN)) % data.classes
    # Own examples last, two of them a row.
    order = np.concatenate([np.flatnonzero(~owner), mine])
    pairs = np.concatenate([np.arange(len(x) - OWN), np.arange(len(x) - OWN, len(x) + 1, 2)])
    cases = {
        "honest": (x, y, owner),
        "copied five times": more(lambda copies: copies, 5),
        "copied five times, a cell changed": more(word, 5),
        "mislabelled": (x, wrong, owner),
        "two examples a row": (x[order], y[order], owner[order], pairs),
    }
    table = {}
    for name, case in cases.items():
        table[name] = owned(data, *case[:3], command, *case[3:])
        if name.startswith("copied"):
            first = families(case[0], case[1])
            table[name + ", families"] = owned(data, case[0][first], case[1][first], case[2][first], command)
        if name in ("honest", "mislabelled"):
            table[name + ", held"] = owned(data, *case[:3], command, hold=True)
        if name == "honest":
            first = families(x, y)
            table["honest, families"] = owned(data, x[first], y[first], owner[first], command)
    return table


def mislabelled(data, command):
    """AUC of ways to tell 10% wrong labels from a model that was trained with them."""
    rng = np.random.Generator(np.random.PCG64([data.seed, 7]))
    n = len(data.x)
    bad = np.zeros(n, bool)
    bad[rng.permutation(n)[: n // 10]] = True
    y = data.y.copy()
    y[bad] = (y[bad] + rng.integers(1, data.classes, bad.sum())) % data.classes
    nets = perceptron.full_models(data, 5, y)
    found = {}
    self_sum, own_sum, dot_sum = np.zeros(n), np.zeros(n), np.zeros(n)
    for net, w in enumerate(nets):
        train = perceptron.factors(w, data.x, y)
        scores, _, norms = program(command, train, train, single(n), single(n))
        # What the others of its kind say of a row: help from rows that carry the same label.
        unit = scores / np.sqrt(np.maximum(norms, 1))[:, None] / np.sqrt(np.maximum(norms, 1))[None]
        np.fill_diagonal(unit, 0)
        same = y[:, None] == y[None]
        own = (unit * same).sum(0) / np.maximum(same.sum(0) - 1, 1)
        dots = (gradients(train, single(n)) ** 2).sum(1)
        self_sum, own_sum, dot_sum = self_sum + np.log(norms + 1), own_sum - own, dot_sum + np.log(dots + 1e-30)
        if net == 0:
            found["self-influence, one model"] = auc(self_sum, bad)
    found["self-influence, five models"] = auc(self_sum, bad)
    found["likeness to rows of the same label, five models"] = auc(own_sum, bad)
    found["gradient norm (GradDot), five models"] = auc(dot_sum, bad)
    values = np.zeros(n)
    for fold in np.array_split(rng.permutation(n), 5):
        rest = np.setdiff1d(np.arange(n), fold)
        values[rest] += knn_shapley(data.x[rest], y[rest], data.x[fold], y[fold]).sum(0)
    found["KNN-Shapley, pixels, five folds"] = auc(-values, bad)
    scaled = lambda v: (v - v.mean()) / v.std()
    found["self-influence and KNN-Shapley"] = auc(scaled(self_sum) + scaled(-values), bad)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--seeds", nargs="*", type=int, default=[101, 102, 103])
    parser.add_argument("--only", choices=["mislabelled", "attacks"])
    given = parser.parse_args()
    if given.only != "attacks":
        all_found = [mislabelled(perceptron.Data("digits", seed), given.program) for seed in given.seeds]
        print("\n| 10% of digits mislabelled: how they are told | AUC |\n| --- | --- |")
        for way in all_found[0]:
            values = np.array([found[way] for found in all_found])
            print(f"| {way} | {values.mean():.4f} ({', '.join(f'{v:.4f}' for v in values)}) |", flush=True)
    if given.only != "mislabelled":
        tables = [attacks(perceptron.Data("digits", seed), given.program) for seed in given.seeds]
        methods = list(next(iter(tables[0].values())))
        print("\n| a provider of 5% of the rows | " + " | ".join(methods) + " |")
        print("| --- |" + " --- |" * len(methods))
        mean = lambda case, method: np.mean([table[case][method] for table in tables])
        for case in tables[0]:
            base = next((f"honest, {way}" for way in ("families", "held") if case.endswith(way)), "honest")
            cells = []
            for method in methods:
                change = np.mean([t[case][method] / t[base][method] - 1 for t in tables])
                cells.append(f"{mean(case, method):.2%} ({change:+.1%})")
            print(f"| {case} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
