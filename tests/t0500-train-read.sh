#!/usr/bin/env bash
# t0500-train-read.sh - `occ train read`: what it leaves behind, how it is stopped, killed and given again, what it
# refuses. The loop itself: read_train_test.c, and kills by the dozen: read_killed_test.c.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'

texts=("$test_folder/golden/texts/en.txt" "$test_folder/golden/texts/de.txt")

# One page per step: the least there is.
read_text() { # FOLDER STEPS [OPTION...]
    local folder=$1 steps=$2
    shift 2
    "$OCC_BIN/occ-train" read -o "$folder" --steps "$steps" --batch 1 -j 1 --warm-up 5 "$@" "${texts[@]}"
}

begin() { # as read_text, in the background: $! is the run
    local folder=$1 steps=$2
    shift 2
    "$OCC_BIN/occ-train" read -o "$folder" --steps "$steps" --batch 1 -j 1 --warm-up 5 "$@" "${texts[@]}" &
}

# 40 steps that nobody disturbed, for the whole file.
whole=$scratch/whole

expect_same_weights() { # FOLDER FOLDER
    cmp "$1/encoder.safetensors" "$2/encoder.safetensors"
}

# wait_for FILE PID: until the file is there, while the process is
wait_for() {
    until [ -e "$1" ]; do
        kill -0 "$2" || complain "no $1"
        sleep 0.002
    done
}

it_learns_and_tells() {
    read_text "$whole" 40 --save 1h
    expect_equal 2 "$(wc -l <"$whole/metrics.ndjson")"
    jq -se 'map(.step) == [20, 40] and map(.pages) == [20, 40] and all(.[]; .skipped == 0 and .norm > 0)' \
        "$whole/metrics.ndjson"
    jq -se 'map(.read10 | add) | .[0] < 10 and .[1] < .[0]' "$whole/metrics.ndjson"
    jq -se 'all(.[]; [.early0, .early1, .early2] | all(.[0] > 0 and .[1] > 0))' "$whole/metrics.ndjson"
    jq -se '.[1] | .halved1 and .rate == 0' "$whole/metrics.ndjson"
}

what_it_trains_is_an_encoder() {
    expect_code 0 "$OCC_BIN/occ" model info "$whole/encoder.safetensors" >messages
    expect_match nano messages
    expect_code 0 "$OCC_BIN/occ" compress -q --model "$whole/encoder.safetensors" --store s --mode tiny \
        "$test_folder/golden/preprocess/317x211.png"
    expect_equal 64 "$("$OCC_BIN/occ" store stats --json s | jq .tokens)"
}

# Before the first checkpoint, while each of the files is written, and in between.
killed_at_any_time_it_ends_with_the_same_bytes() {
    RANDOM=7
    for where in start .checkpoint.safetensors.tmp .encoder.safetensors.tmp between; do
        rm -f run/.*.tmp
        begin run 40 --save 1ms
        case $where in
        start) wait_for run/metrics.ndjson $! ;;
        between) sleep "0.$((RANDOM % 900 + 100))" ;;
        *) wait_for run/$where $! ;;
        esac
        sleep "0.0$((RANDOM % 90 + 10))"
        kill -9 $!
        expect_code 137 wait $!
    done
    expect_code 0 read_text run 40 --save 1h
    expect_same "$whole/metrics.ndjson" run/metrics.ndjson
    cmp "$whole/checkpoint.safetensors" run/checkpoint.safetensors
    expect_same_weights "$whole" run
    expect_equal 'checkpoint.safetensors encoder.safetensors metrics.ndjson ' "$(find run -type f -printf '%f\n' | sort | tr '\n' ' ')"
}

stopped_by_step_or_signal_it_goes_on() {
    expect_code 75 read_text run 40 --stop-at 3 2>messages
    expect_match 'stopped at step 3; run it again to resume' messages
    begin run 40 -v 2>messages
    until grep -q 'goes on at step 3' messages; do
        kill -0 $!
        sleep 0.01
    done
    kill -TERM $!
    expect_code 75 wait $!
    expect_match 'stopped at step [0-9]+; run it again to resume' messages
    expect_code 0 read_text run 40
    expect_same_weights "$whole" run
}

# Predicted before the first step, measured after the last, in megabytes.
memory_is_accounted_for() {
    read_text ledger 1 --staged 0 -v 2>messages
    expect_match 'will take [0-9.]+ MB of memory: weights [0-9.]+, gradients [0-9.]+, moments [0-9.]+, activations [0-9.]+, scratch [0-9.]+' messages
    expect_match 'took [0-9.]+ MB of memory: weights ' messages
    sed -nE 's/.* (will take|took) ([0-9.]+) MB of memory.*/\2/p' messages >totals
    awk 'NR == 1 {will = $1} END {exit NR != 2 || will < 0.9 * $1 || will > 1.1 * $1}' totals
}

devices_are_chosen_or_explained() {
    expect_code 0 read_text cpu 1 --device cpu
    expect_code 2 read_text cuda 1 --device cuda 2>messages
    expect_match 'CUDA' messages
    expect_code 1 test -e cuda
    expect_code 2 read_text abacus 1 --device abacus 2>messages
}

the_seed_decides() {
    read_text one 2
    read_text same 2
    read_text other 2 --seed 2
    cmp one/checkpoint.safetensors same/checkpoint.safetensors
    expect_same_weights one same
    expect_code 1 cmp -s one/encoder.safetensors other/encoder.safetensors
}

two_threads_give_the_same_bytes_each_time() {
    read_text one 2 --batch 2 -j 2
    read_text same 2 --batch 2 -j 2
    expect_same_weights one same
}

other_options_are_refused() {
    read_text run 2
    cp run/checkpoint.safetensors before
    for option in --seed=2 --threads=2 --batch=2 --sizes=base --halving=0; do
        expect_code 1 read_text run 2 $option 2>messages
        expect_match 'run/checkpoint.safetensors: was made with other options, or of other text; name another folder' messages
    done
    expect_code 1 read_text run 2 --average 0.9 2>messages
    expect_match "run/checkpoint.safetensors: 'ema.*' is missing" messages
    expect_code 0 read_text run 2
    cmp before run/checkpoint.safetensors
    # what is not a checkpoint is not written over
    head -c 100000 before >run/checkpoint.safetensors
    expect_code 1 read_text run 2 2>messages
    expect_match 'run/checkpoint.safetensors: ' messages
    expect_equal 100000 "$(wc -c <run/checkpoint.safetensors)"
}

texts_that_cannot_be_read_are_named() {
    : >empty.txt
    mkfifo fifo
    for refused in 'missing.txt: No such file' 'empty.txt: is empty' '.: is a folder' 'fifo: '; do
        texts=("${texts[0]}" "${refused%%:*}")
        expect_code 1 read_text run 1 2>messages
        expect_match "${refused/#./\\.}" messages
    done
    printf x >short.txt
    texts=(short.txt)
    expect_code 0 read_text run 1 --random 0
}

usage_is_checked() {
    expect_code 2 "$OCC_BIN/occ-train" read "${texts[@]}" 2>messages
    expect_match 'no folder is named: --output' messages
    expect_code 2 "$OCC_BIN/occ-train" read -o run 2>messages
    expect_match 'TEXT' messages
    expect_code 2 "$OCC_BIN/occ-train" 2>messages
    expect_code 2 "$OCC_BIN/occ-train" write -o run x 2>messages
    for option in --sizes=huge --sizes= --profiles=read10:x --random=2 --samples=2 --rate=0 --rate=nan --average=1 \
        --halving=-1 --steps=0 --batch=0; do
        expect_code 2 read_text run 1 $option 2>messages
        expect_match "${option%%=*}" messages
    done
    expect_code 1 test -e run
    : >file
    expect_code 1 read_text file 1 2>messages
    expect_match 'file' messages
}

run it_learns_and_tells
run what_it_trains_is_an_encoder
run killed_at_any_time_it_ends_with_the_same_bytes
run stopped_by_step_or_signal_it_goes_on
run memory_is_accounted_for
run devices_are_chosen_or_explained
run the_seed_decides
run two_threads_give_the_same_bytes_each_time
run other_options_are_refused
run texts_that_cannot_be_read_are_named
run usage_is_checked
test_finish
