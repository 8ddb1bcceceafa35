"""peer_store.py STORE TAR - random reads of the same pages: occ_store, WebDataset's index, MosaicML Streaming.

TAR is `occ store export --format tar STORE`. Each reader gives float32 arrays in the same random order; "occ raw" gives
what is stored (int8 and scales, or BF16 bits), to be turned into floats where the training runs. Prints one JSON line
with pages per second: the median of rounds, the readers by turns, files in the page cache.
"""

import io
import json
import os
import random
import statistics
import sys
import tarfile
import tempfile
import time

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "store", "python"))
import occ_store  # noqa: E402

ROUNDS, READS = 5, 400


def pages_of(tar):
    with tarfile.open(tar) as file:
        for member in file:
            if member.name.endswith(".npy"):
                yield member.name, file.extractfile(member).read()


def webdataset_reader(pages, folder):
    """A tar of one member a page, read by index through wids."""
    import wids

    tar = os.path.join(folder, "pages.tar")
    with tarfile.open(tar, "w") as file:
        for number, (_, data) in enumerate(pages):
            info = tarfile.TarInfo(f"{number:06d}.npy")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    index = os.path.join(folder, "index.json")
    with open(index, "w") as file:
        json.dump({"wids_version": 1, "shardlist": [{"url": tar, "nsamples": len(pages)}]}, file)
    data = wids.ShardListDataset(index, cache_dir=os.path.join(folder, "wids"), keep=True)
    return lambda number: data[number][".npy"]


def streaming_reader(pages, folder):
    from streaming import LocalDataset, MDSWriter

    out = os.path.join(folder, "mds")
    with MDSWriter(out=out, columns={"tokens": "ndarray:float32"}) as writer:
        for _, data in pages:
            writer.write({"tokens": numpy.load(io.BytesIO(data))})
    data = LocalDataset(out)
    return lambda number: data[number]["tokens"]


def main(store, tar):
    tokens = occ_store.Tokens(store)
    files = dict(pages_of(tar))
    assert len(tokens) == len(files)
    names = [f"{item['key']}.p{item['page']:03d}.npy" for item in tokens]  # a tar is in another order
    pages = [(name, files[name]) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        raw = occ_store.Tokens(store, raw=True)
        readers = {"occ": lambda number: tokens[number]["tokens"], "occ raw": lambda number: raw[number]["values"]}
        for name, make in (("webdataset", webdataset_reader), ("streaming", streaming_reader)):
            try:
                readers[name] = make(pages, folder)
            except Exception as error:  # not installed, or not able to run here: said, not hidden
                print(f"# {name}: {type(error).__name__}: {error}", file=sys.stderr)
        random.seed(1)
        order = [random.randrange(len(pages)) for _ in range(READS)]
        for number in order[:20]:
            want = tokens[number]["tokens"]
            for name, read in readers.items():
                assert name == "occ raw" or numpy.array_equal(read(number), want)
        rates = {name: [] for name in readers}
        for _ in range(ROUNDS):
            for name, read in readers.items():
                start = time.perf_counter()
                for number in order:
                    read(number)
                rates[name].append(READS / (time.perf_counter() - start))
    rates = {name: round(statistics.median(values)) for name, values in rates.items()}
    print(json.dumps({"pages_per_second": rates, "store_bytes": os.path.getsize(os.path.join(store, "data.mdb"))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
