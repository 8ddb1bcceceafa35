"""read_spans.py COMMAND STORE ... - what t0460-spans.sh asks of Tokens.spans.

spans STORE TAR LINES: it agrees with the stream that the store was made from, and with what `occ store get --cells`
printed for all keys. Prints how many tokens there are and how many ranges were looked up. nothing STORE: no page has
any."""

import json
import os
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "store", "python"))
import occ_store  # noqa: E402


def members(path):
    """{(key, member): bytes} of a stream."""
    found = {}
    with tarfile.open(path) as tar:
        for entry in tar:
            key, _, member = entry.name.partition(".")
            found[key, member] = tar.extractfile(entry).read()
    return found


def string_at(stream, sample, member, pointer):
    value = json.loads(stream[sample, member])
    for part in pointer.split("/")[1:]:
        value = value[int(part) if isinstance(value, list) else part.replace("~1", "/").replace("~0", "~")]
    return value.encode()


def check_ranges(stream, token):
    """The bytes of its ranges stand in its text one after another; between them are marks alone."""
    at, looked_up = 0, 0
    for sample, member, pointer, start, end, _ in token["ranges"]:
        if pointer is None:
            assert (sample, member) in stream, (sample, member)
            continue
        said = string_at(stream, sample, member, pointer)[start:end].decode().replace("\t", " ")
        found = token["text"].find(said, at)
        assert found >= 0, (said, token)
        at = found + len(said)
        looked_up += 1
    return looked_up


def check_line(line, item, place, token):
    """A line of `occ store get --cells` says the same."""
    assert (line["page"], line["index"], line["bucket"]) == (item["page"], place, item["bucket"])
    assert all(line[name] == token[name] for name in ("row", "column", "start", "end", "text"))
    assert token["ranges"] == [(r["sample"], r["member"], r.get("pointer"), r.get("start", 0), r.get("end", 0),
                                r.get("replaced", False)) for r in line["ranges"]]


def spans(store, tar, lines):
    stream, tokens = members(tar), occ_store.Tokens(store)
    printed = [json.loads(line) for line in open(lines)]
    count = looked_up = 0
    for number in range(len(tokens)):
        item, found = tokens[number], tokens.spans(number)
        rows, columns, _ = item["tokens"].shape
        text = tokens.text(item["key"])[item["page"]]
        assert len(found) == rows * columns
        assert "".join(token["text"] for token in found) == text
        assert found[0]["start"] == 0 and found[-1]["end"] == len(text.encode())
        for place, token in enumerate(found):
            assert (token["row"], token["column"]) == divmod(place, columns)
            assert place == 0 or token["start"] == found[place - 1]["end"]
            looked_up += check_ranges(stream, token)
            for offset in {token["start"], token["end"] - 1} if token["end"] > token["start"] else ():
                assert tokens.token_at(number, offset) == place
            check_line(printed[count + place], item, place, token)
        for outside in (-1, len(text.encode())):
            assert tokens.token_at(number, outside) is None
        count += len(found)
    assert count == len(printed)
    print(count, looked_up)


def nothing(store):
    tokens = occ_store.Tokens(store)
    assert all(tokens.spans(number) is None and tokens.token_at(number, 0) is None for number in range(len(tokens)))
    print("nothing")


if __name__ == "__main__":
    {"spans": spans, "nothing": nothing}[sys.argv[1]](*sys.argv[2:])
