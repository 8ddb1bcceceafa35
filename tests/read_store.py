"""read_store.py COMMAND STORE ... - what t0440-python.sh asks of store/python/occ_store.py."""

import json
import multiprocessing
import os
import pickle
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "store", "python"))
import occ_store  # noqa: E402


def fingerprint(item):
    return item["key"], item["page"], float(item["tokens"].sum()), item["tokens"].shape


def read_range(work):
    tokens, numbers = work
    return [(number, fingerprint(tokens[number])) for number in numbers]


def compare(store, folder):
    """Every page equals the file that occ store export wrote of it."""
    tokens = occ_store.Tokens(store)
    assert len(tokens) > 0
    for item in tokens:
        want = numpy.load(os.path.join(folder, f"{item['key']}.p{item['page']:03d}.npy"))
        assert want.dtype == numpy.float32 and want.shape == item["tokens"].shape
        assert numpy.array_equal(want, item["tokens"]), item["key"]
    print(len(tokens))


def raw(store):
    """Raw items of int8 and int4 are views; scaled by hand they are the tokens."""
    plain, views = occ_store.Tokens(store), occ_store.Tokens(store, raw=True)
    for number in range(len(plain)):
        item = views[number]
        if item["codec"] == "bf16":
            values = (item["values"].astype(numpy.uint32) << 16).view(numpy.float32)
        else:
            assert not item["values"].flags.owndata and not item["values"].flags.writeable
            values = item["values"]
            if item["codec"] == "int4":
                low, high = (values << 4).view(numpy.int8) >> 4, values.view(numpy.int8) >> 4
                values = numpy.stack([low, high], -1).reshape(*values.shape[:-1], -1)
            values = values.astype(numpy.float32) * item["scale"][..., None]
        assert numpy.array_equal(values, plain[number]["tokens"])
    print("views")


def workers(store):
    """0, 1 and 8 processes of every kind read what the parent reads, which has the store open too."""
    tokens = occ_store.Tokens(store)
    want = dict(read_range((tokens, range(len(tokens)))))
    for method in ("fork", "forkserver", "spawn"):
        for count in (1, 8):
            context = multiprocessing.get_context(method)
            parts = [(tokens, occ_store.split(len(tokens), worker=worker, workers=count)) for worker in range(count)]
            with context.Pool(count) as pool:
                got = [pair for part in pool.map(read_range, parts) for pair in part]
            assert len(got) == len(want) and dict(got) == want, (method, count)
            assert fingerprint(tokens[0]) == want[0]  # the parent goes on
    assert dict(read_range((pickle.loads(pickle.dumps(tokens)), range(len(tokens))))) == want
    print("workers")


def loader(store):
    """The same through a DataLoader of PyTorch, where it is installed."""
    try:
        import torch
    except ImportError:
        print("no torch")
        return
    tokens = occ_store.Tokens(store)
    want = sorted(fingerprint(item) for item in tokens)
    for method in ("fork", "forkserver", "spawn"):
        for count in (0, 1, 8):
            sampler = occ_store.Sampler(len(tokens), seed=7)
            data = torch.utils.data.DataLoader(tokens, sampler=sampler, batch_size=None, num_workers=count,
                                               multiprocessing_context=method if count else None)
            got = [(item["key"], int(item["page"]), float(item["tokens"].numpy().sum()),
                    tuple(item["tokens"].shape)) for item in data]
            assert sorted(got) == want, (method, count)
    print("loader")


def order():
    """Ranks share nothing, orders repeat, and a run goes on where it was."""
    count = 1003
    for world in (1, 2, 7):
        ranks = [list(occ_store.Sampler(count, seed=3, rank=rank, world_size=world)) for rank in range(world)]
        assert len({len(part) for part in ranks}) == 1
        seen = [number for part in ranks for number in part]
        assert len(set(seen)) == len(seen) == count // world * world
        together = [number for step in zip(*ranks) for number in step]
        assert together == list(occ_store.Sampler(count, seed=3))[:len(together)]
        parts = [list(occ_store.split(count, rank, world, worker, 3)) for rank in range(world) for worker in range(3)]
        assert sorted(number for part in parts for number in part) == list(range(count))
    first = occ_store.Sampler(count, seed=3, rank=1, world_size=2)
    whole = list(occ_store.Sampler(count, seed=3, rank=1, world_size=2))
    steps = iter(first)
    begun = [next(steps) for _ in range(100)]
    again = occ_store.Sampler(count, seed=99, rank=1, world_size=2)
    again.load_state_dict(first.state_dict())
    assert begun + list(again) == whole
    assert list(again) != whole and again.epoch == 2  # the next epoch has another order
    assert list(occ_store.Sampler(5, shuffle=False)) == [0, 1, 2, 3, 4]
    print("order")


def read_golden(path):
    with open(path, "rb") as file:
        data = file.read()
    size = int.from_bytes(data[:8], "little")
    return {name: numpy.frombuffer(data, "<f4", count=int(numpy.prod(entry["shape"])),
                                   offset=8 + size + entry["data_offsets"][0]).reshape(entry["shape"])
            for name, entry in json.loads(data[8:8 + size]).items() if name != "__metadata__"}


def sequence(folder):
    """Tokens of tiles and of a view become the published modules' sequence."""
    golden = read_golden(os.path.join(folder, "golden_tiles.safetensors"))
    weights = read_golden(os.path.join(folder, "weights.safetensors"))
    vectors = numpy.stack([weights["model.image_newline"], weights["model.view_seperator"]])
    tiles = golden["local.tokens"].reshape(2, 3, 2, 2, -1)  # rows and columns of tiles, of tokens in them
    local = tiles.transpose(0, 2, 1, 3, 4).reshape(4, 6, -1)
    got = occ_store.sequence(golden["global.tokens"].reshape(4, 4, -1), vectors, local)
    assert numpy.array_equal(got, golden["sequence"])
    print("sequence")


def texts(store, key):
    tokens = occ_store.Tokens(store)
    print(tokens.sample(key)["id"])
    print(tokens.text(key)[0].splitlines()[0])
    assert tokens.sample("nobody/1") is None and tokens.text("nobody/1") is None
    assert tokens.vectors().shape == (2, tokens.dim)
    assert {item["key"] for item in occ_store.Tokens(store, keys=[key])} == {key}


def forgotten(store):
    for item in occ_store.Tokens(store):
        print(item["bucket"], item["shrunk_by"], item["accuracy"])


def nested(before, after):
    """Nested tokens laid out in their cells are those of before, but for the numbers that were given up; facts are
    texts."""
    whole = occ_store.Tokens(before)
    for number, item in enumerate(occ_store.Tokens(after)):
        want, got = whole[number], occ_store.expand(item)
        kept = want["tokens"].shape[2] >> item["bucket"]
        assert item["bucket"] > 0 and item["shrunk_by"] == "nest" and item["profile"] == want["profile"] == "cell10"
        assert got.shape == want["tokens"].shape == (*want["full_grid"], occ_store.Tokens(after).dim)
        assert numpy.array_equal(got[..., :kept], want["tokens"][..., :kept]) and not got[..., kept:].any()
        assert numpy.array_equal(occ_store.expand(want), want["tokens"]) and want["facts"] == []
        assert item["facts"][0] == "@kiwi" and item["facts"][1].startswith("2023-1"), item["facts"]
    print("nested")


def grow():
    """Waits for a writer, which is asked for by a line on standard output."""
    print("grow", flush=True)
    assert sys.stdin.readline()


def read_late(tokens, opened, go):
    """A worker that has the store open when it grows, or opens it then."""
    if opened:
        fingerprint(tokens[0])
    go.wait()
    tokens[0], tokens[len(tokens) - 1], tokens.sample(tokens[0]["key"]), tokens.text(tokens[0]["key"]), tokens.vectors()


def growing(store):
    """A store that grows past what is mapped is read on: by its readers, by new ones, in workers of every kind."""
    tokens = occ_store.Tokens(store)
    first, size = tokens[0]["key"], os.path.getsize(os.path.join(store, "data.mdb"))
    workers = []
    for method in ("fork", "forkserver", "spawn"):
        context = multiprocessing.get_context(method)
        for opened in (False, True):
            go = context.Event()
            workers.append((context.Process(target=read_late, args=(tokens, opened, go), daemon=True), go))
            workers[-1][0].start()
    grow()
    assert os.path.getsize(os.path.join(store, "data.mdb")) > max(size, 10 << 20)
    assert tokens[0]["key"] == first
    assert tokens.sample(first)["id"] and tokens.text(first) and tokens.vectors() is None
    assert len(occ_store.Tokens(store)) > len(tokens)
    for worker, go in workers:
        go.set()
        worker.join()
        assert worker.exitcode == 0
    raw = occ_store.Tokens(store, raw=True)
    held = [raw[number] for number in range(len(raw))]
    before = [(item["values"].tobytes(), item["scale"].tobytes()) for item in held]
    grow()
    assert [(item["values"].tobytes(), item["scale"].tobytes()) for item in held] == before
    assert tokens[0]["key"] == first and len(occ_store.Tokens(store)) == len(raw)  # as it was
    print("growing")


def follow(store, busy):
    """Reads a store as long as the file `busy` is there, and once more."""
    first = occ_store.Tokens(store)
    last = False
    while not last:
        last = not os.path.exists(busy)
        newest = occ_store.Tokens(store)
        for tokens in (first, newest):
            for number in range(len(tokens)):
                page = tokens[number]
                assert tokens.sample(page["key"])["account"] + "/" in page["key"]
                assert tokens.text(page["key"])[0].startswith("What ")
        assert len(newest) >= len(first)
    print("followed")


def opened(store):
    """How many pages, or why not."""
    try:
        print(len(occ_store.Tokens(store)))
    except (OSError, ValueError) as error:
        print(type(error).__name__, error)


if __name__ == "__main__":
    {"compare": compare, "raw": raw, "workers": workers, "loader": loader, "order": order, "growing": growing,
     "follow": follow, "opened": opened, "sequence": sequence, "texts": texts, "forgotten": forgotten,
     "nested": nested}[sys.argv[1]](*sys.argv[2:])
