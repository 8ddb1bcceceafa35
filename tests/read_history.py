"""read_history.py STORE <tokens.ndjson - whether history_lines.c saw the store as store/python/occ_store.py does: which
token is of which post, when that was, what it shows and holds, and in which order. Prints how many tokens there are."""

import json
import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "store", "python"))
import occ_store  # noqa: E402


def created(tokens, key):
    return tokens.sample(key)["created"]


def newest(tokens, ranges):
    """(created, key) of the newest sample that is shown; None: none is named."""
    return max(((created(tokens, sample), sample) for sample, *_ in ranges), default=None)


def shown(tokens, number):
    """(post, token, text) of those tokens of a page that show text; what names no post is as new as the newer of what is
    beside it."""
    spans = tokens.spans(number)
    posts = [newest(tokens, span["ranges"]) for span in spans]
    for token, span in enumerate(spans):
        beside = [next((post for post in side if post), None) for side in (posts[token::-1], posts[token:])]
        if span["start"] < span["end"]:
            yield max(post for post in beside if post), token, span["text"]


def expected(path):
    tokens = occ_store.Tokens(path)
    found = []
    for number, item in enumerate(tokens):
        rows = item["tokens"].reshape(-1, item["tokens"].shape[-1])
        for post, token, text in shown(tokens, number):
            found.append({"account": item["key"].split("/")[0], "key": item["key"], "page": item["page"],
                          "token": token, "bucket": item["bucket"], "post": post[1], "created": post[0], "text": text,
                          "first": rows[token, 0], "last": rows[token, -1], "place": number})
    found.sort(key=lambda token: (token["account"], token["created"], token["post"], token["place"], token["token"]))
    for token in found:
        del token["place"]
    return found


def main():
    want, got = expected(sys.argv[1]), [json.loads(line) for line in sys.stdin]
    for one, other in zip(want, got):
        other.update(first=numpy.float32(other["first"]), last=numpy.float32(other["last"]))
        assert one == other, f"{one}\n{other}"
    assert len(want) == len(got), (len(want), len(got))
    print(len(got))


main()
