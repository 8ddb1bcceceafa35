#!/usr/bin/env python3
"""Makes perplexity.json with transformers (5.24 here), F32: sums of -log p over the small Llama of ../decoder.

    /tmp/venv/bin/python tests/golden/perplexity/make.py        # the environment of ../decoder/make.py

For each window and each token before it (null: none): the tokens of the first 3,000 characters of ../texts/en.txt, how
many are foreseen, and the sum; the last one with the adapter of ../lora. tests/t0621-perplexity.sh and perplexity_test.c compare with them.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent
SMALL = HERE.parent / "decoder" / "small"


@torch.no_grad()
def measure(model, ids, window, begin):
    before = [] if begin is None else [begin]
    step, foreseen, loss = window - len(before), 0, 0.0
    for at in range(0, len(ids), step):
        x = torch.tensor([before + ids[at:at + step]])
        loss += F.cross_entropy(model(input_ids=x).logits[0, :-1].double(), x[0, 1:], reduction="sum").item()
        foreseen += x.shape[1] - 1
    return {"window": window, "begin": begin, "tokens": len(ids), "foreseen": foreseen, "loss": loss}


def main():
    model = AutoModelForCausalLM.from_pretrained(SMALL, dtype=torch.float32).eval()
    text = (HERE.parent / "texts" / "en.txt").read_text()[:3000]
    ids = AutoTokenizer.from_pretrained(SMALL)(text, add_special_tokens=False).input_ids
    cases = [measure(model, ids, window, begin) for window, begin in ((64, None), (10, None), (2, None), (64, 1), (2, 1))]
    adapted = PeftModel.from_pretrained(model, HERE.parent / "lora" / "adapter")
    cases.append(measure(adapted, ids, 64, None) | {"adapter": True})
    with open(HERE / "perplexity.json", "w") as out:
        json.dump(cases, out, indent=1)


main()
