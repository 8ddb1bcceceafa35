#!/usr/bin/env bash
# t0330-cells.sh - pages of cells: each cell's ranges are the text that it shows, and nothing is lost between them.
# shellcheck source=tests/lib-render.sh
. "$(dirname "$0")/lib-render.sh"
command -v python3 >/dev/null || skip_all 'no python3'

# What .pages.json says of cells against the strings that it points to and the texts of the pages.
cat >"$scratch/check.py" <<'PYTHON'
import json, re, struct, sys, tarfile

SIGNS = "\u25a3\u25a4\u25a5\u25a6\u25a7"
tar = tarfile.open(sys.argv[1])
members = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}

def string_of(record, source):
    tree = json.loads(members[record["samples"][source["sample"]] + "." + source["member"]])
    for name in source["pointer"].split("/")[1:]:
        tree = tree[int(name) if isinstance(tree, list) else name]
    return tree.encode()

def shown(text, replaced):
    text = text.decode().replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    return {"\t": " "}[text] if replaced else text

covered, pages, cells = {}, 0, 0
for name in [n for n in members if n.endswith(".pages.json")]:
    record, key = json.loads(members[name]), name[: -len(".pages.json")]
    width = 32 if record["mode"] == "hifi" else 64
    strings = [string_of(record, s) if "pointer" in s else None for s in record["sources"]]
    for page in record["pages"]:
        file = members[key + "." + page["member"]]
        size = tuple(map(int, re.match(rb"P5\n(\d+) (\d+)\n255\n", file).groups()))
        assert size == (record["width"], page["height"]) and page["height"] % 64 == 0, (size, page["height"])
        assert page["height"] <= record["height"]
        assert len(page["cells"]) == page["tokens"] == page["height"] // 64 * (record["width"] // width)
        assert page["inked_tokens"] >= sum(1 for c in page["cells"] if c)
        assert any(page["cells"][-record["width"] // width :]), "an empty row of cells at the end"
        text = members[key + "." + page["member"].replace(".pgm", ".txt")].decode()
        assert page["characters"] == len(text)
        at = 0
        for cell in page["cells"]:
            for part, source, start, end, *replaced in cell:
                if strings[source] is None:
                    assert start == end == 0 and part in ("thumbs", "audio")
                    continue
                s = record["sources"][source]
                place = (record["samples"][s["sample"]], s["member"], s["pointer"])
                piece = shown(strings[source][start:end], replaced == ["replaced"])
                assert covered.setdefault(place, [0, strings[source]])[0] == start, (place, covered[place][0], start)
                covered[place][0] = end
                found = text.index(piece, at)
                between = text[at:found]  # nothing but what no source holds
                assert len(between) < 80, between
                at = found + len(piece)
        pages, cells = pages + 1, cells + len(page["cells"])
for place, (end, string) in covered.items():
    assert end == len(string), (place, end, len(string))
print(pages, cells, len(covered))
PYTHON

every_byte_is_in_one_cell() {
    stream_begin
    put_clip kiwi/1 1700000000 'Two  spaces, a	tab'
    jq -nc '[{start_ms: 0, end_ms: 1000, text: "first line\nsecond line"}, {start_ms: 1000, end_ms: 2000, text: " next  "},
             {start_ms: 2000, end_ms: 3000, text: "é 😂🇩🇪 مرحبا بالعالم\r\nend"}]' | put kiwi/1.script.json
    jq -nc '[range(60) | {id: "\(.)", author: "user_\(.)", text: "שלום\n\n \(.) times 👍🏽  ", likes: (. * 7)}]
            + [{id: "a", parent: "3", author: "maker", text: "an answer", by_creator: true}]' | put kiwi/1.comments.json
    stream_end >in.tar
    for profile in cell10 cell8; do
        for mode in tiny base hifi; do
            expect_code 0 render -q --mode $mode --profile $profile in.tar >pages.tar
            python3 "$scratch/check.py" pages.tar >said || return 1
            read -r pages cells strings <said
            test "$pages" -ge 1 && test "$cells" -ge 8 && test "$strings" -ge 127
        done
    done
}
run every_byte_is_in_one_cell

samples=$scratch/samples.tar # of the sample archive, in which one clip is cut off
"$OCC_BIN/occ" ingest -q "$archive" >"$samples" 2>/dev/null
[ $? -eq 3 ] || skip_all 'the sample archive cannot be ingested'

the_sample_archive_is_traced_back() {
    for profile in cell10 cell8; do
        for mode in tiny base hifi; do
            expect_code 0 render -q --mode $mode --profile $profile "$samples" >pages.tar
            python3 "$scratch/check.py" pages.tar >/dev/null || return 1
        done
    done
}
run the_sample_archive_is_traced_back

parts_begin_with_their_signs_and_thumbnails_come_first() {
    expect_code 0 render -q --mode tiny --profile cell10 "$samples" >pages.tar
    tar xf pages.tar
    expect_json '.profile.name == "cell10" and (.pages | length) == 1 and .pages[0].height < 512
        and .pages[0].cells[0] == [["thumbs", 0, 0, 0]]' banana/7301234567890123456.pages.json
    expect_words '▣@banana · 2023-07-22' banana/7301234567890123456.p000.txt
    expect_words '▤Everyone opens a banana from the wrong end 🍌 #banana #lifehack #foodtok▥Everyone' \
        banana/7301234567890123456.p000.txt
    expect_words '▧slowpoke: I have been doing this wrong for 34 years ♥5.1K' banana/7301234567890123456.p000.txt
    expect_words ' banana★: it is never too late 🍌 ♥830' banana/7301234567890123456.p000.txt # an answer
}
run parts_begin_with_their_signs_and_thumbnails_come_first

threads_do_not_matter() {
    for mode in tiny base; do
        expect_code 0 render -q --mode $mode --profile cell8 -j 1 "$samples" >one.tar
        expect_code 0 render -q --mode $mode --profile cell8 -j 4 "$samples" >four.tar
        expect_same one.tar four.tar
    done
}
run threads_do_not_matter

the_environment_does_not_matter() {
    expect_code 0 render -q --mode tiny --profile cell10 "$samples" >plain.tar
    export FREETYPE_PROPERTIES='truetype:interpreter-version=35 autofitter:no-stem-darkening=0'
    expect_code 0 render -q --mode tiny --profile cell10 "$samples" >other.tar
    expect_same plain.tar other.tar
}
run the_environment_does_not_matter

the_summary_counts_cells() {
    expect_code 0 render -v --mode hifi --profile cell10 "$samples" 2>err >pages.tar
    grep -Eq 'of [0-9]+ areas of 32 x 64 pixels inked' err
}
run the_summary_counts_cells

test_finish
