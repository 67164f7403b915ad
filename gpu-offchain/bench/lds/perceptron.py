"""Data sets, a perceptron with tanh, and the truth: what models learn from halves of their examples.

Many models train side by side as one batched product, so that 500 of them take seconds.
"""

import hashlib
import pathlib

import numpy as np
import sklearn.datasets

HIDDEN = 24
EPOCHS = 60
DECAY = 1e-3
RATE = 0.1
MOMENTUM = 0.9
SIZES = {"digits": (1000, 200, 50), "breast_cancer": (400, 150, 20), "wine": (118, 60, 10)}


class Data:
    """Train and test examples of a set, drawn by a seed. The last input is always 1: the bias."""

    def __init__(self, name, seed):
        bunch = getattr(sklearn.datasets, f"load_{name}")()
        train, test, self.batch = SIZES[name]
        order = np.random.Generator(np.random.PCG64([seed, 1])).permutation(len(bunch.data))
        x = bunch.data.astype(np.float64)[order]
        y = bunch.target.astype(np.int64)[order]
        if name == "digits":
            x = x / 16
        else:
            x = (x - x[:train].mean(0)) / x[:train].std(0)
        x = np.concatenate([x, np.ones((len(x), 1))], 1).astype(np.float32)
        self.name, self.seed, self.classes = name, seed, int(y.max()) + 1
        self.x, self.y = x[:train], y[:train]
        self.test_x, self.test_y = x[train : train + test], y[train : train + test]


def forward(w, x):
    """Hidden units with their 1, and probabilities. `w` of [models, ...], `x` of [models or 1, n, d]."""
    hidden = np.tanh(x @ w[0])
    hidden = np.concatenate([hidden, np.ones(hidden.shape[:-1] + (1,), np.float32)], -1)
    logits = hidden @ w[1]
    logits -= logits.max(-1, keepdims=True)
    p = np.exp(logits)
    return hidden, p / p.sum(-1, keepdims=True)


def deltas(w, hidden, p, y):
    """Gradients of the summed loss at the outputs of both layers."""
    at = y[..., None]
    second = p.copy()
    np.put_along_axis(second, at, 0, -1)
    # Minus the sum of the others, not p - 1: exact where p is near 1.
    np.put_along_axis(second, at, -second.sum(-1, keepdims=True), -1)
    first = second @ w[1][..., :-1, :].swapaxes(-1, -2)
    first *= 1 - hidden[..., :-1] ** 2
    return first, second


def train(data, subsets, seeds, epochs=EPOCHS):
    """Models for rows of `subsets` (examples of each, [models, m]) with one seed each."""
    models, size = subsets.shape
    rngs = [np.random.Generator(np.random.PCG64([data.seed, 2, int(s)])) for s in seeds]
    shapes = [(data.x.shape[1], HIDDEN), (HIDDEN + 1, data.classes)]
    w = [
        np.stack([r.uniform(-1, 1, s) * np.sqrt(3 / s[0]) for r in rngs]).astype(np.float32)
        for s in shapes
    ]
    speed = [np.zeros_like(v) for v in w]
    batches = -(-size // data.batch)
    step = 0
    for _ in range(epochs):
        order = np.stack([s[r.permutation(size)] for r, s in zip(rngs, subsets)])
        for start in range(0, size, data.batch):
            rate = np.float32(RATE / 2 * (1 + np.cos(np.pi * step / (epochs * batches))))
            step += 1
            at = order[:, start : start + data.batch]
            x, y = data.x[at], data.y[at]
            hidden, p = forward(w, x)
            first, second = deltas(w, hidden, p, y)
            share = np.float32(1 / at.shape[1])
            for v, s, g in zip(w, speed, (x.swapaxes(1, 2) @ first, hidden.swapaxes(1, 2) @ second)):
                s *= np.float32(MOMENTUM)
                s += g * share + np.float32(DECAY) * v
                v -= rate * s
    return w


def losses(data, w):
    """[models, tests]"""
    _, p = forward(w, data.test_x[None])
    return -np.log(np.maximum(p[:, np.arange(len(data.test_y)), data.test_y], 1e-30))


class Truth:
    """Halves of the training examples, and mean losses on the tests of models trained on each."""

    def __init__(self, data, subsets=100, inits=5, cache=None, fresh=False):
        self.data, self.inits = data, inits
        rng = np.random.Generator(np.random.PCG64([data.seed, 3]))
        n = len(data.x)
        self.halves = np.stack([np.sort(rng.permutation(n)[: n // 2]) for _ in range(subsets)])
        self.inside = np.zeros((subsets, n), np.float32)
        np.put_along_axis(self.inside, self.halves, 1, 1)
        path = cache and pathlib.Path(cache) / f"{data.name}-{data.seed}.npy"
        if path and path.exists() and not fresh:
            self.losses = np.load(path).astype(np.float64)
            self.checked = self.check(rng.permutation(subsets)[: max(1, subsets // 10)])
        else:
            self.losses = self.retrain(range(subsets))
            self.checked = None
            if path:
                path.parent.mkdir(exist_ok=True)
                np.save(path, self.losses.astype(np.float16))

    def retrain(self, which):
        rows = []
        for start in range(0, len(which), 20):
            chunk = list(which)[start : start + 20]
            subsets = np.repeat(self.halves[chunk], self.inits, 0)
            seeds = [1000 + s * self.inits + i for s in chunk for i in range(self.inits)]
            own = losses(self.data, train(self.data, subsets, seeds))
            rows.append(own.reshape(len(chunk), self.inits, -1).mean(1))
        return np.concatenate(rows).astype(np.float64)

    def check(self, which):
        """Trains some again: the rank correlation of all their losses with the stored ones."""
        return spearman(self.retrain(which).reshape(1, -1), self.losses[which].reshape(1, -1))[0]

    def lds(self, scores):
        """Spearman's correlation between foretold and found, averaged over tests. `scores` [tests, n]."""
        # Positive scores help: they lower the loss.
        return spearman(scores @ self.inside.T.astype(np.float64), -self.losses.T).mean()


def ranks(values):
    """Of each row; ties in the order they stand (losses of double precision have none that matter)."""
    return values.argsort(1, kind="stable").argsort(1).astype(np.float64)


def spearman(a, b):
    a, b = ranks(a), ranks(b)
    a -= a.mean(1, keepdims=True)
    b -= b.mean(1, keepdims=True)
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def full_models(data, count=5, y=None):
    """Models trained on all examples, one by one [weights of model 0, ...]."""
    other = data if y is None else with_labels(data, y)
    w = train(other, np.repeat(np.arange(len(data.x))[None], count, 0), [10 + i for i in range(count)])
    return [[layer[i] for layer in w] for i in range(count)]


def with_labels(data, y):
    copy = object.__new__(Data)
    copy.__dict__.update(data.__dict__, y=y)
    return copy


def factors(w, x, y):
    """Per layer inputs [n, d_in] and gradients at its output [n, d_out]."""
    hidden, p = forward(w, x)
    first, second = deltas(w, hidden, p, y)
    return {"first": (x, first), "second": (hidden, second)}


def fingerprint(data):
    return hashlib.sha256(data.x.tobytes() + data.y.tobytes()).hexdigest()[:12]
