#!/usr/bin/env bash
# t0630-decoder.sh - occ model with language models: new ones, what is said of them, what is refused.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

small=$test_folder/golden/decoder/small

a_new_decoder_takes_a_tokenizer_and_what_lies_beside() {
    expect_code 0 "$OCC_BIN/occ-model" init --decoder nano --tokenizer "$small" -o new
    expect_same "$small/tokenizer.json" new/tokenizer.json
    expect_same "$small/chat_template.jinja" new/chat_template.jinja
    expect_code 0 "$OCC_BIN/occ-model" info new >out
    expect_equal decoder "$(jq -r .kind out)"
    expect_equal 619872 "$(jq -r .parameters out)" # 300 tokens of 96 numbers, six blocks
    expect_equal 1239744 "$(jq -r .bytes.BF16 out)"
    expect_equal 'true 300 2' "$(jq -r '"\(.chat_template) \(.config.vocab_size) \(.config.eos_token_id)"' out)"
    expect_equal 'nano bfloat16' "$(jq -r '"\(._name_or_path) \(.torch_dtype)"' new/config.json)"
    expect_equal 1e-05 "$(jq -r .rms_norm_eps new/config.json)"
}

it_follows_from_the_seed() {
    local i
    for i in a b; do
        expect_code 0 "$OCC_BIN/occ-model" init --decoder nano --tokenizer "$small/tokenizer.json" --dtype f32 --seed 3 -o $i
    done
    expect_same a/model.safetensors b/model.safetensors
    expect_code 0 "$OCC_BIN/occ-model" init --decoder nano --tokenizer "$small" --dtype f32 --seed 4 -o b
    expect_code 1 cmp -s a/model.safetensors b/model.safetensors
}

a_folder_of_transformers_is_described() {
    expect_code 0 "$OCC_BIN/occ-model" info "$small" >out
    expect_equal '31328 29 125312' "$(jq -r '"\(.parameters) \(.tensors) \(.bytes.F32)"' out)"
    expect_equal '[2,3]' "$(jq -c .config.eos_token_id out)"
}

what_is_missing_is_said() {
    expect_code 2 "$OCC_BIN/occ-model" init --decoder nano -o new 2>err
    expect_match 'needs --tokenizer' err
    expect_code 2 "$OCC_BIN/occ-model" init --decoder huge --tokenizer "$small" -o new 2>err
    expect_match "no decoder is called 'huge': nano, smollm2-135m, tkllm-1.3b" err
    expect_code 2 "$OCC_BIN/occ-model" init --tokenizer "$small" -o new 2>err
    expect_match 'goes with --decoder' err
    expect_code 2 "$OCC_BIN/occ-model" init --decoder nano --tokenizer "$small" --dtype f16 -o new 2>err
    expect_code 1 "$OCC_BIN/occ-model" init --decoder nano --tokenizer nowhere -o new 2>err
    expect_match nowhere err
    mkdir broken
    jq '.model_type = "gpt2"' "$small/config.json" >broken/config.json
    expect_code 1 "$OCC_BIN/occ-model" info broken 2>err
    expect_match 'broken/config.json: model_type: gpt2 is not supported' err
}

run a_new_decoder_takes_a_tokenizer_and_what_lies_beside
run it_follows_from_the_seed
run a_folder_of_transformers_is_described
run what_is_missing_is_said
test_finish
