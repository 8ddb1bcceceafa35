"""torch_read.py - trains the network of `occ train read` in PyTorch: what makes the bundled weights where a GPU is.

    torch_read.py --pages "sh bundle/run.sh" --text FOLDER/*.txt --alphabet FILE.json --kinds NAME,... -o OUT
                  [--minutes 9] [--from FILE.safetensors]

train/nano.sh has the whole command. The pages are those of `occ train read`: --pages runs bench-training-pages, several
processes of it. The losses, the parts of the network that learn one after the other, the optimizer and the rates are
those of train/read/; the schedule follows the clock, so that a machine that is lent for minutes ends with an annealed
network. --from goes on from an encoder's file, with its last head alone. Writes OUT/metrics.ndjson (for `occ train
plot`) and the file of weights in parts: cat OUT/encoder.part* > encoder.safetensors."""
import argparse
import collections
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save

import torch_network as net
from torch_pages import SIDES, Pages

PART = 15 << 20
EARLY = (("early.0.", 0.3), ("early.1.", 0.3), ("early.2.", 0.5))
LEVELS = (0.55, 0.15, 0.11, 0.13, 0.06)     # shares of the pages that pass so many halvings
LEVEL_WEIGHTS = (1.0, 0.8, 0.5, 0.25, 0.1)  # large losses would drown what is left to learn of whole tokens


# ---- Whitening: train/read/whiten.h ----------------------------------------------------------------

def patches_of(pixels):
    pages, h, w = pixels.shape
    p = (pixels.float() - 255) * (2 / 255)
    return p.view(pages, h // 16, 16, w // 16, 16).transpose(2, 3).reshape(pages, h // 16, w // 16, 256)


def whitening(pixels):
    p = patches_of(pixels).flatten(0, 2).double()
    moments = p.T @ p / len(p)
    moments += 0.02 * moments.diagonal().mean() * torch.eye(256, dtype=torch.double, device=p.device)
    factor = torch.linalg.cholesky(moments)
    inverse = torch.linalg.solve_triangular(factor, torch.eye(256, dtype=torch.double, device=p.device), upper=False)
    return factor, inverse


def fused(t, inverse):
    """The file's tensors: those that are shipped, the whitening in the patch embedding."""
    out = {name: value.detach().float().cpu().clone() for name, value in t.table.items() if t.shipped[name]}
    weight, bias = net.SAM + "patch_embed.proj.weight", net.SAM + "patch_embed.proj.bias"
    w = t.table[weight].detach().double().flatten(2)[:, 0] @ inverse
    out[bias] = (t.table[bias].detach().double() - w.sum(1)).float().cpu()
    out[weight] = (w / 3).float().view(-1, 1, 16, 16).expand(-1, 3, 16, 16).contiguous().cpu()
    return {name: value.contiguous() for name, value in out.items()}


def unfuse(t, factor):
    weight, bias = net.SAM + "patch_embed.proj.weight", net.SAM + "patch_embed.proj.bias"
    ink = t.table[weight].detach().double().flatten(2).sum(1)
    t.table[bias].data += ink.sum(1).to(t.table[bias].dtype)
    whitened = (ink @ factor).view(-1, 16, 16).to(t.table[weight].dtype)
    t.table[weight].data.zero_()
    t.table[weight].data[:, 0] = whitened


# ---- Losses -----------------------------------------------------------------------------------------
# Every tensor has the same size in every step with pages of a size, so that a GPU can play a recorded step: what there
# is more or less of is padded or left out.

class Pick(torch.autograd.Function):
    """Rows of x by `index`. The gradient goes back by `place`, where a row of x stands in `index` or len(index): the
    sum with atomic additions that index_select has instead is slow in BF16."""

    @staticmethod
    def forward(ctx, x, index, place):
        ctx.save_for_backward(place)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, gradient):
        (place,) = ctx.saved_tensors
        padded = torch.cat([gradient, gradient.new_zeros(1, gradient.shape[1])])
        return padded.index_select(0, place), None, None


def choose_rows(labels, count):
    """`count` rows of cells: those with text in any order, then an eighth of the empty ones; their places for Pick; and
    whether a row counts: the others fill up."""
    text = (labels > 0).any(1)
    order = torch.rand(len(labels), device=labels.device)
    wanted = text | (torch.rand(len(labels), device=labels.device) < 1 / 8)
    order = (order + ~wanted).argsort()
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return order[:count], place.clamp(max=count), wanted[order[:count]]


def choose_characters(target, count):
    """The first `count` characters; their places for Pick; and which of them there are."""
    number = (target > 0).cumsum(0) - 1
    place = torch.where((target > 0) & (number < count), number, count)
    index = torch.zeros(count + 1, dtype=torch.long, device=target.device)
    index.scatter_(0, place, torch.arange(len(target), device=target.device))
    there = torch.arange(count, device=target.device) <= number[-1]
    return torch.where(there, index[:count], 0), place, there


def head_loss(t, features, prefix, labels, reading, offsets, own, share, heavy, weights=None):
    """Cross-entropies of presence and character, each for a character, in the `share` of the rows; `heavy`: weights of
    the classes, `weights`: of the pages. And four sums of each page, for Meter: those of its named characters, their
    number, those of presence, its characters."""
    cells = net.lattice(t, features, prefix, reading["channels"], offsets)
    pages, rows, steps, channels = cells.shape
    labels = labels.reshape(pages * rows, -1)
    index, place, counts = choose_rows(labels, math.ceil(share["rows"] * pages * rows))
    cells = Pick.apply(cells.reshape(pages * rows, -1), index, place).view(-1, steps, channels)
    hidden = net.read_rows(t, cells, prefix, reading, own)
    target = labels.index_select(0, index).long()
    presence = net.linear(t, hidden, prefix + "presence").view(*target.shape, 2).float()
    presence = presence[..., 1] - presence[..., 0]
    there = F.binary_cross_entropy_with_logits(presence, (target > 0).float(), reduction="none").sum(1) * counts
    target = target.flatten()
    named, place, known = choose_characters(target, math.ceil(share["named"] * len(target)))
    wide = net.linear(t, hidden, prefix + "character").view(-1, reading["embedding"])
    names = torch.where(known, target.index_select(0, named) - 1, -100)
    loss = net.name_loss(Pick.apply(wide, named, place), t[prefix + "class.weight"], t[prefix + "class.bias"], names)
    zeros = torch.zeros(len(index), device=loss.device)
    row = named // (steps * net.COLUMNS)
    characters = (target > 0).view(len(index), -1).sum(1).float()
    weight = heavy[names.clamp(min=0)] * known
    of_named = (loss * weight, weight, loss.detach(), known.float())
    sums = torch.stack([*(zeros.index_add(0, row, value) for value in of_named), there, characters], 1)
    sums = torch.zeros((pages, 6), device=loss.device).index_add(0, index // rows, sums)
    weighted = sums if weights is None else sums * weights[:, None]
    total = sums.detach().sum(0).clamp(min=1)
    return weighted[:, 0].sum() / total[1] + weighted[:, 4].sum() / total[5], sums[:, 2:].detach()


class Meter:
    """Losses [character, presence] by name, each for a character, on the device."""

    def __init__(self, names, device):
        self.names, self.sums = names, torch.zeros((len(names), 4), device=device)

    def add(self, which, sums):
        """`which`: of each page, the index of its name."""
        self.sums.index_add_(0, which, sums)

    def line(self):
        out = {name: [round(c / n, 5), round(p / m, 5)]
               for name, (c, n, p, m) in zip(self.names, self.sums.tolist()) if n}
        self.sums.zero_()
        return out


# ---- Training ---------------------------------------------------------------------------------------

def optimizer_of(t, options, device):
    groups = {}
    for name, parameter in t.table.items():
        groups.setdefault((t.rates[name], t.decays[name]), []).append(parameter)
    lists = [dict(params=p, weight_decay=options.decay / rate if decays else 0.0, factor=rate,
                  lr=torch.zeros((), device=device)) for (rate, decays), p in groups.items()]
    on_gpu = device.type == "cuda"
    return torch.optim.AdamW(lists, betas=(0.9, 0.98), eps=1e-8, fused=on_gpu, capturable=on_gpu)


def stage_at(done, staged):
    return 0 if done < staged / 2 else 1 if done < staged * 3 / 4 else 2 if done < staged else 3


class Steps:
    """Forward, backward and update. On a GPU each kind of step is recorded when it comes for the second time, and
    played from then on: its many kernels take as long to launch as to run, and longer while pages are being made."""

    def __init__(self, t, options, device, inverse):
        self.t, self.options, self.inverse = t, options, inverse
        self.optimizer = optimizer_of(t, options, device)
        names = [f"early{i}" for i in range(len(EARLY))] + [f"halved{k}" for k in range(1, len(LEVELS))] + options.kinds
        self.meter, self.norm = Meter(names, device), torch.zeros((), device=device)
        self.heavy = torch.ones(len(options.classes), device=device)
        for first, weight in options.heavy.items():
            self.heavy[int(first):] = weight
        self.level_weights = torch.tensor(LEVEL_WEIGHTS, device=device)
        self.inputs, self.graphs = {}, {}
        self.memory = torch.cuda.graph_pool_handle() if device.type == "cuda" else None

    def set_rate(self, rate):
        for group in self.optimizer.param_groups:
            group["lr"].fill_(rate * group["factor"])

    def run(self, batch, size, cells, last, fade):
        """The first `cells` rows of cells of each page: pages are as tall as their text."""
        levels = torch.multinomial(torch.tensor(LEVELS), len(batch[0]), replacement=True)
        if size not in self.inputs:
            self.inputs[size] = [torch.empty_like(tensor) for tensor in (*batch, levels.to(batch[0].device))]
        pixels, labels, kinds, halvings = self.inputs[size]
        pixels, labels = pixels[:, :cells * net.SIDE * net.ROW], labels[:, :cells * net.SIDE]
        pixels.copy_(batch[0][:, :pixels.shape[1]])
        labels.copy_(batch[1][:, :labels.shape[1]])
        kinds.copy_(batch[2])
        halvings.copy_(levels)
        key, inputs = (size, cells, last, fade), (pixels, labels, kinds, halvings)
        if key not in self.graphs:
            self.graphs[key] = None
            self.compute(inputs, size, last, fade)
            return
        if self.graphs[key] is None and self.memory is not None:
            self.graphs[key] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graphs[key], pool=self.memory, stream=torch.cuda.current_stream(),
                                  capture_error_mode="thread_local"):
                self.compute(inputs, size, last, fade)
        if self.graphs[key] is not None:
            self.graphs[key].replay()
        else:
            self.compute(inputs, size, last, fade)

    def compute(self, inputs, size, last, fade):
        self.t.lower(self.options.dtype)
        self.loss(inputs, size, last, fade).backward()
        self.t.raise_()
        parameters = [p for p in self.t.table.values() if p.grad is not None]
        self.norm.copy_(torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True))
        if self.memory is not None:
            self.optimizer.found_inf = (~self.norm.isfinite()).float()  # such a step is left out
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def loss(self, inputs, size, last, fade):
        t, reading, share = self.t, self.options.reading, self.options.share
        pixels, labels, kinds, levels = inputs
        offsets, own = (2, 4) if size == "hifi" else (1, 8)
        patches = (patches_of(pixels) @ self.inverse.T).to(self.options.dtype)
        stages = net.encode(t, patches, self.options.config, offsets, SIDES[size] // 16, last)
        loss = 0
        for i in range(min(last + 1, 3)):
            prefix, weight = EARLY[i]
            weight = 1 if i == last else weight * fade
            if weight > 0:
                part, sums = head_loss(t, stages[i], prefix, labels, reading, offsets if i == 2 else 1, own,
                                       dict(share, rows=share["rows"] / 2), self.heavy)
                loss = loss + weight * part
                self.meter.add(torch.full_like(kinds, i), sums)
        if last == 3:
            tokens = net.nested(t, stages[3], levels, reading)
            part, sums = head_loss(t, tokens, "reader.", labels, reading, offsets, own, share, self.heavy,
                                   self.level_weights[levels])
            loss = loss + part
            self.meter.add(torch.where(levels > 0, levels + len(EARLY) - 1, kinds + len(EARLY) + len(LEVELS) - 1), sums)
        return loss


def write(options, t, inverse):
    """In BF16, in parts of at most 15 MB: cat OUT/encoder.part* makes the file."""
    text = net.metadata(options.config, options.reading, options.classes, options.profiles)
    data = save({name: value.to(torch.bfloat16) for name, value in fused(t, inverse).items()}, metadata=text)
    for i in range(0, len(data), PART):
        with open(os.path.join(options.output, f"encoder.part{i // PART}"), "wb") as f:
            f.write(data[i:i + PART])


def load_weights(t, path):
    """Integers with a scale for each row, as `occ model convert` writes them, too."""
    state = load_file(path)
    for name, parameter in t.table.items():
        if name in state:
            value = state[name].float()
            if name + ".scale" in state:
                value *= state[name + ".scale"].view(-1, *[1] * (value.dim() - 1))
            parameter.data.copy_(value)
        elif t.shipped[name]:
            raise SystemExit(f"{path} has no {name}")


def network(options, device):
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(options.seed)
    if device.type == "cuda":
        import torch_kernels
        for name in ("window_attention", "layer_norm", "name_loss"):
            setattr(net, name, getattr(torch_kernels, name))
    t = net.Tensors()
    net.encoder_tensors(t, options.config)
    sam, count = options.config["sam"], len(options.classes)
    for (prefix, _), dim, cells in zip(EARLY, (sam["neck"], sam["net_2"], sam["net_3"]), (2, 4, 8)):
        net.head_tensors(t, prefix, options.reading, count, dim, cells, shipped=False)
    net.head_tensors(t, "reader.", options.reading, count, options.config["projector"]["output"], 8)
    return t.to(device)


def train(options):
    device, begun = torch.device(options.device), time.time()
    os.makedirs(options.output, exist_ok=True)
    for name in os.listdir(options.output):  # of a run before
        if name == "metrics.ndjson" or name.startswith("encoder.part"):
            os.remove(os.path.join(options.output, name))
    pages = Pages(options, device)
    t = network(options, device)
    if options.start:
        load_weights(t, options.start)
        factor, inverse = whitening(pages.take("base")[0][:8])
        unfuse(t, factor)
    else:
        factor, inverse = whitening(pages.take("tiny")[0])
    steps, step, shown, waited = Steps(t, options, device, inverse.float()), 0, begun, 0.0
    sizes = [(size, share) for size, share in options.shares.items() if share > 0]
    rng, ahead = np.random.default_rng(options.seed), collections.deque()
    whitened, start = options.start is not None, time.time()
    budget = options.minutes * 60 - (start - begun if options.whole else 0)
    while True:
        done = step / options.steps if options.steps else (time.time() - start) / budget
        if done >= 1:
            break
        if not whitened and step == options.rewhiten:  # of pages as they come after the simple ones
            old = t.table[net.SAM + "patch_embed.proj.weight"]
            embedded = old.data.flatten(2)[:, 0].double() @ inverse
            factor, inverse = whitening(pages.take("tiny")[0])
            old.data[:, 0] = (embedded @ factor).view(-1, 16, 16).float()
            steps.inverse.copy_(inverse)
            whitened = True
        rate = options.rate * min(1, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * min(1, done)))
        steps.set_rate(max(rate, options.rate * 1e-4))
        last = 3 if options.start else stage_at(done, options.staged)
        fade = 0 if options.start else 1 if done < 0.4 else 0.3 if done < 0.6 else 0  # a file has no early heads
        size = "tiny" if last < 3 else sizes[rng.choice(len(sizes), p=[s for _, s in sizes])][0]
        cells = SIDES[size] // (net.SIDE * net.ROW)
        if last == 3 and size != "hifi" and rng.random() < 0.25:
            cells = int(rng.integers(1, 8))
        before = time.time()
        batch = pages.take(size)
        waited += time.time() - before
        steps.run(batch, size, cells, last, fade)
        step += 1
        if device.type == "cuda":  # the clock is to be that of the GPU
            ahead.append(torch.cuda.Event(blocking=True))
            ahead[-1].record()
            if len(ahead) > 3:
                ahead.popleft().synchronize()
        if step % options.every == 0:
            line = dict(step=step, seconds=round(time.time() - start, 1), done=round(done, 4), pages=pages.taken,
                        fresh=pages.fresh, waited=round(waited, 2), rate=round(rate, 6),
                        norm=round(steps.norm.item(), 4))
            line.update(steps.meter.line())
            if device.type == "cuda":
                line["gpu_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
            text = json.dumps(line)
            print(text, flush=True)
            with open(os.path.join(options.output, "metrics.ndjson"), "a") as f:
                f.write(text + "\n")
            if time.time() - shown > 120:
                shown = time.time()
                write(options, t, inverse)
    write(options, t, inverse)
    print(json.dumps(dict(end=True, step=step, pages=pages.taken, fresh=pages.fresh, waited=round(waited, 1),
                          seconds=round(time.time() - start, 1))), flush=True)


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pages", required=True, help="command of bench-training-pages")
    p.add_argument("--mix", default="", help="further options of it")
    p.add_argument("--text", nargs="+", required=True)
    p.add_argument("--alphabet", required=True, help="JSON list of the classes")
    p.add_argument("--kinds", required=True, help="names of the kinds of pages, comma-separated")
    p.add_argument("--profiles", default="cell10,cell8")
    p.add_argument("--workers", default="tiny:12,base:3,hifi:1")
    p.add_argument("--batches", default="tiny:128,base:32,hifi:16")
    p.add_argument("--steps-share", default="tiny:0.78,base:0.16,hifi:0.06")
    p.add_argument("--share", default="rows:0.5,named:0.17", help="of the rows that are read, of their columns with a "
                   "character that are named: text is in two thirds of the rows and a third of their columns")
    p.add_argument("--heavy", default="0:1", help="FIRST:WEIGHT of the losses of the classes from FIRST on")
    p.add_argument("--held", default="tiny:300,base:80,hifi:20", help="batches that are kept to be seen again")
    p.add_argument("--simple", type=int, default=2000, help="simple pages of each tiny worker, to begin with")
    p.add_argument("--rewhiten", type=int, default=700)
    p.add_argument("--minutes", type=float, default=9)
    p.add_argument("--whole", action="store_true", help="--minutes counts from the start of the program")
    p.add_argument("--steps", type=int, default=0)
    p.add_argument("--staged", type=float, default=0.1)
    p.add_argument("--rate", type=float, default=0.004)
    p.add_argument("--decay", type=float, default=0.01)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--every", type=int, default=50)
    p.add_argument("--device", default="cuda")
    p.add_argument("--no-bf16", dest="bf16", action="store_false")
    p.add_argument("--sizes", default="{}", help='JSON of changes to the network: {"sam": {...}, "reading": {...}}')
    p.add_argument("--from", dest="start")
    p.add_argument("-o", "--output", required=True)
    o = p.parse_args()
    pairs = lambda text, kind: {k: kind(v) for k, v in (part.split(":") for part in text.split(","))}
    workers, batches = pairs(o.workers, int), pairs(o.batches, int)
    o.shares = {k: v for k, v in pairs(o.steps_share, float).items() if workers.get(k, 0) > 0}
    total = sum(o.shares.values())
    o.shares = {k: v / total for k, v in o.shares.items()}
    o.share = pairs(o.share, float)
    o.heavy = pairs(o.heavy, float)
    o.pool = pairs(o.held, int)
    o.classes = json.load(open(o.alphabet))
    o.kinds = o.kinds.split(",")
    o.dtype = torch.bfloat16 if o.bf16 else torch.float32
    o.profiles = o.profiles.split(",")
    changes = json.loads(o.sizes)
    o.config, o.reading = json.loads(json.dumps(net.NANO)), {**net.READING, **changes.pop("reading", {})}
    for part, sizes in changes.items():
        o.config[part].update(sizes)
    o.sizes = [(size, batches[size], workers[size]) for size in workers if workers[size] > 0]
    return o


if __name__ == "__main__":
    parsed = parse()
    if parsed.device == "cuda":
        with torch.cuda.stream(torch.cuda.Stream()):  # the default one cannot be recorded
            train(parsed)
    else:
        train(parsed)
