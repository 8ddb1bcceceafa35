"""torch_context.py - how a small language model learns to read visual tokens, in PyTorch; peer of `occ train align`.

    torch_context.py --model SMOLLM2 --encoder FILE.safetensors --store STORE --held-out STORE -o FOLDER
                     [--plan 4x4:350,4x4+2x4:150,...] [--from FOLDER/checkpoint.pt] [--measure 4x4,1x4,f1x8] [--export]

The bridge is that of train/context/bridge.h, kind "named": the encoder's reading head finds and names the characters
that visual tokens hold; the language model's tokenizer makes text tokens of them; the embedding of each, less the mean,
is put where its first character stands, in one of 16 parts of a cell (quarters of its rows of text); neighbours are
merged in pairs, s = a + b + M [a, b] with M = 0 at first, until R soft tokens are left of each visual one; soft =
shift + gain s. The language model is frozen, with LoRA on its linear maps. A row is

    [page] [age] soft tokens of a span [read]  ->  the text of the span, end token

--plan: lessons RxC:steps, one after the other; RxC+RxC takes turns; R soft tokens a visual token, C visual tokens a
span. fRxC: what is foreseen is not the text of the span but the text behind it, and [end] stands for [read]: without
some of these the model forgets to write. While training the cross-entropy is over the commonest tokens and those of the
batch; it is measured over all. Prints a line every 20 steps and, at the end, what --measure asks for: teacher-forced
accuracy and loss, a token. The checkpoint, FOLDER/checkpoint.pt, is written every 50 steps; --export writes
FOLDER/adapter in the format of `occ`.

What was found: at --rate 1e-3 for some 500 steps, 5e-4 for as many, then falling to 0 (--decay 0.8); --bridge-rate at
most 3e-4: merges sum over 1,152 numbers, and 1e-3 makes them worse. R = 4 before 2 before 1, spans of 4, then of 16.

Needs torch, safetensors, tokenizers, numpy, and py-lmdb and zstandard for the stores."""
import argparse
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../store/python"))
import occ_store  # noqa: E402

LOW = torch.bfloat16
PARTS, MERGES, GAINS, COMMON = 16, 5, 10, 3000  # parts of a cell; merges and gains that differ; tokens that compete
ROWS, STEPS, COLUMNS = 4, 8, 4                  # of text in a cell; squares of such a row; columns of a square
FAINT = 0.05                                    # compress/reader_run.c
BEHIND = 9                                      # cells behind a span whose text is foreseen
MARKS, AGE = 21, 5                              # train/context/bridge.h
PROJECTIONS = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
               "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"}


# ---- The reading head: which characters a visual token holds ----------------------------------------

class Head:
    def __init__(self, path):
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            self.alphabet = json.loads(file.metadata()["occ.reading"])["alphabet"]
            self.sizes = json.loads(file.metadata()["occ.reading"])
            self.t = {}
            for name in names:
                if name.startswith("reader.") and not name.endswith(".scale"):
                    value = file.get_tensor(name).float()
                    if name + ".scale" in names:
                        value *= file.get_tensor(name + ".scale").view(-1, *[1] * (value.dim() - 1))
                    self.t[name[7:]] = value.to(LOW)
        channels, reach = self.sizes["channels"], self.sizes["reach"]
        at = torch.arange(STEPS)
        side = at[None] - at[:, None] + reach
        seen = ((side >= 0) & (side <= 2 * reach))[:, :, None, None]
        mix = self.t["mix.weight"].view(-1, 2 * reach + 1, channels).permute(1, 0, 2)
        mix = mix[side.clamp(0, 2 * reach).flatten()].view(STEPS, STEPS, -1, channels) * seen
        self.mix = mix.permute(0, 2, 1, 3).reshape(-1, STEPS * channels)  # of all squares of a row at once
        self.mix_bias = self.t["mix.bias"].repeat(STEPS)
        dim = self.t["unfold.weight"].shape[1]  # the upper of the two squares of each row of text
        self.unfold = self.t["unfold.weight"].view(2 * ROWS, STEPS * channels, dim)[::2].reshape(-1, dim)
        self.unfold_bias = self.t["unfold.bias"].view(2 * ROWS, STEPS * channels)[::2].flatten()

    def linear(self, x, name):
        return F.linear(x, self.t[name + ".weight"], self.t[name + ".bias"])

    def hidden(self, tokens):
        """(cells, dim) of bucket 0 -> (cells, squares, hidden)."""
        x = tokens.to(LOW) + self.t["level.weight"][0]
        x = x + self.linear(F.gelu(self.linear(x, "trunk.0")), "trunk.1")
        x = F.linear(x, self.unfold, self.unfold_bias).view(len(x) * ROWS, -1)
        return F.gelu(F.linear(x, self.mix, self.mix_bias)).view(len(tokens), ROWS * STEPS, -1)

    @torch.no_grad()
    def read(self, tokens):
        """Of each character, in reading order: cell, column of the cell, class."""
        hidden = self.hidden(tokens)
        presence = self.linear(hidden, "presence").float().view(len(tokens), -1, 2).softmax(-1)[..., 1].numpy()
        cells, columns = np.nonzero(find_characters(presence))
        wide = self.linear(hidden, "character").view(len(tokens), presence.shape[1], -1)
        classes = self.linear(wide[torch.from_numpy(cells), torch.from_numpy(columns)], "class").argmax(-1).numpy()
        return cells, columns, classes


def find_characters(presence):
    """presence (cells, columns) -> where characters are: a stretch of columns that may each hold one, within a row of
    text, holds as many as their probabilities add up to, in its likeliest columns."""
    rows = presence.reshape(-1, STEPS * COLUMNS)
    on, found = rows > FAINT, rows > 0.5
    begins = on & ~np.pad(on, ((0, 0), (1, 0)))[:, :-1]
    stretch = np.where(on, np.cumsum(begins, 1) - 1, -1)
    for number in range(stretch.max() + 1):
        within = stretch == number
        wanted = np.rint((rows * within).sum(1)).astype(int)
        for row in np.flatnonzero(wanted != (found & within).sum(1)):
            places = np.flatnonzero(within[row])
            found[row, places] = False
            found[row, places[np.argsort(-rows[row, places], kind="stable")[:wanted[row]]]] = True
    return found.reshape(presence.shape)


# ---- Pages -------------------------------------------------------------------------------------------

class Pages:
    """The pages of a store that are set in cells: what the head reads of each cell, and its text."""

    def __init__(self, path, head, most=0):
        tokens = occ_store.Tokens(path)
        self.read, self.texts = [], []
        for number in range(len(tokens)):
            spans = tokens.spans(number)
            if spans is None:
                continue
            while spans and not spans[-1]["text"]:
                spans.pop()
            values = torch.from_numpy(tokens[number]["tokens"].reshape(-1, tokens.dim)[:len(spans)].copy())
            cells, columns, classes = head.read(values)
            bounds = np.searchsorted(cells, np.arange(len(spans) + 1))
            text = "".join(span["text"] for span in spans).encode()
            self.read.append((columns.astype(np.uint8), classes.astype(np.int16), bounds))
            self.texts.append((text, [span["start"] for span in spans] + [spans[-1]["end"]] if spans else [0]))
            if 0 < most <= len(self.texts):
                break
        self.head, self.cells = head, np.array([len(bounds) - 1 for _, _, bounds in self.read])
        self.long = {}  # by length: the pages that have so many cells

    def span(self, rng, length, behind):
        """(part of each character that is read, from 0 to PARTS * length, their text, the text of the span, or of up
        to `behind` cells after it)."""
        whole = length + min(behind, 4)
        if whole not in self.long:
            self.long[whole] = np.flatnonzero(self.cells >= whole)
        page = rng.choice(self.long[whole])
        first = int(rng.integers(self.cells[page] - whole + 1))
        columns, classes, bounds = self.read[page]
        low, high = bounds[first], bounds[first + length]
        cell = np.repeat(np.arange(length), np.diff(bounds[first:first + length + 1]))
        parts = cell * PARTS + columns[low:high] // (ROWS * STEPS * COLUMNS // PARTS)
        read = [self.head.alphabet[c] for c in classes[low:high]]
        text, ends = self.texts[page]
        begin, end = (first + length, first + length + behind) if behind > 0 else (first, first + length)
        return parts, read, text[ends[begin]:ends[min(end, len(ends) - 1)]].decode("utf-8", "ignore")


# ---- The bridge ----------------------------------------------------------------------------------------

class Bridge(torch.nn.Module):
    def __init__(self, mean, mark):
        super().__init__()
        width = len(mean)
        self.register_buffer("mean", mean.clone())
        self.merge = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(width, 2 * width)) for _ in range(MERGES)])
        self.gain = torch.nn.Parameter(2.0 ** (-0.5 * (torch.arange(GAINS).float() - 1)))
        self.shift = torch.nn.Parameter(mean.clone())
        self.marks = torch.nn.Parameter(mark.expand(4, -1).clone())  # page, age, read, end

    def forward(self, embedding, spelled, length, expand):
        """spelled: for each span, (parts, ids) of the tokens read -> (spans, expand * length, width)."""
        ids = torch.from_numpy(np.concatenate([ids for _, ids in spelled]))
        parts = torch.from_numpy(np.concatenate([p + i * length * PARTS for i, (p, _) in enumerate(spelled)]))
        x = torch.zeros(len(spelled) * length * PARTS, len(self.mean))
        x = x.index_add(0, parts, F.embedding(ids, embedding).float() - self.mean)
        left, merges = PARTS, 0
        while left > expand:
            pairs = x.view(len(x) // 2, -1)
            x = x[0::2] + x[1::2] + F.linear(pairs.to(LOW), self.merge[min(merges, MERGES - 1)].to(LOW)).float()
            left, merges = left // 2, merges + 1
        return (self.shift + self.gain[merges] * x).view(len(spelled), expand * length, -1)


def spell(tokenizer, spans):
    """The tokens of what was read: where the first character of each stands, and which they are."""
    spelled = []
    for (parts, read, _), encoding in zip(spans, tokenizer.encode_batch(["".join(read) for _, read, _ in spans])):
        at = np.repeat(parts, [len(c) for c in read])  # some classes are several code points
        begins = np.array([begin for begin, _ in encoding.offsets], dtype=np.int64)
        spelled.append((at[np.minimum(begins, len(at) - 1)].astype(np.int64) if len(at) else begins,
                        np.array(encoding.ids, dtype=np.int64)))
    return spelled


# ---- The language model: Llama, frozen, with LoRA -------------------------------------------------------

def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([x[..., half:], x[..., :half]], -1) * sin


def adapted(x, weight, low):
    y = F.linear(x, weight)
    return y if low is None else y + F.linear(F.linear(x, low[0]), low[1])


def block(x, mask, cos, sin, weights, low, sizes):
    batch, count, width = x.shape
    heads, groups, size, eps = sizes
    y = adapted(F.rms_norm(x, (width,), weights["norm1"], eps), weights["qkv"], low["qkv"])
    q, k, v = y.view(batch, count, -1, size).split([heads, groups, groups], 2)
    q, k, v = rotate(q, cos, sin).transpose(1, 2), rotate(k, cos, sin).transpose(1, 2), v.transpose(1, 2)
    q = q.reshape(batch, groups, -1, size)
    scores = (q @ k.transpose(-1, -2)).view(batch, groups, heads // groups, count, count).float() * size ** -0.5 + mask
    y = scores.softmax(-1).to(LOW).view(batch, groups, -1, count) @ v
    y = y.view(batch, heads, count, size).transpose(1, 2).reshape(batch, count, -1)
    x = x + adapted(y, weights["o"], low["o"])
    y = adapted(F.rms_norm(x, (width,), weights["norm2"], eps), weights["gate_up"], low["gate_up"])
    gate, up = y.chunk(2, -1)
    return x + adapted(F.silu(gate) * up, weights["down"], low["down"])


class Model(torch.nn.Module):
    def __init__(self, folder, rank, compiled):
        super().__init__()
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            c = self.config = json.load(file)
        t = {name: value.to(LOW) for name, value in load_file(os.path.join(folder, "model.safetensors")).items()}
        self.embedding, self.norm = t["model.embed_tokens.weight"], t["model.norm.weight"]
        self.head = self.embedding if c["tie_word_embeddings"] else t["lm_head.weight"]
        self.layers, self.a, self.b = [], torch.nn.ParameterDict(), torch.nn.ParameterDict()
        self.rank, self.block = rank, torch.compile(block, dynamic=False) if compiled else block
        for i in range(c["num_hidden_layers"]):
            own = {short: t[f"model.layers.{i}.{name}.weight"] for short, name in PROJECTIONS.items()}
            self.layers.append({"norm1": t[f"model.layers.{i}.input_layernorm.weight"],
                                "norm2": t[f"model.layers.{i}.post_attention_layernorm.weight"],
                                "qkv": torch.cat([own["q"], own["k"], own["v"]]), "o": own["o"],
                                "gate_up": torch.cat([own["gate"], own["up"]]), "down": own["down"]})
            for short, weight in own.items():
                self.a[f"{i}{short}"] = torch.nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
                self.b[f"{i}{short}"] = torch.nn.Parameter(torch.zeros(weight.shape[0], rank))

    def low(self, i, names):
        """(A, B) of several maps of the same input as one; alpha = 2 rank."""
        a = torch.cat([self.a[f"{i}{name}"] for name in names])
        b = torch.block_diag(*[2 * self.b[f"{i}{name}"] for name in names])
        return a.to(LOW), b.to(LOW)

    def forward(self, x):
        c, count = self.config, x.shape[1]
        size = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        rates = c["rope_theta"] ** (-torch.arange(0, size, 2).float() / size)
        angle = torch.arange(count)[None, :, None, None] * rates
        cos = torch.cat([angle.cos(), angle.cos()], -1).to(LOW)
        sin = torch.cat([-angle.sin(), angle.sin()], -1).to(LOW)
        mask = torch.full((count, count), -1e9).triu(1)
        sizes = c["num_attention_heads"], c["num_key_value_heads"], size, c["rms_norm_eps"]
        for i, weights in enumerate(self.layers):
            low = {"qkv": self.low(i, "qkv"), "o": self.low(i, "o"), "gate_up": self.low(i, ("gate", "up")),
                   "down": self.low(i, ("down",))}
            x = self.block(x, mask, cos, sin, weights, low, sizes)
        return F.rms_norm(x, (x.shape[-1],), self.norm, c["rms_norm_eps"])


# ---- Rows, training, measuring ---------------------------------------------------------------------------

def lesson_of(name):
    """(whether what follows the span is foreseen, soft tokens of a visual one, visual tokens of a span)."""
    expand, length = name.removeprefix("f").split("x")
    return name.startswith("f"), int(expand), int(length)


class Reading:
    def __init__(self, options):
        self.options, self.rng = options, np.random.default_rng(options.seed)
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        self.tokenizer = Tokenizer.from_file(os.path.join(options.model, "tokenizer.json"))
        self.model = Model(options.model, options.rank, options.compile)
        head = Head(options.encoder)
        self.pages = Pages(options.store, head, options.pages) if options.plan else None
        self.held = Pages(options.held_out, head, options.pages)
        self.end = self.model.config["eos_token_id"]
        counts = torch.ones(self.model.config["vocab_size"])
        for text, _ in (self.pages or self.held).texts:
            ids = self.tokenizer.encode(text.decode("utf-8", "replace")).ids
            counts.index_add_(0, torch.tensor(ids, dtype=torch.long), torch.ones(len(ids)))
        self.common = counts.argsort(descending=True)[:COMMON]
        newline = self.tokenizer.encode("\n").ids[0]
        self.bridge = Bridge(self.model.embedding[self.common].float().mean(0), self.model.embedding[newline].float())
        low = [*self.model.a.values(), *self.model.b.values()]
        self.optimizer = torch.optim.AdamW([{"params": low, "base": options.rate},
                                            {"params": list(self.bridge.parameters()), "base": options.bridge_rate}],
                                           betas=(0.9, 0.98), weight_decay=0)
        self.step = 0
        if options.start:
            self.restore(torch.load(options.start))

    # Checkpoints

    def restore(self, state):
        self.model.load_state_dict(state["lora"])
        self.bridge.load_state_dict(state["bridge"])
        base = [group["base"] for group in self.optimizer.param_groups]
        if state.get("optimizer"):
            self.optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self.optimizer.param_groups, base):
            group["base"] = rate
        self.step = state["step"]
        self.rng = np.random.default_rng(self.options.seed + self.step)

    def save(self):
        path = os.path.join(self.options.output, "checkpoint.pt")
        torch.save({"lora": self.model.state_dict(), "bridge": self.bridge.state_dict(),
                    "optimizer": self.optimizer.state_dict(), "step": self.step}, path + ".new")
        os.replace(path + ".new", path)

    # Rows

    @staticmethod
    def room(lesson):
        """Text tokens of a row of training: longer texts are cut, so that rows have few shapes."""
        follows, _, length = lesson
        return 8 * BEHIND if follows else 6 + round(9.1 * length)

    def rows(self, pages, rng, count, lesson, room):
        """What the model ends with before each token of the text, and these tokens."""
        follows, expand, length = lesson
        spans = [pages.span(rng, length, BEHIND if follows else 0) for _ in range(count)]
        soft = self.bridge(self.model.embedding, spell(self.tokenizer, spans), length, expand).to(LOW)
        labels = torch.full((count, room), -1)
        for row, encoding in zip(labels, self.tokenizer.encode_batch([text for _, _, text in spans])):
            ids = torch.tensor((encoding.ids + [self.end] * (not follows))[:room])
            row[:len(ids)] = ids
        page, age, read, end = self.bridge.marks.to(LOW)[:, None, None].expand(-1, count, 1, -1)
        text = F.embedding(labels[:, :-1].clamp(min=0), self.model.embedding)
        hidden = self.model(torch.cat([page, age, soft, end if follows else read, text], 1))[:, expand * length + 2:]
        return hidden[labels >= 0], labels[labels >= 0]

    def train(self):
        o, lessons = self.options, []
        for part in o.plan.split(","):
            names, steps = part.split(":")
            names = names.split("+")
            lessons += [names[i % len(names)] for i in range(int(steps))]
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        seen, start = {}, time.time()
        for i, name in enumerate(lessons):
            lesson = lesson_of(name)
            left = 1 - i / len(lessons)
            for group in self.optimizer.param_groups:
                group["lr"] = group["base"] * min(1, (i + 1) / 15, left / o.decay + 0.02)
            room = self.room(lesson)
            count = max(1, round(o.positions / (lesson[1] * lesson[2] + 3 + room)))
            hidden, labels = self.rows(self.pages, self.rng, count, lesson, room)
            candidates = torch.unique(torch.cat([self.common, labels]))
            logits = F.linear(hidden, self.model.head[candidates]).float()
            wanted = torch.searchsorted(candidates, labels)
            loss = F.cross_entropy(logits, wanted)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.step += 1
            right = (logits.argmax(-1) == wanted).float().mean().item()
            seen.setdefault(name, []).append((loss.item(), right))
            if self.step % 20 == 0:
                print(json.dumps({"step": self.step, "seconds": round(time.time() - start),
                                  **{k: np.mean(v, 0).round(3).tolist() for k, v in seen.items()}}), flush=True)
                seen = {}
            if self.step % 50 == 0 or i + 1 == len(lessons):
                self.save()

    @torch.no_grad()
    def measure(self):
        for name in self.options.measure.split(","):
            lesson = lesson_of(name)
            rng, right, tokens, loss = np.random.default_rng(7), 0, 0, 0.0
            batch = max(1, 96 // lesson[2])
            for _ in range(max(1, self.options.spans // batch)):
                hidden, labels = self.rows(self.held, rng, batch, lesson, 16 * max(lesson[2], BEHIND) + 8)
                logits = F.linear(hidden, self.model.head).float()
                right += (logits.argmax(-1) == labels).sum().item()
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                tokens += len(labels)
            print(json.dumps({"measured": name, "step": self.step, "accuracy": round(right / tokens, 4),
                              "loss": round(loss / tokens, 4), "tokens": tokens}), flush=True)

    def export(self):
        """A folder as `occ train align` writes it: adapter_model.safetensors of PEFT, context.safetensors."""
        folder, o, b = os.path.join(self.options.output, "adapter"), self.options, self.bridge
        os.makedirs(folder, exist_ok=True)
        page, age, read, end = b.marks.detach()
        marks = torch.stack([page, page, page, read, end] + [age] * (MARKS - AGE))
        width, embedding = len(b.mean), self.model.embedding.float()
        tensors = {"marks.weight": marks, "bridge.shift": b.shift, "bridge.mean": b.mean}
        tensors |= {f"bridge.merge.{i}.weight": merge for i, merge in enumerate(b.merge)}
        tensors |= {f"bridge.gain.{i}": gain.expand(width) for i, gain in enumerate(b.gain)}
        sizes = {k: self.held.head.sizes[k] for k in ("channels", "hidden", "embedding", "reach", "cells", "trunk",
                                                      "nested")}
        sizes["classes"] = len(self.held.head.alphabet)
        about = {"version": 1, "kind": "named", "dim": self.held.head.unfold.shape[1], "width": width, "expand": 4,
                 "buckets": 1, "scale": embedding.square().mean().sqrt().item(), "encoder": o.fingerprint,
                 "reader": False, "hidden": 0, "reading": sizes}
        lowered = {name: value.detach().to(LOW).clone().contiguous() for name, value in tensors.items()}
        save_file(lowered, os.path.join(folder, "context.safetensors"), metadata={"occ.context": json.dumps(about)})
        tensors = {}
        for i in range(len(self.model.layers)):
            for short, name in PROJECTIONS.items():
                prefix = f"base_model.model.model.layers.{i}.{name}.lora_"
                tensors[prefix + "A.weight"] = self.model.a[f"{i}{short}"].detach().to(LOW).contiguous()
                tensors[prefix + "B.weight"] = self.model.b[f"{i}{short}"].detach().to(LOW).contiguous()
        save_file(tensors, os.path.join(folder, "adapter_model.safetensors"), metadata={"format": "pt"})
        config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": o.model, "r": o.rank,
                  "lora_alpha": 2 * o.rank, "lora_dropout": 0.0, "bias": "none", "inference_mode": True,
                  "fan_in_fan_out": False, "target_modules": [name.split(".")[1] for name in PROJECTIONS.values()]}
        with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, help="folder in the Hugging Face layout")
    p.add_argument("--encoder", required=True, help="the file with the reading head")
    p.add_argument("--fingerprint", default="0" * 16, help="of the encoder, for --export: `occ model info` prints it")
    p.add_argument("--store", help="pages to learn from")
    p.add_argument("--held-out", required=True, help="a store of other accounts, to measure with")
    p.add_argument("--pages", type=int, default=0, help="of each store, at most; 0: all")
    p.add_argument("--plan", default="", help="lessons; without any it only measures and exports")
    p.add_argument("--measure", default="4x4,2x4,1x4,f1x8")
    p.add_argument("--spans", type=int, default=48, help="that are measured of each kind")
    p.add_argument("--positions", type=int, default=740, help="of a step")
    p.add_argument("--rank", type=int, default=8)
    p.add_argument("--rate", type=float, default=1e-3, help="of LoRA")
    p.add_argument("--bridge-rate", type=float, default=3e-4, help="of merges, gains, shift and marks")
    p.add_argument("--decay", type=float, default=0.1, help="share of the steps, the last, in which the rates fall")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--no-compile", dest="compile", action="store_false")
    p.add_argument("--export", action="store_true")
    p.add_argument("--from", dest="start", help="a checkpoint to go on from")
    p.add_argument("-o", "--output", required=True)
    return p.parse_args()


def main():
    options = parse()
    torch._dynamo.config.cache_size_limit = 64  # a shape of rows each
    os.makedirs(options.output, exist_ok=True)
    reading = Reading(options)
    if options.plan:
        reading.train()
    if options.export:
        reading.export()
    if options.measure:
        reading.measure()


if __name__ == "__main__":
    main()
