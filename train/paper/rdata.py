"""rdata.py - a data frame out of the lazy-load files of an R package, without R.

Reads what such frames are made of: R's XDR serialisation, versions 2 and 3 ("R Internals", section 1.8).
"""
import gzip
import struct
import zlib

NIL, GLOBAL, UNBOUND, MISSING, BASE, REFERENCE, ALTREP = 254, 253, 252, 251, 247, 255, 238
SYMBOL, PAIRS, CHARACTERS, LOGICAL, INTEGER, REAL, STRINGS, LIST = 1, 2, 9, 10, 13, 14, 16, 19
MISSING_INTEGER = -(1 << 31)


class Reader:
    def __init__(self, data):
        self.data, self.at, self.known = data, 2, []
        if data[:2] != b"X\n":
            raise ValueError("not R's XDR format")
        version = self.integer()
        self.at += 8
        if version == 3:
            self.at += 4 + struct.unpack_from(">i", data, self.at)[0]
        elif version != 2:
            raise ValueError(f"version {version} of R's format is not read here")

    def integer(self):
        self.at += 4
        return struct.unpack_from(">i", self.data, self.at - 4)[0]

    def numbers(self, code, size):
        count = self.integer()
        self.at += size * count
        return list(struct.unpack_from(f">{count}{code}", self.data, self.at - size * count))

    def item(self):
        """A value; a list or vector with attributes is (value, attributes)."""
        flags = self.integer()
        kind, attributed, tagged = flags & 0xFF, flags & 0x200, flags & 0x400
        if kind in (NIL, GLOBAL, UNBOUND, MISSING, BASE):
            return None
        if kind == REFERENCE:
            return self.known[(flags >> 8 or self.integer()) - 1]
        if kind == SYMBOL:
            self.known.append(self.item())
            return self.known[-1]
        if kind == PAIRS:
            return self.pairs(attributed, tagged)
        if kind == ALTREP:
            self.item()
            state = self.item()
            self.item()
            return state
        if kind == CHARACTERS:
            size = self.integer()
            if size < 0:
                return None
            self.at += size
            return self.data[self.at - size:self.at].decode("latin-1" if flags & 0x4000 else "utf-8")
        if kind in (LOGICAL, INTEGER):
            value = [None if n == MISSING_INTEGER else n for n in self.numbers("i", 4)]
        elif kind == REAL:
            value = self.numbers("d", 8)
        elif kind in (STRINGS, LIST):
            value = [self.item() for _ in range(self.integer())]
        else:
            raise ValueError(f"R's type {kind} is not read here")
        return (value, self.item()) if attributed else value

    def pairs(self, attributed, tagged):
        out = {}
        while True:
            if attributed:
                self.item()
            name = self.item() if tagged else len(out)
            out[name] = self.item()
            flags = self.integer()
            if flags & 0xFF != PAIRS:
                self.at -= 4
                self.item()
                return out
            attributed, tagged = flags & 0x200, flags & 0x400


def plain(value):
    return value[0] if isinstance(value, tuple) else value


def read_frame(base, name):
    """{column: list} of data frame `name` in base.rdb, whose places are in base.rdx."""
    with open(base + ".rdx", "rb") as file:
        index = file.read()
    index = Reader(gzip.decompress(index) if index[:2] == b"\x1f\x8b" else zlib.decompress(index)).item()
    places, attributes = index[0], index[1]
    variables = places[attributes["names"].index("variables")]
    offset, size = plain(variables[0][variables[1]["names"].index(name)])
    with open(base + ".rdb", "rb") as file:
        file.seek(offset)
        packed = file.read(size)
    columns, attributes = Reader(zlib.decompress(packed[4:])).item()
    return {column: plain(values) for column, values in zip(attributes["names"], columns)}
