"""Serving and training beside transformers and peft, in one run: python bench.py PROGRAM WORK [--reps N] [--new N]

The two sides take turns; every number is a median, every result a ratio. f32, the same threads, prompt 128, r=16 on all seven modules.
"""

import argparse
import json
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
parser.add_argument("--only", default="machine,base,mixed,train,many,registered")
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

ours = subprocess.Popen([args.program, str(base_dir), str(adapter_dir), str(args.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer():
    return json.loads(ours.stdout.readline())


def ask(**what):
    ours.stdin.write(json.dumps(what) + "\n")
    ours.stdin.flush()
    return answer()


ready = answer()
print(f"{ready['ready'] / 1e6:.0f} M parameters, {args.threads} threads, {ready['arch']}, torch {torch.__version__}, "
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
    ratio = statistics.median(x / y for x, y in zip(a, b))
    print(f"{name}: {statistics.median(a):.1f} against {statistics.median(b):.1f} {unit}: {ratio:.2f} (target {target})", flush=True)
    return statistics.median(a)


machine = ask(do="machine")
print(f"machine: reads {machine['read_bytes'] / 1e9:.1f} GB/s, own product {machine['gemm_flops'] / 1e9:.0f} GFLOP/s", flush=True)
x, y = torch.randn(512, 768), torch.randn(768, 2048)
spent = min((lambda t: ((x @ y), time.perf_counter() - t)[1])(time.perf_counter()) for _ in range(10))
peak = 2 * 512 * 768 * 2048 / spent
print(f"machine: torch's product {peak / 1e9:.0f} GFLOP/s", flush=True)
model = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32).eval()
moved = 4 * (ready["ready"] - 32000 * 768)

if "base" in only:
    got = pair("base, batch 1", "tokens/s", "≥ 1", lambda: own_generate(1, 0), lambda: peer_generate(model, 1))
    print(f"  {got * moved / 1e9:.1f} GB/s of weights, {got * moved / machine['read_bytes']:.2f} of what the machine reads (prompt included)", flush=True)
if "mixed" in only:
    mixed = PeftModel.from_pretrained(model, adapter_dir / "0", adapter_name="0")
    for i in range(1, 8):
        mixed.load_adapter(adapter_dir / f"{i}", adapter_name=f"{i}")
    mixed.eval()
    pair("8 rows of 8 adapters", "tokens/s", "≥ 3", lambda: own_generate(8, 8), lambda: peer_generate(mixed, 8, [f"{i}" for i in range(8)]))
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
    pair("training, 4 × 128 tokens a step", "tokens/s", "≥ 0.8", own_step, peer_step)
if "many" in only:
    got = pair("64 rows of 64 adapters against the base", "tokens/s", "≥ 0.6", lambda: own_generate(64, 64), lambda: own_generate(64, 0))
    print(f"  {2 * got * moved / 4 / 1e9:.0f} GFLOP/s in base weights, {2 * got * moved / 4 / peak:.2f} of torch's product", flush=True)
if "registered" in only:
    before = [own_generate(8, 8) for _ in range(args.reps)]
    ask(do="register", names=1000)
    after = [own_generate(8, 8) for _ in range(args.reps)]
    print(f"1,000 more registered: {statistics.median(after):.1f} against {statistics.median(before):.1f} tokens/s: "
          f"{statistics.median(after) / statistics.median(before):.2f} (target ≥ 0.9)", flush=True)
ours.stdin.close()
ours.wait()
