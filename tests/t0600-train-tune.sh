#!/usr/bin/env bash
# t0600-train-tune.sh - `occ train tune`: what it leaves behind, how it is stopped, killed and given again, what it says
# of memory, what it refuses; `occ model merge`. Its numbers: tune_test.c, lora_test.c.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'

small=$test_folder/golden/decoder/small

# Captions of three accounts on 28 days.
jq -nc 'range(84) | {account: "a\(. % 3)", created: "2024-03-\(1 + . / 3 | floor | tostring | ("0" + .)[-2:])",
    prompt: "Caption:", completion: (" the cat jumps into the box " * (1 + . % 4))}' >"$scratch/text.jsonl"

tune() { # FOLDER STEPS [OPTION...]
    local folder=$1 steps=$2
    shift 2
    "$OCC_BIN/occ-train" tune -o "$folder" --model "$small" --steps "$steps" --batch 4 --context 64 --rate 0.01 -j 1 \
        --measure 5 "$@" "$scratch/text.jsonl"
}

begin() { # as tune, in the background: $! is the run
    local folder=$1 steps=$2
    shift 2
    "$OCC_BIN/occ-train" tune -o "$folder" --model "$small" --steps "$steps" --batch 4 --context 64 --rate 0.01 -j 1 \
        --measure 5 "$@" "$scratch/text.jsonl" &
}

# For the whole file: a run that nobody disturbed.
whole=$scratch/whole

it_learns_and_tells() {
    tune "$whole" 40 -v 2>messages
    expect_match 'to learn from: [0-9]+ documents of 3 accounts, [0-9]+ tokens, [0-9]+ of them targets' messages
    expect_match 'step 0: held-out loss [0-9.]+ a token, perplexity' messages
    expect_match '40 steps, 160 rows; [0-9]+ tokens in this run, [0-9]+ tokens/s' messages
    expect_equal 41 "$(wc -l <"$whole/metrics.ndjson")"
    jq -se '.[0].held_out > 5 and .[-1].held_out < .[0].held_out - 1 and .[-1].step == 40 and .[-1].rows == 160' \
        "$whole/metrics.ndjson"
    jq -se 'all(.[1:][]; .loss > 0 and .targets > 0 and .tokens >= .targets)' "$whole/metrics.ndjson"
    expect_equal 'adapter/adapter_config.json adapter/adapter_model.safetensors checkpoint.safetensors metrics.ndjson ' \
        "$(cd "$whole" && find . -type f -printf '%P\n' | sort | tr '\n' ' ')"
    jq -e '.peft_type == "LORA" and .r == 16 and .lora_alpha == 32 and (.target_modules | length) == 7' \
        "$whole/adapter/adapter_config.json"
}

expect_same_run() { # FOLDER
    for file in checkpoint.safetensors metrics.ndjson adapter/adapter_model.safetensors adapter/adapter_config.json; do
        cmp "$whole/$file" "$1/$file"
    done
}

# killed_when CONDITION...: a run that is to have 40 steps
killed_when() {
    rm -f run/.*.tmp run/adapter/.*.tmp
    begin run 40 --save 1ms
    until "$@" || ! kill -0 $!; do
        sleep 0.001
    done
    kill -9 $! || true
    wait $! || true
    jq -s '.[-1].step' run/metrics.ndjson >>killed
}

has_lines() { # COUNT
    [ -e run/metrics.ndjson ] && [ "$(wc -l <run/metrics.ndjson)" -ge "$1" ]
}

killed_at_any_time_it_ends_with_the_same_bytes() {
    for lines in 2 6 10 14; do
        killed_when has_lines $lines
    done
    for file in .checkpoint.safetensors.tmp adapter/.adapter_model.safetensors.tmp adapter/.adapter_config.json.tmp; do
        killed_when test -e "run/$file"
    done
    expect_code 0 tune run 40
    expect_same_run run
    # the machine decides where, but not always at the end
    awk '$1 > 0 && $1 < 40 {amid++} END {exit amid < 1}' killed || complain "killed at $(tr '\n' ' ' <killed)"
}

a_signal_gives_a_step_up_and_is_resumed_from() {
    expect_code 75 tune run 40 --stop-at 7 2>messages
    expect_match 'stopped at step 7; run it again to resume' messages
    begin run 100000 -v 2>messages # longer than it takes to look
    until grep -q 'goes on at step 7' messages; do
        kill -0 $!
        sleep 0.01
    done
    kill -TERM $!
    expect_code 75 wait $!
    expect_match 'stopped at step [0-9]+; run it again to resume' messages
}

the_time_is_kept() {
    SECONDS=0
    expect_code 0 tune run 1000000 --time 300ms
    [ $SECONDS -lt 60 ]
    test -e run/adapter/adapter_model.safetensors
    steps=$(jq -s '.[-1].step' run/metrics.ndjson)
    expect_code 0 tune run 1000000 --time 300ms # goes on
    [ "$(jq -s '.[-1].step' run/metrics.ndjson)" -gt "$steps" ]
}

a_model_can_be_tuned_in_full() {
    tune run 10 --method full
    for file in config.json model.safetensors tokenizer.json; do
        test -s "run/model/$file"
    done
    tune again 1 --model run/model
    [ "$(jq -s '.[0].held_out < 5' again/metrics.ndjson)" = true ]
}

an_adapter_is_gone_on_with_and_merged() {
    tune run 1 --from "$whole/adapter" # its rank counts
    expect_equal "$(jq -s '[.[] | .held_out | select(.)] | min' "$whole/metrics.ndjson")" \
        "$(jq -s '.[0].held_out' run/metrics.ndjson)"
    jq -e '.r == 16' run/adapter/adapter_config.json
    "$OCC_BIN/occ" model merge --adapter "$whole/adapter" -o merged "$small"
    tune again 1 --model merged
    jq -se '.[0].held_out - .[1].held_out | fabs < 0.01' <(jq -c 'select(.step == 0)' run/metrics.ndjson again/metrics.ndjson)
    expect_code 2 "$OCC_BIN/occ" model merge -o merged "$small" 2>messages
    expect_match 'merge needs --adapter' messages
    expect_code 1 "$OCC_BIN/occ" model merge --adapter nowhere -o merged "$small" 2>messages
    expect_match 'nowhere: has neither adapter_config.json nor rows.safetensors' messages
}

# Predicted before the first step, measured after the last, in megabytes.
memory_is_accounted_for() {
    tune ledger 1 -v 2>messages
    for words in 'will take' took; do
        expect_match "$words [0-9.]+ MB of memory: weights [0-9.]+, gradients [0-9.]+, moments [0-9.]+, activations [0-9.]+, scratch [0-9.]+, frozen [0-9.]+, text [0-9.]+" messages
    done
    expect_match 'the process took [0-9.]+ MB at most' messages
}

memory_is_predicted_without_weights() {
    predict() { "$OCC_BIN/occ" train tune --predict --json --model tkllm-1.3b "$@"; }
    predict --method full --compute f32 >all.json
    predict --method lora --compute f32 --weights bf16 >adapter.json
    predict --method lora --compute f32 --weights int4 --context 2048 >packed.json
    # AdamW in F32: 16 bytes a parameter, two of them moments of 4
    jq -e '.total > 16 * 1.2e9 and .moments == 2 * .gradients and .frozen == 0' all.json
    jq -e '.frozen > 2 * 1.2e9 and .frozen < 2 * 1.5e9 and .total < 16e9' adapter.json
    jq -se '.[1].frozen < 0.4 * .[0].frozen and .[1].activations < 0.3 * .[0].activations' adapter.json packed.json
    "$OCC_BIN/occ" train tune --predict --model "$small" >table
    expect_code 1 "$OCC_BIN/occ" train tune --predict --model "$small" --weights int4 2>messages
    expect_match 'int4 needs rows in multiples of 32' messages
    expect_match '^frozen +[0-9.]+ MB$' table
    expect_match '^total +[0-9.]+ MB$' table
}

other_options_are_refused() {
    cp -r "$whole" run
    for option in --seed=2 --batch=2 --hold-out=0.2 --alpha=3 --targets=q,v --prompts --method=full; do
        expect_code 1 tune run 40 "$option" 2>messages
        expect_match 'run/checkpoint.safetensors: ' messages
    done
    expect_same_run run
}

usage_is_checked() {
    text=$scratch/text.jsonl
    expect_code 2 "$OCC_BIN/occ-train" tune -o run "$text" 2>messages
    expect_match 'no model is named: --model' messages
    expect_code 2 "$OCC_BIN/occ-train" tune --model "$small" "$text" 2>messages
    expect_match 'no folder is named: --output' messages
    expect_code 2 "$OCC_BIN/occ-train" tune --model "$small" -o run 2>messages
    expect_match 'tune takes DATA' messages
    expect_code 2 tune run 1 --json 2>messages
    expect_match '--json is how --predict prints' messages
    expect_code 2 "$OCC_BIN/occ-train" read --compute f32 -o run "$text" 2>messages
    expect_match 'read takes no --compute' messages
    for option in --method=galore --rank=0 --rank=5000 --alpha=x --dropout=1 --targets=x --hold-out=1 --epochs=0 \
        --measure=0 --recompute=some --rate=0 --context=1 --weights=int3; do
        expect_code 2 tune run 1 "$option" 2>messages
        expect_match "${option%%=*}" messages
    done
    for option in --rank=4 --alpha=3 --targets=q --dropout=0.1 --weights=int8 --budget=2% --memory=1G --mask=x --freeze=0; do
        expect_code 2 tune run 1 --method full "$option" 2>messages
        expect_match "${option%%=*} does nothing with --method full" messages
    done
    for option in --budget=2% --probe=5; do
        expect_code 2 tune run 1 "$option" 2>messages
        expect_match "${option%%=*} does nothing with --method lora" messages
    done
    for option in --rank=4 --dropout=0.1; do
        expect_code 2 tune run 1 --method gspf "$option" 2>messages
        expect_match "${option%%=*} does nothing with --method gspf" messages
    done
    for option in --rank=4 --alpha=3 --targets=q; do
        expect_code 2 tune run 1 --from "$whole/adapter" "$option" 2>messages
        expect_match "${option%%=*}: the adapter of --from has its own" messages
    done
    expect_code 1 test -e run
}

what_cannot_be_read_is_named() {
    expect_code 1 tune run 1 --context 4096 2>messages
    expect_match '--row 4096: the model was trained on 128 positions at most' messages
    expect_code 1 tune run 1 --model nowhere 2>messages
    expect_match 'nowhere' messages
    expect_code 1 tune run 1 --from nowhere 2>messages
    expect_match 'nowhere/adapter_config.json' messages
    expect_code 1 tune run 1 --method full --from "$whole/adapter" 2>messages
    expect_match 'full tuning has no adapters; merge it into the model first' messages
    expect_code 1 tune run 1 missing.jsonl 2>messages
    expect_match 'missing.jsonl' messages
    : >file
    expect_code 1 tune file 1 2>messages
    expect_match 'file' messages
}

its_loss_can_be_drawn() {
    "$OCC_BIN/occ" train plot -o curve.svg "$whole"
    for words in '160 rows in 40 steps' 'rows seen' 'cross-entropy per token, in nats' '<title>loss</title>' \
        '<title>held_out</title>'; do
        expect_match "$words" curve.svg
    done
    echo '{"step": 1, "rows": 2, "loss": -1}' >wrong.ndjson
    expect_code 1 "$OCC_BIN/occ" train plot wrong.ndjson 2>messages
    expect_match '"loss" is not a number from 0 on' messages
}

run it_learns_and_tells
run its_loss_can_be_drawn
run killed_at_any_time_it_ends_with_the_same_bytes
run a_signal_gives_a_step_up_and_is_resumed_from
run the_time_is_kept
run a_model_can_be_tuned_in_full
run an_adapter_is_gone_on_with_and_merged
run memory_is_accounted_for
run memory_is_predicted_without_weights
run other_options_are_refused
run usage_is_checked
run what_cannot_be_read_is_named
test_finish
