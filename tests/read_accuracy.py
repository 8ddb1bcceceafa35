#!/usr/bin/env python3
"""read_accuracy.py READ WANTED: 1 - edit distance / length, in percent, runs of blanks taken as one."""
import sys
import unicodedata


def load(path):
    text = open(path, encoding="utf-8", errors="replace").read()
    return unicodedata.normalize("NFC", " ".join(text.split()))


def distance(a, b, band):
    """Levenshtein's, exact while it is at most `band`; else some number above that."""
    far = band + 1
    above = {j: j for j in range(min(len(b), band) + 1)}
    for i, x in enumerate(a, 1):
        row = {}
        for j in range(max(0, i - band), min(len(b), i + band) + 1):
            row[j] = i if j == 0 else min(above.get(j, far) + 1, row.get(j - 1, far) + 1,
                                          above.get(j - 1, far) + (x != b[j - 1]))
        above = row
    return above.get(len(b), far)


read, wanted = load(sys.argv[1]), load(sys.argv[2])
errors = distance(read, wanted, max(100, len(wanted) // 4))
print("%.2f" % (100 * max(0, 1 - errors / max(1, len(wanted)))))
