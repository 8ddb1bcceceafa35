"""torch_context_rows.py - rows that a language model learns to read visual tokens with, and processes that build them.

A lesson is named by its kind, soft tokens of a visual one, cells, and k1 where cells are halved once: r4x16, a1x128k1.

    r  reading     [page] [age] soft tokens of a span [read]  ->  its text, end token
    f  following   [page] [age] soft tokens of a span [end]   ->  the text behind it
    a  accounts    [page] [age] soft tokens of older posts, now and then [text] and the newest as text,
                   [end] Account: NAME, Caption:              ->  the next post, end token
    t  text        t256: plain text of so many tokens, that the model goes on writing as it did

Each page of a span has marks of its own; of halved cells of an account the newest quarter is left whole. To f and a
belong rows of a teacher, that has the full text in the place of soft tokens. A batch of a lesson always has the same
shape, as one array of int32, so that a step can be recorded and played again. An input is a token's id, or -1 - i: a
mark, then the soft tokens of the batch, those of whole cells first."""
import json
import multiprocessing
import os
import queue
import traceback

import numpy as np

PARTS, PART_COLUMNS = 16, 8                       # of a cell; columns of text of such a part
PAGE, STYLE, TEXT, READ, END, AGE = range(6)      # train/context/bridge.h
AGES = 3                                          # that differ
MARKS = AGE + AGES
SPELLED = 16                                      # text tokens of a cell, at most, on average
SAME_PAGE = 16                                    # cells: longer spans may go on across pages
BEHIND = 8                                        # cells behind a span whose text is foreseen
POST, NEWEST, PROMPT = 96, 40, 24                 # tokens of a post, of newest posts as text, of a prompt
NONE = -100                                       # what is no label


class Lesson:
    """What a batch looks like. `positions`: of a batch; those of the teacher, which only looks, count a third."""

    def __init__(self, name, positions):
        self.name, self.kind = name, name[0]
        body, _, halved = name[1:].partition("k")
        self.halvings, self.teacher = int(halved or 0), 0
        if self.kind == "t":
            self.soft, self.cells, self.old = 1, 0, 0
            self.length = self.teacher = int(body)
            self.targets = self.length - 1
        else:
            self.soft, self.cells = map(int, body.split("x"))
            self.old = 0 if not self.halvings else self.cells * 3 // 4 if self.kind == "a" else self.cells
            tokens = self.cells - self.old + (self.old >> self.halvings)
            text = round(10.5 * self.cells)
            self.targets, self.teacher = {"r": (6 + round(9.4 * self.cells), 0), "f": (64, text + 64),
                                          "a": (POST, text + POST + PROMPT + 8)}[self.kind]
            self.length = 3 + self.cells // 16 + self.soft * tokens + self.targets
            self.length += 6 + PROMPT + NEWEST if self.kind == "a" else 0
        self.rows = max(1, round(positions / (self.length + self.teacher / 3)))
        self.positions = self.rows * (self.length + self.teacher / 3)
        self.leaves = self.rows * self.cells * PARTS
        self.lay_out()

    def lay_out(self):
        shapes = {"inputs": (self.rows, self.length), "at": (self.rows, self.targets),
                  "labels": (self.rows, self.targets)}  # `at`: the input after which a label is foreseen
        if self.cells:
            shapes |= {"leaf": (self.rows * self.cells * SPELLED,), "ids": (self.rows * self.cells * SPELLED,)}
        if self.kind in "fa":
            shapes |= {"taught": (self.rows, self.teacher), "taught_at": (self.rows, self.targets)}
        self.places, self.size = {}, 0
        for key, shape in shapes.items():
            first, self.size = self.size, self.size + int(np.prod(shape))
            self.places[key] = (first, self.size, shape)

    def views(self, flat):
        return {key: flat[first:end].reshape(shape) for key, (first, end, shape) in self.places.items()}


class Cells:
    """What torch_context_pages.py gathered."""

    def __init__(self, path):
        with np.load(path) as file:
            self.columns, self.classes = file["columns"], file["classes"]
            self.bytes = file["text"].tobytes()
            self.char_at, self.text_at = file["char_at"].astype(np.int64), file["text_at"].astype(np.int64)
            self.page, self.account, post = file["page"], file["account"], file["post"]
            self.about, self.names = json.loads(str(file["about"])), json.loads(str(file["names"]))
        self.alphabet = self.about["alphabet"]
        self.points = np.array([len(c) for c in self.alphabet])
        self.count = len(post)
        self.begins = np.flatnonzero(np.diff(post.astype(np.int64), prepend=-1) != 0)  # first cells of posts
        self.first_of = np.searchsorted(self.account, np.arange(len(self.names)))

    def text(self, first, end):
        return self.bytes[self.text_at[first]:self.text_at[end]].decode("utf-8", "ignore")

    def pick(self, rng, cells, same_page):
        """The first of `cells` cells of one page, or of one account."""
        of = self.page if same_page else self.account
        for _ in range(1_000_000 if cells < self.count else 0):
            first = int(rng.integers(0, self.count - cells))
            if of[first] == of[first + cells - 1]:
                return first
        raise ValueError(f"no {'page' if same_page else 'account'} has {cells} cells")

    def pick_post(self, rng, cells):
        """(number of a post, where up to `cells` cells of older ones of its account begin)."""
        for _ in range(1_000_000 if len(self.begins) > 2 else 0):
            number = int(rng.integers(1, len(self.begins) - 1))
            begin = int(self.begins[number])
            first = max(begin - cells, int(self.first_of[self.account[begin]]))
            if self.account[begin] == self.account[begin - 1] and begin - first > 2:
                return number, first
        raise ValueError("no account has several posts")

    def pages_of(self, first, end):
        """Cells from first to end, by page."""
        edges = [first, *(first + np.flatnonzero(np.diff(self.page[first:end])) + 1).tolist(), end]
        return zip(edges, edges[1:])


class Builder:
    def __init__(self, cells, tokenizer, end):
        self.cells, self.tokenizer, self.end = cells, tokenizer, end
        self.kinds = {"r": self.reading, "f": self.following, "a": self.accounts, "t": self.text}

    def build(self, lesson, seed):
        flat = np.zeros(lesson.size, np.int32)
        out = lesson.views(flat)
        out["labels"][:] = NONE
        if "leaf" in out:
            out["leaf"][:] = lesson.leaves  # a leaf that nobody looks at
        self.kinds[lesson.kind](lesson, np.random.default_rng(seed), out)
        return flat

    def encode(self, texts):
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]

    # ---- Soft tokens

    def context(self, lesson, row, span, old, stretches):
        """Inputs of the cells of a span, of which those before `old` are halved. Adds (first cell, end, leaf of the
        first) to `stretches`, what is to be spelled. Leaves of whole cells come first, then those of halved ones."""
        whole = lesson.cells - lesson.old  # of a row
        pieces, inputs, last = [], [], None
        for first, end in self.cells.pages_of(*span):
            if lesson.halvings and first < old < end:
                pieces += [(first, old, True), (old, end, False)]
            else:
                pieces.append((first, end, lesson.halvings > 0 and end <= old))
        place = {False: row * whole, True: row * lesson.old}  # of the next cell among its like
        for first, end, halved in pieces:
            k = lesson.halvings if halved else 0
            count = end - first >> k
            if count == 0:
                continue
            first = end - (count << k)  # the newest whole tokens
            inputs.append(-1 - PAGE)
            if k != last:
                inputs.append(-1 - AGE - k)
                last = k
            before = lesson.rows * whole if halved else 0
            soft = MARKS + (before + (place[halved] >> k)) * lesson.soft
            stretches.append((first, end, (before + place[halved]) * PARTS))
            place[halved] += end - first
            inputs += range(-1 - soft, -1 - soft - count * lesson.soft, -1)
        return inputs

    def spell(self, out, stretches):
        """The text tokens of what was read, and the leaf in which the first character of each stands."""
        c, texts, places = self.cells, [], []
        for first, end, leaf in stretches:
            low, high = c.char_at[first], c.char_at[end]
            classes = c.classes[low:high]
            cell = np.repeat(np.arange(end - first), np.diff(c.char_at[first:end + 1]))
            at = leaf + cell * PARTS + c.columns[low:high] // PART_COLUMNS
            places.append(np.repeat(at, c.points[classes]))  # some classes are several code points
            texts.append("".join(map(c.alphabet.__getitem__, classes.tolist())))
        leaves, ids = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for at, encoding in zip(places, self.tokenizer.encode_batch(texts)):
            if len(at):
                begins = np.fromiter((begin for begin, _ in encoding.offsets), np.int64, len(encoding.ids))
                leaves.append(at[np.minimum(begins, len(at) - 1)])
                ids.append(encoding.ids)
        leaves, ids = np.concatenate(leaves), np.concatenate(ids)
        count = min(len(out["leaf"]), len(ids))
        out["leaf"][:count], out["ids"][:count] = leaves[:count], ids[:count]

    # ---- Rows

    @staticmethod
    def fill(out, row, inputs, targets, key="inputs", at="at"):
        """Inputs, then as many targets behind them as there is room for."""
        length, most = out[key].shape[1], out[at].shape[1]
        targets = targets[:max(0, min(most, length + 1 - len(inputs)))]
        if not targets:
            return
        both = (inputs + targets[:-1])[:length]
        out[key][row, :len(both)] = both
        out[at][row, :len(targets)] = np.arange(len(inputs) - 1, len(inputs) - 1 + len(targets))
        if key == "inputs":
            out["labels"][row, :len(targets)] = targets

    def text(self, lesson, rng, out):
        firsts = [int(rng.integers(0, self.cells.count)) for _ in range(lesson.rows)]
        texts = [self.cells.text(first, min(first + lesson.length // 4 + 8, self.cells.count)) for first in firsts]
        for row, ids in enumerate(self.encode(texts)):
            ids = ids[:lesson.length]
            out["inputs"][row, :len(ids)] = ids
            out["at"][row, :len(ids) - 1] = np.arange(len(ids) - 1)
            out["labels"][row, :len(ids) - 1] = ids[1:]

    def reading(self, lesson, rng, out):
        stretches, rows, texts = [], [], []
        for row in range(lesson.rows):
            first = self.cells.pick(rng, lesson.cells, lesson.cells <= SAME_PAGE or lesson.halvings > 0)
            end = first + lesson.cells
            rows.append(self.context(lesson, row, (first, end), first + lesson.old, stretches) + [-1 - READ])
            texts.append(self.cells.text(first, end))
        self.spell(out, stretches)
        for row, (inputs, ids) in enumerate(zip(rows, self.encode(texts))):
            self.fill(out, row, inputs, ids + [self.end])

    def following(self, lesson, rng, out):
        stretches, rows, texts, behind = [], [], [], []
        for row in range(lesson.rows):
            first = self.cells.pick(rng, lesson.cells + BEHIND, lesson.cells <= BEHIND)
            end = first + lesson.cells
            rows.append(self.context(lesson, row, (first, end), first + lesson.old, stretches) + [-1 - END])
            texts.append(self.cells.text(first, end))
            behind.append(self.cells.text(end, end + BEHIND))
        self.spell(out, stretches)
        for row, (inputs, text, ids) in enumerate(zip(rows, self.encode(texts), self.encode(behind))):
            ids = ids[:lesson.targets]
            self.fill(out, row, inputs, ids)
            self.fill(out, row, text[-(lesson.teacher - len(ids)):], ids, "taught", "taught_at")

    def account_row(self, lesson, rng, row, stretches):
        """(inputs before the prompt without the newest posts, these as text, older posts, prompt, post)."""
        c = self.cells
        number, first = c.pick_post(rng, lesson.cells)
        begin, end = int(c.begins[number]), min(int(c.begins[number + 1]), int(c.begins[number]) + 16)
        newest, before = begin, int(c.begins[number - 1])
        if rng.random() < 0.3 and begin - before <= 4 and before > first:
            newest = before  # a short one stands there as text
        old, span = first, (max(first, newest - lesson.cells), newest)
        if lesson.halvings:
            old = max(first, newest - (lesson.cells - lesson.old))
            span = (max(span[0], old - lesson.old), newest)
        inputs = self.context(lesson, row, span, old, stretches)
        edges = [first, *c.begins[np.searchsorted(c.begins, first, "right"):number].tolist(), begin]
        posts = [c.text(*edge) + "\n" for edge in zip(edges, edges[1:])]
        kind = "Caption" if rng.random() < 0.7 else "Script"
        prompt = f"Account: {c.names[c.account[begin]][:24]}\n{kind}:"
        target = " " + c.text(begin, end).lstrip("▤▥").strip()  # without the sign of the page (render/README.md)
        return inputs, c.text(newest, begin) + "\n" if newest < begin else "", posts, prompt, target

    def accounts(self, lesson, rng, out):
        stretches = []
        rows = [self.account_row(lesson, rng, row, stretches) for row in range(lesson.rows)]
        self.spell(out, stretches)
        inputs, newest, posts, prompts, targets = zip(*rows)
        newest, prompts, targets = self.encode(list(newest)), self.encode(list(prompts)), self.encode(list(targets))
        older = iter(self.encode([text for texts in posts for text in texts]))
        for row, before in enumerate(inputs):
            text = [token for _ in posts[row] for token in next(older)]
            if newest[row]:
                before = before + [-1 - TEXT] + newest[row][-NEWEST:]
            before = before + [-1 - END] + prompts[row]
            target = (targets[row] + [self.end])[:lesson.targets]
            target = target[:max(0, lesson.length + 1 - len(before))]
            self.fill(out, row, before, target)
            room = lesson.teacher - len(target) - len(prompts[row])
            self.fill(out, row, text[-room:] + prompts[row], target, "taught", "taught_at")


# ---- Processes that build --------------------------------------------------------------------------------

def work(model, cells, lessons, seed, tasks, results):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
        end = json.load(file)["eos_token_id"]
    builders = {name: Builder(some, tokenizer, end) for name, some in cells.items()}
    while True:
        which, name, number = tasks.get()
        try:
            results.put((name, builders[which].build(lessons[name], [seed, number])))
        except Exception:
            results.put((name, traceback.format_exc()))


class Workers:
    """cells: by name, "train" or "held". The same numbers always give the same batches, in any order."""

    def __init__(self, count, model, cells, lessons, seed):
        context = multiprocessing.get_context("fork")
        self.tasks, self.results = context.Queue(), context.Queue()
        self.all = [context.Process(target=work, args=(model, cells, lessons, seed, self.tasks, self.results),
                                    daemon=True) for _ in range(count)]
        for worker in self.all:
            worker.start()

    def ask(self, which, lesson, number):
        self.tasks.put((which, lesson, number))

    def take(self):
        """(lesson, batch) of what was asked for."""
        while True:
            try:
                name, batch = self.results.get(timeout=30)
            except queue.Empty:
                if all(worker.is_alive() for worker in self.all):
                    continue
                raise RuntimeError("a process that builds rows was killed") from None
            if isinstance(batch, str):
                raise RuntimeError(f"{name}: {batch}")
            return name, batch

    def close(self):
        for worker in self.all:
            worker.terminate()
        for waiting in (self.tasks, self.results):
            waiting.cancel_join_thread()
