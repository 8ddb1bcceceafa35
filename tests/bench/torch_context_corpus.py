"""torch_context_corpus.py - what a language model learns to read: text of train/text.sh as posts of accounts.

Each file becomes accounts of at most 2,000 posts, a post some sentences that follow each other. Short posts are
descriptions, some with tags, links, mentions and emoji; long ones are scripts, a sentence a line. Most of it is
English, with some of each other language and some code. The same text always gives the same posts."""
import glob
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../train/paper"))
from accounts import Stream  # noqa: E402

SEED = 5
ENGLISH, CODE, OTHER = 4_500_000, 250_000, 26_000  # characters of a file, at most
SCRIPT, LONGEST, POSTS = 800, 1900, 2000           # characters of a script or more, of a post; posts of an account
WORDS = 20_000                                     # that tags, links and mentions are made of
MASKS = "<name>", "<url>", "<path>", "<mail>", "<id>"
EMOJI = "😀😂🤣😍😘😎😭😡👍👏🙏💪🔥✨🎉❤️💔💯🚀🌍🌸🍕🎵📷🏆⚽🐶🐱👀🤔🙌😅🥰😱💀"
ADDRESS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def ornament(rng, kind, word, other):
    """A tag, a link, a mention, what a masked text has in the place of a name, or emoji."""
    if kind < .3:
        return "#" + word + rng.choice(["", other.capitalize(), str(rng.randint(1, 2026))])
    if kind < .5:
        site = ["t.co/", "youtu.be/", "www." + word + ".com/", word + ".org/"]
        return ("http" + rng.choice(["s://", "://"]) + rng.choice(site) +
                "".join(rng.choice(ADDRESS) for _ in range(rng.randint(0, 10))))
    if kind < .7:
        return "@" + word + rng.choice(["", "_", "TV", other, str(rng.randint(1, 99))])
    if kind < .76:
        return rng.choice(MASKS)
    return rng.choice(EMOJI) * rng.choice([1, 1, 1, 2, 3])


def decorate(rng, text, words):
    parts = text.split(" ")
    for _ in range(rng.randint(1, 3)):
        kind = rng.random()
        at = rng.randint(0, len(parts)) if kind > .5 else len(parts)
        word, other = (re.sub(r"\W", "", rng.choice(words)) for _ in range(2))
        parts.insert(at, ornament(rng, kind, word, other))
    return " ".join(parts)


def draw_size(rng):
    share = rng.random()
    return rng.randint(40, 260) if share < .45 else rng.randint(260, SCRIPT) if share < .75 else \
        rng.randint(SCRIPT, LONGEST)


def posts_of(rng, paragraphs):
    """Lists of sentences, each list of a size that is drawn."""
    out, size, wanted = [], 0, draw_size(rng)
    for paragraph in paragraphs:
        for sentence in re.split(r"(?<=[.!?;:]) (?=\S)", paragraph) if len(paragraph) > 200 else [paragraph]:
            if out and size + len(sentence) > wanted:
                yield out
                out, size, wanted = [], 0, draw_size(rng)
            while len(sentence) > LONGEST:
                cut = sentence.rfind(" ", 0, LONGEST - 100)
                cut = cut if cut > 0 else LONGEST - 100
                yield [sentence[:cut]]
                sentence = sentence[cut:].strip()
            out.append(sentence)
            size += len(sentence) + 1
    if out:
        yield out


def some_of(rng, paragraphs, most):
    """Paragraphs that follow each other, of `most` characters; of a longer text from anywhere in its first third."""
    first = rng.randint(0, max(0, len(paragraphs) // 3))
    if sum(map(len, paragraphs)) <= most:
        first = 0
    kept, size = [], 0
    for paragraph in paragraphs[first:]:
        if size > most:
            break
        kept.append(paragraph)
        size += len(paragraph)
    return kept


def write(text, path):
    """Of text/train/LANGUAGE-PACKAGE.txt a stream of samples, as `occ render` takes it."""
    rng, words, stream = random.Random(SEED), [], Stream(path, "torch_context.py")
    for file in sorted(glob.glob(os.path.join(text, "train", "*.txt"))):
        name = os.path.basename(file)[:-4]
        language, created = name.split("-")[0], 1_400_000_000
        if language == "other":
            continue
        with open(file, encoding="utf-8") as lines:
            paragraphs = [line for line in lines.read().split("\n") if line.strip()]
        if len(words) < WORDS:
            words += [word for line in paragraphs[:300] for word in line.split() if re.search(r"\w\w", word)]
        most = ENGLISH if language == "en" else CODE if language == "code" else OTHER
        for number, lines in enumerate(posts_of(rng, some_of(rng, paragraphs, most))):
            created += 7 * 3600
            account = f"{name}-{number // POSTS:02}"[:60]
            if sum(map(len, lines)) >= SCRIPT:
                stream.post(account, f"{number:06}", created, script=lines)
                continue
            caption = "\n".join(lines) if language == "code" or rng.random() < .1 else " ".join(lines)
            if rng.random() < .18:
                caption = decorate(rng, caption, words)
            stream.post(account, f"{number:06}", created, caption=caption)
    stream.close()
