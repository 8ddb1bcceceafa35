#!/usr/bin/env bash
# t0650-align.sh - `occ train align` and `occ eval reading`: what they leave and print, how a run is killed and given again,
# what is refused. Their numbers: align_test.c, align_spans_test.c.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'

small=$test_folder/golden/decoder/small
store=$scratch/store
"$OCC_BIN/occ-ingest" "$test_folder/archive" 2>/dev/null | "$OCC_BIN/occ-render" 2>/dev/null |
    "$OCC_BIN/occ-compress" --store "$store" 2>/dev/null

align() { # FOLDER STEPS [OPTION...]
    local folder=$1 steps=$2
    shift 2
    "$OCC_BIN/occ-train" align -o "$folder" --model "$small" --steps "$steps" --match 3 --batch 2 --row 96 --span 4 \
        --rate 0.01 -j 1 --measure 5 --measure-rows 3 --hold-out-accounts 0.5 --bridge linear "$@" "$store"
}

begin() { # as align, in the background: $! is the run
    local folder=$1 steps=$2
    shift 2
    "$OCC_BIN/occ-train" align -o "$folder" --model "$small" --steps "$steps" --match 3 --batch 2 --row 96 --span 4 \
        --rate 0.01 -j 1 --measure 5 --measure-rows 3 --hold-out-accounts 0.5 --bridge linear "$@" "$store" &
}

# For the whole file: a run that nobody disturbed.
whole=$scratch/whole

it_learns_and_tells() {
    align "$whole" 30 -v 2>messages
    expect_match 'step 3: soft tokens and text of held-out accounts: loss [0-9.]+, centred cosine [0-9.-]+' messages
    expect_match 'lesson 2 of 3: spans of 2 to 4 tokens, 1 to 1 soft tokens for each' messages
    expect_match 'all lessons are over' messages
    expect_match 'step 0: held-out loss [0-9.]+ a token; [0-9.]+% of tokens read; what follows: perplexity' messages
    expect_match '30 steps, 60 rows; [0-9]+ tokens in this run, [0-9]+ tokens/s' messages
    expect_match 'took [0-9.]+ MB of memory' messages
    expect_equal 31 "$(wc -l <"$whole/metrics.ndjson")"
    jq -se '.[0].held_out > 5 and .[-1].held_out < .[0].held_out and .[-1].step == 30 and .[-1].rows == 60' \
        "$whole/metrics.ndjson"
    jq -se '[.[] | .lesson | select(.)] | . == sort and .[-1] == 4' "$whole/metrics.ndjson"
    jq -se 'all(.[1:][]; .loss > 0 and .targets > 0 and .tokens > .targets)' "$whole/metrics.ndjson"
    expect_equal 'adapter/adapter_config.json adapter/adapter_model.safetensors adapter/context.safetensors checkpoint.safetensors match/adapter/context.safetensors match/checkpoint.safetensors match/metrics.ndjson metrics.ndjson ' \
        "$(cd "$whole" && find . -type f -printf '%P\n' | sort | tr '\n' ' ')"
}

expect_same_run() { # FOLDER
    for file in checkpoint.safetensors metrics.ndjson adapter/adapter_model.safetensors adapter/context.safetensors \
        match/checkpoint.safetensors match/metrics.ndjson match/adapter/context.safetensors; do
        cmp "$whole/$file" "$1/$file"
    done
}

# killed_when CONDITION...: a run that is to have 30 steps
killed_when() {
    find run -name '.*.tmp' -delete 2>/dev/null || true
    begin run 30 --save 1ms
    until "$@" || ! kill -0 $!; do
        sleep 0.001
    done
    kill -9 $! || true
    wait $! || true
    [ ! -e run/metrics.ndjson ] || jq -s '.[-1].step // -1' run/metrics.ndjson >>killed
}

has_lines() { # COUNT FILE
    [ -e "run/$2" ] && [ "$(wc -l <"run/$2")" -ge "$1" ]
}

killed_at_any_time_it_ends_with_the_same_bytes() {
    killed_when test -e run/match/checkpoint.safetensors
    for lines in 2 9 16; do
        killed_when has_lines $lines metrics.ndjson
    done
    for file in .checkpoint.safetensors.tmp adapter/.context.safetensors.tmp adapter/.adapter_model.safetensors.tmp; do
        killed_when test -e "run/$file"
    done
    expect_code 0 align run 30
    expect_same_run run
    # the machine decides where, but not always at the end
    awk '$1 >= 0 && $1 < 30 {amid++} END {exit amid < 1}' killed || complain "killed at $(tr '\n' ' ' <killed)"
}

a_signal_and_time_end_a_run() {
    expect_code 75 align run 30 --stop-at 7 2>messages
    expect_match 'stopped at step 7; run it again to resume' messages
    expect_code 0 align run 30
    expect_same_run run
    SECONDS=0
    expect_code 0 align timed 1000000 --time 500ms
    [ $SECONDS -lt 60 ]
    test -s timed/adapter/context.safetensors
}

total() { # WORDS FILE: bytes of the lines that say so
    sed -n "s/.* $1 \([0-9.]*\) MB of memory: .*/\1/p" "$2"
}

the_reading_head_spells_and_is_a_bridge() {
    align run 4 --bridge reading --expand 2 --match 40 --row 128 --span 16 --batch 4 -v 2>messages
    # a run that knew nothing would have none of them
    jq -se '[.[] | .spelled | select(.)] | .[-1] > 0.2' run/match/metrics.ndjson
    expect_match 'of held-out accounts [0-9.]+% of the words are spelled' messages
    expect_match 'lesson 2 of 5: spans of 2 to 8 tokens, 4 to 8 soft tokens for each' messages
    paste <(total 'will take' messages) <(total took messages) >memory
    expect_equal 2 "$(wc -l <memory)"
    awk '$2 > 1.1 * $1 {exit 1}' memory
    "$OCC_BIN/occ-eval" reading -m "$small" --adapter run/adapter --row 96 --spans 1 --rows 1 --json "$store" >lines 2>/dev/null
    expect_equal '8 4 2 1' "$(jq -rs '[.[] | select(.task == "read") | .soft] | map(tostring) | join(" ")' lines)"
}

characters_are_named_where_nothing_else_is_said() {
    "$OCC_BIN/occ-train" align -o run --model "$small" --steps 4 --row 128 --span 16 --measure-rows 3 --rate 0.01 -j 1 \
        --hold-out-accounts 0.5 -v "$store" 2>messages
    test ! -e run/match
    expect_match 'lesson 2 of 5: spans of 2 to 8 tokens, 4 to 8 soft tokens for each' messages
    paste <(total 'will take' messages) <(total took messages) | awk '{n++} $2 > 1.1 * $1 {exit 1} END {exit n != 1}'
    "$OCC_BIN/occ-eval" reading -m "$small" --adapter run/adapter --row 96 --spans 1 --rows 1 --json "$store" >lines 2>/dev/null
    expect_equal '8 4 2 1' "$(jq -rs '[.[] | select(.task == "read") | .soft] | map(tostring) | join(" ")' lines)"
    align more 1 --bridge named --from run/adapter --match 0
    expect_code 2 align again 1 --bridge named --match 3 2>messages
    expect_match 'a bridge that names characters has nothing to match' messages
}

named_characters_are_read_without_matching() {
    align named 8 --bridge named --match 0 --expand 2 --save 0s 2>messages
    [ ! -e named/match ]
    expect_code 75 align again 8 --bridge named --match 0 --expand 2 --save 0s --stop-at 3 2>messages
    expect_code 0 align again 8 --bridge named --match 0 --expand 2 --save 0s 2>messages
    for file in context.safetensors adapter_model.safetensors; do
        cmp "named/adapter/$file" "again/adapter/$file"
    done
    "$OCC_BIN/occ-eval" reading -m "$small" --adapter named/adapter --row 96 --spans 1 --rows 1 --json "$store" >lines 2>/dev/null
    expect_equal '8 4 2 1' "$(jq -rs '[.[] | select(.task == "read") | .soft] | map(tostring) | join(" ")' lines)"
    # nothing is made of a name
    expect_code 2 align run 1 --bridge named --match 3 2>messages
    expect_match 'has nothing to match' messages
    expect_code 2 align run 1 --bridge named --match 0 --reader 2>messages
    expect_match '^occ-train: --reader: ' messages
    # where none is named, it is this one
    "$OCC_BIN/occ-train" align -o default --model "$small" --steps 1 --batch 1 --row 96 --span 4 -j 1 "$store" 2>/dev/null
    head -c 4096 default/adapter/context.safetensors | grep -qF '\"kind\": \"named\"'
}

reading_is_measured() {
    "$OCC_BIN/occ-eval" reading -m "$small" --adapter "$whole/adapter" --row 120 --spans 1,2 --rows 2 -k 0,1 "$store" \
        >table 2>messages
    expect_match 'visual tokens of [0-9]+ accounts' messages
    expect_match '^span +1 soft$' table
    expect_match '^2 +[0-9.]+% +[0-9.]+$' table
    expect_match '^perplexity; after nothing [0-9.]+, after the text [0-9.]+$' table
    expect_match '1 soft +after 1 halvings' table
    "$OCC_BIN/occ-eval" reading -m "$small" --adapter "$whole/adapter" --row 120 --spans 1,2 --rows 2 --json "$store" \
        >lines 2>/dev/null
    expect_equal 5 "$(wc -l <lines)"
    jq -se 'all(.[]; .targets > 0 and .loss > 0 and .accuracy >= 0 and .accuracy <= 1)' lines
    # what stands before text that follows is compared on the same text
    expect_equal '["none","text","visual"] 1' \
        "$(jq -rsc '[.[] | select(.task == "follow")] | "\(map(.context) | sort) \(map(.targets) | unique | length)"' lines)"
    # what a run holds out
    "$OCC_BIN/occ-eval" reading -m "$small" --adapter "$whole/adapter" --row 120 --spans 1 --rows 1 --hold-out-accounts 0.5 \
        "$store" 2>some >/dev/null
    [ "$(grep -o 'of [0-9]* accounts' some | tr -dc 0-9)" -lt "$(grep -o 'of [0-9]* accounts' messages | tr -dc 0-9)" ]
}

an_adapter_is_gone_on_with() {
    align run 1 --from "$whole/adapter" --match 0
    expect_equal "$(jq -s '[.[] | .held_out | select(.)] | min * 100 | round' "$whole/metrics.ndjson")" \
        "$(jq -s '.[0].held_out * 100 | round' run/metrics.ndjson)"
    expect_code 2 align run 1 --from "$whole/adapter" --rank 4 2>messages
    expect_match 'the adapter of --from has its own' messages
}

memory_is_predicted_without_weights() {
    predict() { "$OCC_BIN/occ" train align --predict --json --model smollm2-135m "$@"; }
    predict >plain.json
    predict --row 512 --weights int4 --recompute block >small.json
    jq -se '.[0].frozen > 260e6 and .[0].total > .[1].total and .[1].frozen < 0.4 * .[0].frozen' plain.json small.json
}

other_runs_are_refused() {
    cp -r "$whole" run
    for option in --seed=2 --batch=3 --hold-out-accounts=0.7 --span=2 --follow=0.1 --lesson-loss=0.1; do
        expect_code 1 align run 30 "$option" 2>messages
        expect_match 'run/checkpoint.safetensors: was made with other options' messages
    done
    expect_same_run run
}

usage_is_checked() {
    expect_code 2 "$OCC_BIN/occ-train" align -o run "$store" 2>messages
    expect_match 'no model is named: --model' messages
    expect_code 2 "$OCC_BIN/occ-train" align -o run --model "$small" 2>messages
    expect_match 'align takes STORE' messages
    for option in --span=3 --expand=3 --match-rate=0 --follow=2 --halved=x --lessons=-1 --row=8 --hidden=4 --reader --json \
        --context=visual --hold-out=0.5 --packing --method=lora --epochs=2; do
        expect_code 2 align run 1 "$option" 2>messages
        name=${option%%=*}
        expect_match "$name" messages
    done
    expect_code 2 "$OCC_BIN/occ-eval" reading -m "$small" "$store" 2>messages
    expect_match 'no adapter is named: --adapter' messages
    expect_code 2 "$OCC_BIN/occ-eval" reading -m "$small" --adapter "$whole/adapter" 2>messages
    expect_match 'reading takes STORE' messages
    for option in --spans=3 --soft=3 --rows=0 --soft=8 --row=1000000 --window=4 --text=x; do
        expect_code 2 "$OCC_BIN/occ-eval" reading -m "$small" --adapter "$whole/adapter" --row 96 "$option" "$store" 2>messages
        name=${option%%=*}
        expect_match "$name" messages
    done
    expect_code 1 align run 1 --from nowhere 2>messages
    expect_match 'nowhere/adapter_config.json' messages
    expect_code 1 align run 1 --encoder "$scratch/no.safetensors" 2>messages
    expect_match 'no.safetensors' messages
}

run it_learns_and_tells
run killed_at_any_time_it_ends_with_the_same_bytes
run a_signal_and_time_end_a_run
run the_reading_head_spells_and_is_a_bridge
run characters_are_named_where_nothing_else_is_said
run named_characters_are_read_without_matching
run reading_is_measured
run an_adapter_is_gone_on_with
run memory_is_predicted_without_weights
run other_runs_are_refused
run usage_is_checked
test_finish
