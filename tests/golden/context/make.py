#!/usr/bin/env python3
"""Makes bridge.safetensors: bridges of train/context/bridge.h in PyTorch (2.15), F64, rounded to F32 at the end.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch safetensors
    /tmp/venv/bin/python tests/golden/context/make.py

For each KIND linear, mlp, reading:   KIND.NAME      a parameter
For all:                              x.K            (tokens, dim) visual tokens of bucket K = 0 .. 3
For each CASE (metadata "cases"):     CASE.seed      what the sum of marks and soft tokens is weighted with
                                      CASE.out       marks, then soft tokens
                                      CASE.gradient.NAME, CASE.gradient.x.K
of sum(seed * out) + SCALE * balance term. tests/bridge_golden_test.c compares.
"""
import json
import math
import pathlib

import numpy
import safetensors.numpy
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
DIM, WIDTH, BUCKETS, TOKENS, MARKS, SCALE = 32, 12, 3, [3, 2, 2, 1], 21, 0.7
READING = dict(channels=2, hidden=10, embedding=3, reach=4, trunk=20, nested=2)  # bucket 3 is read as one of bucket 2
BEGINS = [[1, 0, 1], [1, 0], [1, 1], [1]]  # where runs begin
HIDDEN, PLAIN_EXPAND, MERGES, GAINS, BEFORE, AFTER, FAINT = 14, 2, 4, 9, 1, 10, 0.05
EXPERTS = dict(count=4, chosen=2, hidden=6, balance=0.3)
CASES = [("linear", 2, False), ("mlp", 2, True), ("reading", 8, False), ("reading", 4, False), ("reading", 2, True),
         ("reading", 1, True)]


def shapes(kind):
    yield "marks.weight", (MARKS, WIDTH)
    if kind != "reading":
        for k in range(BUCKETS):
            yield f"bridge.{k}.linear.weight", (PLAIN_EXPAND * WIDTH, DIM)
            yield f"bridge.{k}.linear.bias", (PLAIN_EXPAND * WIDTH,)
            if kind == "mlp":
                yield f"bridge.{k}.in.weight", (HIDDEN, DIM)
                yield f"bridge.{k}.in.bias", (HIDDEN,)
                yield f"bridge.{k}.out.weight", (PLAIN_EXPAND * WIDTH, HIDDEN)
                yield f"bridge.{k}.out.bias", (PLAIN_EXPAND * WIDTH,)
    else:
        r = READING
        yield "reader.level.weight", (r["nested"] + 1, DIM)
        for name, outputs, inputs in (("reader.trunk.0", r["trunk"], DIM), ("reader.trunk.1", DIM, r["trunk"]),
                                      ("reader.unfold", 64 * r["channels"], DIM),
                                      ("reader.mix", r["hidden"], (2 * r["reach"] + 1) * r["channels"]),
                                      ("reader.presence", 8, r["hidden"]),
                                      ("reader.character", 4 * r["embedding"], r["hidden"]),
                                      ("bridge.spell.0", HIDDEN, (BEFORE + 1 + AFTER) * r["embedding"]),
                                      ("bridge.spell.1", WIDTH, HIDDEN)):
            yield name + ".weight", (outputs, inputs)
            yield name + ".bias", (outputs,)
        for i in range(MERGES):
            yield f"bridge.merge.{i}.weight", (WIDTH, 2 * WIDTH)
        for i in range(GAINS):
            yield f"bridge.gain.{i}", (WIDTH,)
        yield "bridge.shift", (WIDTH,)
    e = EXPERTS
    yield "experts.router.weight", (e["count"], WIDTH)
    yield "experts.in.weight", (e["count"] * e["hidden"], WIDTH)
    yield "experts.out.weight", (WIDTH, e["count"] * e["hidden"])
    yield "experts.shared.in.weight", (e["hidden"], WIDTH)
    yield "experts.shared.out.weight", (WIDTH, e["hidden"])


def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p[name + ".bias"])


def plain(p, kind, k, x):
    prefix = f"bridge.{min(k, BUCKETS - 1)}."
    y = linear(p, prefix + "linear", x)
    if kind == "mlp":
        y = y + linear(p, prefix + "out", F.gelu(linear(p, prefix + "in", x)))
    return y.reshape(-1, WIDTH)


def see(p, k, x):
    """The reading head up to what it knows of each used square: (cells, rows of text, steps, hidden)."""
    cells = F.pad(x.reshape(-1, DIM >> k), (0, DIM - (DIM >> k)))
    x = cells + p["reader.level.weight"][min(k, READING["nested"])]
    x = x + linear(p, "reader.trunk.1", F.gelu(linear(p, "reader.trunk.0", x)))
    squares = linear(p, "reader.unfold", x).reshape(-1, 8, 8, READING["channels"])[:, 0::2]
    reach = READING["reach"]
    windows = F.pad(squares, (0, 0, reach, reach)).unfold(2, 2 * reach + 1, 1)  # (cells, 4, 8, channels, seen)
    windows = windows.transpose(3, 4).reshape(-1, 4, 8, (2 * reach + 1) * READING["channels"])
    return F.gelu(linear(p, "reader.mix", windows))


def columns_of(presence):
    """The columns with the middle of a character, of (rows, 32, 2) logits, as compress/reading.h has them."""
    found = []
    for row, p in enumerate(torch.softmax(presence, 2)[:, :, 1].tolist()):
        i = 0
        while i < 32:
            end = i
            while end < 32 and p[end] > FAINT:
                end += 1
            best = sorted(range(i, end), key=lambda c: (-p[c], c))[:math.floor(sum(p[i:end]) + 0.5)]
            found += [row * 32 + c for c in sorted(best)]
            i = max(end, i + 1)
    return found


def reading(p, k, x, expand, begins):
    hidden = see(p, k, x)  # (cells, 4, 8, hidden)
    columns = columns_of(linear(p, "reader.presence", hidden).detach().reshape(-1, 32, 2))
    features = linear(p, "reader.character", hidden).reshape(-1, READING["embedding"])[columns] / 20
    runs = torch.tensor(begins).cumsum(0)[torch.tensor(columns) // 128 // 2**k].tolist()
    zero = torch.zeros(READING["embedding"])
    leaves = [torch.zeros(WIDTH)] * (len(x) * 2**k * 8)
    for j, column in enumerate(columns):
        window = [features[i] if 0 <= i < len(columns) and runs[i] == runs[j] else zero
                  for i in range(j - BEFORE, j + AFTER + 1)]
        z = linear(p, "bridge.spell.1", F.gelu(linear(p, "bridge.spell.0", torch.cat(window))))
        leaves[column // 16] = leaves[column // 16] + z
    s, level = torch.stack(leaves), 0
    while len(s) > len(x) * expand:
        weight = p[f"bridge.merge.{min(level, MERGES - 1)}.weight"]
        s = s[0::2] + s[1::2] + s.reshape(-1, 2 * WIDTH) @ weight.T
        level += 1
    return p["bridge.shift"] + p[f"bridge.gain.{min(level, GAINS - 1)}"] * s


def experts(p, s):
    """What they make of soft tokens one by one, and the balance term."""
    r = torch.softmax(s @ p["experts.router.weight"].T, 1)
    values, chosen = r.topk(EXPERTS["chosen"], 1)
    hidden = EXPERTS["hidden"]
    rows = []
    for token in range(len(s)):
        h = s[token] + p["experts.shared.out.weight"] @ F.gelu(p["experts.shared.in.weight"] @ s[token])
        for value, i in zip(values[token], chosen[token].tolist()):
            a, b = p["experts.in.weight"][i * hidden:][:hidden], p["experts.out.weight"][:, i * hidden:][:, :hidden]
            h = h + value * (b @ F.gelu(a @ s[token]))
        rows.append(h)
    shares = torch.bincount(chosen.flatten(), minlength=EXPERTS["count"]) / chosen.numel()
    return torch.stack(rows), EXPERTS["balance"] * EXPERTS["count"] * (shares * r.mean(0)).sum()


def main():
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    tensors, parameters = {}, {}
    for kind in ("linear", "mlp", "reading"):
        parameters[kind] = {}
        for name, shape in shapes(kind):
            size = 1 if len(shape) == 1 or "level" in name else math.sqrt(shape[-1])
            usual = 20 if "spell.0.weight" in name else 0.1 if "spell.1" in name or "gain" in name else 1
            value = (torch.randn(shape) * usual / size).float()
            tensors[f"{kind}.{name}"] = value
            parameters[kind][name] = value.double().requires_grad_()
    groups = [torch.randn(tokens, DIM).float() for tokens in TOKENS]
    for k, x in enumerate(groups):
        tensors[f"x.{k}"] = x
    cases = []
    for kind, expand, routed in CASES:
        p, x = parameters[kind], [x.double().requires_grad_() for x in groups]
        soft = torch.cat([reading(p, k, v, expand, BEGINS[k]) if kind == "reading" else plain(p, kind, k, v)
                          for k, v in enumerate(x)])
        soft, balance = experts(p, soft) if routed else (soft, 0)
        out = torch.cat([p["marks.weight"], soft])
        seed = torch.randn(out.shape).float()
        names = [n for n in p if routed or not n.startswith("experts.")]
        got = torch.autograd.grad((seed * out).sum() + SCALE * balance, [p[n] for n in names] + x, allow_unused=True)
        case = f"{kind}{expand}"
        cases.append(dict(name=case, kind=kind, expand=expand, experts=routed))
        tensors |= {f"{case}.seed": seed, f"{case}.out": out.detach().float()}
        for name, gradient in zip(names + [f"x.{k}" for k in range(len(x))], got):
            if gradient is not None:
                tensors[f"{case}.gradient.{name}"] = gradient.float()
    safetensors.numpy.save_file({n: v.numpy() for n, v in tensors.items()}, HERE / "bridge.safetensors",
                                metadata={"cases": json.dumps(cases)})


if __name__ == "__main__":
    main()
