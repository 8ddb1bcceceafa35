"""peer_decoder.py - a language model in PyTorch, transformers and PEFT, in bf16: the peer of decoder.sh.

    peer_decoder.py --model DIR --method full|lora --tokens 512 --steps 4 [--recompute]
    peer_decoder.py --model DIR --decode 128

Trains on rows of random tokens, batch 1, with AdamW; LoRA of rank 16 on all seven matrices. Or writes tokens, greedy,
one stream. Prints one JSON line: tokens a second, of the best step after the first; the most memory that the process had.
"""

import argparse
import json
import resource
import time

import torch
from transformers import AutoModelForCausalLM

MATRICES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def peak_mb():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)


def train(model, options):
    if options.method == "lora":
        from peft import LoraConfig, get_peft_model
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=MATRICES))
        for parameter in model.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
    model.train()
    model.config.use_cache = False
    if options.recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-5)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (1, options.tokens), generator=generator)
    rates = []
    for _ in range(options.steps):
        start = time.monotonic()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        rates.append(options.tokens / (time.monotonic() - start))
    return max(rates[1:] or rates)


def decode(model, tokens):
    model.eval()
    ids = torch.tensor([[504, 2373, 253, 655, 28, 665]])
    rates = []
    with torch.inference_mode():
        for _ in range(2):
            start = time.monotonic()
            model.generate(ids, do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens)
            rates.append(tokens / (time.monotonic() - start))
    return max(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", choices=["full", "lora"], default="lora")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--decode", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16, attn_implementation="sdpa")
    rate = decode(model, options.decode) if options.decode else train(model, options)
    print(json.dumps({"program": "PyTorch bf16", "tokens_per_second": round(rate, 1), "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
