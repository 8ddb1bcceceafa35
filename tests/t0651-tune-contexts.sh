#!/usr/bin/env bash
# t0651-tune-contexts.sh - `occ train tune --context`: posts after what a store shows of their accounts, rows of the model
# by their gradients, style experts; what a run leaves behind, killed and given again. Model, bridge and encoder have
# random weights. Its numbers: tune_context_test.c.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
command -v jq >/dev/null || skip_all 'no jq'

# For the whole file: two accounts of a post a day, a model.
cd "$scratch" || exit 1
told_encoder occ.reading '{"nested":4,"profiles":["cell10"]}'
shared=$scratch
make_days 12 kiwi
mv days.tar kiwi.tar
make_days 8 plum
compress --store tokens kiwi.tar days.tar
"$OCC_BIN/occ" model init --decoder nano --tokenizer "$test_folder/golden/decoder/small" -o decoder
"$OCC_BIN/../tests/bridge_folder" "$shared/bridge" "$shared/decoder" "$OCC_MODEL" linear 2 0

usual=(--model "$shared/decoder" --batch 4 --row 300 --rate 0.01 -j 1 --measure 4 --patience 0 --compute f32)
tune() { # FOLDER STEPS [OPTION...]
    "$OCC_BIN/occ-train" tune -o "$1" "${usual[@]}" --steps "$2" "${@:3}" "$shared/tokens"
}
learned=(--method occ --positions 64 --from "$shared/bridge" --encoder "$OCC_MODEL" --budget 5%)
occ=("${learned[@]}" --bridge-rate 1) # it has learned nothing

# A run that nobody disturbed.
whole=$scratch/whole

it_learns_and_tells() {
    tune "$whole" 12 "${occ[@]}" -v 2>messages
    expect_match 'to learn from: [0-9]+ posts of 2 accounts, [0-9]+ targets; [0-9]+ positions of context that stand for [0-9]+ text tokens' messages
    expect_match '^occ-train: [0-9]+ parameters were trained' messages
    jq -se '.[0].held_out - .[-1].held_out > 0.4 and .[-1].step == 12' "$whole/metrics.ndjson"
    jq -se 'all(.[1:][]; (.experts.chosen | length == 4) and (.experts.chosen | add | . - 1 | fabs < 1e-3) and .frozen >= 0)' \
        "$whole/metrics.ndjson"
    expect_equal 'adapter/context.safetensors adapter/mask.txt adapter/rows.safetensors checkpoint.safetensors mask.txt metrics.ndjson routing.json ' \
        "$(cd "$whole" && find . -type f -printf '%P\n' | sort | tr '\n' ' ')"
    expect_match '^# .*: [0-9]+ parameters, [0-9.]+% of the model' "$whole/mask.txt"
    jq -e '[.accounts[].account] == ["kiwi", "plum"] and (.experts | length) == 4 and .step > 0' "$whole/routing.json"
}

killed_when() { # CONDITION...: a run that is to have 12 steps with the options in `killed`
    rm -f run/.*.tmp run/adapter/.*.tmp
    "$OCC_BIN/occ-train" tune -o run "${usual[@]}" --steps 12 "${killed[@]}" --save 1ms "$shared/tokens" &
    until "$@" || ! kill -0 $!; do
        sleep 0.001
    done
    kill -9 $! || true
    wait $! || true
    [ ! -e run/metrics.ndjson ] || jq -s '.[-1].step' run/metrics.ndjson >>steps
}

has_lines() { # COUNT
    [ -e run/metrics.ndjson ] && [ "$(wc -l <run/metrics.ndjson)" -ge "$1" ]
}

ends_with_the_same_bytes() { # UNDISTURBED FILE...: killed while these are written, too
    local undisturbed=$1
    killed_when test -e run/metrics.ndjson # rows are chosen
    for lines in 2 5 9; do
        killed_when has_lines $lines
    done
    for file in .checkpoint.safetensors.tmp "${@:2}"; do
        killed_when test -e "run/$file"
    done
    tune run 12 "${killed[@]}"
    rm -f run/.*.tmp run/adapter/.*.tmp
    diff -r "$undisturbed" run
    # the machine decides where, but not always at the end
    awk '$1 > 0 && $1 < 12 {amid++} END {exit amid < 1}' steps || complain "killed at $(tr '\n' ' ' <steps)"
}

killed_at_any_time_it_ends_with_the_same_bytes() {
    killed=("${occ[@]}")
    ends_with_the_same_bytes "$whole" adapter/.rows.safetensors.tmp adapter/.context.safetensors.tmp
}

killed_so_does_a_low_rank_after_visual_tokens() {
    killed=(--method lora --context visual --positions 64 --from "$shared/bridge" --encoder "$OCC_MODEL")
    tune undisturbed 12 "${killed[@]}"
    ends_with_the_same_bytes undisturbed adapter/.adapter_model.safetensors.tmp adapter/.context.safetensors.tmp
}

killed_so_do_rows_after_text() {
    killed=(--method gspf --context truncated-text --positions 64 --budget 5%)
    tune undisturbed 12 "${killed[@]}"
    ends_with_the_same_bytes undisturbed adapter/.rows.safetensors.tmp
}

what_it_leaves_generates() {
    "$OCC_BIN/occ-generate" -m "$shared/decoder" --compute f32 --max-tokens 4 --adapter "$whole/adapter" \
        --encoder "$OCC_MODEL" --store "$shared/tokens" --account kiwi --json >out
    jq -e '.context.kind == "visual" and .context.visual_tokens > 0' out
}

rows_can_be_edited_and_given() {
    rows() { grep -v '^#' "$1" | cut -d' ' -f1-3; }
    { head -1 "$whole/mask.txt" && grep -v '^#' "$whole/mask.txt" | head -3; } >few.txt
    tune run 2 --method gspf --mask few.txt --context text
    expect_equal "$(rows few.txt)" "$(rows run/mask.txt)"
    tune run 3 --method gspf --mask few.txt --context text # goes on
    head -n -1 few.txt >fewer.txt
    expect_code 1 tune run 4 --method gspf --mask fewer.txt --context text 2>messages
    expect_match 'fewer.txt: the run learns other rows, those of run/mask.txt' messages
    expect_code 1 tune run 4 --method gspf --mask nowhere --context text
    sed 's/layers\.[0-9]*/layers.99/' few.txt >wrong.txt
    expect_code 1 tune other 2 --method gspf --mask wrong.txt --context text 2>messages
    expect_match 'wrong.txt: line 2: the model has no matrix' messages
}

every_context_is_learned_with() {
    for kind in none text truncated-text pooled-text; do
        tune "$kind" 2 --context $kind --positions 64
        test -e "$kind/adapter/adapter_model.safetensors"
    done
    for kind in text truncated-text pooled-text; do # the same targets
        jq -se '.[0].targets > 0 and .[0].targets == .[1].targets' <(sed 1d none/metrics.ndjson | head -1) \
            <(sed 1d "$kind/metrics.ndjson" | head -1)
    done
    tune visual 2 --context visual --positions 64 --bridge linear --encoder "$OCC_MODEL"
    test -e visual/adapter/context.safetensors
    tune again 1 --context visual --positions 64 --from visual/adapter --encoder "$OCC_MODEL" --experts 4
    test -e again/routing.json
}

# By the bundled encoder, which can read: fresh pages exactly, so that it is as with their text; old ones not, of which
# the store has the whole text still.
what_the_reading_head_reads_is_learned_with() {
    unset OCC_MODEL
    [ -e "$OCC_BIN/../share/occ/nano.safetensors" ] || skip 'no bundled encoder'
    compress --store fresh "$shared/kiwi.tar" "$shared/days.tar"
    cp -r fresh aged
    forget --store aged --now 2024-06-01
    for store in fresh aged; do
        for kind in read text; do
            "$OCC_BIN/occ-train" tune -o $store-$kind "${usual[@]}" --steps 4 --context $kind --positions 64 $store
        done
        jq -se '.[0].held_out - .[-1].held_out > 0.3' $store-read/metrics.ndjson
    done
    tokens() { jq -s '[.[].tokens | select(.)] | add' "$1/metrics.ndjson"; }
    expect_same fresh-text/metrics.ndjson aged-text/metrics.ndjson
    awk -v read="$(tokens fresh-read)" -v text="$(tokens fresh-text)" 'BEGIN {exit !((read - text) ^ 2 < (0.01 * text) ^ 2)}'
    jq -se '.[0].held_out - .[1].held_out | fabs < 0.02' <(head -1 fresh-read/metrics.ndjson) <(head -1 fresh-text/metrics.ndjson)
    jq -se '.[0].held_out - .[1].held_out | fabs > 0.02' <(head -1 aged-read/metrics.ndjson) <(head -1 aged-text/metrics.ndjson)
}

# What has learned to read is not lost where there is nothing to be read.
a_bridge_that_has_learned_learns_at_a_tenth_of_the_rate() {
    tune usual 2 "${learned[@]}"
    tune tenth 2 "${learned[@]}" --bridge-rate 0.1
    tune whole 2 "${learned[@]}" --bridge-rate 1
    cmp usual/adapter/context.safetensors tenth/adapter/context.safetensors
    expect_code 1 cmp -s usual/adapter/context.safetensors whole/adapter/context.safetensors
}

a_bridge_that_is_not_asked_for_is_kept() {
    tune text 1 --context text --from "$shared/bridge"
    expect_same "$shared/bridge/context.safetensors" text/adapter/context.safetensors
    tune rows 1 --method gspf --from text/adapter
    expect_same "$shared/bridge/context.safetensors" rows/adapter/context.safetensors
    expect_same text/adapter/adapter_model.safetensors rows/adapter/adapter_model.safetensors
    tune full 1 --method full --from "$shared/bridge"
    expect_same "$shared/bridge/context.safetensors" full/model/context.safetensors
}

the_store_may_age_in_between() {
    cp -r "$shared/tokens" aging
    tune_aging() { # FOLDER STEPS
        "$OCC_BIN/occ-train" tune -o "$1" "${usual[@]}" --steps 12 --stop-at "$2" "${occ[@]}" aging
    }
    expect_code 75 tune_aging run 1
    forget --store aging --now 2024-06-01
    expect_code 1 tune_aging run 2 2>messages
    expect_match 'run/checkpoint.safetensors: was made with other options, or of other text \(of "corpus"\)' messages
    tune_aging new 12
}

run it_learns_and_tells
run killed_at_any_time_it_ends_with_the_same_bytes
run killed_so_does_a_low_rank_after_visual_tokens
run killed_so_do_rows_after_text
run what_it_leaves_generates
run rows_can_be_edited_and_given
run every_context_is_learned_with
run what_the_reading_head_reads_is_learned_with
run a_bridge_that_has_learned_learns_at_a_tenth_of_the_rate
run a_bridge_that_is_not_asked_for_is_kept
run the_store_may_age_in_between
test_finish
