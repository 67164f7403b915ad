"""Which damping suits which data set: the formula in f64, without sketch, for fixed dampings and for rules that follow the rows.

The first table is of data seed 1 and two models: what a rule may be chosen on. The second is of seeds that no rule was chosen on, five
models, for the rule that `openledger-worker attribute influence --rho auto` follows.
"""

import pathlib

import numpy as np

import perceptron

HERE = pathlib.Path(__file__).parent
SETS = ["digits", "breast_cancer", "wine"]


def gradients(w, x, y):
    layers = perceptron.factors(w, x, y).values()
    return [np.einsum("ni,no->nio", a.astype(np.float64), d.astype(np.float64)) for a, d in layers]


def examples_that_count(rows):
    """How many rows hold the gradients: the square of the summed lengths over the sum of squares."""
    lengths = np.sqrt(sum((g**2).sum((1, 2)) for g in rows))
    return lengths.sum() ** 2 / (lengths**2).sum()


def auto(_, n):
    return min(4, max(0.1, 5000 / n**2))


def scores(rows, tests, rule):
    lengths = np.sqrt(sum((g**2).sum((1, 2)) for g in rows))
    # The square of a row weighs its length to the power of -3/2, see docs/results/lds.md.
    weights = np.where(lengths > 0, lengths, np.inf) ** -0.75
    total, n = 0, examples_that_count(rows)
    for g, q in zip(rows, tests):
        own = g * weights[:, None, None]
        left = np.linalg.eigh(np.tensordot(own, own, ([0, 2], [0, 2])))[1]
        right = np.linalg.eigh(np.tensordot(own, own, ([0, 1], [0, 1])))[1]
        spectrum = ((left.T @ own @ right) ** 2).mean(0)
        divisor = spectrum + rule(spectrum, n) * spectrum.mean()
        turned = (left.T @ g @ right).reshape(len(g), -1)
        total = total + (left.T @ q @ right / divisor).reshape(len(q), -1) @ turned.T
    return total


def measure(name, seed, count, rules):
    """Per rule (one model, all models), and the models' numbers of rows that count."""
    data = perceptron.Data(name, seed)
    truth = perceptron.Truth(data, cache=HERE / "truth")
    parts = [(gradients(w, data.x, data.y), gradients(w, data.test_x, data.test_y)) for w in perceptron.full_models(data, count)]
    found = []
    for rule in rules:
        own = [scores(*part, rule) for part in parts]
        found.append((np.mean([truth.lds(s) for s in own]), truth.lds(sum(own))))
    return np.array(found), [examples_that_count(rows) for rows, _ in parts]


def main():
    rules = {f"rho {rho:g}": (lambda _, n, rho=rho: rho) for rho in (0.1, 1, 4)}
    rules |= {f"rho {c} / n": (lambda _, n, c=c: c / n) for c in (20, 60)}
    rules["0.05 of lanes / participation"] = lambda s, n: 0.05 * s.size * (s**2).sum() / s.sum() ** 2
    rules["auto"] = auto
    print("| data seed 1, one model | " + " | ".join(rules) + " |\n| --- |" + " --- |" * len(rules))
    for name in SETS:
        found, n = measure(name, 1, 2, rules.values())
        print(f"| {name} (n {np.mean(n):.0f}) | " + " | ".join(f"{one:.3f}" for one, _ in found) + " |", flush=True)
    print("\n| unseen seeds, one model / five | rho 0.1 | rho auto |\n| --- | --- | --- |")
    for name in SETS:
        all_found, all_rho = [], []
        for seed in (101, 102, 103):
            found, n = measure(name, seed, 5, [rules["rho 0.1"], auto])
            all_found.append(found)
            all_rho += [auto(None, own) for own in n]
        mean, error = np.mean(all_found, 0), np.std(all_found, 0, ddof=1) / np.sqrt(3)
        cells = [f"{m[0]:.3f} ± {e[0]:.3f} / {m[1]:.3f} ± {e[1]:.3f}" for m, e in zip(mean, error)]
        print(f"| {name} (auto: {min(all_rho):.2f} to {max(all_rho):.2f}) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
