#!/usr/bin/env python3
"""Makes the golden files of adapters with PEFT (0.21.2; PyTorch 2.15, transformers 5.24), F32.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch transformers peft safetensors
    /tmp/venv/bin/python tests/golden/lora/make.py

adapter/: an adapter of golden/decoder/small as `save_pretrained` writes it: rank 4 on all seven projections, alpha 10,
B not zero.

steps.safetensors: two packed sequences of unequal length and three steps of training of that adapter on them, the loss
the mean over targets, gradients clipped, AdamW:

    ids, labels       (tokens) I32; labels[i] is the token after ids[i], -1: no target
    logits            (2, vocabulary) after the last token of each sequence, before the first step
    S.loss            (1) sum of the cross-entropies in step S
    after.NAME        the adapter's tensors after all steps
    metadata "optimizer" rate, betas, epsilon, decay, clip; "offsets" of the sequences

With a folder as argument it makes nothing, but loads the adapter in that folder by PEFT and prints how far its logits
are from those in steps.safetensors. OCC_KEEP_ADAPTER=FOLDER build/release/tests/lora_test writes such a folder: adapter/
as this program reads and writes it. tests/lora_test.c compares with the rest.
"""
import json
import pathlib
import shutil
import sys

import numpy
import safetensors.numpy
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
BASE = HERE.parent / "decoder" / "small"
OFFSETS = [0, 15, 24]
RATE, BETAS, EPSILON, DECAY, CLIP, STEPS = 3e-3, (0.9, 0.98), 1e-6, 0.1, 0.5, 3


def logits_of(model, ids):
    return [model(input_ids=ids[None, a:b]).logits[0] for a, b in zip(OFFSETS, OFFSETS[1:])]


def make():
    base = LlamaForCausalLM.from_pretrained(BASE, attn_implementation="eager")
    torch.manual_seed(5)
    config = LoraConfig(r=4, lora_alpha=10, lora_dropout=0.0, task_type="CAUSAL_LM",
                        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    model = get_peft_model(base, config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.copy_(0.2 * torch.randn_like(p))
    model.eval()
    shutil.rmtree(HERE / "adapter", ignore_errors=True)
    model.save_pretrained(HERE / "adapter")
    (HERE / "adapter" / "README.md").unlink()
    path = HERE / "adapter" / "adapter_config.json"
    path.write_text(path.read_text().replace(json.dumps(str(BASE)), '"small"'))

    ids = torch.randint(4, 300, (OFFSETS[-1],))
    labels = torch.roll(ids, -1)
    labels[torch.rand(OFFSETS[-1]) < 0.3] = -1
    labels[torch.tensor(OFFSETS[1:]) - 1] = -1  # nothing follows there
    with torch.no_grad():
        logits = torch.stack([x[-1] for x in logits_of(model, ids)])
    out = {"ids": ids.int().numpy(), "labels": labels.int().numpy(), "logits": logits.numpy()}
    trained = [p for p in model.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(trained, lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=DECAY)
    for step in range(STEPS):
        loss = sum(F.cross_entropy(x, labels[a:b], ignore_index=-1, reduction="sum")
                   for x, a, b in zip(logits_of(model, ids), OFFSETS, OFFSETS[1:]))
        adam.zero_grad()
        (loss / (labels >= 0).sum()).backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        adam.step()
        out[f"{step}.loss"] = loss.detach().numpy().reshape(1)
    out |= {"after." + n.replace(".default", ""): p.detach().numpy().copy()
            for n, p in model.named_parameters() if p.requires_grad}
    metadata = {"offsets": json.dumps(OFFSETS),
                "optimizer": json.dumps({"rate": RATE, "beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON,
                                         "decay": DECAY, "clip": CLIP})}
    safetensors.numpy.save_file(out, HERE / "steps.safetensors", metadata)


def compare(folder):
    golden = safetensors.numpy.load_file(HERE / "steps.safetensors")
    base = LlamaForCausalLM.from_pretrained(BASE, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, folder).eval()
    with torch.no_grad():
        ours = [x[-1].numpy() for x in logits_of(model, torch.tensor(golden["ids"]).long())]
    print("largest difference of logits:", numpy.abs(numpy.stack(ours) - golden["logits"]).max())


if len(sys.argv) > 1:
    compare(sys.argv[1])
else:
    make()
