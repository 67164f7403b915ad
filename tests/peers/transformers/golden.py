"""Writes what transformers and peft compute for small random models: the golden files that the Rust tests read.

    python golden.py OUT [--seed N]

Models, adapters, inputs, logits, training losses, tokens of 1,000 strings. Everything follows from the seed.
"""

import argparse
import json
import pathlib
import random
import shutil
import string

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config

ROOT = pathlib.Path(__file__).resolve().parents[3]
VOCAB = 96


def seeded(seed, *names):
    return torch.Generator().manual_seed(seed * 1_000_003 + sum(ord(c) * 31**i for i, c in enumerate("".join(names))) % 2**31)


def shape(**changes):
    base = dict(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )
    return base | changes


def cases():
    llama3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 64}
    linear = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}
    yield "llama-f32", LlamaConfig(**shape(tie_word_embeddings=False, eos_token_id=[2, 5])), torch.float32, "100MB"
    yield "llama3-bf16-shards", LlamaConfig(**shape(tie_word_embeddings=True, rope_parameters=llama3)), torch.bfloat16, "12KB"
    yield "llama-linear-f16", LlamaConfig(**shape(tie_word_embeddings=False, num_key_value_heads=4, head_dim=12, rope_parameters=linear)), torch.float16, "100MB"
    yield "qwen2-f32-shards", Qwen2Config(**shape(tie_word_embeddings=False)), torch.float32, "40KB"
    yield "qwen2-bf16", Qwen2Config(**shape(tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=1)), torch.bfloat16, "100MB"


def randomise(model, seed, name):
    """Weights large enough that every part of the model shows in the logits, norms and biases included, and small enough that
    rounding to bf16 inside the peer stays small beside the distance of the best two tokens, as in a trained model."""
    g = seeded(seed, name)
    with torch.no_grad():
        for key, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            if "norm" in key:
                p.copy_(1 + 0.2 * noise)
            elif key.endswith("bias"):
                p.copy_(0.3 * noise)
            elif "embed" in key or "lm_head" in key:
                p.copy_(0.5 * noise)
            else:
                p.copy_(0.6 * noise / p.shape[-1] ** 0.5)


def words(seed, name, n, length):
    return torch.randint(3, VOCAB, (n, length), generator=seeded(seed, name, "words"))


def logits_of(model, tokens):
    with torch.no_grad():
        return model(input_ids=tokens).logits


def write_models(out, seed):
    for name, config, dtype, shard in cases():
        folder = out / name
        config.dtype = dtype
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        randomise(model, seed, name)
        model = model.to(dtype)
        if name == "llama-f32":
            model.generation_config.eos_token_id = [2, 5, 7]
        else:
            model.generation_config.eos_token_id = config.eos_token_id
        model.save_pretrained(folder, max_shard_size=shard)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        few = words(seed, name, 3, 24)
        golden = {"tokens": few.int(), "logits": logits_of(model, few)}
        if dtype == torch.bfloat16:
            many = words(seed, name + "many", 12, 48)
            half = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
            golden |= {"tokens_bf16": many.int(), "logits_bf16": logits_of(half, many)}
        save_file({k: v.contiguous() for k, v in golden.items()}, folder / "golden.safetensors")
    write_adapters(out, seed)
    write_training(out, seed)


def adapters():
    seven = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    yield "llama-f32", "two", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]), torch.float32
    yield "llama-f32", "patterns", dict(
        r=4, lora_alpha=6, target_modules=seven,
        rank_pattern={"q_proj": 2, "layers.1.*down_proj": 6, "model.layers.0.self_attn.k_proj": 1, "1.self_attn.(k|v)_proj": 3},
        alpha_pattern={"(up|gate)_proj": 16, "layers.0.mlp.up_proj": 3, "o_proj": 1.5},
    ), torch.float32
    yield "llama-f32", "rslora-all-linear", dict(r=5, lora_alpha=4, target_modules="all-linear", use_rslora=True), torch.float32
    yield "llama3-bf16-shards", "regex", dict(r=3, lora_alpha=6, target_modules=r".*\.(?:0\.self_attn\.[qk]|1\.mlp\.(?!up)\w+)_proj"), torch.bfloat16
    yield "qwen2-f32-shards", "layers", dict(r=4, lora_alpha=8, target_modules=["self_attn.o_proj", "q_proj", "mlp.down_proj"], layers_to_transform=[1]), torch.float16
    yield "qwen2-bf16", "excluded", dict(r=2, lora_alpha=8, target_modules="all-linear", exclude_modules=["layers.0.mlp.up_proj", "v_proj"]), torch.float32


def randomise_adapter(model, seed, name):
    g = seeded(seed, name, "adapter")
    with torch.no_grad():
        for key, p in sorted(model.named_parameters()):
            if "lora_" in key:
                p.copy_(torch.randn(p.shape, generator=g) * (0.3 if "lora_A" in key else 0.2))


def write_adapters(out, seed):
    for case, name, config, dtype in adapters():
        folder = out / case / "adapters" / name
        base = AutoModelForCausalLM.from_pretrained(out / case, dtype=torch.float32)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.05, **config))
        randomise_adapter(model, seed, name)
        model = model.to(dtype)
        model.save_pretrained(folder)
        # Both in f32, from the files: what is compared is the arithmetic, not the rounding of the weights.
        base = AutoModelForCausalLM.from_pretrained(out / case, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, folder, autocast_adapter_dtype=True).float().eval()
        few = words(seed, case, 3, 24)[:2]
        save_file({"tokens": few.int(), "logits": logits_of(model, few).contiguous()}, folder / "golden.safetensors")
        relative(folder / "adapter_config.json", case)
        (folder / "README.md").unlink(missing_ok=True)


def relative(path, case):
    value = json.loads(path.read_text())
    value["base_model_name_or_path"] = case
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_training(out, seed):
    """Full batches, so that the order of the data does not matter: one step an epoch."""
    steps, lr, warmup, least = 24, 5e-3, 4, 0.1
    for case, schedule in [("llama-f32", "cosine"), ("qwen2-f32-shards", "linear")]:
        folder = out / case / "train"
        base = AutoModelForCausalLM.from_pretrained(out / case, dtype=torch.float32)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear"))
        randomise_adapter(model, seed, case + "train")
        model.save_pretrained(folder)
        relative(folder / "adapter_config.json", case)
        (folder / "README.md").unlink(missing_ok=True)
        rng = random.Random(seed)
        examples = []
        for i, length in enumerate([9, 17, 30, 12, 25, 6]):
            tokens = words(seed, f"{case}{i}", 1, length)[0].tolist()
            examples.append({"tokens": tokens, "mask": [t > 0 and rng.random() < 0.7 for t in range(length)]})
        longest = max(len(e["tokens"]) for e in examples)
        pad = lambda values, fill: values + [fill] * (longest - len(values))
        ids = torch.tensor([pad(e["tokens"], 0) for e in examples])
        attend = torch.tensor([pad([1] * len(e["tokens"]), 0) for e in examples])
        labels = torch.tensor([pad([t if m else -100 for t, m in zip(e["tokens"], e["mask"])], -100) for e in examples])
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=lr, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01)
        losses = []
        model.train()
        for step in range(1, steps + 1):
            done = (step - warmup) / (steps - warmup)
            if step <= warmup:
                rate = lr * step / warmup
            elif schedule == "cosine":
                rate = lr * (least + (1 - least) * 0.5 * (1 + np.cos(np.pi * done)))
            else:
                rate = lr * (least + (1 - least) * (1 - done))
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = model(input_ids=ids, attention_mask=attend, labels=labels).loss
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 0.5)
            optimizer.step()
        recipe = {"steps": steps, "lr": lr, "warmup": warmup / steps, "min_lr": least, "schedule": schedule, "clip": 0.5,
                  "beta1": 0.9, "beta2": 0.98, "eps": 1e-8, "weight_decay": 0.01}
        (folder / "golden.json").write_text(json.dumps({"recipe": recipe, "examples": examples, "losses": losses}) + "\n")
        model.eval()
        few = words(seed, case, 3, 24)[:2]
        save_file({"tokens": few.int(), "logits": logits_of(model, few).contiguous()}, folder / "golden.safetensors")


# --- tokenizers -------------------------------------------------------------------------------------------------------------------------

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

HEADERS = """{{- bos_token }}
{%- for m in messages %}
    {%- set body = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' %}
    {{- body }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

CHATML = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou answer briefly.<|im_end|>\\n' }}
{%- endif %}
{%- for m in messages %}
    {%- if m.role == "user" or (m.role == "system" and not loop.first) or m.role == "assistant" %}
        {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

BRACKETS = """{%- if messages[0].role == 'system' -%}
    {%- set turns = messages[1:] -%}{%- set rule = messages[0].content -%}
{%- else -%}
    {%- set turns = messages -%}{%- set rule = false -%}
{%- endif -%}
{%- for m in turns -%}
    {%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}
        {{- raise_exception('turns must alternate user/assistant') -}}
    {%- endif -%}
    {%- if loop.index0 == 0 and rule != false -%}
        {%- set text = '<<SYS>>\\n' + rule + '\\n<</SYS>>\\n\\n' + m.content -%}
    {%- else -%}
        {%- set text = m.content -%}
    {%- endif -%}
    {%- if m.role == 'user' -%}
        {{- bos_token + '[INST] ' + text.strip() + ' [/INST]' -}}
    {%- else -%}
        {{- ' ' + text.strip() + ' ' + eos_token -}}
    {%- endif -%}
{%- endfor -%}
"""


def added(*names, special=True):
    return [AddedToken(n, special=special, normalized=False) for n in names]


def corpus():
    text = (ROOT / "gpu-offchain/shipped/base-text/moby-dick.txt").read_text(errors="replace")
    return text[: 200_000].splitlines()


def tokenizers():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_special_tokens(added("<|begin|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"))
    bos = t.token_to_id("<|begin|>")
    t.post_processor = processors.TemplateProcessing(single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B", special_tokens=[("<|begin|>", bos)])
    yield "headers", t, dict(bos_token="<|begin|>", eos_token="<|eot_id|>", chat_template=HEADERS)

    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS.replace("{1,3}", "")), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_special_tokens(added("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    t.add_tokens(added("<tool_call>", "</tool_call>", special=False))
    yield "chatml", t, dict(eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHATML)

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    # Learnt on words, used on whole texts, as such vocabularies are.
    learner = Tokenizer(models.BPE(unk_token="<unk>"))
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    learner.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=800, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    merges = [tuple(m) for m in learned["merges"]]
    t.model = models.BPE(vocab=learned["vocab"], merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    t.add_special_tokens(added("<unk>", "<s>", "</s>"))
    s = t.token_to_id("<s>")
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", s)])
    yield "brackets", t, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=BRACKETS)


def strings(seed, n):
    """Prose, code, numbers, scripts of many kinds, odd spaces, joined and composed characters."""
    rng = random.Random(seed + 7)
    prose = " ".join(corpus()).split(" ")
    scripts = ["äöüß éèê ñ ç å", "Привет, мир", "你好,世界。测试", "日本語のテスト", "한국어 시험", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया",
               "🐝🐳👩‍👩‍👧‍👦🏳️‍🌈", "e\u0301 a\u0308 \u1e9b\u0323", "ﬁ ﬂ ½ ² №", "\u200b\u200d\ufeff", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "ไทยภาษา", "\u2003\u00a0\u3000"]
    spaces = [" ", "  ", "\n", "\n\n", "\t", " \n ", "   ", "\r\n", "    "]
    code = ["def f(x):\n    return x**2", "let mut v: Vec<u8> = vec![];", "SELECT * FROM t WHERE a='b';", "if (a&&b){c++;}", "$x_{i+1}$", "#!/bin/sh\n",
            "<div class=\"a\">b</div>", "{\"k\": [1, 2.5, null]}", "http://example.org/a?b=c#d", "C:\\dir\\file.txt"]
    out = ["", " ", "\n", "a", " a", "a ", "\n\nHello", "don't won't I'LL", "1234567890", "12,345.678", "...", "!?!?", "[INST] no [/INST]", "<tool_call>x</tool_call>"]
    while len(out) < n:
        parts = []
        for _ in range(rng.randint(1, 5)):
            kind = rng.random()
            if kind < 0.45:
                at = rng.randrange(len(prose) - 8)
                parts.append(" ".join(prose[at : at + rng.randint(1, 7)]))
            elif kind < 0.65:
                parts.append(rng.choice(scripts))
            elif kind < 0.75:
                parts.append(rng.choice(code))
            elif kind < 0.85:
                parts.append(str(rng.randint(0, 10 ** rng.randint(1, 9))))
            elif kind < 0.95:
                parts.append("".join(rng.choice(string.printable) for _ in range(rng.randint(1, 12))))
            else:
                parts.append("".join(chr(rng.choice([rng.randrange(32, 0xD800), rng.randrange(0xE000, 0xF0000)])) for _ in range(rng.randint(1, 6))))
            parts.append(rng.choice(spaces) if rng.random() < 0.8 else "")
        out.append("".join(parts))
    return out


def conversation(all_strings, i):
    """One to four turns; every third begins with a system message."""
    at = lambda k: all_strings[(i * 7 + k) % len(all_strings)]
    turns = [{"role": "system", "content": at(11)}] if i % 3 == 0 else []
    turns.append({"role": "user", "content": all_strings[i]})
    for k in range(i % 2):
        turns += [{"role": "assistant", "content": at(3 + k)}, {"role": "user", "content": at(5 + k)}]
    return turns


def ragged(lists):
    offsets = np.cumsum([0] + [len(x) for x in lists]).astype(np.int32)
    return torch.from_numpy(offsets), torch.tensor([t for x in lists for t in x], dtype=torch.int16)


def write_tokenizers(out, seed):
    texts = strings(seed, 1000)
    (out / "strings.json").write_text(json.dumps(texts) + "\n")
    for name, tokenizer, config in tokenizers():
        folder = out / f"tokenizer-{name}"
        folder.mkdir(parents=True)
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        value = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, "model_max_length": 512} | config
        (folder / "tokenizer_config.json").write_text(json.dumps(value, indent=1) + "\n")
        write_tokens(folder, folder, texts)
    write_tokens(ROOT / "gpu-offchain/shipped/base", out / "tokenizer-shipped", texts)


def write_tokens(source, folder, texts):
    peer = AutoTokenizer.from_pretrained(source)
    plain = [peer(t, add_special_tokens=False, split_special_tokens=True)["input_ids"] for t in texts]
    begun = [peer(t, split_special_tokens=True)["input_ids"] for t in texts[:100]]
    decoded = [peer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) for ids in plain]
    chats = []
    for i in range(len(texts)):
        rendered = peer.apply_chat_template(conversation(texts, i), add_generation_prompt=True, tokenize=False)
        chats.append(peer(rendered, add_special_tokens=False)["input_ids"])
    golden = {}
    for key, lists in [("plain", plain), ("begun", begun), ("chat", chats)]:
        golden[f"{key}.offsets"], golden[f"{key}.ids"] = ragged(lists)
    folder.mkdir(exist_ok=True)
    save_file(golden, folder / "golden.safetensors")
    (folder / "decoded.json").write_text(json.dumps([d if d != t else None for d, t in zip(decoded, texts)]) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(2)
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    write_tokenizers(args.out, args.seed)
    write_models(args.out, args.seed)
    size = sum(f.stat().st_size for f in args.out.rglob("*") if f.is_file())
    print(f"seed {args.seed}: {size / 1e6:.2f} MB in {args.out}")


if __name__ == "__main__":
    main()
