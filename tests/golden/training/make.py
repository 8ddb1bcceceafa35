#!/usr/bin/env python3
"""Makes training.safetensors: a tiny encoder and its reading heads in PyTorch, double precision.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch numpy safetensors
    /tmp/venv/bin/python tests/golden/training/make.py

Written from the descriptions of the network (compress/reading.h and the published encoder's architecture), not from
the C: convolutions are conv2d, tables are resized by interpolate, cells are a lattice, optimisation is torch.optim.
tests/training_golden_test.c compares what train/ computes with it. Tensors, all of them rounded once:

    weight.NAME               the parameters (F32)
    pixels                    (2, 128, 256, 3) U8; the network reads x / 128 - 1
    HEAD.rows                 I32, rows of cells that a head reads: page * 16 + row, -1 to fill up
    HEAD.presence, .places, .classes      what stands there, as struct read_rows has it
    scales                    (5) F32, the factors of the heads' losses
    CASE.loss                 (5, 2) F32, sums of cross-entropies [presence, character], not scaled
    CASE.gradient.NAME        of the scaled sum of all losses
    after.NAME                the parameters after three steps of AdamW with the gradients one, two, one
    losses                    (6) F32, the scaled sum on the case `one` in a training of its own
    metadata "golden"         JSON: sizes of the encoder and the heads, options of AdamW and its learning rate

CASE: one, two (column offsets). HEAD: early.0, early.1, early.2, reader, halved (the reader: the first page after one halving, the second after two).
"""
import json
import math
import pathlib

import numpy
import safetensors.numpy
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
BATCH, HEIGHT, WIDTH = 2, 128, 256
CONFIG = {
    "name": "golden",
    "sam": {"patch_size": 16, "grid": 6, "dim": 12, "depth": 2, "heads": 2, "mlp_dim": 20, "window": 3,
            "global_blocks": [1], "neck": 8, "net_2": 10, "net_3": 16},
    "clip": {"dim": 16, "depth": 2, "heads": 2, "mlp_dim": 24, "grid": 3},
    "projector": {"output": 16, "norm": True},
}
CHANNELS, HIDDEN, EMBEDDING, CLASSES, TRUNK, NESTED = 3, 10, 6, 7, 9, 2
CELL, COLUMNS, REACH = 8, 4, 2  # pixels of a cell's sides, columns in it, neighbours it sees on each side
CELL_ROWS, CELL_STEPS, TOKEN = HEIGHT // CELL, WIDTH // CELL, 64 // CELL
EARLY = {"early.0.": ("neck", TOKEN // 4), "early.1.": ("net_2", TOKEN // 2), "early.2.": ("net_3", TOKEN)}
HEADS = [*(name[:-1] for name in EARLY), "reader", "halved"]
RATE, BETAS, EPSILON = 3e-3, (0.9, 0.98), 1e-8
DECAY, CLIP, STEPS, WARM_UP = 0.1, 0.5, 6, 2
INPUTS = 192  # matrices with more are moved as many times less


# ---- Parameters ------------------------------------------------------------------------------

def shapes():
    """Names and shapes of all parameters."""
    s, c, d = CONFIG["sam"], CONFIG["clip"], CONFIG["projector"]["output"]
    out = {}

    def pair(name, *shape):
        out[name + ".weight"], out[name + ".bias"] = shape, shape[:1]

    sam = "model.sam_model."
    out[sam + "pos_embed"] = (1, s["grid"], s["grid"], s["dim"])
    pair(sam + "patch_embed.proj", s["dim"], 3, s["patch_size"], s["patch_size"])
    for i in range(s["depth"]):
        block = f"{sam}blocks.{i}."
        side = 2 * (s["grid"] if i in s["global_blocks"] else s["window"]) - 1
        pair(block + "norm1", s["dim"])
        pair(block + "attn.qkv", 3 * s["dim"], s["dim"])
        pair(block + "attn.proj", s["dim"], s["dim"])
        out[block + "attn.rel_pos_h"] = out[block + "attn.rel_pos_w"] = (side, s["dim"] // s["heads"])
        pair(block + "norm2", s["dim"])
        pair(block + "mlp.lin1", s["mlp_dim"], s["dim"])
        pair(block + "mlp.lin2", s["dim"], s["mlp_dim"])
    out[sam + "neck.0.weight"] = (s["neck"], s["dim"], 1, 1)
    pair(sam + "neck.1", s["neck"])
    out[sam + "neck.2.weight"] = (s["neck"], s["neck"], 3, 3)
    pair(sam + "neck.3", s["neck"])
    out[sam + "net_2.weight"] = (s["net_2"], s["neck"], 3, 3)
    out[sam + "net_3.weight"] = (s["net_3"], s["net_2"], 3, 3)
    clip = "model.vision_model."
    out[clip + "embeddings.class_embedding"] = (c["dim"],)
    out[clip + "embeddings.position_embedding.weight"] = (1 + c["grid"] ** 2, c["dim"])
    pair(clip + "pre_layrnorm", c["dim"])
    for i in range(c["depth"]):
        layer = f"{clip}transformer.layers.{i}."
        pair(layer + "layer_norm1", c["dim"])
        pair(layer + "self_attn.qkv_proj", 3 * c["dim"], c["dim"])
        pair(layer + "self_attn.out_proj", c["dim"], c["dim"])
        pair(layer + "layer_norm2", c["dim"])
        pair(layer + "mlp.fc1", c["mlp_dim"], c["dim"])
        pair(layer + "mlp.fc2", c["dim"], c["mlp_dim"])
    pair("model.projector.layers", d, 2 * c["dim"])
    pair("model.token_norm", d)
    out["model.image_newline"] = out["model.view_seperator"] = (d,)
    widths = {"neck": s["neck"], "net_2": s["net_2"], "net_3": s["net_3"]}
    for head, dim, cells in [*((h, widths[k], n) for h, (k, n) in EARLY.items()), ("reader.", d, TOKEN)]:
        pair(head + "unfold", cells * cells * CHANNELS, dim)
        pair(head + "mix", HIDDEN, (2 * REACH + 1) * CHANNELS)
        pair(head + "presence", 2 * COLUMNS, HIDDEN)
        pair(head + "character", COLUMNS * EMBEDDING, HIDDEN)
        pair(head + "class", CLASSES, EMBEDDING)
    out["reader.level.weight"] = (NESTED + 1, d)
    pair("reader.trunk.0", TRUNK, d)
    pair("reader.trunk.1", d, TRUNK)
    return out


def is_norm(name):
    return any(part in name for part in ("norm", "neck.1", "neck.3"))


def initial(generator):
    weights = {}
    for name, shape in shapes().items():
        value = torch.randn(shape, generator=generator, dtype=torch.float64)
        if is_norm(name):
            value = 0.2 * value + name.endswith(".weight")
        elif name.endswith(".bias"):
            value = 0.2 * value
        else:
            value = value / math.sqrt(math.prod(shape[1:]) if "pos" not in name else 4)
        weights[name] = value.float().double().requires_grad_()
    return weights


# ---- The encoder -----------------------------------------------------------------------------

def norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], eps)


def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def picture(x):  # (B, H, W, C) to what conv2d takes, and back
    return x.permute(0, 3, 1, 2)


def rows_of(x):
    return x.permute(0, 2, 3, 1)


def resize(table, height, width):
    """(h, w, C) to another grid: a page lower than wide has the first rows of the square one's."""
    side = max(height, width)
    if table.shape[:2] == (side, width):
        return table[:height]
    return rows_of(F.interpolate(picture(table[None]), size=(side, width), mode="bicubic", antialias=True,
                                 align_corners=False))[0][:height]


def stretch(table, rows):
    if table.shape[0] == rows:
        return table
    return F.interpolate(table.T[None], size=rows, mode="linear", align_corners=False)[0].T


def attention(x, heads, bias=None):
    """x (B, N, 3 C), the projections side by side; bias(q) is added to the scores."""
    b, n, c = x.shape[0], x.shape[1], x.shape[2] // 3
    q, k, v = x.view(b, n, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) / math.sqrt(c // heads)
    if bias is not None:
        scores = scores + bias(q)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c)


def positions(w, name, height, width):
    """The bias of queries against the relative places of keys, which are those of a page as high as wide at least."""
    side = max(height, width)
    tables = [stretch(w[name + ".attn.rel_pos_h"], 2 * side - 1)[side - height:side + height - 1],
              stretch(w[name + ".attn.rel_pos_w"], 2 * width - 1)]
    at = torch.arange(height * width)
    y, x = at // width, at % width
    by_h = tables[0][y[:, None] - y[None, :] + height - 1]  # (N, N, head_dim)
    by_w = tables[1][x[:, None] - x[None, :] + width - 1]
    return lambda q: torch.einsum("bhnc,nmc->bhnm", q, by_h + by_w)


def sam_attention(w, name, x, window):
    b, h, width, c = x.shape
    heads = CONFIG["sam"]["heads"]
    if window:  # zeros below and to the right, then squares
        down, across = -(-h // window), -(-width // window)
        x = F.pad(x, (0, 0, 0, across * window - width, 0, down * window - h))
        x = x.view(b, down, window, across, window, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)
        size = (window, window)
    else:
        x, size = x.reshape(b, h * width, c), (h, width)
    x = attention(linear(w, name + ".attn.qkv", x), heads, positions(w, name, *size))
    x = linear(w, name + ".attn.proj", x)
    if window:
        x = x.view(b, down, across, window, window, c).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(b, down * window, across * window, c)[:, :h, :width]
    return x.view(b, h, width, c)


def encoder(w, pixels, column_offsets):
    """Outputs of the stages by name, each (B, rows, columns, channels)."""
    sam, clip = CONFIG["sam"], CONFIG["clip"]
    s, v = "model.sam_model.", "model.vision_model."
    x = rows_of(F.conv2d(picture(pixels), w[s + "patch_embed.proj.weight"], w[s + "patch_embed.proj.bias"],
                         stride=sam["patch_size"]))
    x = x + resize(w[s + "pos_embed"][0], x.shape[1], x.shape[2])
    for i in range(sam["depth"]):
        name = f"{s}blocks.{i}"
        x = x + sam_attention(w, name, norm(w, name + ".norm1", x, 1e-6),
                              0 if i in sam["global_blocks"] else sam["window"])
        hidden = F.gelu(linear(w, name + ".mlp.lin1", norm(w, name + ".norm2", x, 1e-6)))
        x = x + linear(w, name + ".mlp.lin2", hidden)
    x = norm(w, s + "neck.1", rows_of(F.conv2d(picture(x), w[s + "neck.0.weight"])), 1e-6)
    out = {"neck": norm(w, s + "neck.3", rows_of(F.conv2d(picture(x), w[s + "neck.2.weight"], padding=1)), 1e-6)}
    out["net_2"] = rows_of(F.conv2d(picture(out["neck"]), w[s + "net_2.weight"], stride=2, padding=1))
    out["net_3"] = rows_of(F.conv2d(picture(out["net_2"]), w[s + "net_3.weight"], stride=(2, 2 // column_offsets), padding=1))
    b, rows, columns, dim = out["net_3"].shape
    both = []
    for offset in range(column_offsets):
        part = out["net_3"][:, :, offset::column_offsets]
        table = w[v + "embeddings.position_embedding.weight"]
        grid = resize(table[1:].view(clip["grid"], clip["grid"], dim), rows, columns // column_offsets)
        x = torch.cat([w[v + "embeddings.class_embedding"].expand(b, 1, dim), part.reshape(b, -1, dim)], 1)
        x = norm(w, v + "pre_layrnorm", x + torch.cat([table[:1], grid.reshape(-1, dim)]), 1e-5)
        for i in range(clip["depth"]):
            name = f"{v}transformer.layers.{i}."
            y = linear(w, name + "self_attn.qkv_proj", norm(w, name + "layer_norm1", x, 1e-5))
            x = x + linear(w, name + "self_attn.out_proj", attention(y, clip["heads"]))
            y = linear(w, name + "mlp.fc1", norm(w, name + "layer_norm2", x, 1e-5))
            x = x + linear(w, name + "mlp.fc2", y * torch.sigmoid(1.702 * y))
        both.append(torch.cat([x[:, 1:].reshape(b, rows, -1, dim), part], -1))
    x = torch.stack(both, 3).reshape(b, rows, columns, 2 * dim)
    out["tokens"] = norm(w, "model.token_norm", linear(w, "model.projector.layers", x), 1e-5)
    return out


# ---- The reading heads -----------------------------------------------------------------------

def lattice(w, head, x, side, column_offsets):
    """Cells of a page (B, rows, steps, channels), side x side a token: the mean of the tokens that cover one."""
    b, rows, columns, _ = x.shape
    cells = linear(w, head + "unfold", x).view(b, rows, columns, side, side, CHANNELS)
    cells = cells.permute(0, 1, 3, 2, 4, 5).reshape(b, rows * side, columns, side, CHANNELS)
    apart, steps = side // column_offsets, columns // column_offsets * side
    covered = [[] for _ in range(steps)]
    for token in range(columns):
        for i in range(side):
            if token * apart + i < steps:
                covered[token * apart + i].append(cells[:, :, token, i])
    return torch.stack([sum(parts) / len(parts) for parts in covered], 2)


def read(w, head, x, side, column_offsets, targets, apart):
    """Sums of the cross-entropies [presence, character] in the rows that are targets; tokens stand `apart` steps
    apart, and nothing is seen across their borders."""
    own = F.pad(lattice(w, head, x, side, column_offsets).unflatten(2, (-1, apart)), (0, 0, REACH, REACH))
    seen = torch.cat([own[:, :, :, i:i + apart] for i in range(2 * REACH + 1)], -1).flatten(2, 3)
    hidden = F.gelu(linear(w, head + "mix", seen))
    b = hidden.shape[0]
    presence = linear(w, head + "presence", hidden).view(b * CELL_ROWS, CELL_STEPS * COLUMNS, 2)
    character = linear(w, head + "character", hidden).view(b * CELL_ROWS, CELL_STEPS * COLUMNS, EMBEDDING)
    there = torch.zeros(b * CELL_ROWS, CELL_STEPS * COLUMNS, dtype=torch.int64)
    for row, column, _ in LABELS:
        there[row, column] = 1
    rows = [row for row in targets if row >= 0]
    chosen = [label for label in LABELS if label[0] in rows]
    logits = linear(w, head + "class", torch.stack([character[row, column] for row, column, _ in chosen]))
    return torch.stack([
        F.cross_entropy(presence[rows].view(-1, 2), there[rows].view(-1), reduction="sum"),
        F.cross_entropy(logits, torch.tensor([label[2] for label in chosen]), reduction="sum")])


def trunk(w, x, halvings):
    """What the reader sees of the pages' tokens, each halved so often: the first numbers, and which level it is."""
    pages = []
    for page, k in zip(x, halvings):
        kept = page.shape[-1] >> k
        page = torch.cat([page[..., :kept], torch.zeros_like(page[..., kept:])], -1) + w["reader.level.weight"][k]
        pages.append(page + linear(w, "reader.trunk.1", F.gelu(linear(w, "reader.trunk.0", page))))
    return torch.stack(pages)


def losses(w, pixels, column_offsets):
    stages = encoder(w, pixels, column_offsets)
    out, apart = [], TOKEN // column_offsets
    for head, (stage, side) in EARLY.items():
        own = column_offsets if stage == "net_3" else 1
        out.append(read(w, head, stages[stage], side, own, TARGETS[head[:-1]], apart))
    for head, halvings in ("reader", (0, 0)), ("halved", (1, 2)):
        seen = trunk(w, stages["tokens"], halvings)
        out.append(read(w, "reader.", seen, TOKEN, column_offsets, TARGETS[head], apart))
    return torch.stack(out)


# ---- Targets -----------------------------------------------------------------------------------

def make_labels(random):
    """(page * rows + row, column, class): rows with much, little and no text."""
    return [(row, column, int(random.integers(CLASSES)))
            for row in range(BATCH * CELL_ROWS) if row % 5 != 3
            for column in range(CELL_STEPS * COLUMNS) if random.random() < (0.2 if row % 2 else 0.03)]


def make_targets(random):
    targets = {}
    for head in HEADS:
        rows = sorted(random.choice(BATCH * CELL_ROWS, 13 + 3 * (head == "reader"), replace=False).tolist())
        targets[head] = rows + [-1] * (-len(rows) % 8)
    return targets


def describe(targets):
    presence = numpy.zeros((len(targets), CELL_STEPS * COLUMNS), numpy.int32)
    places, classes = [], []
    for i, row in enumerate(targets):
        if row < 0:
            presence[i] = -1
        for _, column, character in (label for label in LABELS if label[0] == row):
            presence[i, column] = 1
            places.append(i * CELL_STEPS * COLUMNS + column)
            classes.append(character)
    return {"rows": numpy.array(targets, numpy.int32), "presence": presence,
            "places": numpy.array(places, numpy.int32), "classes": numpy.array(classes, numpy.int32)}


# ---- Optimisation ----------------------------------------------------------------------------

def decays(name, value):
    """Matrices of products: no vectors, no tables."""
    return value.dim() >= 2 and "pos" not in name and "level" not in name


def optimizer_of(w):
    """One group a parameter: what decays does so at the plain rate, whatever factor the rate has."""
    groups = []
    for name, value in w.items():
        factor = min(1, INPUTS / math.prod(value.shape[1:])) if decays(name, value) else 1
        groups.append({"params": [value], "lr": RATE * factor, "weight_decay": DECAY * decays(name, value) / factor})
    optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=EPSILON)

    def share(step):  # steps count from 0
        if step + 1 <= WARM_UP:
            return (step + 1) / WARM_UP
        return 0.5 * (1 + math.cos(math.pi * (step + 1 - WARM_UP) / (STEPS - WARM_UP)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def take_step(w, optimizer, schedule):
    torch.nn.utils.clip_grad_norm_(list(w.values()), CLIP)
    optimizer.step()
    schedule.step()


def copy_of(w):
    return {name: value.detach().clone().requires_grad_() for name, value in w.items()}


def single(x):
    return numpy.ascontiguousarray(x.detach().numpy(), dtype=numpy.float32)


torch.manual_seed(1)
RANDOM = numpy.random.default_rng(1)
LABELS, TARGETS = make_labels(RANDOM), make_targets(RANDOM)


def main():
    weights = initial(torch.Generator().manual_seed(2))
    bytes_ = RANDOM.integers(0, 256, (BATCH, HEIGHT, WIDTH, 3), dtype=numpy.uint8)
    pixels = torch.from_numpy(bytes_).double() / 128 - 1
    scales = numpy.array([0.004, 0.003, 0.006, 0.01, 0.008], numpy.float32)
    factors = torch.from_numpy(scales).double()[:, None]
    out = {"pixels": bytes_, "scales": scales, **{"weight." + k: single(v) for k, v in weights.items()}}
    for head in HEADS:
        out.update({f"{head}.{k}": v for k, v in describe(TARGETS[head]).items()})
    gradients = {}
    for case, column_offsets in ("one", 1), ("two", 2):
        loss = losses(weights, pixels, column_offsets)
        found = torch.autograd.grad((factors * loss).sum(), list(weights.values()), allow_unused=True)
        gradients[case] = {k: single(g if g is not None else torch.zeros_like(weights[k]))
                           for k, g in zip(weights, found)}
        out[case + ".loss"] = single(loss)
        out.update({f"{case}.gradient.{k}": g for k, g in gradients[case].items()})
    moved = copy_of(weights)
    optimizer, schedule = optimizer_of(moved)
    for case in "one", "two", "one":
        for name, value in moved.items():
            value.grad = torch.from_numpy(gradients[case][name]).double()
        take_step(moved, optimizer, schedule)
    out.update({"after." + k: single(v) for k, v in moved.items()})
    trained, course = copy_of(weights), []
    optimizer, schedule = optimizer_of(trained)
    for _ in range(STEPS):
        total = (factors * losses(trained, pixels, 1)).sum()
        course.append(total.item())
        optimizer.zero_grad()
        total.backward()
        for value in trained.values():
            value.grad = torch.zeros_like(value) if value.grad is None else value.grad
        take_step(trained, optimizer, schedule)
    out["losses"] = numpy.array(course, numpy.float32)
    facts = {"encoder": CONFIG,
             "reading": {"channels": CHANNELS, "hidden": HIDDEN, "embedding": EMBEDDING, "classes": CLASSES,
                         "trunk": TRUNK, "nested": NESTED},
             "cells": {"side": CELL, "columns": COLUMNS, "reach": REACH},
             "optimizer": {"rate": RATE, "decay": DECAY, "beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON,
                           "clip": CLIP, "steps": STEPS, "warm_up": WARM_UP}}
    # one entry: the order of several is another each time
    safetensors.numpy.save_file(out, HERE / "training.safetensors", metadata={"golden": json.dumps(facts)})
    norms = {c: math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in gradients[c].values())) for c in gradients}
    print("losses", course, "norms", norms)


main()
