"""Loads adapters that this project trained into peft and compares the logits: python check.py GOLDEN OUT"""

import json
import pathlib
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

golden, out = map(pathlib.Path, sys.argv[1:3])
failed = False
for folder in sorted(p for p in out.iterdir() if p.is_dir()):
    base = AutoModelForCausalLM.from_pretrained(golden / folder.name, dtype=torch.float32)
    given = json.loads((folder / "logits.json").read_text())
    tokens = torch.tensor([given["tokens"]])
    with torch.no_grad():
        alone = base(input_ids=tokens).logits[0].clone()
        want = PeftModel.from_pretrained(base, folder).eval()(input_ids=tokens).logits[0]
    got = torch.tensor(given["logits"]).reshape(want.shape)
    scale = want.abs().amax(dim=1)
    off = ((got - want).abs().amax(dim=1) / scale).max().item()
    moved = ((alone - want).abs().amax(dim=1) / scale).max().item()
    print(f"{folder.name}: an adapter trained here gives peft's logits to {off:.1e} (it moves them by {moved:.1e})")
    failed |= not (off <= 1e-4 < 1e-2 < moved)
sys.exit(failed)
