"""The pages of bench-training-pages as batches on a device: for torch_read.py."""
import multiprocessing as mp
import shlex
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import torch

import torch_network as net

MAGIC = 0x5043434F
SIDES = {"tiny": 512, "base": 1024, "hifi": 1280}
LABEL = np.dtype([("row", "<i2"), ("column", "<i2"), ("label", "<i4")])


def read_exactly(stream, view):
    while len(view) > 0:
        got = stream.readinto(view)
        if not got:
            return False
        view = view[got:]
    return True


def read_page(stream, pixels, labels):
    """Gives the kind of the page, or None after the last one. `labels`: a place for each column of each row, where
    there is no character 0, else its class + 1."""
    head = bytearray(24)
    if not read_exactly(stream, memoryview(head)):
        return None
    magic, width, height, count, kind, _ = struct.unpack("<6I", head)
    if magic != MAGIC or width != pixels.shape[1] or height > pixels.shape[0]:
        raise SystemExit(f"a page of {width} x {height} pixels, magic {magic:#x}: not what was asked for")
    pixels[height:] = 255
    listed = np.empty(count, dtype=LABEL)
    if not read_exactly(stream, memoryview(pixels[:height]).cast("B")):
        return None
    if count > 0 and not read_exactly(stream, memoryview(listed).cast("B")):
        return None
    labels[:] = 0
    labels[listed["row"], listed["column"]] = listed["label"] + 1
    return kind


def load(worker, size, batch, options, out, simple):
    """A process: batches of pages into `out`."""
    side = SIDES[size]
    for progress, count in ((0, simple), (1, 1 << 40)):
        if count == 0:
            continue
        command = (f"{options.pages} --seed {options.seed} --first {worker + progress * (1 << 34)} --step 64 "
                   f"--count {count} --size {size} --progress {progress} {options.mix} ")
        stream = subprocess.Popen(shlex.split(command) + options.text, stdout=subprocess.PIPE, bufsize=1 << 20).stdout
        while True:
            pixels = torch.empty((batch, side, side), dtype=torch.uint8).share_memory_()
            labels = torch.empty((batch, side // net.ROW, side // net.STEP * net.COLUMNS), dtype=torch.int16)
            labels.share_memory_()
            kinds = []
            while len(kinds) < batch:
                kind = read_page(stream, pixels[len(kinds)].numpy(), labels[len(kinds)].numpy())
                if kind is None:
                    break
                kinds.append(kind)
            if len(kinds) < batch:
                break
            out.put((pixels, labels, torch.tensor(kinds, dtype=torch.int32)))
    out.put(None)


class Pages:
    """Batches (pixels, labels, kinds) as they come, and those of before once more where none has come yet."""

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
        """A thread: batches to the device as they come; the oldest makes room."""
        pool, held = self.pool[size], self.options.pool[size]
        while self.working[size] > 0:
            batch = batches.get()
            if batch is None:
                print(f"the {size} pages of a worker have come to an end", file=sys.stderr)
                self.working[size] -= 1
                continue
            if self.stream is not None:
                with torch.cuda.stream(self.stream):
                    batch = [tensor.to(self.device) for tensor in batch]
                self.stream.synchronize()
            while self.unseen[size] > held // 4:  # none is given up before it was seen
                time.sleep(0.005)
            with self.lock:
                pool.append(batch)
                self.unseen[size] += 1
                self.fresh += len(batch[0])
                if len(pool) > held:
                    pool.pop(0)

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
        if self.stream is not None:
            for tensor in batch:  # its memory stays until the steps that were queued have read it
                tensor.record_stream(torch.cuda.current_stream())
        self.taken += len(batch[0])
        return batch
