#!/usr/bin/env bash
# fidelity.sh - what pages in cells keep, by set, profile and halving, as one table in Markdown.
#
#     [OCC_BIN=build/release/bin] [PAGES=8] tests/bench/fidelity.sh SETS MODEL
#
# SETS holds NAME.txt for the sets of the table (heldout/ of train/text.sh); one that is missing is left out, and said so.
# The captions are tests/golden/social.txt; pages of samples are made of the prose, and digits, capitals and random strings
# where SETS has none.
set -eu -o pipefail

folder=$(cd "$(dirname "$0")" && pwd)
bin=${OCC_BIN:-$folder/../../build/release/bin}
pages=${PAGES:-8}
if [ "$#" != 2 ] || [ ! -d "$1" ]; then
    echo "usage: fidelity.sh SETS MODEL" >&2
    exit 2
fi
sets=$1 model=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

texts=() made=(samples)
add() { # NAME FILE
    if [ -s "$2" ]; then
        texts+=(-t "$1=$2")
    elif [[ " random digits caps " == *" $1 "* ]]; then
        made+=("$1")
    else
        echo "fidelity.sh: no $2: its row is left out" >&2
    fi
}

fidelity() { # OUT PROFILE MODES HALVINGS
    local sets_made
    sets_made=$(IFS=, && echo "${made[*]:-none}")
    "$bin/occ" eval fidelity --json --model "$model" --profiles "$2" --modes "$3" --halvings "$4" -n "$pages" \
        --sets "$sets_made" "${texts[@]}" >"$1"
}

add prose "$sets/prose.txt"
add social "$folder/../golden/social.txt"
add random "$sets/random.txt"
fidelity "$work/cell8" cell8 tiny 0
for name in news de fr pl tr vi ru el code caps digits; do
    add $name "$sets/$name.txt"
done
fidelity "$work/cell10" cell10 tiny 0,1,2,3
fidelity "$work/base" cell10 base 0

# Rows: set, profile, halvings, aims for characters and for words, numbers, emoji.
jq -rn --slurpfile tiny "$work/cell10" --slurpfile base "$work/base" --slurpfile small "$work/cell8" '
    def percent: if . == null then "" else (. * 10000 | round / 100 | tostring) + "%" end;
    def items: [.words, .numbers, .emoji] | if all(. == null) then "" else map(if . == null then "-" else percent end) | join(" / ") end;
    def state($lines; $set; $k): $lines | map(select(.set == $set)) | .[0] // empty |
        . as $line | .states[] | select(.k == $k) |
        . + {rate: ($line.characters / .visual_tokens), text: ($line.text_tokens / .visual_tokens), pages: $line.pages};
    def row($name; $lines; $set; $k; $aim; $whole):
        state($lines; $set; $k) as $s | (if $k == 0 and $lines == $tiny then [state($base; $set; 0).characters | percent] | join("")
            else "" end) as $wide |
        "| \($name) | \($s.characters | percent) | \($wide) | \($s | items) | \($s.rate * 10 | round / 10) | " +
        "\($s.text * 10 | round / 10)x | \($s.pages) | \($aim) | \($whole) |";
    "| set | characters, tiny | base | words / numbers / emoji | characters a token | text tokens a token | pages | aim: characters | aim: words / numbers / emoji |",
    "|---|---|---|---|---|---|---|---|---|",
    row("English prose"; $tiny; "prose"; 0; "99.9%"; "99.5 / 99.8"),
    row("news"; $tiny; "news"; 0; "99.9%"; "99.5 / 99.8"),
    row("social"; $tiny; "social"; 0; "98.5%"; "95 / 99 / 97"),
    row("mixed pages from samples"; $tiny; "samples"; 0; "98.5%"; "95 / 99 / 97"),
    (state($tiny; "samples"; 0) | "| header rows of these | \(.header | percent) | \(state($base; "samples"; 0).header | percent) | | | | \(.pages) | 99.8% | |"),
    (("de", "fr", "pl", "tr", "vi") | row(.; $tiny; .; 0; "99.5%"; "")),
    (("ru", "el") | row(.; $tiny; .; 0; "99.3%"; "")),
    row("code"; $tiny; "code"; 0; "99.5%"; ""),
    row("CAPS"; $tiny; "caps"; 0; "99.7%"; ""),
    row("digits"; $tiny; "digits"; 0; "99.9%"; ""),
    row("random ASCII"; $tiny; "random"; 0; "99.3%"; ""),
    row("cell8 prose"; $small; "prose"; 0; "99.3%"; "97 / 97"),
    row("cell8 social"; $small; "social"; 0; "97%"; "97 / 97"),
    row("cell8 random"; $small; "random"; 0; "96%"; ""),
    row("k = 1 prose"; $tiny; "prose"; 1; "99.5%"; "98 / 97"),
    row("k = 1 social"; $tiny; "social"; 1; "97%"; ""),
    row("k = 2 prose"; $tiny; "prose"; 2; "97%"; "90 / 85"),
    row("k = 3 prose"; $tiny; "prose"; 3; "75%"; "")'
