"""Visual tokens of an occ store, for PyTorch and whatever else reads by index.

    tokens = occ_store.Tokens("tokens.occ")
    sampler = occ_store.Sampler(len(tokens), seed=1, rank=rank, world_size=world_size)
    loader = torch.utils.data.DataLoader(tokens, sampler=sampler, batch_size=None, num_workers=8)
    for page in loader:
        page["tokens"]     # (rows, columns, dim) float32

Needs py-lmdb, zstandard and numpy; torch is not imported. The format is described in store/store.h and
store/codec.h; a store of another version is refused. An environment is opened by the process that reads from it, at
its first read, and never carried over a fork: objects of this module may be forked, pickled and sent to workers
however these are started (fork, forkserver, spawn). Not for several threads at the same time.
"""

import bisect
import errno
import itertools
import json
import os
import stat
import struct

import lmdb
import numpy
import zstandard

__all__ = ["Tokens", "Sampler", "expand", "sequence", "split"]

FORMAT = b"occ-store 1"
CODECS = ("bf16", "int8", "int4")
PINNED = 1
SHRINKS = ("pool", "merge", "resize", "render", "nest")
ACCURACY = 10000
CELLS = 1
# magic, codec, bucket, rows, columns, full rows, full columns, dim, characters, payload bytes, created, hash, flags,
# shrunk by, accuracy, bytes of facts, profile, layout; 64 bytes with those reserved
HEADER = struct.Struct("<4sBBHHHHHIIqQBBHH12sB")
HEADER_BYTES = 64


# ---- Files: store/store_env.c, store/store_file.c


def share_lock(path):
    """Whoever may read the data may write the lock, whatever the umask. True: the lock has other rights now."""
    try:
        lock = os.open(os.path.join(path, "lock.mdb"), os.O_PATH | os.O_NOFOLLOW)  # a close drops no locks of LMDB
    except OSError:
        return False
    try:
        data, status = os.stat(os.path.join(path, "data.mdb")), os.fstat(lock)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return False
        readers = data.st_mode & 0o444
        same = (data.st_uid, data.st_gid) == (status.st_uid, status.st_gid)
        wanted = readers | readers >> 1 if same else 0o666
        if status.st_mode & wanted == wanted:
            return False
        os.chmod(f"/proc/self/fd/{lock}", status.st_mode & 0o777 | wanted)
        return True
    except OSError:
        return False
    finally:
        os.close(lock)


def is_mounted_read_only(path):
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def read_meta(file):
    """(page size, root of the list of free pages, last page, transaction) of the newer meta of an LMDB file; None: LMDB
    will say what is wrong with it."""
    def fields(offset):
        data = os.pread(file, 152, offset)
        if len(data) < 152 or struct.unpack_from("<HxxxxII", data, 10)[1:] != (0xBEEFC0DE, 1):
            return None
        size, root, last, transaction = struct.unpack_from("<I36xQ48xQQ", data, 40)
        return size, root, last, transaction
    first = fields(0)
    if first is None or not 512 <= first[0] <= 65536 or first[0] & first[0] - 1:
        return None
    second = fields(first[0])
    return first if second is None else max(first, second, key=lambda meta: meta[3])


def free_pages(file, size, page, budget):
    """Yields the numbers of the free pages, of the tree below `page`; budget: [bytes that are yet to be read]."""
    data = os.pread(file, size, page * size)
    flags, lower = struct.unpack_from("<HH", data, 10)
    budget[0] -= size
    for (place,) in struct.iter_unpack("<H", data[16:lower]):
        low, high, more, key = struct.unpack_from("<HHHH", data, place)
        if budget[0] < 0:
            raise ValueError("a page is there twice")
        if not flags & 2:
            yield from free_pages(file, size, low | high << 16 | more << 32, budget)
            continue
        length, listed = low | high << 16, data[place + 8 + key:]
        if more & 1:  # on pages of its own
            budget[0] -= length
            listed = os.pread(file, length, struct.unpack_from("<Q", listed)[0] * size + 16)
        yield from struct.unpack_from(f"<{struct.unpack_from('<Q', listed)[0]}Q", listed, 8)


def check_file(path):
    """LMDB maps the file: a page that is missing at its end would end the process, unless nothing points to it."""
    name = os.path.join(path, "data.mdb")
    file = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for _ in range(16):  # a writer may be at work
            meta = read_meta(file)
            length = os.fstat(file).st_size  # after the meta: pages are written before it
            if length == 0:
                raise ValueError(f"{path}: is not a token store: data.mdb is empty")
            if meta is None:
                return
            size, root, last, _ = meta
            pages = length // size
            try:
                if pages > last:
                    return
                free = {page for page in free_pages(file, size, root, [length]) if pages <= page <= last}
                if len(free) == last + 1 - pages:
                    return
            except (struct.error, ValueError, OSError, RecursionError, OverflowError, MemoryError):
                pass
            if read_meta(file) == meta:
                raise ValueError(f"{name}: has {length} bytes, needs {(last + 1) * size}: it was cut short, as by a "
                                 "copy that stopped")
    finally:
        os.close(file)


class _Environment:
    """LMDB allows a process to open a store once, and a thread one read transaction: shared by all Tokens of a path."""

    opened = {}  # (process, path) -> _Environment

    @classmethod
    def of(cls, path):
        place = os.path.realpath(path)
        name = (os.getpid(), place)
        if name not in cls.opened:
            cls.opened[name] = cls(path, [other.env for (_, where), other in cls.opened.items() if where == place])
        return cls.opened[name]

    def __init__(self, path, inherited):
        if not os.path.exists(os.path.join(path, "data.mdb")):
            raise FileNotFoundError(f"{path}: is not a token store (no data.mdb in it)")
        check_file(path)
        self.env = self.open(path, inherited)
        self.databases = {name: self.grown(self.env.open_db, name.encode(), create=False)
                          for name in ("meta", "samples", "text", "tokens", "journal")}
        try:
            self.databases["cells"] = self.grown(self.env.open_db, b"cells", create=False)
        except (lmdb.NotFoundError, lmdb.ReadonlyError):  # a store of before
            pass
        self.views = None  # a transaction that stays open, for values without a copy
        self.unpackers = {0: zstandard.ZstdDecompressor()}  # by number of their dictionary
        if self.get("meta", b"format") != FORMAT:
            raise ValueError(f"{path}: is not a store of format '{FORMAT.decode()}'")

    @classmethod
    def open(cls, path, inherited):
        """Without the lock file pages would change under a reader, so that is for what is mounted read-only."""
        try:
            env = cls.open_once(path, inherited, True)
        except lmdb.ReadonlyError:  # the rights of lock.mdb
            if share_lock(path):
                env = cls.open_once(path, inherited, True)
            elif is_mounted_read_only(path):
                env = cls.open_once(path, inherited, False)
            else:
                lock = os.path.join(path, "lock.mdb")
                what = "may not be written" if os.path.exists(lock) else "cannot be made"
                raise PermissionError(errno.EACCES, f"{what}, and without it the store could change while it is read; "
                                      f"its owner mends that by opening the store, as with 'occ store info {path}'",
                                      lock) from None
        share_lock(path)
        return env

    @staticmethod
    def open_once(path, inherited, lock):
        options = {"readonly": True, "readahead": False, "max_dbs": 16, "max_readers": 1024, "mode": 0o666,
                   "lock": lock}
        try:
            return lmdb.open(path, **options)
        except lmdb.Error:
            # New versions of py-lmdb (3.0) count what a parent opened before the fork as open here; they know that it is
            # the parent's and only forget it. Old ones (1.4) do not look, and a close would drop the parent's locks.
            if not inherited:
                raise
            for env in inherited:
                env.close()
            return lmdb.open(path, **options)

    def grown(self, call, *arguments, **options):
        """Begins a transaction. A writer may have let the store grow past what is mapped: then that is mapped first."""
        while True:
            try:
                return call(*arguments, **options)
            except lmdb.MapResizedError:
                self.env.set_mapsize(1)  # LMDB raises it to what there is

    def begin(self, **options):
        return self.grown(self.env.begin, **options)

    def get(self, database, key):
        if database not in self.databases:
            return None
        if self.views is not None:
            value = self.views.get(key, db=self.databases[database])
            return None if value is None else bytes(value)
        with self.begin(db=self.databases[database]) as txn:
            return txn.get(key)

    def view(self, key):
        if self.views is None:
            self.views = self.begin(buffers=True)
        return self.views.get(key, db=self.databases["tokens"])

    def keys(self):
        txn = self.views if self.views is not None else self.begin()
        cursor = txn.cursor(self.databases["tokens"])
        keys = [bytes(key) for key in cursor.iternext(keys=True, values=False)]
        cursor.close()
        if txn is not self.views:
            txn.abort()
        return keys

    def text(self, database, key):
        while True:  # until frame and dictionary are of the same time
            frame = self.get(database, key)
            if frame is None:
                return None
            number = zstandard.get_frame_parameters(frame).dict_id
            if number not in self.unpackers:
                words = self.get("meta", b"dictionary")
                words = zstandard.ZstdCompressionDict(words) if words else None
                if words is not None:
                    self.unpackers[words.dict_id()] = zstandard.ZstdDecompressor(dict_data=words)
            if number in self.unpackers:
                return self.unpackers[number].decompress(frame)
            if self.get(database, key) == frame:
                raise ValueError(f"{key.decode()}: needs a dictionary that is not there")


class Tokens:
    """The pages of a store, by number: sorted by account, then time.

    keys: of samples ("ACCOUNT/ID"), or None for all. raw: items hold "codec", "scale" and "values" in the place of
    "tokens": for int8 and int4 these are views of the file, without a copy, of the store as it was at the first read;
    for bf16 "values" are the bits as uint16.
    """

    def __init__(self, path, keys=None, raw=False):
        self.path = os.fspath(path)
        self.keys = None if keys is None else frozenset(keys)
        self.raw = raw
        self.encoder = json.loads(self._environment().get("meta", b"encoder"))
        self.dim = self.encoder["dim"]
        self._index = self._list()

    def _environment(self):
        return _Environment.of(self.path)

    def __getstate__(self):
        return {**self.__dict__, "_index": None}  # listed again: cheaper than sending millions of keys

    # ---- Pages

    def _list(self):
        keys = self._environment().keys()
        if self.keys is not None:
            keys = [key for key in keys if split_key(key)[0] in self.keys]
        return keys

    def _listed(self):
        if self._index is None:
            self._index = self._list()
        return self._index

    def __len__(self):
        return len(self._listed())

    def _key(self, number):
        index = self._listed()
        if not -len(index) <= number < len(index):
            raise IndexError(f"page {number} of {len(index)}")
        return index[number]

    def __getitem__(self, number):
        key = self._key(number)
        environment = self._environment()
        value = environment.view(key) if self.raw else environment.get("tokens", key)
        if value is None:
            raise KeyError(f"{self.path}: {split_key(key)} has gone since the store was opened")
        return self._page(key, value)

    def _page(self, key, value):
        (magic, codec, bucket, rows, columns, full_rows, full_columns, dim, characters, size, created, _,
         flags, shrunk_by, accuracy, facts, profile, layout) = HEADER.unpack_from(value)
        known = magic == b"OCT1" and codec < len(CODECS) and shrunk_by < len(SHRINKS)
        if not known or dim != self.dim or len(value) != HEADER_BYTES + size + facts:
            raise ValueError(f"{self.path}: {split_key(key)}: a damaged record; run occ store verify")
        name, page = split_key(key)
        item = {"key": name, "page": page, "created": created, "characters": characters, "bucket": bucket,
                "pinned": bool(flags & PINNED), "full_grid": (full_rows, full_columns),
                "shrunk_by": SHRINKS[shrunk_by] if bucket > 0 else None,
                "accuracy": (accuracy - 1) / ACCURACY if accuracy > 0 else None,
                "cells": bool(layout & CELLS), "profile": profile.rstrip(b"\0").decode("ascii", "replace") or None,
                "facts": bytes(value[HEADER_BYTES + size:]).decode("utf-8", "replace").split("\n")[:-1]}
        payload = memoryview(value)[HEADER_BYTES:HEADER_BYTES + size]
        shape = (rows, columns, dim)
        if self.raw:
            scale, values = unpack_raw(CODECS[codec], payload, shape)
            item.update(codec=CODECS[codec], scale=scale, values=values)
        else:
            item["tokens"] = unpack(CODECS[codec], payload, shape)
        return item

    # ---- Samples

    def sample(self, key):
        """The JSON of a sample, or None."""
        text = self._environment().text("samples", key.encode())
        return None if text is None else json.loads(text)

    def text(self, key):
        """The texts of a sample's pages, as a list; None if the store has none."""
        text = self._environment().text("text", key.encode())
        return None if text is None else text.decode("utf-8", "replace").split("\f")

    # ---- Which text a token stands for: store/spans.h

    def spans(self, number):
        """For each token of page `number`, in order, a dict: row, column, the bytes start to end of the page's text that
        it stands for, text, and ranges, a list of (sample, member, pointer, start, end, replaced): bytes of the UTF-8
        of the string that `pointer` (RFC 6901) names in that member; pointer None: a picture; replaced: they are drawn
        as something else. None: the page is not set in cells, or forgetting left no token that stands for cells (see
        "shrunk_by")."""
        page = self._cells(number)
        if page is None:
            return None
        (rows, columns, bucket), text, ends, ranges = page
        found = []
        for token in range(rows * columns):
            first, last = token << bucket, min(token + 1 << bucket, len(ends))
            start, end = (ends[first - 1] if first > 0 else 0), ends[last - 1]
            found.append({"row": token // columns, "column": token % columns, "start": start, "end": end,
                          "text": text[start:end].decode("utf-8", "replace"),
                          "ranges": join_ranges(ranges[first:last])})
        return found

    def token_at(self, number, offset):
        """The token of page `number` that stands for byte `offset` of the page's text (UTF-8); None: there is none."""
        page = self._cells(number)
        if page is None:
            return None
        (_, _, bucket), _, ends, _ = page
        cell = bisect.bisect_right(ends, offset) if offset >= 0 else len(ends)
        return cell >> bucket if cell < len(ends) else None

    def _cells(self, number):
        """((rows, columns, bucket), text, where each cell's text ends, ranges of each cell); None: see spans."""
        key = self._key(number)
        name, page = split_key(key)
        environment = self._environment()
        value, packed = environment.get("tokens", key), environment.text("cells", name.encode())
        if value is None or packed is None:
            return None
        fields, record = HEADER.unpack_from(value), json.loads(packed)
        bucket, rows, columns, full_rows, full_columns = fields[2:7]
        nested = bucket == 0 or SHRINKS[fields[13]] == "nest"
        if not nested or page >= len(record["pages"]) or not record["pages"][page]["lengths"]:
            return None
        ends, ranges = unpack_cells(record, page)
        if len(ends) != full_rows * full_columns:
            raise ValueError(f"{self.path}: {name} page {page} has other cells than tokens; run occ store verify")
        texts = (environment.text("text", name.encode()) or b"").split(b"\f")
        return (rows, columns, bucket), texts[page] if page < len(texts) else b"", ends, ranges

    def vectors(self):
        """image_newline and view_seperator of the encoder, (2, dim), or None."""
        value = self._environment().get("meta", b"vectors")
        return None if value is None else numpy.frombuffer(value, "<f4").reshape(2, self.dim)


def split_key(key):
    """(key of the sample, page) of a token key."""
    account, rest = bytes(key).split(b"\0", 1)
    identity, page = rest[8:-3], rest[-2:]
    return (account + b"/" + identity).decode(), int.from_bytes(page, "big")


def unpack_cells(record, page):
    """(where the text of each cell ends, the ranges of each cell) of a page, from what the store keeps of a sample."""
    samples, sources = record["samples"], record["sources"]
    lengths, packed = record["pages"][page]["lengths"], record["pages"][page]["ranges"]
    cells, source, last = [], 0, 0
    for numbers in packed:
        cell = []
        for step, start, length in zip(numbers[0::3], numbers[1::3], numbers[2::3]):
            source += step
            start += last if step == 0 else 0
            last = start + abs(length)
            sample, member, pointer = sources[source]
            cell.append((samples[sample], member, pointer or None, start, last, length < 0))
        cells.append(cell)
    return list(itertools.accumulate(lengths)), cells


def join_ranges(cells):
    """The ranges of several cells, those that adjoin as one."""
    joined = []
    for span in itertools.chain.from_iterable(cells):
        last = joined[-1] if joined else None
        if last and last[:3] == span[:3] and last[4] == span[3] and not last[5] and not span[5]:
            joined[-1] = last[:4] + span[4:]
        else:
            joined.append(span)
    return joined


# ---- Codecs: store/codec.h

UNPACKER = zstandard.ZstdDecompressor()


def unpack_raw(codec, payload, shape):
    """(scale of each token or None, values)."""
    rows, columns, dim = shape
    if codec == "bf16":
        (packed,) = struct.unpack_from("<I", payload)
        count = rows * columns * dim
        high = UNPACKER.decompress(payload[4:4 + packed], max_output_size=count)
        bits = numpy.frombuffer(high, numpy.uint8).astype("<u2")
        bits <<= 8
        bits |= numpy.frombuffer(payload, numpy.uint8, offset=4 + packed)
        return None, bits.reshape(shape)
    width = dim if codec == "int8" else dim // 2
    record = numpy.dtype([("scale", "<f4"), ("values", numpy.int8 if codec == "int8" else numpy.uint8, (width,))])
    tokens = numpy.frombuffer(payload, record).reshape(rows, columns)
    return tokens["scale"], tokens["values"]


def unpack(codec, payload, shape):
    """float32 (rows, columns, dim)."""
    scale, values = unpack_raw(codec, payload, shape)
    if codec == "bf16":
        wide = values.astype("<u4")
        wide <<= 16
        return wide.view("<f4")
    if codec == "int4":
        both = numpy.empty(shape, numpy.int8)
        both[..., 0::2] = (values << 4).view(numpy.int8) >> 4
        both[..., 1::2] = values.view(numpy.int8) >> 4
        values = both
    tokens = values.astype("<f4")
    tokens *= scale[..., None]
    return tokens


# ---- What a decoder reads


def expand(item):
    """The tokens of a page in the grid that it was encoded in, (full rows, full columns, dim): of nested tokens
    (shrunk_by "nest") each cell has the numbers that are left, and zeros after them."""
    tokens, (rows, columns) = item["tokens"], item["full_grid"]
    if item["shrunk_by"] != "nest":
        return tokens
    dim = tokens.shape[2]
    kept = dim >> item["bucket"]
    whole = numpy.zeros((rows * columns, dim), tokens.dtype)
    whole[:, :kept] = tokens.reshape(-1, kept)[:rows * columns]
    return whole.reshape(rows, columns, dim)


def sequence(tokens, vectors, local=None):
    """A page as DeepSeek-OCR's decoder reads it, (positions, dim): image_newline after each row, view_seperator at the
    end. local: the tiles of a gundam page (its second record), which come first."""
    newline, separator = vectors
    parts = []
    for view in (tokens,) if local is None else (local, tokens):
        rows, _, dim = view.shape
        parts.append(numpy.concatenate([view, numpy.broadcast_to(newline, (rows, 1, dim))], 1).reshape(-1, dim))
    return numpy.concatenate(parts + [separator[None]])


# ---- Order


def split(count, rank=0, world_size=1, worker=0, workers=1):
    """The numbers below `count` that one worker of one rank reads: no two share any, together they are all."""
    return range(rank * workers + worker, count, world_size * workers)


class Sampler:
    """A shuffled order that depends on seed and epoch alone: rank r of n gets every n-th page of it.

    The same for any number of workers; `state_dict` and `load_state_dict` go on in the middle of an epoch, also with
    another number of ranks (when all have read equally far). Pages that do not divide among the ranks are left out.
    """

    def __init__(self, count, seed=0, rank=0, world_size=1, shuffle=True):
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size}")
        self.count, self.seed, self.rank, self.world_size, self.shuffle = count, seed, rank, world_size, shuffle
        self.epoch = 0
        self.done = 0  # pages of this epoch, over all ranks

    def set_epoch(self, epoch):
        self.epoch, self.done = epoch, 0

    def __len__(self):
        return (self.count - self.done) // self.world_size

    def __iter__(self):
        if self.shuffle:
            order = numpy.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        else:
            order = numpy.arange(self.count)
        while self.done + self.world_size <= self.count:
            number = int(order[self.done + self.rank])
            self.done += self.world_size
            yield number
        self.set_epoch(self.epoch + 1)

    def state_dict(self):
        return {"count": self.count, "seed": self.seed, "epoch": self.epoch, "done": self.done}

    def load_state_dict(self, state):
        if state["count"] != self.count:
            raise ValueError(f"the state is of {state['count']} pages, the store has {self.count}")
        self.seed, self.epoch, self.done = state["seed"], state["epoch"], state["done"]
