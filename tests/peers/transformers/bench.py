"""Serving and training beside transformers and peft, in one run: python bench.py PROGRAM WORK [--reps N] [--new N] [--mode M] [--only A,B]

The two sides take turns; every number is a median, every result a ratio. f32, the same threads, prompt 128, r=16 on all seven modules. The
machine's load is printed with every ratio: what else ran took from both sides alike, but not from the comparison with the machine itself.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--reps", type=int, default=5)
parser.add_argument("--new", type=int, default=128)
parser.add_argument("--prompt", type=int, default=128)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--mode", default="fast", choices=["fast", "verifiable"])
parser.add_argument("--only", default="base,mixed,train,passes,many,registered")
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(1)
only = args.only.split(",")

base_dir, adapter_dir = args.work / "base", args.work / "adapters"
if not (args.work / "made").exists():
    config = LlamaConfig(vocab_size=32000, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
                         num_key_value_heads=12, max_position_embeddings=512, tie_word_embeddings=False, eos_token_id=None, bos_token_id=1, pad_token_id=0)
    config.dtype = torch.float32
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.generation_config.eos_token_id = None
    model.save_pretrained(base_dir)
    for i in range(8):
        tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32),
                               LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"))
        with torch.no_grad():
            for key, p in tuned.named_parameters():
                if "lora_B" in key:
                    p.normal_(std=0.02)
        tuned.save_pretrained(adapter_dir / f"{i}")
    (args.work / "made").touch()

ours = subprocess.Popen([args.program, str(base_dir), str(adapter_dir), str(args.threads), args.mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer():
    return json.loads(ours.stdout.readline())


def ask(**what):
    ours.stdin.write(json.dumps(what) + "\n")
    ours.stdin.flush()
    return answer()


ready = answer()
print(f"{ready['ready'] / 1e6:.0f} M parameters, {args.threads} threads, load {os.getloadavg()[0]:.1f}, {ready['arch']}, torch {torch.__version__}, "
      f"prompt {args.prompt}, {args.new} new tokens, median of {args.reps}")


def words(n, salt):
    return [(t * 7919 + salt * 104729) % 31000 + 100 for t in range(n)]


def peer_generate(model, rows, names=None):
    ids = torch.tensor([words(args.prompt, i) for i in range(rows)])
    more = {"adapter_names": names} if names else {}
    began = time.perf_counter()
    with torch.no_grad():
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=args.new, min_new_tokens=args.new, do_sample=False, **more)
    assert out.shape[1] == args.prompt + args.new
    return rows * args.new / (time.perf_counter() - began)


def own_generate(rows, adapters):
    got = ask(do="generate", rows=rows, adapters=adapters, prompt=args.prompt, new=args.new)
    assert got["tokens"] == rows * args.new
    return got["tokens"] / got["seconds"]


def pair(name, unit, target, one, two):
    """Turns about, and who is first changes."""
    a, b = [], []
    for i in range(args.reps):
        for side in ((0, 1) if i % 2 == 0 else (1, 0)):
            (a if side == 0 else b).append((one if side == 0 else two)())
    ratios = sorted(x / y for x, y in zip(a, b))
    print(f"{name}: {statistics.median(a):.1f} against {statistics.median(b):.1f} {unit}: {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f}, target {target}), load {os.getloadavg()[0]:.1f}", flush=True)
    return statistics.median(a)


def share(tokens, flops_a_token, bytes_a_token):
    """What a rate of tokens takes of the machine."""
    flops, moved = tokens * flops_a_token, tokens * bytes_a_token
    print(f"  {flops / 1e9:.0f} GFLOP/s, {flops / peak:.2f} of torch's product; {moved / 1e9:.1f} GB/s of weights, "
          f"{moved / machine['read_bytes']:.2f} of what the machine reads (prompts included)", flush=True)


machine = ask(do="machine")
rates = ", ".join(f"{rows}: {flops / 1e9:.0f}" for rows, flops in machine["products"].items())
print(f"machine: reads {machine['read_bytes'] / 1e9:.1f} GB/s; own products with a weight of 32,000 x 768, GFLOP/s by rows: {rates}", flush=True)


def torch_product(rows, weight=torch.randn(32000, 768)):
    x = torch.randn(rows, 768)
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        spent.append(time.perf_counter() - began)
    return 2 * rows * 32000 * 768 / min(spent)


beside = {rows: torch_product(int(rows)) for rows in machine["products"]}
print(f"machine: torch's the same: {', '.join(f'{rows}: {flops / 1e9:.0f}' for rows, flops in beside.items())}", flush=True)
peak = max(beside.values())
model = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32).eval()
matrices = ready["ready"] - 32000 * 768
low_rank = 12 * 16 * (4 * (768 + 768) + 3 * (768 + 2048))

if "base" in only:
    got = pair("base, batch 1", "tokens/s", "≥ 1", lambda: own_generate(1, 0), lambda: peer_generate(model, 1))
    share(got, 2 * matrices, 4 * matrices)
if "mixed" in only:
    mixed = PeftModel.from_pretrained(model, adapter_dir / "0", adapter_name="0")
    for i in range(1, 8):
        mixed.load_adapter(adapter_dir / f"{i}", adapter_name=f"{i}")
    mixed.eval()
    got = pair("8 rows of 8 adapters", "tokens/s", "≥ 3", lambda: own_generate(8, 8), lambda: peer_generate(mixed, 8, [f"{i}" for i in range(8)]))
    share(got, 2 * (matrices + low_rank), 4 * (matrices / 8 + low_rank))
    del mixed
    model = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32).eval()
if "train" in only:
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"))
    tuned.train()
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-3)
    ids = torch.tensor([words(128, i) for i in range(4)])

    def peer_step():
        began = time.perf_counter()
        for _ in range(2):
            loss = tuned(input_ids=ids, labels=ids).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for p in tuned.parameters() if p.requires_grad], 1.0)
            optimizer.step()
        return 2 * ids.numel() / (time.perf_counter() - began)

    def own_step():
        got = ask(do="train", sequences=4, length=128, steps=2)
        return got["tokens"] / got["seconds"]

    peer_step()
    got = pair("training, 4 × 128 tokens a step", "tokens/s", "≥ 0.8", own_step, peer_step)
    share(got, 4 * matrices + 6 * low_rank, 0)
if "passes" in only:
    def passes(adapters, times):
        got = [ask(do="train", sequences=1, length=128, steps=2, adapters=adapters) for _ in range(times)]
        return sum(g["tokens"] for g in got) / sum(g["seconds"] for g in got)

    pair("training 8 adapters in one pass against one after another, 128 tokens a step each", "tokens/s", "none",
         lambda: passes(8, 1), lambda: passes(1, 8))
if "many" in only:
    got = pair("64 rows of 64 adapters against the base", "tokens/s", "≥ 0.6", lambda: own_generate(64, 64), lambda: own_generate(64, 0))
    share(got, 2 * (matrices + low_rank), 4 * (matrices / 64 + low_rank))
if "registered" in only:
    def among(names):
        ask(do="register", names=names)
        return own_generate(8, 8)

    own_generate(8, 8)
    pair("8 rows of 8 adapters with 1,000 more registered against none", "tokens/s", "≥ 0.9", lambda: among(1000), lambda: among(0))
ours.stdin.close()
ours.wait()
