#!/usr/bin/env bash
# t0320-scripts.sh - the Universal Declaration of Human Rights in many scripts: all of it is drawn,
# and a reader that is not ours (tesseract) reads it from the page.
# shellcheck source=tests/lib-render.sh
. "$(dirname "$0")/lib-render.sh"

texts=$test_folder/golden/texts

# Pages of single languages; what fontconfig finds on this machine draws them.
set_pages() { # LANGUAGE...
    local language
    stream_begin
    for language in "$@"; do
        jq -nc --arg id "$language" '{id: $id, account: "udhr", language: $id, status: "ok"}' |
            put "udhr/$language.json"
        jq -Rsc '[{start_ms: 0, end_ms: 1000, text: .}]' "$texts/$language.txt" |
            put "udhr/$language.script.json"
        stream_samples=$((stream_samples + 1))
    done
    stream_end >in.tar
    render -q --mode base --pack sample --profile clear --format png in.tar >pages.tar
    tar xf pages.tar
}

nothing_is_missing_with_all_of_Noto() {
    for font in 'Noto Sans CJK SC' 'Noto Sans Tamil' 'Noto Serif Tibetan' 'Noto Sans Khmer'; do
        fc-list "$font" | grep -q . || skip "no $font"
    done
    languages=$(basename -s .txt "$texts"/*.txt)
    test "$(wc -w <<<"$languages")" -ge 20
    # shellcheck disable=SC2086
    set_pages $languages
    for language in $languages; do
        expect_json '[.pages[] | .missing] | add == {}' "udhr/$language.pages.json"
        expect_json '[.pages[] | .replaced, .dropped] | add == 0' "udhr/$language.pages.json"
    done
}
run nothing_is_missing_with_all_of_Noto

# Drawn once more three times as large: tesseract wants letters of 30 pixels.
read_page() { # LANGUAGE TESSERACT-LANGUAGE COLUMN
    ffmpeg -v error -y -i "udhr/$1.p000.png" -vf "crop=512:1024:$((512 * $3)):0,scale=iw*3:ih*3:flags=bicubic" \
        column.png
    OMP_THREAD_LIMIT=1 tesseract column.png - -l "$2" --psm 6 --dpi 216 2>/dev/null
}

expect_legible() { # LANGUAGE TESSERACT-LANGUAGE PERCENT
    set_pages "$1"
    for column in 0 1; do
        read_page "$1" "$2" $column
    done >read.txt
    percent=$(python3 "$test_folder/read_accuracy.py" read.txt "udhr/$1.p000.txt")
    echo "$1: $percent%" >&8
    awk -v got="$percent" -v want="$3" 'BEGIN {exit !(got >= want)}' ||
        complain "$1: $percent% read, $3% wanted" "$(diff <(fold -w 80 read.txt) <(fold -w 80 "udhr/$1.p000.txt") | head -30)"
}

tesseract_reads_the_pages() {
    command -v tesseract >/dev/null || skip 'no tesseract'
    command -v ffmpeg >/dev/null || skip 'no ffmpeg'
    tesseract --list-langs | grep -qx rus || skip 'no Russian for tesseract'
    expect_legible en eng 98
    expect_legible ru rus 95
    expect_legible el ell 95
}
run tesseract_reads_the_pages

test_finish
