#!/usr/bin/env bash
# t0653-tune-memory.sh - the memory of `occ train tune` with contexts and rows: predicted without data, chosen for, and
# what the process takes. What it takes by what for: tune_context_test.c.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
command -v jq >/dev/null || skip_all 'no jq'

predict() { # MODEL OPTION...
    "$OCC_BIN/occ" train tune --predict --json --compute f32 --row 2048 --model "$@"
}

levers_are_told_apart() {
    predict smollm2-135m --method lora >lora.json
    predict smollm2-135m --method gspf --budget 2% >gspf.json
    predict smollm2-135m --method gspf --budget 1% >fewer.json
    predict smollm2-135m --method random-mask --budget 2% >random.json
    predict smollm2-135m --method occ --positions 896 --row 1024 >occ.json
    # 16 bytes a parameter: at most 2% of 135 million
    jq -e '(.weights + .gradients + .moments) | . > 0.8 * 0.02 * 135e6 * 16 and . < 0.02 * 135e6 * 16' gspf.json
    jq -se '.[1].moments < 0.6 * .[0].moments and .[0].frozen == .[1].frozen' gspf.json fewer.json
    jq -se '(.[0].total - .[1].total | fabs) < 0.05 * .[0].total' gspf.json random.json
    jq -se '.[0].moments == 2 * .[0].gradients and .[1].activations < .[0].activations' lora.json occ.json
}

a_bridge_takes_memory() {
    predict smollm2-135m --method lora --context none >none.json
    predict smollm2-135m --method lora --context visual --positions 512 >visual.json
    predict smollm2-135m --method lora --context visual --positions 512 --experts 8 >experts.json
    jq -se '.[1].moments > .[0].moments and .[1].weights > .[0].weights and .[1].activations > .[0].activations' \
        none.json visual.json
    jq -se '.[1].moments > .[0].moments' visual.json experts.json
}

rows_are_chosen_for_a_memory() {
    total() { jq .total "$1"; }
    predict smollm2-135m --method gspf --memory 800M >some.json
    predict smollm2-135m --method gspf --memory 900M >more.json
    [ "$(total some.json)" -le $((800 << 20)) ]
    [ "$(total more.json)" -le $((900 << 20)) ]
    [ "$(total some.json)" -gt $((790 << 20)) ]
    [ "$(total more.json)" -gt $((890 << 20)) ]
    expect_code 1 predict smollm2-135m --method gspf --memory 100M 2>messages
    expect_match 'the run takes [0-9.]+ MB without any rows' messages
}

# No more than a tenth above the prediction and 24 MB, of which it says nothing: 13 are the program, its libraries and the
# files that it maps; malloc keeps 5 to 11 of what was freed (GSPF frees what rows were chosen by). Rows are so long that
# the tenth counts. One thread: the scratch memory of operations, which each has, is not predicted either.
the_process_takes_what_is_predicted() {
    [ -e "$OCC_BIN/../tests/libfail_io.so" ] || skip 'a sanitizer takes memory, too'
    told_encoder occ.reading '{"nested":4,"profiles":["cell10"]}'
    make_days 60 kiwi
    compress --store tokens days.tar
    "$OCC_BIN/occ" model init --decoder nano --tokenizer "$test_folder/golden/decoder/small" -o decoder
    "$OCC_BIN/../tests/bridge_folder" bridge decoder "$OCC_MODEL" linear 1 0
    take() { # NAME OPTION...
        "$OCC_BIN/occ-train" tune -q -o "$1" --report "$1.json" --model decoder --steps 2 --batch 2 --hold-out 0 --rate 0.01 \
            -j 1 --compute f32 --recompute none "${@:2}" tokens
        jq -e '.predicted.total < .peak and .peak < 1.1 * .predicted.total + 24e6' "$1.json" || complain "$1: $(cat "$1.json")"
    }
    take lora --context text --row 2000
    take full --method full --context text --row 2000
    take gspf --method gspf --context text --row 1200
    take occ --method occ --context visual --positions 1000 --from bridge --encoder "$OCC_MODEL" --row 1400
    jq -e '.predicted.total > 4 * 24e6' lora.json
}

run levers_are_told_apart
run a_bridge_takes_memory
run rows_are_chosen_for_a_memory
run the_process_takes_what_is_predicted
test_finish
