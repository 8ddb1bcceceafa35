"""Reads tars of samples as other people's programs do, and prints what they see.

    read_webdataset.py webdataset|tarfile FILE...

One line a member on standard output: NAME BYTES SHA256, in the order of the reader, for a test to
compare; members without an extension are not samples and must not show up. `webdataset` reads twice: the raw fields, and decoded by that library (JSON, and
pictures with Pillow). Anything wrong with a sample ends the program with a message.
"""

import hashlib
import json
import sys


def fields_of_webdataset(path):
    import webdataset

    for sample in webdataset.WebDataset(path, shardshuffle=False):
        key = sample.pop("__key__")
        yield key, {name: data for name, data in sample.items() if not name.startswith("__")}


def fields_of_tarfile(path):
    """Python's tarfile, grouped as WebDataset's documentation says: by the name up to the first
    dot after the last slash, names without an extension left out."""
    import tarfile

    key, fields = None, {}
    with tarfile.open(path) as tar:
        for member in tar:
            folder, slash, name = member.name.rpartition("/")
            stem, dot, suffix = name.partition(".")
            if not dot:
                continue
            if folder + slash + stem != key:
                if fields:
                    yield key, fields
                key, fields = folder + slash + stem, {}
            assert suffix not in fields, f"{key}: {suffix} twice"
            fields[suffix] = tar.extractfile(member).read()
    if fields:
        yield key, fields


def check_fields(key, fields):
    about = json.loads(fields["json"])
    assert isinstance(about["id"], str) and isinstance(about["account"], str), key
    assert key == about["account"] + "/" + about["id"], key
    for name, data in fields.items():
        if name.endswith("json"):
            json.loads(data)
        elif name.endswith(".jpg"):
            assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", f"{key}: {name}"
        elif name.endswith(".pgm"):
            assert data[:2] == b"P5", f"{key}: {name}"
    pictures = sum(name.endswith(".jpg") for name in fields)
    assert pictures == len(about["thumbs"]), f"{key}: {pictures} pictures"


def check_decoded(path):
    """The objects that a training program gets."""
    import webdataset

    for sample in webdataset.WebDataset(path, shardshuffle=False).decode("pil"):
        about = sample["json"]
        assert type(about["id"]) is str, about["id"]
        for number, thumb in enumerate(about["thumbs"]):
            picture = sample[f"{number:03}.jpg"]
            picture.load()
            assert picture.size == (thumb["width"], thumb["height"]), sample["__key__"]
        for cue in sample.get("script.json", []):
            assert cue["start_ms"] <= cue["end_ms"], sample["__key__"]
        if "mel.pgm" in sample:
            mel = sample["audio.json"]["mel"]
            assert sample["mel.pgm"].size == (mel["columns"], mel["bands"]), sample["__key__"]


def main():
    reader, paths = sys.argv[1], sys.argv[2:]
    fields_of = {"webdataset": fields_of_webdataset, "tarfile": fields_of_tarfile}[reader]
    for path in paths:
        for key, fields in fields_of(path):
            check_fields(key, fields)
            for name, data in fields.items():
                print(f"{key}.{name}", len(data), hashlib.sha256(data).hexdigest())
        if reader == "webdataset":
            check_decoded(path)


main()
