"""The linear datamodeling score of a LoRA-tuned byte transformer: the shipped base, tuned on halves of the shipped corpora.

Base: gpu-offchain/shipped/base (Llama shape, a million parameters), in torch, all adapters of all halves side by side. A row is the
first bytes of a record. LoRA of rank 4 on all seven modules of every layer, AdamW; two initial adapters a half. The scores come from the
program (factors files in), for several k and rho; and, beside it, from the same formula in f64 without projection for several
weights of rows. For z: the share of rows whose score passes it, and of those that pass it with a negative score, which no noise prefers.
"""

import argparse
import json
import math
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

import perceptron

HERE = pathlib.Path(__file__).parent
SHIPPED = HERE / "../../shipped"
RANK, ALPHA, LENGTH = 4, 8.0, 96
MODULES = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


class Model:
    """Many adapters over one base. Everything has a first dimension of adapters."""

    def __init__(self, adapters, seeds):
        folder = SHIPPED / "base"
        self.config = json.loads((folder / "config.json").read_text())
        self.base = {k: torch.tensor(v) for k, v in load_file(folder / "model.safetensors").items()}
        self.names = [f"model.layers.{i}.{m}" for i in range(self.config["num_hidden_layers"]) for m in MODULES]
        self.a, self.b = {}, {}
        for at, name in enumerate(self.names):
            out, into = self.base[name + ".weight"].shape
            own = [torch.Generator().manual_seed(1000 * s + at) for s in seeds]
            draw = torch.stack([torch.rand(RANK, into, generator=g) for g in own])
            self.a[name] = ((2 * draw - 1) / math.sqrt(into)).requires_grad_()
            self.b[name] = torch.zeros(adapters, out, RANK, requires_grad=True)
        self.kept = None

    def linear(self, name, x):
        y = x @ self.base[name + ".weight"].T
        y = y + ALPHA / RANK * ((x @ self.a[name].transpose(1, 2)) @ self.b[name].transpose(1, 2))
        if self.kept is not None:
            y.retain_grad()
            self.kept[name] = (x, y)
        return y

    def norm(self, name, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.config["rms_norm_eps"]) * self.base[name + ".weight"]

    def losses(self, tokens):
        """Mean loss a token of every row, tokens [adapters, rows, length] -> [adapters, rows]."""
        c = self.config
        many, rows, length = tokens.shape
        heads, groups, size = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        angle = torch.arange(length)[:, None] * c["rope_theta"] ** (-torch.arange(0, size, 2) / size)
        angle = torch.cat([angle, angle], -1)
        cos, sin = angle.cos(), angle.sin()
        turn = lambda v: v * cos + torch.cat([-v[..., size // 2 :], v[..., : size // 2]], -1) * sin
        x = self.base["model.embed_tokens.weight"][tokens].reshape(many, rows * length, -1)
        split = lambda v, n: v.reshape(many * rows, length, n, size).transpose(1, 2)
        for i in range(c["num_hidden_layers"]):
            at = f"model.layers.{i}."
            h = self.norm(at + "input_layernorm", x)
            q, k, v = (self.linear(at + f"self_attn.{p}_proj", h) for p in "qkv")
            q, k, v = turn(split(q, heads)), turn(split(k, groups)), split(v, groups)
            k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
            o = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.linear(at + "self_attn.o_proj", o.transpose(1, 2).reshape(many, rows * length, -1))
            h = self.norm(at + "post_attention_layernorm", x)
            h = torch.nn.functional.silu(self.linear(at + "mlp.gate_proj", h)) * self.linear(at + "mlp.up_proj", h)
            x = x + self.linear(at + "mlp.down_proj", h)
        logits = self.norm("model.norm", x) @ self.base["model.embed_tokens.weight"].T
        logits = logits.reshape(many, rows, length, -1)[:, :, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 2), tokens[:, :, 1:].flatten(), reduction="none")
        return loss.reshape(many, rows, length - 1).mean(-1)

    def train(self, tokens, subsets, seeds, epochs, batch=8, rate=4e-3):
        weights = list(self.a.values()) + list(self.b.values())
        optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        rngs = [np.random.Generator(np.random.PCG64([s, 11])) for s in seeds]
        steps, step = epochs * (subsets.shape[1] // batch), 0
        for _ in range(epochs):
            order = np.stack([s[r.permutation(len(s))] for s, r in zip(subsets, rngs)])
            for start in range(0, subsets.shape[1] - batch + 1, batch):
                optimiser.param_groups[0]["lr"] = rate / 2 * (1 + math.cos(math.pi * step / steps))
                step += 1
                optimiser.zero_grad()
                # A sum over adapters: each gets the gradient of its own mean.
                self.losses(tokens[order[:, start : start + batch]]).mean(1).sum().backward()
                optimiser.step()

    def factors(self, tokens):
        """Of one adapter: module -> (x, delta) of all tokens of all rows, of the summed loss."""
        self.kept = {}
        self.losses(tokens[None]).sum().mul(tokens.shape[1] - 1).backward()
        found = {name: (x[0].detach().numpy(), y.grad[0].numpy()) for name, (x, y) in self.kept.items()}
        self.kept = None
        return found


def records(name):
    return [json.loads(line) for line in (SHIPPED / "corpora" / f"{name}.jsonl").read_text().splitlines()]


def row(prompt, response):
    """The first bytes, None if there are fewer."""
    raw = f"{prompt} {response}".encode()[:LENGTH]
    return list(raw) if len(raw) == LENGTH else None


def export(path, model, parts, rows):
    tensors = {"offsets": np.arange(rows + 1, dtype=np.int64) * LENGTH}
    for name, (x, delta) in parts.items():
        tensors[f"{name}.x"], tensors[f"{name}.delta"] = np.ascontiguousarray(x), np.ascontiguousarray(delta)
        tensors[f"{name}.A"] = model.a[name][0].detach().numpy().copy()
        tensors[f"{name}.B"] = model.b[name][0].detach().numpy().copy()
        tensors[f"{name}.scale"] = np.array(ALPHA / RANK, np.float32)
    save_file(tensors, path)


def program(command, folder, k, rho):
    out = f"{folder}/out.safetensors"
    command = [command, "attribute", "influence", "--train", f"{folder}/train", "--query", f"{folder}/query", "--out", out]
    subprocess.run(command + ["--k", str(k), "--rho", str(rho)], check=True, stdout=subprocess.DEVNULL)
    return load_file(out)


def blocks(model, parts, rows):
    """Gradients by A and B of every module, [rows, ...] in f64."""
    found = []
    for name, (x, delta) in parts.items():
        a, b = (w[name][0].detach().numpy().astype(np.float64) for w in (model.a, model.b))
        x, delta = (v.reshape(rows, LENGTH, -1).astype(np.float64) for v in (x, delta))
        scale = ALPHA / RANK
        found.append(np.einsum("ntr,nti->nri", scale * delta @ b, x, optimize=True))
        found.append(np.einsum("nto,ntr->nor", scale * delta, x @ a.T, optimize=True))
    return found


def formula(train, test, power, rho):
    """As the program, without projection and rounding, rows weighted by the length of their gradient to -power."""
    length = np.sqrt(sum((s**2).sum((1, 2)) for s in train))
    weight = length**-power
    scores = 0
    for s, q in zip(train, test):
        w = s * np.sqrt(weight)[:, None, None]
        _, left = np.linalg.eigh(np.einsum("nij,nkj->ik", w, w, optimize=True))
        _, right = np.linalg.eigh(np.einsum("nji,njk->ik", w, w, optimize=True))
        turn = lambda m: left.T @ m @ right
        spectrum = (turn(w) ** 2).mean(0)
        divisor = spectrum + rho * spectrum.mean()
        scores = scores + (turn(q) / divisor).reshape(len(q), -1) @ turn(s).reshape(len(s), -1).T
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--halves", type=int, default=50)
    parser.add_argument("--inits", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rows", type=int, default=60, help="of each of the three corpora")
    given = parser.parse_args()
    names = ["ada-thorn", "ben-holloway", "clara-vogel"]
    corpora = {name: records(name)[: given.rows] for name in names}
    # A test is a question that nobody has in these words, with the answer that a contributor gave.
    pairs = [(q, corpora[q["contributor"]], q["answers"][0]) for q in records("heldout") if q["contributor"] in corpora]
    tests = [row(q["prompt"], corpus[at]["response"]) for q, corpus, at in pairs if at < len(corpus)]
    rows = [row(r["prompt"], r["response"]) for corpus in corpora.values() for r in corpus]
    tokens, tests = (torch.tensor([row for row in all_of if row]) for all_of in (rows, tests))
    n = len(tokens)
    print(f"{n} rows of {LENGTH} bytes, {len(tests)} tests; {given.halves} halves, {given.inits} adapters each, {given.epochs} epochs", flush=True)
    rng = np.random.Generator(np.random.PCG64(3))
    halves = np.stack([np.sort(rng.permutation(n)[: n // 2]) for _ in range(given.halves)])
    truth = object.__new__(perceptron.Truth)
    truth.inside = np.zeros((len(halves), n), np.float32)
    np.put_along_axis(truth.inside, halves, 1, 1)
    losses = []
    start = time.monotonic()
    # 25 at a time fit the cache of a small machine better than all.
    for first in range(0, len(halves), 25):
        chunk = halves[first : first + 25]
        own = []
        for init in range(given.inits):
            seeds = [5000 + (first + i) * given.inits + init for i in range(len(chunk))]
            model = Model(len(chunk), seeds)
            model.train(tokens, chunk, seeds, given.epochs)
            with torch.no_grad():
                own.append(model.losses(tests[None].expand(len(chunk), -1, -1)).numpy().astype(np.float64))
            print(f"{first + len(chunk)} halves, adapter {init + 1}: loss {own[-1].mean():.3f}, {time.monotonic() - start:.0f} s", flush=True)
        losses.append(np.mean(own, 0))
    truth.losses = np.concatenate(losses)

    grids = {f"program, k {k}, rho {rho:g}": (k, rho) for k, rho in [(16, 0.1), (32, 0.1), (64, 0.01), (64, 0.03), (64, 0.1), (64, 0.3), (64, 1), (64, 3), (100, 0.1)]}
    powers = [(p, rho) for p in (0, 1, 1.5, 2) for rho in (0.03, 0.1, 0.3, 1)]
    found, dots = {}, 0
    for seed in (1, 2, 3):
        model = Model(1, [seed])
        before = model.losses(tests[None]).mean().item()
        model.train(tokens, np.arange(n)[None], [seed], given.epochs)
        print(f"model {seed}: test loss {before:.3f} before, {model.losses(tests[None]).mean().item():.3f} after", flush=True)
        train, test = model.factors(tokens), model.factors(tests)
        with tempfile.TemporaryDirectory() as folder:
            export(f"{folder}/train", model, train, n)
            export(f"{folder}/query", model, test, len(tests))
            for label, (k, rho) in grids.items():
                out = program(given.program, folder, k, rho)
                found.setdefault(label, []).append(out["scores"])
                if (k, rho) == (64, 0.1):
                    lanes = sum(RANK * (min(x.shape[1], k) + min(d.shape[1], k)) for x, d in train.values())
                    ratio = out["scores"] / np.sqrt(out["query_norms"][:, None] * out["row_norms"][None]) * math.sqrt(lanes)
                    eligible = {z: (ratio >= z).mean() for z in (2, 3, 4, 6, 8)}
                    noise = {z: (ratio <= -z).mean() for z in (2, 3, 4, 6, 8)}
                    print("z: eligible " + ", ".join(f"{z}: {eligible[z]:.1%} (as negative: {noise[z]:.1%})" for z in eligible), flush=True)
        a, b = blocks(model, train, n), blocks(model, test, len(tests))
        for power, rho in powers:
            found.setdefault(f"formula, power -{power:g}, rho {rho:g}", []).append(formula(a, b, power, rho))
        found.setdefault("GradDot", []).append(sum(q.reshape(len(q), -1) @ s.reshape(n, -1).T for s, q in zip(a, b)))
    print("\n| | one model | three |\n| --- | --- | --- |")
    for label, scores in found.items():
        print(f"| {label} | {np.mean([truth.lds(s) for s in scores]):.3f} | {truth.lds(sum(scores)):.3f} |")


if __name__ == "__main__":
    main()
