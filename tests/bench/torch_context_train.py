"""torch_context_train.py - steps of training, on a GPU recorded and played again; held-out rows; a run by the clock."""
import gc
import json
import math
import os
import time

import numpy as np
import torch
from tokenizers import Tokenizer

import torch_context_adapter as adapter
from torch_context_network import FIGURES, Network
from torch_context_rows import Cells, Lesson, Workers

POSITIONS = {"cuda": 10240, "cpu": 740}  # of a batch
BATCHES = {"cuda": 6, "cpu": 1}          # that are measured of each lesson
TELL, SAVE, MEASURE = 15, 60, 75         # seconds between lines, folders, held-out figures
WARM, HOLD = 0.015, 0.45                 # shares of the time: rates rise, and begin to fall
AHEAD = 3                                # batches of each worker


def say(**figures):
    print(json.dumps(figures), flush=True)


class Steps:
    """Steps of training. On a GPU a step of each lesson is recorded as a graph; where that fails or memory is short, this
    lesson runs without one, and the others keep theirs."""

    def __init__(self, network, lessons, rate, bridge_rate, device):
        self.network, self.cuda, self.base = network, device.type == "cuda", (rate, bridge_rate)
        self.rates = [torch.tensor(base, device=device) for base in self.base]
        groups = [*network.a.values(), *network.b.values()], list(network.bridge.parameters())
        self.parameters = [parameter for group in groups for parameter in group]
        self.optimizer = torch.optim.AdamW([{"params": group, "lr": lr} for group, lr in zip(groups, self.rates)],
                                           betas=(0.9, 0.98), weight_decay=0,
                                           **({"fused": True, "capturable": True} if self.cuda else {}))
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self.figures = torch.zeros(len(FIGURES), device=device)
        self.buffers = {name: torch.zeros(lesson.size, dtype=torch.int32, device=device)
                        for name, lesson in lessons.items()}
        self.graphs, self.pool = {}, None  # by lesson; None: it runs without
        self.side = torch.cuda.Stream() if self.cuda else None

    def set_rates(self, share, begin):
        """share: of the time that is over."""
        rise = min(1, share / WARM + 0.01) if begin == 0 else 1
        fall = 1 if share < HOLD else 0.5 * (1 + math.cos(math.pi * min(1, (share - HOLD) / (1 - HOLD))))
        for rate, base in zip(self.rates, self.base):
            rate.fill_(base * rise * fall)

    def step(self, lesson):
        torch._foreach_zero_([parameter.grad for parameter in self.parameters])
        loss, figures = self.network.loss(lesson, lesson.views(self.buffers[lesson.name]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        self.figures.copy_(figures)

    def record(self, lesson):
        """Makes a step, then records it. Whether the step was made."""
        made = False
        try:
            self.side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.side):
                self.step(lesson)
            torch.cuda.current_stream().wait_stream(self.side)
            torch.cuda.synchronize()
            made = True
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool):
                self.step(lesson)
            self.pool = self.pool or graph.pool()
            self.graphs[lesson.name] = graph
        except RuntimeError as error:
            self.graphs[lesson.name] = None
            say(lesson=lesson.name, not_recorded=str(error)[:200])
        if self.graphs[lesson.name] is None:  # here nothing of the step is held by the error any more
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        return made

    def run(self, lesson):
        """A step without a graph; if there is no memory for it, all graphs give theirs back."""
        try:
            return self.step(lesson)
        except torch.cuda.OutOfMemoryError:
            if not any(self.graphs.values()):
                raise
        say(lesson=lesson.name, graphs="given up: memory is short")
        self.graphs, self.pool = dict.fromkeys(self.buffers), None
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return self.step(lesson)

    def learn(self, lesson, batch):
        """FIGURES of the batch, on the device."""
        self.buffers[lesson.name].copy_(torch.from_numpy(batch))
        graph = self.graphs.get(lesson.name)
        if graph is not None:
            graph.replay()
        elif not self.cuda or lesson.name in self.graphs or not self.record(lesson):
            self.run(lesson)
        return self.figures.clone()


class Held:
    """Held-out batches, always the same ones."""

    def __init__(self, network, lessons, workers, names, batches, device):
        self.network, self.lessons, self.batches = network, lessons, {name: [] for name in names}
        for name in names:
            for number in range(batches):
                workers.ask("held", name, number)
        for _ in range(batches * len(names)):
            name, batch = workers.take()
            self.batches[name].append(torch.from_numpy(batch).to(device))

    @torch.no_grad()
    def measure(self, name, most=None, whole=False):
        """FIGURES of a lesson: accuracy and loss after visual tokens, divergence from the teacher, which has the full
        text, and its loss. whole: of kind a also the loss without any context, with the adapter and of the model as it
        is."""
        lesson, sums, without, tokens = self.lessons[name], torch.zeros(len(FIGURES)), np.zeros(2), 0
        for batch in self.batches[name][:most]:
            v = lesson.views(batch)
            count = int((v["labels"] >= 0).sum())
            sums += self.network.loss(lesson, v)[1].cpu() * count
            if whole and lesson.kind == "a":
                without += np.array(self.network.without_context(v)) * count
            tokens += count
        found = dict(zip(FIGURES if lesson.kind != "r" else FIGURES[:2], (sums / tokens).tolist()))
        if whole and lesson.kind == "a":
            found |= {"without_context": without[0] / tokens, "model_without_context": without[1] / tokens}
        return {key: round(value, 4) for key, value in found.items()} | ({"tokens": tokens} if whole else {})

    def tell(self):
        for name in self.batches:
            say(measured=name, **self.measure(name, whole=True))


class Run:
    """What `train` and `measure` begin with: lessons, workers, network."""

    def __init__(self, options, learned, measured):
        self.options, self.device = options, torch.device(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        positions = options.positions or POSITIONS[self.device.type]
        self.lessons = {name: Lesson(name, positions) for name in sorted({*learned, *measured})}
        cells = {"held": Cells(options.held_out)}
        if learned:
            cells["train"] = Cells(options.pages)
        self.about = cells["held"].about
        self.workers = Workers(options.workers, options.model, cells, self.lessons, options.seed)
        newline = Tokenizer.from_file(os.path.join(options.model, "tokenizer.json")).encode("\n").ids[0]
        rank = adapter.rank_of(options.start) if options.start else options.rank
        self.network = Network(options.model, rank, newline, self.device, options.seed)
        if options.start:
            adapter.read(self.network, options.start)
        self.held = Held(self.network, self.lessons, self.workers, measured,
                         options.batches or BATCHES[self.device.type], self.device)

    def save(self):
        base = os.path.basename(os.path.abspath(self.options.model))
        adapter.write(self.network, self.about, base, self.options.output)


class Training(Run):
    """By the clock, so that a machine that is lent for minutes ends with an annealed adapter."""

    def __init__(self, options, stage, measured):
        super().__init__(options, {name for _, mix in stage.mixes for name in mix}, measured)
        self.mixes, self.begin = stage.mixes, stage.begin if options.begin is None else options.begin
        self.steps = Steps(self.network, self.lessons, options.rate or stage.rate,
                           options.bridge_rate or stage.bridge_rate, self.device)
        self.seconds = 60 * (options.minutes or stage.minutes)
        self.rng, self.asked, self.done, self.positions, self.seen = np.random.default_rng(options.seed), 0, 0, 0, {}

    def ask(self, share):
        mix = [mix for first, mix in self.mixes if share >= first][-1]
        weights = np.array(list(mix.values()))
        self.workers.ask("train", list(mix)[self.rng.choice(len(mix), p=weights / weights.sum())], self.asked)
        self.asked += 1

    def tell(self, share, seconds):
        """What was learned since the last line: [loss, accuracy, divergence] of each lesson."""
        means = {name: torch.stack(rows).mean(0).tolist() for name, rows in sorted(self.seen.items())}
        self.seen = {}
        memory = torch.cuda.max_memory_allocated() / 1e9 if self.device.type == "cuda" else 0
        say(step=self.done, share=round(share, 3), seconds=round(seconds), memory_gb=round(memory, 1),
            positions_a_second=round(self.positions / max(seconds, 1e-3)),
            **{name: [round(x, 3) for x in row[:2 if self.lessons[name].kind == "r" else 3]]
               for name, row in means.items()})
        if not all(math.isfinite(row[0]) for row in means.values()):
            raise FloatingPointError("a loss is not finite")

    def run(self):
        start = time.time()
        told = saved = measured = start
        for _ in range(AHEAD * self.options.workers):
            self.ask(self.begin)
        while True:
            now = time.time()
            share = self.begin + (1 - self.begin) * (now - start) / self.seconds
            if share >= 1:
                break
            name, batch = self.workers.take()
            self.ask(share)
            lesson = self.lessons[name]
            self.steps.set_rates(share, self.begin)
            self.seen.setdefault(name, []).append(self.steps.learn(lesson, batch))
            self.done += 1
            self.positions += lesson.positions
            if now - told > TELL:
                self.tell(share, now - start)
                told = now
                if now - saved > SAVE:
                    self.save()
                    saved = now
            if self.device.type == "cuda" and now - measured > MEASURE:
                say(step=self.done, held={name: self.held.measure(name, 1) for name in self.held.batches})
                measured = now
        self.tell(1, time.time() - start)
        self.save()
        self.held.tell()
