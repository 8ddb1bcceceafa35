#!/usr/bin/env python3
"""Makes the golden files of the decoder with PyTorch and transformers (5.24 here), F32.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch transformers tokenizers safetensors
    /tmp/venv/bin/python tests/golden/decoder/make.py

step.safetensors: three steps of training of a small Llama with grouped queries, heads that are not width / heads wide,
a head of its own and rotary positions stretched as Llama 3.1's. Each step sees two packed sequences of unequal length,
of which some tokens are no targets; the loss is the mean over targets, gradients are clipped, AdamW decays matrices
alone. Tensors:

    weight.NAME          the first weights
    S.ids, S.labels      (tokens) I32, of step S, both sequences; labels[i] is the token after ids[i], -1: no target
    S.loss               (1) sum of the cross-entropies
    S.norm               (1) of the gradient before it was clipped
    S.gradient.NAME      of the mean over targets, not clipped, of step 0 alone
    after.NAME           the weights after all steps
    metadata "config"    config.json; "optimizer" rate, betas, epsilon, decay, clip; "offsets" of the sequences

small/: a small Llama with a tied head as `save_pretrained` writes it, in shards, with a tokenizer, a chat template and
two end tokens in generation_config.json; golden.json: for each prompt its ids, the logits after its last token, and the
32 tokens that follow greedily, with their text.

tests/decoder_golden_test.c and decoder_folder_test.c compare with them.
"""
import json
import pathlib
import shutil

import numpy
import safetensors.numpy
import tokenizers
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
OFFSETS = [0, 27, 40]
RATE, BETAS, EPSILON, DECAY, CLIP, STEPS = 3e-3, (0.9, 0.98), 1e-6, 0.1, 0.5, 3


def llama(**sizes):
    config = LlamaConfig(bos_token_id=1, eos_token_id=2, attn_implementation="eager", **sizes)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + 0.1 * torch.randn_like(p))
            else:
                p.copy_(torch.randn_like(p) / p.shape[-1] ** 0.5)
    return model


# ---- Training --------------------------------------------------------------------------------

def make_step():
    torch.manual_seed(1)
    model = llama(vocab_size=67, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                  head_dim=16, intermediate_size=44, max_position_embeddings=64, rms_norm_eps=1e-5,
                  tie_word_embeddings=False,
                  rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                                   "high_freq_factor": 4.0, "original_max_position_embeddings": 32})
    out = {f"weight.{n}": p.detach().numpy().copy() for n, p in model.named_parameters()}
    matrices = [p for n, p in model.named_parameters() if "norm" not in n and "embed" not in n]
    others = [p for n, p in model.named_parameters() if "norm" in n or "embed" in n]
    adam = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
                             lr=RATE, betas=BETAS, eps=EPSILON)
    for step in range(STEPS):
        ids = torch.randint(0, 67, (OFFSETS[-1],))
        labels = torch.roll(ids, -1)
        labels[torch.rand(OFFSETS[-1]) < 0.3] = -1
        labels[torch.tensor(OFFSETS[1:]) - 1] = -1  # nothing follows there
        loss = torch.zeros(())
        for first, end in zip(OFFSETS, OFFSETS[1:]):
            logits = model(input_ids=ids[None, first:end]).logits[0]
            loss = loss + F.cross_entropy(logits, labels[first:end].long(), ignore_index=-1, reduction="sum")
        adam.zero_grad()
        (loss / (labels >= 0).sum()).backward()
        if step == 0:
            out |= {f"0.gradient.{n}": p.grad.numpy().copy() for n, p in model.named_parameters()}
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        adam.step()
        out |= {f"{step}.ids": ids.int().numpy(), f"{step}.labels": labels.int().numpy(),
                f"{step}.loss": loss.detach().numpy().reshape(1), f"{step}.norm": norm.numpy().reshape(1)}
    out |= {f"after.{n}": p.detach().numpy().copy() for n, p in model.named_parameters()}
    metadata = {"config": model.config.to_json_string(), "offsets": json.dumps(OFFSETS),
                "optimizer": json.dumps({"rate": RATE, "beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON,
                                         "decay": DECAY, "clip": CLIP})}
    safetensors.numpy.save_file(out, HERE / "step.safetensors", metadata)


# ---- A folder --------------------------------------------------------------------------------

TEXT = ["a monkey opens a banana from the other end", "the cat jumps into the box and the box closes",
        "she said it would rain today, and it did"]
PROMPTS = ["the cat", "Account: kiwi\nCaption:", "naïve 🍌 banana", "a"]
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'"
            " + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def make_tokenizer():
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|stop|>"]
    t = tokenizers.Tokenizer(tokenizers.models.BPE())
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    t.train_from_iterator(TEXT, tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    return PreTrainedTokenizerFast(tokenizer_object=t, bos_token=special[1], eos_token=special[2],
                                   chat_template=TEMPLATE, clean_up_tokenization_spaces=False)


def make_small():
    folder = HERE / "small"
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = make_tokenizer()
    torch.manual_seed(2)
    model = llama(vocab_size=300, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1,
                  intermediate_size=48, max_position_embeddings=128, tie_word_embeddings=True)
    model.generation_config.eos_token_id = [2, 3]
    golden = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        more, closest = list(ids), 1e9
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
            for _ in range(32):
                last = model(input_ids=torch.tensor([more])).logits[0, -1]
                best = last.topk(2)
                closest = min(closest, float(best.values[0] - best.values[1]))
                more.append(int(best.indices[0]))
        assert closest > 1e-3, (prompt, closest)
        golden.append({"prompt": prompt, "ids": ids, "logits": [round(float(x), 6) for x in logits],
                       "greedy": more[len(ids):], "text": tokenizer.decode(more[len(ids):])})
    model.save_pretrained(folder, max_shard_size="60KB")
    tokenizer.save_pretrained(folder)
    (folder / "golden.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n")


make_step()
make_small()
