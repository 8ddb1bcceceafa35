#!/usr/bin/env bash
# t0656-paper-accounts.sh - train/paper/accounts.sh: what it makes of changelogs, data frames of R and addresses, without
# the packages, which it downloads; its streams go through render and compress.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
command -v python3 >/dev/null || skip_all 'no python3'
export PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$test_folder/../train/paper
export PYTHONPATH

what_names_people_and_things_is_masked() {
    python3 - <<'PY'
from accounts import changelog_text
packages, people = {"zlib", "libfoo"}, {"Jane", "Roe"}
body = """
  [ Jane Roe ]
  * New upstream release 1.2.3-4, closes: #123456. See https://example.org/x.
  * debian/rules: drop workaround in zlib's configure.in, as
    reported by Max Mustermann <max@example.org>. Fixes CVE-2019-12345.

  [ Somebody Else ]
  * Not hers.

  [ Jane Roe ]
  * Thanks to Jane Doe for the libfoo patch!
"""
want = """* New upstream release 0, closes: #0. See <url>
* <path>: drop workaround in <name>'s <name>, as reported by <name> <mail>. Fixes <id>.
* Thanks to <name> for the <name> patch!"""
got = changelog_text(body, "Jane Roe", packages, people)
assert got == want, got
PY
}

a_data_frame_of_r_is_read() {
    python3 - <<'PY'
import gzip, struct, zlib
from rdata import read_frame

def number(*values): return b"".join(struct.pack(">i", v) for v in values)
def text(t): return number(9 | 0x40000 if t is not None else 9, -1 if t is None else len(t.encode())) + (t or "").encode()
def strings(*ts): return number(16, len(ts)) + b"".join(map(text, ts))
def symbol(n): return number(1) + text(n)
def attributes(**all):
    return b"".join(number(2 | 0x400) + symbol(n) + v for n, v in all.items()) + number(254)
def values(*columns): return number(19 | 0x200, len(columns)) + b"".join(columns)
head = b"X\n" + number(3, 0x040200, 0x030500, 5) + b"UTF-8"
reals = number(14, 2) + struct.pack(">2d", 1.5, -2)
dates = number(14 | 0x200, 2) + struct.pack(">2d", 10, 20) + attributes(tzone=strings("UTC"))
whole = number(13, 3 - 1) + number(7, -1 << 31)
frame = head + values(reals, dates, whole, strings("caf\u00e9", None)) + attributes(names=strings("x", "when", "n", "t"))
packed = struct.pack(">I", len(frame)) + zlib.compress(frame)
place = number(13, 2) + number(3, len(packed))
index = head + values(number(19 | 0x200, 1) + place + attributes(names=strings("tweets"))) + attributes(names=strings("variables"))
open("d.rdx", "wb").write(gzip.compress(index))
open("d.rdb", "wb").write(b"xyz" + packed)
got = read_frame("d", "tweets")
assert got == {"x": [1.5, -2], "when": [10, 20], "n": [7, None], "t": ["caf\u00e9", None]}, got
for bad in (head[:2] + number(9), b"RDA3\n"):
    open("d.rdx", "wb").write(gzip.compress(bad + b"\0" * 20))
    try:
        read_frame("d", "tweets")
    except ValueError:
        continue
    raise SystemExit("read what it cannot read")
PY
}

addresses_are_cut_into_passages() {
    python3 - <<'PY'
from accounts import passages, PASSAGE
text = "[ As delivered ]\n\n" + "\n\n".join(" ".join(f"Sentence {i}.{k} says no more than that." for k in range(40)) for i in range(5))
parts = list(passages(text))
assert all(sum(map(len, p)) + len(p) <= PASSAGE + 1 for p in parts) and len(parts) > 3, [sum(map(len, p)) for p in parts]
assert " ".join(" ".join(p) for p in parts) == " ".join(" ".join(x.split()) for x in text.split("\n\n")[1:])
PY
}

its_streams_are_taken() {
    small_encoder
    python3 - <<'PY'
from accounts import Stream
s = Stream("made.tar", "a test")
for i in range(3):
    s.post("kiwi", f"{i:04}", 1600000000 + 86400 * i, caption=f"Caption {i} \u00e9", counts={"likes": i, "shares": 2 * i})
s.post("plum", "1861-1-000", 1600000000, script=["Fellow citizens:", "We meet again."])
s.close()
PY
    render -q --parts description,script made.tar >pages.tar
    compress --store tokens pages.tar
    expect_equal 'kiwi/0000 kiwi/0001 kiwi/0002 plum/1861-1-000 ' "$("$OCC_BIN/occ" store ls tokens | grep -v pack | tr '\n' ' ')"
    "$OCC_BIN/occ" store get tokens kiwi/0002 | grep -F '"shares":4' || "$OCC_BIN/occ" store get tokens kiwi/0002 | grep -F '"shares": 4'
}

it_says_how_it_is_called() {
    expect_code 2 sh "$test_folder/../train/paper/accounts.sh" 2>messages
    expect_match 'usage: sh train/paper/accounts.sh FOLDER' messages
    expect_code 2 sh "$test_folder/../train/paper/accounts.sh" --help 2>messages
}

run what_names_people_and_things_is_masked
run a_data_frame_of_r_is_read
run addresses_are_cut_into_passages
run its_streams_are_taken
run it_says_how_it_is_called
test_finish
