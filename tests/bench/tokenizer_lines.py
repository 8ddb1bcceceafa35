#!/usr/bin/env python3
"""tokenizer_lines.py - ids of 10,000 lines of many scripts, ours beside those of PyPI's tokenizers.

    sh train/get-smollm2.sh FOLDER
    /tmp/venv/bin/python tests/bench/tokenizer_lines.py FOLDER/tokenizer.json [build/release/tests/token_ids]
    /tmp/venv/bin/python tests/bench/tokenizer_lines.py FOLDER/tokenizer.json --golden

The lines: those of tests/golden/texts (36 languages) and tests/golden/social.txt, pieces of several of these put
together, and random strings of any characters that Unicode 14 has, with controls, spaces of all kinds and bytes that a
vocabulary may lack. Which bytes it lacks is printed. With --golden: 300 short ones as tests/golden/smollm2/ids.jsonl,
["text", ids] a line, for tests/t0640-smollm2.sh.
"""
import json
import pathlib
import random
import subprocess
import sys
import unicodedata

import tokenizers

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
LINES, KEPT, SHORT = 10000, 300, 80
SIGNS = ["'s", "'LL", "’ve", "...", "!?", "<|endoftext|>", "<|im_start|>", "#tag", "@pear.42", "1,234.56", "٣٤", "²½Ⅷ", "０１",
         "🙂", "👩‍⚕️", "🇩🇪", "e\u0301", "\u00ad", "\u200b", "\ufeff", "\ufffd", "\uffff", "\U0010ffff", "=" * 70, "{[(", "def f(x):"]
SPACES = ["", "", " ", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n ", "\u00a0", "\u3000", "\u2028", "\u0085", "\v", "\f"]


def assigned(pick):
    while True:
        point = pick.choice([pick.randrange(0x80), pick.randrange(0x800), pick.randrange(0x3000), pick.randrange(0x110000)])
        if unicodedata.category(chr(point)) not in ("Cs", "Cn"):
            return chr(point)


def make_lines():
    pick = random.Random(1)
    found = [line for path in sorted(GOLDEN.glob("texts/*.txt")) + [GOLDEN / "social.txt"]
             for line in path.read_text("utf-8").splitlines() if line]
    lines = ["", " ", "\n"] + found
    while len(lines) < LINES:
        parts = []
        for _ in range(pick.randrange(1, 9)):
            kind = pick.random()
            if kind < 0.4:
                line = pick.choice(found)
                at = pick.randrange(len(line))
                parts.append(line[at:at + pick.randrange(1, 40)])
            elif kind < 0.7:
                parts.append("".join(assigned(pick) for _ in range(pick.randrange(1, 5))))
            else:
                parts.append(pick.choice(SIGNS))
            parts.append(pick.choice(SPACES))
        lines.append("".join(parts))
    return lines


def lacking(model):
    """Bytes without a token, as GPT-2 writes them."""
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [b for b in range(256) if b not in plain]
    letters = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}
    return [b for b in range(256) if model.token_to_id(letters[b]) is None]


def main():
    path = sys.argv[1]
    theirs = tokenizers.Tokenizer.from_file(path)
    theirs.encode_special_tokens = True  # "<|im_end|>" in a text is a text
    lines = make_lines()
    gold = [theirs.encode(line, add_special_tokens=False).ids for line in lines]
    if sys.argv[2:] == ["--golden"]:
        kept = random.Random(2).sample([i for i in range(LINES) if len(lines[i]) < SHORT], KEPT)
        with open(GOLDEN / "smollm2" / "ids.jsonl", "w", encoding="ascii") as out:
            for i in sorted(kept):
                out.write(json.dumps([lines[i], gold[i]], separators=(",", ":")) + "\n")
        return
    program = sys.argv[2] if len(sys.argv) > 2 else "build/release/tests/token_ids"
    run = subprocess.run([program, path], input="".join(json.dumps(line) + "\n" for line in lines), text=True,
                         capture_output=True, check=True)
    ours = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(ours) == len(lines)
    bad = [i for i in range(LINES) if ours[i] != gold[i]]
    bytes_lacking = lacking(theirs)
    with_lacking = sum(any(b in bytes_lacking for b in line.encode()) for line in lines)
    print(f"{LINES} lines, {sum(map(len, gold))} tokens; {len(bytes_lacking)} bytes lack a token "
          f"({' '.join(f'{b:02x}' for b in bytes_lacking)}), {with_lacking} lines have one; {len(bad)} lines differ")
    for i in bad[:10]:
        print(repr(lines[i]), ours[i], gold[i])
    sys.exit(bool(bad))


main()
