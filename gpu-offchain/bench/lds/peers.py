"""Other ways to score, for the same models: dattri's, and two without it. Each gives [tests, n], positive = helps."""

import logging
import os
import tempfile

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import perceptron

logging.disable(logging.WARNING)
torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))


def module(w):
    """The perceptron of our weights; their last row is the bias."""
    model = nn.Sequential(
        nn.Linear(len(w[0]) - 1, perceptron.HIDDEN), nn.Tanh(), nn.Linear(perceptron.HIDDEN, w[1].shape[1])
    )
    with torch.no_grad():
        for layer, weights in ((model[0], w[0]), (model[2], w[1])):
            layer.weight.copy_(torch.tensor(weights[:-1].T.copy()))
            layer.bias.copy_(torch.tensor(weights[-1]))
    return model.eval()


def loaders(data, train_batch=None, tokens=False):
    """`tokens`: with a dimension of tokens, one each."""

    def pair(x, y):
        x, y = torch.tensor(x[:, :-1]), torch.tensor(y)
        return TensorDataset(x[:, None] if tokens else x, y)

    train, test = pair(data.x, data.y), pair(data.test_x, data.test_y)
    return (
        DataLoader(train, batch_size=train_batch or len(train), shuffle=False),
        DataLoader(test, batch_size=len(test), shuffle=False),
    )


def call(model, params, x):
    return torch.func.functional_call(model, params, x)


def batched(x, y):
    """dattri passes single examples through vmap and whole batches elsewhere."""
    return (x.unsqueeze(0), y.unsqueeze(0)) if x.dim() == 1 else (x, y)


def influence_function(data, w, damping):
    """Explicit Hessian of the mean loss plus damping (the training's weight decay is part of it)."""
    from dattri.algorithm.influence_function import IFAttributorExplicit
    from dattri.task import AttributionTask

    model = module(w)

    def loss(params, pair):
        x, y = batched(*pair)
        return nn.functional.cross_entropy(call(model, params, x), y)

    task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
    own = IFAttributorExplicit(task=task, regularization=damping)
    train, test = loaders(data)
    own.cache(train)
    return own.attribute(train, test).T.detach().numpy()


def ekfac(data, w, damping):
    """As dattri has it: the Fisher matrix of the labels that are there."""
    from dattri.algorithm.influence_function import IFAttributorEKFAC
    from dattri.task import AttributionTask

    model = module(w)

    def loss(params, pair):
        x, y = batched(*pair)
        return nn.functional.cross_entropy(call(model, params, x), y)

    task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
    own = IFAttributorEKFAC(task=task, damping=damping)
    train, test = loaders(data)
    own.cache(train)
    return own.attribute(train, test).T.detach().numpy()


def trak(data, w, damping, size):
    from dattri.algorithm.trak import TRAKAttributor
    from dattri.task import AttributionTask

    model = module(w)

    def log_odds(params, pair):
        x, y = batched(*pair)
        minus = nn.functional.cross_entropy(call(model, params, x), y)
        return -minus - torch.log1p(-torch.exp(-minus).clamp(max=1 - 1e-6))

    def probability(params, pair):
        x, y = batched(*pair)
        return torch.exp(-nn.functional.cross_entropy(call(model, params, x), y))

    task = AttributionTask(loss_func=log_odds, model=model, checkpoints=model.state_dict())
    own = TRAKAttributor(
        task=task,
        correct_probability_func=probability,
        projector_kwargs={"device": "cpu", "proj_dim": size, "proj_type": "rademacher", "proj_max_batch_size": 64},
        regularization=damping,
    )
    train, test = loaders(data)
    with torch.no_grad():
        own.cache(train)
        return own.attribute(test).T.numpy()


def logra(data, w, damping, size):
    """`size` × `size` a layer."""
    from dattri.algorithm.logra import LoGraAttributor
    from dattri.task import AttributionTask

    # It wants a dimension of tokens in, and a row of logits out.
    model = module(w).append(nn.Flatten())

    def loss(model, pair, device):
        x, y = pair
        return nn.functional.cross_entropy(model(x), y, reduction="sum")

    task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
    train, test = loaders(data, 200, tokens=True)
    # It keeps the number of its batches in a file, and would believe the last run's.
    with tempfile.TemporaryDirectory() as folder:
        own = LoGraAttributor(
            task=task, damping=damping, proj_dim=size * size, offload="none", cache_dir=folder
        )
        own.cache(train)
        return own.attribute(train, test).T.detach().numpy()


def gradients(data, w):
    """Of training examples and tests, [n, lanes], all layers behind one another."""
    both = []
    for x, y in ((data.x, data.y), (data.test_x, data.test_y)):
        layers = perceptron.factors(w, x, y).values()
        both.append([np.einsum("ni,no->nio", a.astype(np.float64), d.astype(np.float64)) for a, d in layers])
    return both


def graddot(data, w):
    train, test = gradients(data, w)
    return sum(b.reshape(len(b), -1) @ a.reshape(len(a), -1).T for a, b in zip(train, test))


def plain_ekfac(data, w, rho):
    """EK-FAC in full: per-token factors, the exact Fisher matrix of the model's own probabilities, no sketch, f64."""
    _, p = perceptron.forward(w, data.x)
    fits = [perceptron.factors(w, data.x, np.full(len(p), label)) for label in range(data.classes)]
    train, test = gradients(data, w)
    scores = 0
    for layer, a, b in zip(fits[0], train, test):
        x = fits[0][layer][0].astype(np.float64)
        weighted = [fit[layer][1] * np.sqrt(p[:, [label]], dtype=np.float64) for label, fit in enumerate(fits)]
        _, left = np.linalg.eigh(x.T @ x)
        _, right = np.linalg.eigh(sum(delta.T @ delta for delta in weighted))
        spectrum = sum(((x @ left) ** 2).T @ (delta @ right) ** 2 for delta in weighted) / len(x)
        divisor = spectrum + rho * spectrum.mean()
        turn = lambda g: left.T @ g @ right
        a, b = turn(a), turn(b) / divisor
        scores = scores + b.reshape(len(b), -1) @ a.reshape(len(a), -1).T
    return scores
