#!/usr/bin/env bash
# t0434-store-plot.sh - the picture of how a store fades: what is in it, and that its numbers are the store's.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
bundled=$OCC_BIN/../share/occ/nano.safetensors

plot() { # [OPTION...] STORE OUT
    "$OCC_BIN/occ" store plot --decay -q "$@"
}

# marks_of FILE: "SERIES BUCKET VALUE PAGES DAYS X Y" of each point, and each other text
marks_of() {
    python3 - "$1" <<'PYTHON'
import re, sys
import xml.etree.ElementTree as tree
space = "{http://www.w3.org/2000/svg}"
root = tree.parse(sys.argv[1]).getroot()
assert root.tag == space + "svg", root.tag
for text in root.iter(space + "text"):
    print("text", text.text)
for mark in root.iter():
    title = mark.find(space + "title")
    if title is not None and mark is not root:
        bucket, value, series, pages, days = re.fullmatch(
            r"bucket (\d+): (\S+) (.*), (\d+) pages, (\S+) days old", title.text).groups()
        place = mark.get("cx"), mark.get("cy")
        if mark.tag == space + "path":
            place = re.match(r"M(\S+) (\S+?)[hl]", mark.get("d")).groups()
        print(series.split()[0], bucket, value, pages, days, *place)
PYTHON
}

# Pages of 4 ages (in days) on 2024-01-24, with text; one without a date, one that is pinned.
make_store() { # s
    stream_begin
    local i created=$((1706054400 - 86400))
    for i in 1 2 10 12 20 24 40; do
        put_clip kiwi/$i $((1706054400 - i * 86400)) "Clip $i" 'How much is left of this sentence?'
    done
    put_clip kiwi/undated null 'No date' 'Some text.'
    put_clip kiwi/pinned $created 'Pinned' 'Some text.'
    stream_end | render -q --mode tiny >p.tar
    "$OCC_BIN/occ" compress -q --store s <p.tar 2>messages
    forget --store s --pin kiwi/pinned
    forget --store s --now 2024-01-24 2>messages
}

each_bucket_is_a_point_with_the_numbers_of_the_store() {
    [ -e "$bundled" ] || skip 'no bundled encoder'
    unset OCC_MODEL
    make_store
    plot s out.svg
    marks_of out.svg >marks
    expect_match '^text means of 7 pages, 7 of them read back; a point for each bucket; without 2 that do not age$' marks
    for series in tokens kB %; do
        expect_equal '0 1 2' "$(awk -v s=$series '$1 == s {print $2}' marks | tr '\n' ' ' | sed 's/ $//')"
        expect_equal '2 3 2' "$(awk -v s=$series '$1 == s {print $4}' marks | tr '\n' ' ' | sed 's/ $//')"
    done
    expect_match '^tokens 0 8 2 1\.4 ' marks # 1 and 2 days: the geometric mean
    expect_match '^tokens 1 4 3 13\.4 ' marks
    expect_match '^tokens 2 2 2 31\.0 ' marks
    store stats --json s >counts
    for bucket in 1 2; do # that have no page which does not age
        pages=$(jq ".buckets[] | select(.bucket == $bucket).pages" counts)
        bytes=$(jq ".buckets[] | select(.bucket == $bucket).bytes" counts)
        facts=$(store ls s | while read -r key; do store get --facts s "$key"; done |
            jq "select(.bucket == $bucket).facts[]" | jq -s 'map(utf8bytelength + 1) | add // 0')
        got=$(awk -v b=$bucket '$1 == "kB" && $2 == b {print $3}' marks)
        awk -v a="$got" -v b="$(((bytes + facts) * 1000 / pages))" \
            'BEGIN {d = a * 1000000 - b; exit !(d < 100 && d > -100)}'
        "$OCC_BIN/occ" read -q --store s | jq "select(.bucket == $bucket).accuracy" >shares
        got=$(awk -v b=$bucket '$1 == "%" && $2 == b {print $3}' marks)
        awk -v a="$got" '{s += $1} END {d = a - 100 * s / NR; exit !(d < 0.02 && d > -0.02)}' shares
    done
    plot s - >again.svg
    expect_same out.svg again.svg
}

older_and_fewer_is_further_right_and_down() {
    [ -e "$bundled" ] || skip 'no bundled encoder'
    unset OCC_MODEL
    make_store
    plot s out.svg
    marks_of out.svg >marks
    awk '$1 == "tokens" {print $6, $7}' marks >places
    expect_equal "$(sort -n places)" "$(cat places)"
    expect_equal "$(sort -nk2 places)" "$(cat places)"
    # each halving is as far down as the one before
    awk '{y[NR] = $2} END {d = (y[2] - y[1]) - (y[3] - y[2]); exit !(d < 0.2 && d > -0.2)}' places
    # told apart without colours
    expect_equal 3 "$(grep -o 'stroke-dasharray="[^"]*"' out.svg | sort -u | wc -l)"
}

what_cannot_be_drawn_is_refused() {
    make_days 2
    compress --store s <days.tar
    expect_code 2 "$OCC_BIN/occ" store plot s out.svg 2>messages
    expect_match 'say what to plot: --decay' messages
    expect_code 2 "$OCC_BIN/occ" store plot --decay s 2>messages
    expect_match 'plot takes --decay STORE OUT.svg' messages
    expect_code 1 plot s out.svg 2>messages
    expect_match 'carries no reading head' messages
    if [ -e "$bundled" ]; then
        OCC_MODEL=$bundled expect_code 1 plot s out.svg 2>messages
        expect_match 'is not the encoder of s' messages
        stream_begin
        put_clip kiwi/undated null 'No date' 'Some text.'
        stream_end | render -q --mode tiny | OCC_MODEL=$bundled "$OCC_BIN/occ" compress -q --store undated
        OCC_MODEL=$bundled expect_code 1 plot undated out.svg 2>messages
        expect_match 'undated: no page ages: all are pinned or have no date' messages
    fi
    [ ! -e out.svg ]
}

run each_bucket_is_a_point_with_the_numbers_of_the_store
run older_and_fewer_is_further_right_and_down
run what_cannot_be_drawn_is_refused
test_finish
