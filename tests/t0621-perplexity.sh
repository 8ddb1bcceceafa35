#!/usr/bin/env bash
# t0621-perplexity.sh - 'occ eval perplexity' of a small model, beside what transformers says.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'
model=$test_folder/golden/decoder/small
golden=$test_folder/golden/perplexity/perplexity.json
texts=$test_folder/golden/texts

perplexity() { # ARGUMENT...
    "$OCC_BIN/occ" eval perplexity --model "$model" --compute f32 "$@"
}

# The mean loss of a case of golden.
golden_loss() { # WINDOW [ADAPTER]
    jq "map(select(.window == $1 and .begin == null and .adapter == ${2:-null})) | .[0] | .loss / .foreseen" "$golden"
}

losses_are_printed() {
    head -c 3000 "$texts/en.txt" >text
    for window in 64 10; do
        perplexity --json --window $window text >result
        jq -e --argjson want "$(golden_loss $window)" '(.loss - $want | fabs) < 1e-5' result
        jq -e '.perplexity - (.loss | exp) | fabs < 1e-3' result
        jq -e '(.bits_per_byte * .bytes - .loss * .tokens / (2 | log) | fabs) < 0.1' result
        jq -e --argjson bytes "$(wc -c <text)" '.text == "text" and .tokens == 1181 and .bytes == $bytes' result
    done
    perplexity --window 64 text >table
    expect_match 'loss +perplexity +bits/byte' table
    expect_match "^text +1181 +$(printf %.4f "$(golden_loss 64)") " table
}

texts_have_names_and_a_sum() {
    cp "$texts/en.txt" a.txt
    cp "$texts/ru.txt" b.txt
    perplexity --json --window 64 -t russian=b.txt -t a.txt b.txt >lines
    expect_equal 'russian a.txt b.txt all' "$(jq -rs 'map(.text) | join(" ")' lines)"
    jq -se '.[3].tokens == .[0].tokens + .[1].tokens + .[2].tokens' lines
    jq -se '.[0].loss == .[2].loss and .[0].characters < .[0].bytes and .[1].characters <= .[1].bytes' lines
    jq -se '(.[3].loss * .[3].foreseen - (.[:3] | map(.loss * .foreseen) | add) | fabs) < 0.01' lines
    perplexity --json --window 64 --tokens 100 a.txt >short
    jq -e '.tokens == 100 and .foreseen == 98' short
    jq -e '.bytes < 400' short
}

threads_and_formats_differ_by_rounding() {
    perplexity --json --window 64 -j 1 "$texts/en.txt" >one
    perplexity --json --window 64 -j 3 "$texts/en.txt" >three
    perplexity --json --window 64 --weights int8 "$texts/en.txt" >eight
    jq -se '(.[0].loss - .[1].loss | fabs) < 1e-5' one three
    jq -se '(.[0].loss - .[1].loss | fabs) < 0.05 and .[0].loss != .[1].loss' one eight
    jq -e '.weights == "int8"' eight
}

an_adapter_changes_the_loss() {
    head -c 3000 "$texts/en.txt" >text
    perplexity --json --window 64 --adapter "$test_folder/golden/lora/adapter" text >with
    jq -e --argjson want "$(golden_loss 64 true)" '(.loss - $want | fabs) < 1e-5' with
    jq -e --argjson without "$(golden_loss 64)" '(.loss - $without | fabs) > 0.01' with
    jq -e '.adapter | endswith("golden/lora/adapter")' with
}

# Of a model whose training went wrong: one of its numbers is none.
a_loss_that_is_no_number_is_refused() {
    cp -R "$model" broken
    weights=broken/model-00003-of-00003.safetensors
    printf '\000\000\300\177' | dd of=$weights conv=notrunc bs=1 seek=$(($(wc -c <$weights) - 4)) 2>/dev/null
    for form in --json '--compute f32'; do
        # shellcheck disable=SC2086 # words on purpose
        expect_code 1 "$OCC_BIN/occ" eval perplexity --model broken $form --window 64 "$texts/en.txt" >result 2>messages
        expect_match 'en.txt: the loss of broken is -?nan: no perplexity' messages
        expect_equal '' "$(cat result)"
    done
}

what_is_wrong_is_said() {
    : >empty
    expect_code 1 perplexity empty 2>messages
    expect_match 'empty: has no token that could be foreseen' messages
    expect_code 1 perplexity --window 64 missing 2>messages
    expect_match 'missing: No such file' messages
    expect_code 2 perplexity --window 129 "$texts/en.txt" 2>messages
    expect_match 'windows have 2 to 128 tokens' messages
    expect_code 2 perplexity --window 1 "$texts/en.txt" 2>messages
    expect_code 2 perplexity 2>messages
    expect_match 'no text is named' messages
    expect_code 2 "$OCC_BIN/occ" eval perplexity "$texts/en.txt" 2>messages
    expect_match 'no language model is named: --model FOLDER' messages
    expect_code 1 "$OCC_BIN/occ" eval perplexity --model . "$texts/en.txt" 2>messages
    expect_match 'config.json: No such file' messages
    expect_code 1 perplexity --window 64 --adapter . "$texts/en.txt" 2>messages
    expect_match 'adapter_config.json' messages
}

run losses_are_printed
run texts_have_names_and_a_sum
run threads_and_formats_differ_by_rounding
run an_adapter_changes_the_loss
run a_loss_that_is_no_number_is_refused
run what_is_wrong_is_said
test_finish
