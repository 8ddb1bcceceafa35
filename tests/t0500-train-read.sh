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

# As many steps as a line of the metrics has, which nobody disturbed, for the whole file.
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
    read_text "$whole" 20 --save 1h
    expect_equal 1 "$(wc -l <"$whole/metrics.ndjson")"
    line() { jq -e "$1" "$whole/metrics.ndjson" >/dev/null || complain "not so: $1" "$(cat "$whole/metrics.ndjson")"; }
    line '.step == 20 and .pages == 20 and .skipped == 0 and .norm > 0'
    # To guess among 1,890 characters costs 7.5. The first head, which learns from the beginning, soon knows better.
    line '[.early0, .early1, .early2, .cell10] | all(.[0] > 0 and .[1] > 0)'
    line '.early0[0] < 6 and .cell10[0] < 8.5'
    line '[.halved1, .halved2, .halved3, .halved4] | any'
}

what_it_trains_is_an_encoder() {
    expect_code 0 "$OCC_BIN/occ" model info "$whole/encoder.safetensors" >messages
    expect_match nano messages
    expect_code 0 "$OCC_BIN/occ" compress -q --model "$whole/encoder.safetensors" --store s --mode tiny \
        "$test_folder/golden/preprocess/317x211.png"
    expect_equal 64 "$("$OCC_BIN/occ" store stats --json s | jq .tokens)"
}

killed_in() { # PLACE [OPTION...]: a run that is to have 20 steps
    rm -f run/.*.tmp
    begin run 20 "${@:2}"
    case $1 in
    start) wait_for run/metrics.ndjson $! ;;
    between) sleep "0.$((RANDOM % 900 + 100))" ;;
    *) wait_for "run/$1" $! ;;
    esac
    sleep "0.0$((RANDOM % 90 + 10))"
    kill -9 $!
    expect_code 137 wait $!
}

# One run through all of it: killed before the first checkpoint, stopped, killed while each of the files is written, and
# at the end, where a line of the metrics is.
stopped_or_killed_at_any_time_it_ends_with_the_same_bytes() {
    RANDOM=7
    killed_in start
    expect_code 75 read_text run 20 --stop-at 3 2>messages
    expect_match 'stopped at step 3; run it again to resume' messages
    begin run 20 -v 2>messages
    until grep -q 'goes on at step 3' messages; do
        kill -0 $!
        sleep 0.01
    done
    kill -TERM $!
    expect_code 75 wait $!
    expect_match 'stopped at step [0-9]+; run it again to resume' messages
    stopped=$(sed -nE 's/.*stopped at step ([0-9]+);.*/\1/p' messages)
    killed_in .checkpoint.safetensors.tmp --stop-at $((stopped + 1))
    killed_in .encoder.safetensors.tmp --stop-at $((stopped + 2))
    killed_in between
    expect_code 0 read_text run 20
    for folder in "$whole" run; do # the sums of what was lost go from the last checkpoint, which is amid a line
        jq -c '{step, pages, rate, norm, skipped}' "$folder/metrics.ndjson"
    done >lines
    expect_equal '2 1' "$(wc -l <lines) $(sort -u lines | wc -l)"
    expect_same_weights "$whole" run
    expect_equal 'checkpoint.safetensors encoder.safetensors metrics.ndjson ' "$(find run -type f -printf '%f\n' | sort | tr '\n' ' ')"
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
    expect_code 2 read_text cuda 1 --device cuda 2>messages
    expect_match 'CUDA|GPU' messages
    expect_code 1 test -e cuda
    expect_code 2 read_text abacus 1 --device abacus 2>messages
}

the_seed_decides() {
    read_text one 1
    read_text same 1 --device cpu
    read_text other 1 --seed 2
    cmp one/checkpoint.safetensors same/checkpoint.safetensors
    expect_same_weights one same
    expect_code 1 cmp -s one/encoder.safetensors other/encoder.safetensors
    mv one "$scratch/one"
}

two_threads_give_the_same_bytes_each_time() {
    read_text one 1 --batch 2 -j 2
    read_text same 1 --batch 2 -j 2
    expect_same_weights one same
}

other_options_are_refused() {
    mv "$scratch/one" run
    cp run/checkpoint.safetensors before
    for option in --seed=2 --threads=2 --sizes=crop --halving=0; do
        expect_code 1 read_text run 1 $option 2>messages
        expect_match 'run/checkpoint.safetensors: was made with other options, or of other text .*; name another folder' messages
    done
    expect_code 1 read_text run 1 --average 0.9 2>messages
    expect_match "run/checkpoint.safetensors: 'ema.*' is missing" messages
    expect_code 0 read_text run 1
    cmp before run/checkpoint.safetensors
    # what is not a checkpoint is not written over
    head -c 100000 before >run/checkpoint.safetensors
    expect_code 1 read_text run 1 2>messages
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
run stopped_or_killed_at_any_time_it_ends_with_the_same_bytes
run memory_is_accounted_for
run devices_are_chosen_or_explained
run the_seed_decides
run two_threads_give_the_same_bytes_each_time
run other_options_are_refused
run texts_that_cannot_be_read_are_named
run usage_is_checked
test_finish
