"""torch_context_pages.py - what the encoder's reading head reads of each cell of stores, beside the cell's text.

Gathered once, in a file of numpy: the bridge "named" needs nothing else of visual tokens."""
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../store/python"))
import occ_store  # noqa: E402

LOW = torch.bfloat16
ROWS, STEPS, COLUMNS = 4, 8, 4  # of text in a cell; squares of such a row; columns of a square
FAINT = 0.05                    # compress/reader_run.c
BATCH = 64                      # pages that are read at once
SIZES = "channels", "hidden", "embedding", "reach", "cells", "trunk", "nested"  # of the head, in an adapter's file


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


# ---- Pages -----------------------------------------------------------------------------------------------

class Gathered:
    """Cells in the order of the store, without empty ones: of each the characters that are read (column and class),
    its text, and the numbers of its post, page and account."""

    def __init__(self, head):
        self.head, self.encoder = head, None
        self.columns, self.classes, self.characters, self.texts = [], [], [], []
        self.post, self.page, self.account = [], [], []
        self.posts, self.accounts, self.names, self.pages = {}, {}, [], 0
        self.waiting = []  # pages: their tokens, and which of these are not empty

    def take(self, store, path, number):
        spans = store.spans(number)  # None: not set in cells
        filled = np.array([bool(span["text"].strip("\n")) for span in spans or []], bool)
        if not filled.any():
            return
        page = store[number]
        self.waiting.append((page["tokens"].reshape(-1, store.dim).astype(np.float32), filled))
        sample, name = page["key"], page["key"].split("/")[0]
        account = self.accounts.setdefault((path, name), len(self.accounts))
        if account == len(self.names):
            self.names.append(name)
        for span in (span for span, on in zip(spans, filled) if on):
            post = span["ranges"][0][0] if span["ranges"] else sample
            self.post.append(self.posts.setdefault((account, post), len(self.posts)))
            self.texts.append(span["text"].encode())
            self.page.append(self.pages)
            self.account.append(account)
        self.pages += 1
        if len(self.waiting) == BATCH:
            self.read()

    def read(self):
        if not self.waiting:
            return
        cells, columns, classes = self.head.read(torch.from_numpy(np.concatenate([v for v, _ in self.waiting])))
        filled = np.concatenate([on for _, on in self.waiting])
        on, place = filled[cells], np.cumsum(filled) - 1
        self.columns.append(columns[on].astype(np.uint8))
        self.classes.append(classes[on].astype(np.uint16))
        self.characters.append(np.bincount(place[cells[on]], minlength=filled.sum()))
        self.waiting = []

    def save(self, path):
        self.read()
        about = {"alphabet": self.head.alphabet, "encoder": self.encoder, "dim": self.head.unfold.shape[1],
                 "reading": {key: self.head.sizes[key] for key in SIZES} | {"classes": len(self.head.alphabet)}}
        np.savez(path, about=np.array(json.dumps(about)), names=np.array(json.dumps(self.names)),
                 columns=np.concatenate(self.columns), classes=np.concatenate(self.classes),
                 char_at=bounds(np.concatenate(self.characters)), text=np.frombuffer(b"".join(self.texts), np.uint8),
                 text_at=bounds([len(text) for text in self.texts]), post=np.array(self.post, np.uint32),
                 page=np.array(self.page, np.uint32), account=np.array(self.account, np.uint16))


def bounds(counts):
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)


def gather(encoder, paths, output, every=1, most=0):
    """Of each store every `every`-th page; at most so many of all."""
    begun = told = time.time()
    found = Gathered(Head(encoder))
    for path in paths:
        store = occ_store.Tokens(path)
        if found.encoder not in (None, store.encoder["fingerprint"]):
            raise ValueError(f"{path}: another encoder made these tokens")
        found.encoder = store.encoder["fingerprint"]
        for number in range(0, len(store), every):
            if 0 < most <= found.pages:
                break
            found.take(store, path, number)
            if time.time() - told > 30:
                told = time.time()
                print(f"{found.pages} pages, {told - begun:.0f} s", flush=True)
    if found.pages == 0:
        raise ValueError("no page is set in cells")
    found.save(output)
    print(f"{found.pages} pages of {len(found.names)} accounts: {len(found.texts)} cells, {len(found.posts)} posts, "
          f"{sum(map(len, found.texts))} bytes of text; {time.time() - begun:.0f} s")
