#!/usr/bin/env python3
"""What torch does with the same model on the same GPU: decoding by the base and by merged weights, by stacked adapters with bmm under a CUDA
graph, and by PEFT's mixed batch. One JSON object a line, medians of seven; a peer that is not installed is named as such."""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

LAYERS, HIDDEN, WIDE, HEADS, KV, DIM, VOCAB = 16, 2048, 8192, 32, 8, 64, 128_256
RANK, PROMPT, STEPS, TIMES = 16, 128, 16, 7
SHAPES = {
    "q": (HEADS * DIM, HIDDEN), "k": (KV * DIM, HIDDEN), "v": (KV * DIM, HIDDEN), "o": (HIDDEN, HEADS * DIM),
    "gate": (WIDE, HIDDEN), "up": (WIDE, HIDDEN), "down": (HIDDEN, WIDE),
}
OUT = open(sys.argv[1], "a")


def line(**value):
    text = json.dumps(value)
    print(text, flush=True)
    OUT.write(text + "\n")
    OUT.flush()


def random(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16) * 0.02


def median(step):
    """Seconds of a step: two warm-ups of STEPS steps, then TIMES of them."""
    times = []
    for i in range(TIMES + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()
        if i >= 2:
            times.append((time.perf_counter() - start) / STEPS)
    return statistics.median(times)


class Decoder:
    """One decode step of a Llama in plain torch: bf16, scaled_dot_product_attention over a fixed cache."""

    def __init__(self):
        self.embed = random(VOCAB, HIDDEN)
        self.layers = [{name: random(*shape) for name, shape in SHAPES.items()} for _ in range(LAYERS)]
        self.norm = torch.ones(HIDDEN, device="cuda", dtype=torch.bfloat16)

    def stack(self, batch):
        return [
            {name: (random(batch, RANK, d_in), random(batch, d_out, RANK)) for name, (d_out, d_in) in SHAPES.items()}
            for _ in range(LAYERS)
        ]

    def step(self, tokens, cache, cos, sin, adapters=None):
        batch, at = tokens.shape[0], PROMPT

        def linear(layer, name, x):
            y = F.linear(x, self.layers[layer][name])
            if adapters is not None:
                a, b = adapters[layer][name]
                y = y + torch.bmm(b, torch.bmm(a, x.unsqueeze(2))).squeeze(2)
            return y

        def rope(x):
            low, high = x.chunk(2, -1)
            return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)

        x = self.embed[tokens]
        for i in range(LAYERS):
            y = F.rms_norm(x, (HIDDEN,), self.norm, 1e-5)
            q = rope(linear(i, "q", y).view(batch, HEADS, DIM))
            k = rope(linear(i, "k", y).view(batch, KV, DIM))
            keys, values = cache[i]
            keys[:, :, at] = k
            values[:, :, at] = linear(i, "v", y).view(batch, KV, DIM)
            seen = F.scaled_dot_product_attention(
                q.unsqueeze(2), keys[:, :, : at + 1], values[:, :, : at + 1], enable_gqa=True
            )
            x = x + linear(i, "o", seen.reshape(batch, HEADS * DIM))
            y = F.rms_norm(x, (HIDDEN,), self.norm, 1e-5)
            x = x + linear(i, "down", F.silu(linear(i, "gate", y)) * linear(i, "up", y))
        return F.linear(F.rms_norm(x, (HIDDEN,), self.norm, 1e-5), self.embed).argmax(-1)


def graph(decoder, batch, adapters):
    cache = [tuple(random(batch, KV, PROMPT + STEPS, DIM) for _ in range(2)) for _ in range(LAYERS)]
    tokens = torch.arange(batch, device="cuda")
    cos, sin = random(DIM // 2), random(DIM // 2)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            decoder.step(tokens, cache, cos, sin, adapters)
    torch.cuda.current_stream().wait_stream(stream)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        decoder.step(tokens, cache, cos, sin, adapters)
    return captured.replay


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=WIDE, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV, head_dim=DIM, tie_word_embeddings=True, max_position_embeddings=4096,
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model


MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def peft_training(sequences, length):
    """Seconds of a step: forward, backward, AdamW over the adapter."""
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=MODULES)
    model = get_peft_model(llama(), lora).to("cuda").train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    tokens = torch.randint(0, VOCAB, (sequences, length), device="cuda")

    def step():
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return median(step)


def peft_mixed(batch, count):
    from peft import LoraConfig, get_peft_model
    from transformers import DynamicCache

    model = llama()
    names = [f"adapter{i}" for i in range(count)]
    lora = lambda: LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=MODULES, init_lora_weights=False)
    model = get_peft_model(model, lora(), adapter_name=names[0], autocast_adapter_dtype=False)
    for name in names[1:]:
        model.add_adapter(name, lora())
    model = model.to("cuda").eval()
    cache = DynamicCache()
    per_row = [names[i % count] for i in range(batch)]
    with torch.no_grad():
        tokens = torch.randint(0, VOCAB, (batch, PROMPT), device="cuda")
        model(input_ids=tokens, past_key_values=cache, use_cache=True, adapter_names=per_row)

        def step():
            model(input_ids=tokens[:, :1], past_key_values=cache, use_cache=True, adapter_names=per_row)
            cache.crop(PROMPT)

        return median(step)


def main():
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    for name in ("transformers", "peft"):
        try:
            versions[name] = __import__(name).__version__
        except ImportError:
            versions[name] = None
    line(what="peers", **versions)
    with torch.no_grad():
        decoder = Decoder()
        for batch in (1, 8, 64):
            line(what="torch graph, base", batch=batch, adapters=0, tokens_per_second=batch / median(graph(decoder, batch, None)))
        for layer in decoder.layers:
            for name, (d_out, d_in) in SHAPES.items():
                layer[name] += random(d_out, RANK) @ random(RANK, d_in)
        line(what="torch graph, merged", batch=64, adapters=1, tokens_per_second=64 / median(graph(decoder, 64, None)))
        for batch in (8, 64):
            seconds = median(graph(decoder, batch, decoder.stack(batch)))
            line(what="torch graph, stacked bmm", batch=batch, adapters=batch, tokens_per_second=batch / seconds)
        del decoder
        torch.cuda.empty_cache()
    if versions["peft"] is None or versions["transformers"] is None:
        line(what="peft mixed batch", missing="peft and transformers are not both installed")
        return
    for count in (8, 64):
        line(what="peft mixed batch", batch=count, adapters=count, tokens_per_second=count / peft_mixed(count, count))
        torch.cuda.empty_cache()
    sequences, length = 4, 512
    seconds = peft_training(sequences, length)
    line(what="peft training", sequences=sequences, length=length, tokens_per_second=sequences * length / seconds)


if __name__ == "__main__":
    main()
