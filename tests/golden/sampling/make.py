#!/usr/bin/env python3
"""make.py - writes cases.json beside it: what transformers' logits processors leave of logits.

    python3 -m venv v && v/bin/pip install torch transformers==5.24.0 && v/bin/python make.py
"""
import json
import os
import struct

import torch
from transformers.generation import logits_process as lp

VOCABULARY = 48
SETTINGS = [
    {"temperature": 1.0},
    {"temperature": 0.7},
    {"temperature": 1.0, "top_k": 5},
    {"temperature": 1.3, "top_k": 1},
    {"temperature": 1.0, "top_p": 0.9},
    {"temperature": 0.8, "top_p": 0.3},
    {"temperature": 1.0, "top_p": 0.01},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 2.0, "min_p": 0.5},
    {"temperature": 0.9, "top_k": 20, "top_p": 0.8, "min_p": 0.05},
    {"temperature": 0.9, "top_p": 0.95, "min_p": 0.2},
    {"temperature": 1.0, "repetition": 1.3},
    {"temperature": 1.0, "repetition": 0.5, "top_k": 12},
    {"temperature": 1.0, "no_repeat": 1},
    {"temperature": 1.0, "no_repeat": 2},
    {"temperature": 1.0, "no_repeat": 3, "repetition": 1.1, "top_p": 0.7},
    {"temperature": 0.05},
]


def left(logits, context, s):
    ids = torch.tensor([context])
    scores = torch.tensor([logits], dtype=torch.float64)
    steps = []
    if "repetition" in s:
        steps.append(lp.RepetitionPenaltyLogitsProcessor(s["repetition"]))
    if "no_repeat" in s:
        steps.append(lp.NoRepeatNGramLogitsProcessor(s["no_repeat"]))
    steps.append(lp.TemperatureLogitsWarper(s["temperature"]))
    if "top_k" in s:
        steps.append(lp.TopKLogitsWarper(s["top_k"]))
    if "top_p" in s:
        steps.append(lp.TopPLogitsWarper(s["top_p"]))
    if "min_p" in s:
        steps.append(lp.MinPLogitsWarper(s["min_p"]))
    for step in steps:
        scores = step(ids, scores)
    return torch.softmax(scores, -1)[0].tolist()


def main():
    torch.manual_seed(1)
    cases = []
    for i, settings in enumerate(SETTINGS):
        logits = (torch.randn(VOCABULARY) * (1 + i % 4)).tolist()
        logits = [struct.unpack("f", struct.pack("f", x))[0] for x in logits]
        context = torch.randint(0, 12, (30,)).tolist()
        cases.append({"settings": settings, "logits": logits, "context": context,
                      "probabilities": left(logits, context, settings)})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json"), "w") as out:
        json.dump(cases, out, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
