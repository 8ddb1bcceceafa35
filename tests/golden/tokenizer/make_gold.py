#!/usr/bin/env python3
"""Makes the files of this folder from tiktoken, tokenizers and regex (PyPI) and OpenAI's rank files.

    make_gold.py RANKS      RANKS: a folder with r50k_base.tiktoken and cl100k_base.tiktoken

tiktoken-gold.txt           is not made: the vectors of the npm package gpt-tokenizer 4.0.0 (MIT)
cl100k_reduced.tiktoken     of GPT-4's ranks the 256 bytes and what the merges of the texts here come upon, with
                            their ranks: it gives the same tokens for these texts (MIT, OpenAI's tiktoken)
tokenizer.json              trained by tokenizers on the random texts, which were not split first: its tokens go across
                            words, so that every other way to split a text shows
crossing.tiktoken           the same tokens as ranks
ranks.jsonl                 texts and tokens by tiktoken, with these ranks and OpenAI's under three split patterns
variants.jsonl              texts and tokens by tokenizers, with other pre-tokenizers and added tokens in tokenizer.json
missing.jsonl               tokenizers without a token for each byte, with texts and their tokens by tokenizers
"""
import base64
import json
import os
import pathlib
import random
import sys
import unicodedata

import regex
import tiktoken
import tiktoken_ext.openai_public as public
import tokenizers
from tiktoken.load import load_tiktoken_bpe

os.environ["TIKTOKEN_CACHE_DIR"] = ""  # it would keep the first crossing.tiktoken
HERE = pathlib.Path(__file__).parent
PARTS = [
    "the", "Thing", "HELLO", "x", "straße", "naïve", "Привет", "мир", "漢字", "かな", "한국어", "สวัสดี", "हिन्दी", "क्षि",
    "العربية", "٣٤", "Ⅷ", "½", "²", "ʰ", "ǅ", "ª", "e\u0301", "\u0301", "🙂", "👩‍⚕️", "🇩🇪", "0", "42", "1234567", "3.14",
    "'s", "'S", "'ll", "'LL", "'ve", "'Re", "'ſ", "'d'", "'", "’s", '"', ".", "...", "!?", "<|endoftext|>", "<mask>", "/", "//",
    "[]", "{}", "_", "\\", "\x00", "\x1c", "\x7f", "\u00ad", "\u200b", "\u200d", "\ufeff", "\ue000", "\ufffd", "\u0378",
    "\uffff", "\U0010ffff", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "=" * 70,
    "日本語の長い文はまるで一つの言葉のように続いていくのである", "、", "。", "ー", "々", "〆", "々漢ー、字", "、。、", "xⅧx", "µ", "À", "ſ", "K",
]
SPACES = [" ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "\u00a0", "\u0085", "\u180e", "\u2028",
          "\u3000", "\u1680", "\v", "\f", "", "", "", ""]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
DEEPSEEK_WORDS = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+"
DEEPSEEK_SIGNS = r"\s?[!-/:-~！-／：-～‘-‟　-。]+"
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+")


def texts(seed, count):
    """Random strings of PARTS and of any characters that Unicode 14 has; the first are chosen."""
    pick = random.Random(seed)
    yield from ["", " ", "\n", "  \n  ", " a", "a  b", "a \n b\n  ", "'s's", "12345", "<|endoftext|>",
                "x<|endoftext|> \n<|endoftext|>y"]
    for _ in range(count):
        text = ""
        for _ in range(pick.randrange(1, 16)):
            if pick.random() < 0.1:
                point = pick.choice([pick.randrange(0x80, 0x3000), pick.randrange(0x3000, 0x110000)])
                if unicodedata.category(chr(point)) not in ("Cs", "Cn"):
                    text += chr(point)
            text += pick.choice(PARTS) + pick.choice(SPACES)
        yield text


def gold_texts(name):
    blocks = (HERE / "tiktoken-gold.txt").read_text("utf-8").split("\n\n")
    for block in blocks:
        if block.startswith(f"EncodingName: {name}\n"):
            yield block.split("\n")[1][len("Sample: "):]


def merged(piece, ranks):
    """Every token that the merges of a piece come upon."""
    parts = [bytes([b]) for b in piece]
    seen = {piece} if piece in ranks else set()
    while piece not in ranks:
        best = min((ranks[a + b], i) for i, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in ranks) if any(
            a + b in ranks for a, b in zip(parts, parts[1:])) else None
        if best is None:
            break
        i = best[1]
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
        seen.add(parts[i])
    return seen


def reduce_ranks(ranks, pattern, all_texts):
    kept = {bytes([b]) for b in range(256)}
    for text in all_texts:
        for piece in regex.findall(pattern, text):
            kept |= merged(piece.encode(), ranks)
    return {token: rank for token, rank in ranks.items() if token in kept}


def encoding(name, pattern, ranks):
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def make_ranks(folder):
    r50k, cl100k = (load_tiktoken_bpe(str(folder / f"{name}_base.tiktoken")) for name in ("r50k", "cl100k"))
    public.load_tiktoken_bpe = lambda *_, **__: {}
    cl100k_pattern, o200k_pattern = (public.ENCODING_CONSTRUCTORS[n]()["pat_str"] for n in ("cl100k_base", "o200k_base"))
    made = list(texts(1, 100))
    everything = list(gold_texts("cl100k_base")) + made
    reduced = reduce_ranks(cl100k, cl100k_pattern, everything)
    full, small = (encoding("cl100k", cl100k_pattern, ranks) for ranks in (cl100k, reduced))
    assert all(full.encode_ordinary(t) == small.encode_ordinary(t) for t in everything)
    with open(HERE / "cl100k_reduced.tiktoken", "wb") as out:
        for token, rank in reduced.items():
            out.write(base64.b64encode(token) + b" %d\n" % rank)
    crossing = load_tiktoken_bpe(str(HERE / "crossing.tiktoken"))
    encodings = [("r50k_base", "r50k", r50k, public.r50k_pat_str), ("cl100k_reduced", "cl100k", cl100k, cl100k_pattern),
                 ("crossing", "r50k", crossing, public.r50k_pat_str), ("crossing", "cl100k", crossing, cl100k_pattern),
                 ("crossing", "o200k", crossing, o200k_pattern)]
    with open(HERE / "ranks.jsonl", "w", encoding="ascii") as out:
        for name, split_name, ranks, pattern in encodings:
            out.write(json.dumps({"ranks": name, "split": split_name}, separators=(",", ":")) + "\n")
            coder = encoding(name, pattern, ranks)
            for text in made:
                line = {"text": text, "ids": coder.encode_ordinary(text)}
                out.write(json.dumps(line, separators=(",", ":")) + "\n")


def byte_alphabet():
    """The character of each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def train():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=1500, special_tokens=["<|endoftext|>"], show_progress=False,
                                             max_token_length=12,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts(7, 5000), trainer)
    root = json.loads(tokenizer.to_str())
    root["pre_tokenizer"]["use_regex"] = True
    (HERE / "tokenizer.json").write_text(json.dumps(root, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    byte_of = {character: byte for byte, character in byte_alphabet().items()}
    tokens = [bytes([b]) for b in range(256)]
    tokens += [bytes(byte_of[c] for c in left + right) for left, right in root["model"]["merges"]]
    with open(HERE / "crossing.tiktoken", "wb") as out:
        for rank, token in enumerate(dict.fromkeys(tokens)):
            out.write(base64.b64encode(token) + b" %d\n" % rank)
    return root


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(use_regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": use_regex}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def added(base, *tokens):
    """tokenizers numbers those that the vocabulary has not from its end on, whatever the file says."""
    vocab, made = base["model"]["vocab"], []
    for content, flags in tokens:
        number = vocab.get(content, len(vocab) + sum(t["id"] >= len(vocab) for t in made))
        made.append({"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                     "normalized": False, "special": False} | flags)
    return made


def variants(base):
    digits = {"type": "Digits", "individual_digits": True}
    late = {"normalized": True}
    tokens = added(base, ("<|endoftext|>", {"special": True}), ("<mask>", {"lstrip": True, "rstrip": True}), ("'s", late),
                   ("the", late), ("漢字", {}), ("漢", {}), ("x<|", late), ("。ー", {"lstrip": True}))
    yield "as it is", {}, {}
    yield "Llama 3", {"pre_tokenizer": sequence(split(LLAMA3), byte_level(False)), "added_tokens": tokens}, {"ignore_merges": True}
    yield "SmolLM", {"pre_tokenizer": sequence(digits, byte_level(True))}, {}
    yield "with a space", {"pre_tokenizer": sequence(digits | {"individual_digits": False}, byte_level(True, True)),
                           "added_tokens": tokens}, {}
    yield "DeepSeek 2", {"pre_tokenizer": sequence(split(r"[\r\n]"), split(DEEPSEEK_WORDS), split(DEEPSEEK_SIGNS), split(r"\s+$"),
                                                   split("[一-龥ࠀ-一가-\ud7ff]+"), digits, byte_level(False))}, {}
    yield "DeepSeek 3", {"pre_tokenizer": sequence(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3),
                                                   byte_level(False))}, {}
    yield "lines", {"pre_tokenizer": sequence(split(r"^[^\n]|[a-z]$"), byte_level(False))}, {}
    yield "removed", {"pre_tokenizer": sequence(split(r"\w+|[^\w\s]+|\d", "Removed", True), split("l", "Removed", kind="String"),
                                                split(r"\p{Han}{1,2}|[\p{Cyrillic}\u00e9\x{e8}]+|^.|\W$|[^\S\n]+"),
                                                byte_level(False))}, {}


def make_variants(base):
    with open(HERE / "variants.jsonl", "w", encoding="ascii") as out:
        for seed, (name, root, model) in enumerate(variants(base)):
            tokenizer = tokenizers.Tokenizer.from_str(json.dumps(base | root | {"model": base["model"] | model}))
            out.write(json.dumps({"name": name, "root": root, "model": model}, separators=(",", ":")) + "\n")
            for text in texts(100 + seed, 60):
                line = {"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids}
                out.write(json.dumps(line, separators=(",", ":")) + "\n")


def make_missing():
    """Vocabularies that lack most of the 256 bytes."""
    tokens = ["<unk>", *"abcdez", "Ġ", "ab", "cd", "abcd", "Ġa", "Ð", "<unk>a"]
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = [["a", "b"], ["c", "d"], ["ab", "cd"], ["Ġ", "a"], ["<unk>", "a"]]
    chosen = ["", "ab", "a\x04b", "\x04", "\x04\x06ab\x04\x06", "ab\x04cd e", "żab", "z z\x04", "a \x04a", "\x04a\x04\x04a",
              "漢ab字cd", "é" * 40 + "abcd" + "é" * 40, "ab\x04" * 50, "\x04" * 200, "Привет abcd"]
    pick = random.Random(7)
    chosen += ["".join(pick.choice("abcdez \x04\x13é") for _ in range(pick.randrange(1, 150))) for _ in range(40)]
    with open(HERE / "missing.jsonl", "w", encoding="ascii") as out:
        for model in ({}, {"unk_token": "<unk>"}, {"unk_token": "<unk>", "fuse_unk": True}, {"ignore_merges": True},
                      {"unk_token": "z", "fuse_unk": True}):
            root = {"version": "1.0", "added_tokens": [], "pre_tokenizer": byte_level(True), "decoder": {"type": "ByteLevel"} |
                    byte_level(True), "model": {"type": "BPE", "vocab": vocab, "merges": merges} | model}
            tokenizer = tokenizers.Tokenizer.from_str(json.dumps(root))
            out.write(json.dumps({"root": root, "texts": [
                [text, tokenizer.encode(text, add_special_tokens=False).ids] for text in chosen]}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    trained = train()
    make_ranks(pathlib.Path(sys.argv[1]))
    make_variants(trained)
    make_missing()
