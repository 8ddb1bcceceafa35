#!/usr/bin/env bash
# t0659-shipped-adapter.sh - the adapter in train/context/smollm2-135m: SmolLM2 reads the tokens of the bundled encoder with
# it, foresees no worse without any, and better behind an account's older posts. Of quotations, which it never learned from.
# shellcheck source=tests/lib-render.sh
. "$(dirname "$0")/lib-render.sh"
# shellcheck source=tests/lib-smollm2.sh
. "$(dirname "$0")/lib-smollm2.sh"
command -v jq >/dev/null || skip_all 'no jq'
adapter=$OCC_BIN/../share/occ/smollm2-135m
get_model "$cache/f32"
get_text
[ -s "$text" ] || skip_all 'no fortunes'

# For the whole file: an account whose posts are quotations of a page's length together.
cd "$scratch" || exit 1
stream_begin
awk 'BEGIN { RS = "\n%\n" } length > 60 && length < 400 && NR < 200 { gsub(/[ \t\n]+/, " "); print }' "$text" | head -60 |
    jq -R -c '{id: "\(input_line_number)", account: "wisdom", account_name: "wisdom", description: .,
        created: (1700000000 + input_line_number * 3600), status: "ok"}' >posts
while read -r post; do
    put "wisdom/$(jq -r .id <<<"$post").json" <<<"$post"
done <posts
stream_samples=$(wc -l <posts)
stream_end | render -q --parts description | "$OCC_BIN/occ" compress -q --codec int8 --store tokens

model=(--model "$cache/f32")

it_reads() { # 2.3 and 9.3 text tokens a position
    "$OCC_BIN/occ" eval reading "${model[@]}" --adapter "$adapter" --spans 4 --soft 4,1 --rows 1 --json "$scratch/tokens" >out
    jq -se 'any(.[]; .task == "read" and .soft == 4 and .targets > 500 and .accuracy > 0.95)' out
    jq -se 'any(.[]; .task == "read" and .soft == 1 and .targets > 500 and .accuracy > 0.78)' out
}

foreseen() { # FILE OPTION...: the mean loss of a token of the newest posts
    "$OCC_BIN/occ" eval perplexity "${model[@]}" --store "$scratch/tokens" --hold-out 0.5 --json "${@:2}" >"$1"
}

it_foresees_posts_better_behind_older_ones_and_no_worse_without() {
    foreseen base --context none
    foreseen none --context none --adapter "$adapter"
    foreseen visual --context visual --positions 96 --adapter "$adapter"
    jq -se '.[1].loss < .[0].loss + 0.03 and .[2].loss < .[0].loss - 0.1' <(tail -1 base) <(tail -1 none) <(tail -1 visual)
    jq -se '.[-1] | .stands_for > 9.7 * .positions' visual
}

run it_reads
run it_foresees_posts_better_behind_older_ones_and_no_worse_without
test_finish
