#!/usr/bin/env bash
# t0657-tune-encoder.sh - `occ train tune --encoder-rate`: the encoder learns along from the pages of a store; killed and
# given again; what it leaves makes a store, generates and reads; what does not fit together. Model, bridge and encoder
# have random weights. Its numbers: tune_encoder_test.c.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
command -v jq >/dev/null || skip_all 'no jq'

# For the whole file: an account with a post a day, its pages and a model.
cd "$scratch" || exit 1
told_encoder occ.pages '"grey"' occ.reading '{"nested":4,"profiles":["cell10"]}'
shared=$scratch
make_days 12 kiwi
compress --store tokens days.tar
"$OCC_BIN/occ" model init --decoder nano --tokenizer "$test_folder/golden/decoder/small" -o decoder

usual=(--model "$shared/decoder" --batch 2 --row 200 --rate 0.01 -j 1 --measure 2 --patience 0 --compute f32
    --context visual --positions 64 --bridge linear)
tune() { # FOLDER STEPS [OPTION...]: with the store and its pages
    "$OCC_BIN/occ-train" tune -o "$1" "${usual[@]}" --steps "$2" --encoder "$OCC_MODEL" --encoder-rate 0.1 "${@:3}" \
        "$shared/tokens" "$shared/days.tar"
}

# A run that nobody disturbed.
whole=$scratch/whole

it_learns_and_ships_an_encoder() {
    tune "$whole" 6 -v 2>messages
    expect_match '12 pages, [0-9.]+ MB packed' messages
    expect_equal 'adapter_config.json adapter_model.safetensors context.safetensors encoder.safetensors ' \
        "$(cd "$whole/adapter" && find . -type f -printf '%P\n' | sort | tr '\n' ' ')"
    "$OCC_BIN/occ" model info "$whole/adapter/encoder.safetensors" >after
    "$OCC_BIN/occ" model info "$OCC_MODEL" >before
    jq -se '.[0].fingerprint != .[1].fingerprint and .[0].parameters == .[1].parameters' before after
}

has_lines() { # COUNT
    [ -e run/metrics.ndjson ] && [ "$(wc -l <run/metrics.ndjson)" -ge "$1" ]
}

killed_when() { # CONDITION...: a run that is to have 6 steps
    rm -f run/.*.tmp run/adapter/.*.tmp
    (exec "$OCC_BIN/occ-train" tune -o run "${usual[@]}" --steps 6 --encoder "$OCC_MODEL" --encoder-rate 0.1 --save 1ms \
        "$shared/tokens" "$shared/days.tar") &
    until "$@" || ! kill -0 $!; do
        sleep 0.001
    done
    kill -9 $! || true
    wait $! || true
}

killed_at_any_time_it_ends_with_the_same_bytes() {
    for lines in 1 3 5; do
        killed_when has_lines $lines
    done
    killed_when test -e run/adapter/.encoder.safetensors.tmp
    tune run 6
    rm -f run/.*.tmp run/adapter/.*.tmp
    diff -r "$whole" run
}

what_it_ships_fits_its_own_store() {
    local encoder=$whole/adapter/encoder.safetensors
    write() { # STORE ENCODER
        "$OCC_BIN/occ-generate" -m "$shared/decoder" --compute f32 --max-tokens 4 --adapter "$whole/adapter" --encoder "$2" \
            --store "$1" --account kiwi --json
    }
    "$OCC_BIN/occ" compress -q --model "$encoder" --store own "$shared/days.tar"
    write own "$encoder" >out
    jq -e '.context.kind == "visual" and .context.visual_tokens > 0' out
    expect_code 1 write "$shared/tokens" "$OCC_MODEL"
}

its_memory_is_foreseen() {
    predict() { # OPTION...: bytes
        "$OCC_BIN/occ-train" tune --predict --json "${usual[@]}" --encoder "$OCC_MODEL" "$@" | jq .total
    }
    [ "$(predict --encoder-rate 0.1)" -gt "$(predict)" ]
}

what_does_not_fit_is_refused() {
    local store=$shared/tokens pages=$shared/days.tar
    # shellcheck disable=SC2317 # expect_code calls it
    try() { # OPTION... OPERAND...
        "$OCC_BIN/occ-train" tune -o new "${usual[@]}" --steps 1 --encoder "$OCC_MODEL" "$@" 2>messages
    }
    expect_code 2 try --encoder-rate 0.1 "$store"
    expect_match 'takes a store and the streams of its pages' messages
    expect_code 2 try "$store" "$pages"
    expect_match 'streams of its pages are for --encoder-rate' messages
    expect_code 2 try --encoder-rate 0 "$store" "$pages"
    expect_code 2 "$OCC_BIN/occ-train" tune -o new --model "$shared/decoder" --encoder-rate 0.1 "$store" "$pages" 2>messages
    expect_match 'is for --context visual' messages
    expect_code 1 try --bridge named --encoder-rate 0.1 "$store" "$pages"
    expect_match 'a bridge that names characters passes no gradient on to an encoder' messages
    make_days 11 kiwi
    expect_code 1 try --encoder-rate 0.1 "$store" days.tar
    expect_match 'kiwi/[0-9]+ page 0 of the store is in no stream \(11 of 12 pages are\)' messages
    head -c 300000 "$pages" >cut.tar
    expect_code 1 try --encoder-rate 0.1 "$store" cut.tar
    make_days 12 kiwi --profile cell8
    expect_code 1 try --encoder-rate 0.1 "$store" days.tar
    expect_match 'is another one than the store' messages
    cp -r "$store" aged
    forget --store aged --now 2024-06-01
    expect_code 1 try --encoder-rate 0.1 aged "$pages"
    expect_match 'nothing was forgotten' messages
    ! test -e new/adapter
}

run it_learns_and_ships_an_encoder
run killed_at_any_time_it_ends_with_the_same_bytes
run what_it_ships_fits_its_own_store
run its_memory_is_foreseen
run what_does_not_fit_is_refused
test_finish
