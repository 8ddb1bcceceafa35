"""formats.py - readers of the files that text.sh takes: each gives the paragraphs of a file, raw."""
import gettext
import gzip
import html
import math
import os
import re
import struct
import sys
import zlib

def read(path):
    with open(path, "rb") as file:
        data = file.read()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def decode(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def blocks(text):
    return re.split(r"\n[ \t\r]*\n", text)


NAVIGATION = re.compile(r"<ul class=\"docnav\".*?</ul>", re.S)
SKIPPED = re.compile(r"<(head|script|style|pre|table|nav|screen|info|media)\b[^>]*(?<!/)>.*?</\1>", re.S | re.I)
BLOCK_TAG = re.compile(r"</?(?:p|para|sect1|listitem|div|li|dd|dt|dl|ul|ol|h[1-6]|title|item|note|section|blockquote|td|tr|br"
                       r"|hr|page|list|steps|desc|body|main|footer|header|address|figure|figcaption)\b[^>]*>", re.I)


def from_html(path):
    text = decode(read(path))
    at = text.find('id="DisplayArea"')  # LibreOffice's help
    text = text[text.find(">", at) + 1:] if at >= 0 else text
    text = NAVIGATION.sub("", re.sub(r"<!--.*?-->", "", text, flags=re.S))
    text = BLOCK_TAG.sub("\0", SKIPPED.sub("\0", text))
    for block in re.sub(r"<[^>]*>", "", text).split("\0"):
        yield re.sub(r"\s+([,.])(?=\s|$)", r"\1", html.unescape(block).replace("\u00b6", ""))


def from_fortunes(path):
    name = os.path.basename(path)
    if name.endswith((".dat", ".u8")) or name in ("ascii-art", "translate-me") or os.path.islink(path):
        return
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", decode(read(path)))
    for saying in re.split(r"\n%%?[^\n]*\n", text):
        yield from blocks(saying)


MARKUP = re.compile(r"</?[A-Za-z][^>]*>|&[a-z]+;")


def message(text):
    text = re.sub(r"^[^^\n]{1,60}\^|^\?\w+:", "", text.split("\x04")[-1])  # contexts of Wesnoth and Freeciv
    text = re.sub(r"(?:dst='[^']*' *)?text='([^']*)'", r"\1", text)  # Wesnoth's links
    if re.search(r"[$%]|\\", text):
        return
    text = re.sub(r"(?<!\w)[&_](?=\w)|(?<=\w)[&_](?=\w)", "", MARKUP.sub("", text))
    yield from blocks(text)


def catalogue(path):
    with open(path, "rb") as file:
        try:
            return gettext.GNUTranslations(file)._catalog
        except (UnicodeError, OSError):  # a few are broken
            print(f"text.sh: skipped {path.split('unpacked/')[-1]}", file=sys.stderr)
            return {}


def from_mo(path, original=False):
    for key, value in catalogue(path).items():
        name = key[0] if isinstance(key, tuple) else key
        if name and (original or value != name):
            yield from message(name if original else value)


def from_qm(path):
    """Qt's catalogues: after the magic number blocks of a tag and a size, messages of the same; a translation is 3."""
    data, at = read(path), 16
    while at + 5 <= len(data):
        tag, size = struct.unpack_from(">BI", data, at)
        at += 5
        if tag == 0x69:
            inside, end = at, at + size
            while inside < end:
                kind = data[inside]
                inside += 1
                if kind in (2, 3, 6, 7, 8):
                    length = struct.unpack_from(">I", data, inside)[0]
                    length = 0 if length == 0xFFFFFFFF else length
                    if kind == 3:
                        yield from message(data[inside + 4:inside + 4 + length].decode("utf-16-be", "replace"))
                    inside += 4 + length
                elif kind == 5:
                    inside += 4
        at += size


def from_names(path):
    """Short names, some of them a line."""
    names = [value for key, value in catalogue(path).items() if key and value and key != value]
    for at in range(0, len(names), 12):
        yield ", ".join(names[at:at + 12]) + "."


def from_words(path):
    """Words of a spelling dictionary, from all over the alphabet."""
    if not path.endswith(".dic"):
        return
    encoding = re.search(rb"^(?:\xef\xbb\xbf)?SET +([\w-]+)", read(path[:-3] + "aff"), re.M)[1].decode()
    lines = read(path).decode(encoding, "replace").split("\n")[1:]
    words = [match[0] for match in (re.match(r"[^\W\d_]+(?=[/\s]|$)", line) for line in lines) if match]
    step = len(words) * 618 // 1000
    while math.gcd(step, len(words)) != 1:
        step += 1
    for at in range(0, len(words), 12):
        yield " ".join(words[index * step % len(words)] for index in range(at, min(at + 12, len(words))))


def from_dict(path):
    text = re.sub(r"[{}]|\[1913 Webster\]|\[PJC\]|\[WordNet[^]]*\]", "", decode(read(path)))
    for block in blocks(text):
        lines = block.split("\n")
        if len(lines) > 1 and lines[0] and lines[0][0] != " ":
            lines = lines[1:]
        if re.search(r"\\|\[['`\"^=~.,;*]|\[[ao]e\]|^ *[a-z]", "\n".join(lines[:1])) or "['" in block or "\\" in block:
            continue  # pronunciations, accents spelled out, the middle of something
        yield "\n".join(lines)


def from_wordnet(path):
    """Six neighbouring glosses make a paragraph, else they would be very short."""
    glosses = [line.split(" | ", 1)[1].strip() for line in decode(read(path)).split("\n") if " | " in line]
    glosses = [gloss[:1].upper() + gloss[1:].rstrip(";.") + "." for gloss in glosses]
    for at in range(0, len(glosses), 6):
        yield " ".join(glosses[at:at + 6])


def from_r(path):
    """Vectors of strings in a database of R: blocks of a size and zlib; a string is 9, its flags, size and bytes."""
    data, at = read(path), 0
    while at < len(data):
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(data[at + 4:])
        at = len(data) - len(unpacker.unused_data)
        lines = []
        for match in re.finditer(rb"\x00[\x00-\x0f]\x00\x09\x00\x00([\x00-\xff]{2})", raw, re.S):
            length = int.from_bytes(match[1], "big")
            lines.append(raw[match.end():match.end() + length].decode("utf-8", "replace"))
        yield from blocks("\n".join(lines).replace("_", ""))


def from_sword(path):
    """Verses, some of them a paragraph."""
    if not path.endswith(".bzz"):
        return
    packed, index, verses = read(path), read(path[:-1] + "s"), read(path[:-1] + "v")
    books = []
    for at in range(0, len(index), 12):
        start, size, _ = struct.unpack_from("<III", index, at)
        books.append(zlib.decompress(packed[start:start + size]))
    text = ""
    for at in range(0, len(verses), 10):
        book, start, size = struct.unpack_from("<IIH", verses, at)
        if size == 0 or book >= len(books):
            continue
        verse = decode(books[book][start:start + size])
        verse = re.sub(r"<(note|title)\b[^>]*(?<!/)>.*?</\1>", "", verse, flags=re.S)
        text += " " + html.unescape(re.sub(r"<[^>]*>", "", verse)).strip()
        if len(text) > 500:
            yield text
            text = ""
    yield text


def from_reuters(path):
    """A story of the collection: its paragraphs are indented."""
    body = re.search(r"<BODY>(.*?)(?:\s*Reuter\s*)?</BODY>", decode(read(path)), re.S)
    if body:
        yield re.sub(r"\n {4}", " ", html.unescape(body[1]))


def from_code(path):
    """Pieces of a file of about a screen, lines and all; without long lines, as of packed data."""
    lines = [line.expandtabs(4).rstrip() for line in decode(read(path)).split("\n")]
    lines = [line for at, line in enumerate(lines) if len(line) < 200 and (line or (at > 0 and lines[at - 1]))]
    for at in range(0, len(lines), 40):
        yield "\n".join(lines[at:at + 40]).strip("\n")


FORMATS = {"html": from_html, "reuters": from_reuters, "code": from_code, "fortunes": from_fortunes, "mo": from_mo,
           "moid": lambda path: from_mo(path, True), "qm": from_qm, "names": from_names, "words": from_words,
           "dict": from_dict, "wordnet": from_wordnet, "r": from_r, "sword": from_sword}
