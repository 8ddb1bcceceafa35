"""torch_read.py - trains the network of `occ train read` in PyTorch: what makes the bundled weights where a GPU is.

    torch_read.py --pages "sh bundle/run.sh" --text FOLDER/*.txt --alphabet FILE.json --kinds NAME,... -o OUT
                  [--minutes 9] [--from FILE.safetensors]

train/nano.sh has the whole command. The pages are those of `occ train read`: --pages runs bench-training-pages, several
processes of it. The losses, the parts of the network that learn one after the other, the optimizer and the rates are
those of train/read/; the schedule follows the clock, so that a machine that is lent for minutes ends with an annealed
network. --from goes on from an encoder's file, with its last head alone. Writes OUT/metrics.ndjson (for `occ train
plot`) and the file of weights in parts: cat OUT/encoder.part* > encoder.safetensors."""
import argparse
import json
import math
import multiprocessing as mp
import os
import shlex
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save

import torch_network as net

MAGIC = 0x5043434F
SIDES = {"tiny": 512, "base": 1024, "hifi": 1280}
PART = 15 << 20
GROUPS = 3  # of the rows of cells; a loss sees one or two of them
EARLY = (("early.0.", 0.3), ("early.1.", 0.3), ("early.2.", 0.5))
LEVELS = (0.5, 0.18, 0.14, 0.11, 0.07)      # shares of the pages that pass so many halvings
LEVEL_WEIGHTS = (1.0, 0.8, 0.5, 0.25, 0.1)  # large losses would drown what is left to learn of whole tokens


# ---- Pages ---------------------------------------------------------------------------------------

def read_exactly(stream, view):
    while len(view) > 0:
        got = stream.readinto(view)
        if not got:
            return False
        view = view[got:]
    return True


def read_page(stream, pixels):
    head = bytearray(24)
    if not read_exactly(stream, memoryview(head)):
        return None
    magic, width, height, count, kind, _ = struct.unpack("<6I", head)
    if magic != MAGIC or width != pixels.shape[1] or height > pixels.shape[0]:
        raise SystemExit(f"a page of {width} x {height} pixels, magic {magic:#x}: not what was asked for")
    pixels[height:] = 255
    labels = np.empty(count, dtype=[("row", "<i2"), ("column", "<i2"), ("label", "<i4")])
    if not read_exactly(stream, memoryview(pixels[:height]).cast("B")):
        return None
    if count > 0 and not read_exactly(stream, memoryview(labels).cast("B")):
        return None
    return labels, kind


def pack_labels(pages, rows, rng):
    """Rows of cells with text and an eighth of the empty ones, in GROUPS groups; and the labels in them."""
    page = np.repeat(np.arange(len(pages)), [len(labels) for labels, _ in pages])
    labels = np.concatenate([labels for labels, _ in pages])
    row = page * rows + labels["row"]
    used = np.zeros(len(pages) * rows, dtype=bool)
    used[row] = True
    used |= rng.random(len(used)) < 1 / 8
    group = rng.integers(0, GROUPS, len(used))
    group[~used] = GROUPS
    order = np.argsort(group, kind="stable")[:int(used.sum())]
    place = np.zeros(len(used), dtype=np.int32)
    place[order] = np.arange(len(order))
    by_group = np.argsort(group[row], kind="stable")
    return dict(rows=order.astype(np.int32), row_ends=np.cumsum(np.bincount(group[order], minlength=GROUPS)).tolist(),
                label_row=place[row][by_group], column=labels["column"][by_group].astype(np.int32),
                label=labels["label"][by_group].astype(np.int32),
                label_ends=np.cumsum(np.bincount(group[row], minlength=GROUPS)[:GROUPS]).tolist(),
                kind=np.array([kind for _, kind in pages], dtype=np.int32))


def load(worker, size, batch, options, out, simple):
    """A process: batches of pages into `out`."""
    side, rng = SIDES[size], np.random.default_rng(worker + 1000)
    for progress, count in ((0, simple), (1, 1 << 40)):
        if count == 0:
            continue
        command = (f"{options.pages} --seed {options.seed} --first {worker + progress * (1 << 34)} --step 64 "
                   f"--count {count} --size {size} --progress {progress} {options.mix} ")
        stream = subprocess.Popen(shlex.split(command) + options.text, stdout=subprocess.PIPE, bufsize=1 << 20).stdout
        while True:
            pixels = torch.empty((batch, side, side), dtype=torch.uint8).share_memory_()
            view, pages = pixels.numpy(), []
            while len(pages) < batch:
                page = read_page(stream, view[len(pages)])
                if page is None:
                    break
                pages.append(page)
            if len(pages) < batch:
                break
            packed = pack_labels(pages, side // net.ROW, rng)
            out.put((size, pixels, packed))
    out.put((size, None, worker))


class Pages:
    """Batches as they come, and those of before once more where none has come yet."""

    def __init__(self, options, device):
        context = mp.get_context("spawn")
        self.device, self.options = device, options
        self.pool, self.unseen, self.working, self.fresh, self.taken = {}, {}, {}, 0, 0
        self.rng, self.lock = np.random.default_rng(7), threading.Lock()
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        worker = 0
        for size, batch, workers in options.sizes:
            batches = context.Queue(max(2, workers))
            self.pool[size], self.unseen[size], self.working[size] = [], 0, workers
            for _ in range(workers):
                arguments = (worker, size, batch, options, batches, options.simple if size == "tiny" else 0)
                context.Process(target=load, args=arguments, daemon=True).start()
                worker += 1
            threading.Thread(target=self.fetch, args=(size, batches), daemon=True).start()

    def fetch(self, size, batches):
        """A thread: batches to the device as they come; the oldest half makes room."""
        pool, held = self.pool[size], self.options.pool[size]
        while True:
            _, pixels, packed = batches.get()
            if pixels is None:
                print(f"the {size} pages of worker {packed} have come to an end", file=sys.stderr)
                self.working[size] -= 1
                continue
            if self.stream is None:
                batch = self.upload(pixels, packed)
            else:
                with torch.cuda.stream(self.stream):
                    batch = self.upload(pixels, packed)
                self.stream.synchronize()
            while self.unseen[size] > held // 4:  # none is given up before it was seen
                time.sleep(0.005)
            with self.lock:
                pool.append(batch)
                self.unseen[size] += 1
                self.fresh += len(pixels)
                if len(pool) > held:
                    pool.pop(0)

    def upload(self, pixels, packed):
        tensors = {k: torch.from_numpy(v).to(self.device) for k, v in packed.items() if isinstance(v, np.ndarray)}
        return {**packed, **tensors, "pixels": pixels.to(self.device)}

    def take(self, size):
        pool = self.pool[size]
        while not pool:
            if self.working[size] == 0:
                raise SystemExit(f"no {size} page came: see what {self.options.pages} says")
            time.sleep(0.001)
        with self.lock:
            if self.unseen[size] > 0:
                batch = pool[-self.unseen[size]]
                self.unseen[size] -= 1
            else:
                batch = pool[int(self.rng.integers(0, len(pool)))]
        self.taken += len(batch["pixels"])
        return batch


def cut(batch, cells):
    """The first `cells` rows of cells of each page: pages are as tall as their text."""
    pixels = batch["pixels"]
    rows, kept = pixels.shape[1] // net.ROW, cells * net.SIDE
    stays = (batch["rows"] % rows) < kept
    label_stays = stays[batch["label_row"].long()]
    number = torch.cumsum(stays, 0) - 1
    ends = lambda flags, old: [0 if end == 0 else int(torch.cumsum(flags, 0)[end - 1]) for end in old]
    row = batch["rows"][stays]
    return dict(batch, pixels=pixels[:, :cells * 64], rows=row // rows * kept + row % rows,
                row_ends=ends(stays, batch["row_ends"]), label_ends=ends(label_stays, batch["label_ends"]),
                label_row=number[batch["label_row"].long()][label_stays], column=batch["column"][label_stays],
                label=batch["label"][label_stays])


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

def span(ends, groups):
    """Positions of the groups, which follow each other."""
    first, last = groups[0], groups[-1]
    return (0 if first == 0 else ends[first - 1]), ends[last]


def head_loss(t, features, prefix, batch, reading, offsets, own, groups, number, weights=None):
    """Cross-entropies of presence and character, each for a character; `weights`: of the pages."""
    cells = net.lattice(t, features, prefix, reading["channels"], offsets)
    pages, rows, steps, channels = cells.shape
    first, end = span(batch["row_ends"], groups)
    chosen = batch["rows"][first:end].long()
    cells = cells.reshape(pages * rows, steps * channels).index_select(0, chosen).view(-1, steps, channels)
    hidden = net.read_rows(t, cells, prefix, reading, own)
    presence = net.linear(t, hidden, prefix + "presence").view(-1, 2)
    from_label, end_label = span(batch["label_ends"], groups)
    place = (batch["label_row"][from_label:end_label] - first).long() * (steps * net.COLUMNS)
    place = place + batch["column"][from_label:end_label]
    some = slice(number % 2, None, 2)  # of the characters, to be named
    target = torch.zeros(len(presence), dtype=torch.long, device=presence.device)
    target[place] = 1
    wide = net.linear(t, hidden, prefix + "character").view(-1, reading["embedding"])
    named_place = place[some]
    logits = net.linear(t, wide.index_select(0, named_place), prefix + "class")
    labels = batch["label"][from_label:end_label][some].long()
    there = F.cross_entropy(presence.float(), target, reduction="none")
    named = F.cross_entropy(logits.float(), labels, reduction="none")
    count = max(1, end_label - from_label)
    page = chosen // rows
    label_page = page.index_select(0, named_place // (steps * net.COLUMNS))
    zeros = torch.zeros(pages, device=presence.device)
    named = zeros.index_add(0, label_page, named) * 2
    there = zeros.index_add(0, page, there.view(len(chosen), -1).sum(1))
    counts = zeros.index_add(0, label_page, torch.full_like(labels, 2, dtype=torch.float32))
    total = named + there if weights is None else (named + there) * weights
    return total.sum() / count, torch.stack([named.detach(), there.detach(), counts], 1)


class Meter:
    """Sums of losses [character, presence, characters] by name, on the device."""

    def __init__(self, names, device):
        self.names, self.sums = names, torch.zeros((len(names), 3), device=device)

    def add(self, which, sums):
        """`which`: of each page, the index of its name."""
        self.sums.index_add_(0, which, sums)

    def line(self):
        out = {name: [round(c / n, 5), round(p / n, 5)] for name, (c, p, n) in zip(self.names, self.sums.tolist()) if n}
        self.sums.zero_()
        return out


# ---- Training ---------------------------------------------------------------------------------------

def optimizer_of(t, options):
    groups = {}
    for name, parameter in t.table.items():
        groups.setdefault((t.rates[name], t.decays[name]), []).append(parameter)
    lists = [dict(params=p, weight_decay=options.decay / rate if decays else 0.0, factor=rate)
             for (rate, decays), p in groups.items()]
    return torch.optim.AdamW(lists, lr=options.rate, betas=(0.9, 0.98), eps=1e-8, fused=options.device == "cuda")


def stage_at(done, staged):
    return 0 if done < staged / 2 else 1 if done < staged * 3 / 4 else 2 if done < staged else 3


def train_step(t, batch, size, done, options, inverse, meter, number):
    config, reading = options.config, options.reading
    offsets, pages = (2 if size == "hifi" else 1), len(batch["pixels"])
    last = 3 if options.start is not None else stage_at(done, options.staged)
    patches = (patches_of(batch["pixels"]) @ inverse.T).to(options.dtype)
    stages = net.encode(t, patches, config, offsets, SIDES[size] // 16, last)
    fade = 0 if options.start else 1 if done < 0.4 else 0.3 if done < 0.6 else 0  # a file has no early heads
    loss = 0
    own = 8 if offsets == 1 else 4
    everything = torch.zeros(pages, dtype=torch.long, device=patches.device)
    for i in range(min(last + 1, 3)):
        prefix, weight = EARLY[i]
        weight = 1 if i == last else weight * fade
        if weight > 0:
            head_offsets = offsets if i == 2 else 1
            groups = [(number + i) % GROUPS]
            part, sums = head_loss(t, stages[i], prefix, batch, reading, head_offsets, own, groups, number)
            loss = loss + weight * part
            meter.add(everything + i, sums)
    if last == 3:
        shares = torch.tensor(LEVELS, device=patches.device)
        levels = torch.multinomial(shares, pages, replacement=True)
        weights = torch.tensor(LEVEL_WEIGHTS, device=patches.device)[levels]
        tokens = net.nested(t, stages[3], levels, reading)
        groups = [0, 1] if number % 2 == 0 else [1, 2]
        part, sums = head_loss(t, tokens, "reader.", batch, reading, offsets, own, groups, number, weights)
        loss = loss + part
        meter.add(torch.where(levels > 0, levels + 2, batch["kind"].long() + len(EARLY) + len(LEVELS) - 1), sums)
    return loss


def write(options, t, inverse):
    """In BF16, in parts of at most 15 MB: cat OUT/encoder.part* makes the file."""
    text = net.metadata(options.config, options.reading, options.classes, options.profiles)
    data = save({name: value.to(torch.bfloat16) for name, value in fused(t, inverse).items()}, metadata=text)
    for i in range(0, len(data), PART):
        with open(os.path.join(options.output, f"encoder.part{i // PART}"), "wb") as f:
            f.write(data[i:i + PART])


def train(options):
    device = torch.device(options.device)
    os.makedirs(options.output, exist_ok=True)
    for name in os.listdir(options.output):  # of a run before
        if name == "metrics.ndjson" or name.startswith("encoder.part"):
            os.remove(os.path.join(options.output, name))
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(options.seed)
    t = net.Tensors()
    net.encoder_tensors(t, options.config)
    sam, count = options.config["sam"], len(options.classes)
    for (prefix, _), dim, cells in zip(EARLY, (sam["neck"], sam["net_2"], sam["net_3"]), (2, 4, 8)):
        net.head_tensors(t, prefix, options.reading, count, dim, cells, shipped=False)
    net.head_tensors(t, "reader.", options.reading, count, options.config["projector"]["output"], 8)
    begun = time.time()
    pages = Pages(options, device)
    first = [pages.take("tiny")["pixels"] for _ in range(2)]
    t.to(device)
    if options.start:
        state = load_file(options.start)
        missing = [name for name in t.table if name not in state]
        for name, value in state.items():
            if name in t.table:
                t.table[name].data.copy_(value)
        print("missing", missing, file=sys.stderr)
        factor, inverse = whitening(pages.take("base")["pixels"][:8])
        unfuse(t, factor)
    else:
        factor, inverse = whitening(first[0])
    inverse_f = inverse.float()
    optimizer = optimizer_of(t, options)
    names = [f"early{i}" for i in range(len(EARLY))] + [f"halved{k}" for k in range(1, len(LEVELS))] + options.kinds
    meter, step, shown, waited = Meter(names, device), 0, begun, 0.0
    parameters = list(t.table.values())
    sizes = [(size, share) for size, share in options.shares.items() if share > 0]
    rng = np.random.default_rng(options.seed)
    whitened, start = options.start is not None, time.time()
    budget = options.minutes * 60 - (start - begun if options.whole else 0)
    while True:
        now = time.time()
        done = (now - start) / budget
        if done >= 1 or (options.steps and step >= options.steps):
            break
        if options.steps:
            done = step / options.steps
        if not whitened and step == options.rewhiten:  # of pages as they come after the simple ones
            old = t.table[net.SAM + "patch_embed.proj.weight"]
            embedded = old.data.flatten(2)[:, 0].double() @ inverse
            factor, inverse = whitening(pages.take("tiny")["pixels"])
            old.data[:, 0] = (embedded @ factor).view(-1, 16, 16).float()
            inverse_f, whitened = inverse.float(), True
        rate = options.rate * min(1, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * min(1, done)))
        for group in optimizer.param_groups:
            group["lr"] = max(rate, options.rate * 1e-4) * group["factor"]
        size = "tiny" if done < options.staged else sizes[rng.choice(len(sizes), p=[s for _, s in sizes])][0]
        before = time.time()
        batch = pages.take(size)
        waited += time.time() - before
        if done >= options.staged and size != "hifi" and rng.random() < 0.25:
            batch = cut(batch, int(rng.integers(1, 8)))
        t.lower(options.dtype)
        try:
            train_step(t, batch, size, done, options, inverse_f, meter, step).backward()
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            print(f"step {step}: too little memory for {len(batch['pixels'])} {size} pages", file=sys.stderr)
        t.raise_()
        norm = torch.nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % options.every == 0:
            line = dict(step=step, seconds=round(time.time() - start, 1), done=round(done, 4), pages=pages.taken,
                        fresh=pages.fresh, waited=round(waited, 2), rate=round(rate, 6), norm=round(norm.item(), 4))
            line.update(meter.line())
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
    train(parse())
