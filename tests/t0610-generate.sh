#!/usr/bin/env bash
# t0610-generate.sh - `occ generate`: greedy text is transformers' (golden/decoder/small), batches, what is drawn, what
# ends a text, what is refused. The small model has random weights: its texts mean nothing.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all 'no jq'

small=$test_folder/golden/decoder/small
golden=$small/golden.json

generate() { # OPTION...
    "$OCC_BIN/occ-generate" -m "$small" --compute f32 "$@"
}

batch_of_golden() { # one of them ends early: the golden text goes on after its end tokens
    jq -c '.[] | select(.greedy | all(. != 2 and . != 3)) | {prompt, text, tokens: (.ids | length)}' "$golden"
}

refused() { # WORDS STATUS OPTION...
    local words=$1
    shift
    expect_code "$@" 2>messages
    expect_match "$words" messages
}

greedy_text_is_that_of_transformers() {
    batch_of_golden >rows
    expect_equal 3 "$(wc -l <rows)"
    while read -r row; do
        generate -p "$(jq -r .prompt <<<"$row")" --max-tokens 32 >text
        expect_equal "$(jq -r .text <<<"$row")" "$(cat text)"
    done <rows
}

a_batch_prints_its_rows_in_order_with_what_was_generated() {
    batch_of_golden | jq -c '{id: "row", prompt, text}' | tee rows | sed 'p;p' >nine
    for together in 1 4 9; do
        generate --batch nine --max-tokens 32 --together "$together" >out
        expect_equal 9 "$(wc -l <out)"
        jq -se 'all(.[]; .generated == .text and .tokens == 32 and .end == "length" and .id == "row")' out
        expect_same <(jq -c '{id, prompt, text}' nine) <(jq -c '{id, prompt, text}' out)
    done
    generate --batch - --max-tokens 32 <nine >again
    expect_same out again
}

lines_that_are_no_prompts_are_named_and_skipped() {
    printf '%s\n' '{"prompt": "the cat"}' 'nonsense' '' '{"text": "x"}' '{"prompt": ""}' '{"messages": []}' \
        "{\"prompt\": \"$(printf 'the cat %.0s' {1..100})\"}" '{"messages": [{"role": "user", "content": "a"}]}' >rows
    expect_code 3 generate --batch rows --max-tokens 4 >out 2>messages
    expect_equal 2 "$(wc -l <out)"
    expect_match 'rows:2: no JSON' messages
    expect_match 'rows:4: has neither a prompt nor messages' messages
    expect_match 'rows:5: the prompt is empty' messages
    expect_match 'rows:6: a conversation has no messages' messages
    expect_match 'rows:7: the prompt has [0-9]+ tokens, and there is room for 127' messages
    expect_match '5 lines were skipped' messages
}

a_line_that_the_template_refuses_is_skipped() {
    mkdir model
    ln -s "$small"/* model
    rm model/chat_template.jinja
    printf '{{ messages[0].content|upper }}' >model/chat_template.jinja
    printf '{"messages": [{"role": "user", "content": "%s"}]}\n' the é cat >rows
    expect_code 3 generate -m model --batch rows --max-tokens 4 2>messages >out
    expect_equal 2 "$(wc -l <out)"
    expect_match 'rows:2: .* upper and lower case outside ASCII' messages
    rm model/chat_template.jinja
    refused 'model: this model has no chat template' 1 generate -m model --batch rows
}

a_chat_goes_through_the_template() {
    generate --chat 'the cat' --system 'in the box' --max-tokens 8 --json >chat
    printf '<|im_start|>system\nin the box<|im_end|>\n<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\n\n' >text
    generate --prompt-file text --max-tokens 8 --json >plain # without its last newline
    jq -se '.[0].generated == .[1].generated and .[0].prompt_tokens == .[1].prompt_tokens' chat plain
    jq -e '.messages[0] == {role: "system", content: "in the box"}' chat
}

what_is_drawn_follows_from_the_seed() {
    local runs=0
    for seed in 1 1 2; do
        runs=$((runs + 1))
        generate -p 'the cat' -t 1 --top-p 0.95 -n 4 --seed "$seed" --max-tokens 12 --json >"seed$runs"
    done
    expect_same seed1 seed2
    jq -se '[.[:4][].generated] != [.[4:][].generated]' seed1 seed3
    jq -se '([.[].sample] == [0, 1, 2, 3]) and ([.[].generated] | unique | length == 4)' seed1
    generate -p 'the cat' -t 1 --top-k 1 -n 2 --max-tokens 12 --json >first
    generate -p 'the cat' --max-tokens 12 --json >greedy
    jq -se '.[0].generated == .[1].generated and .[1].generated == .[2].generated' first greedy
    printf '{"prompt": "%s"}\n' 'the cat' a >rows # a line that is skipped does not change what others draw
    generate --batch rows -t 1 --max-tokens 12 | jq -c 'select(.prompt == "a")' >both
    printf '%s\n' 'nonsense' '{"prompt": "a"}' >rows
    expect_code 3 generate --batch rows -t 1 --max-tokens 12 2>messages >alone
    expect_same both alone
}

a_text_ends_before_a_stop_text() {
    whole=$(generate -p a --max-tokens 12 --json | jq -r .generated)
    generate -p a --max-tokens 12 --stop 'nowhere' --stop '_T' --json >out
    jq -e --arg whole "$whole" '.end == "stop" and .generated == ($whole | split("_T")[0])' out
    jq -e '.prompt == "Account: kiwi\nCaption:"' <<<"$(jq -c '.[1]' "$golden")"
    jq -rj '.[1].prompt' "$golden" | generate --prompt-file - --max-tokens 32 --json >out
    jq -e --arg text "$(jq -r '.[1].text' "$golden")" \
        '.end == "end" and .tokens == 14 and .generated == ($text | split("<|stop|>")[0])' out
}

the_context_is_a_limit() {
    generate -p a --max-tokens 0 --context 20 --json >out
    jq -e '.end == "length" and .tokens == 19 and .prompt_tokens == 1' out
    expect_code 1 generate -p 'the cat' --context 3 2>messages
    expect_match 'the prompt has 3 tokens, and there is room for 2' messages
}

an_adapter_changes_the_text() {
    generate -p 'the cat' --max-tokens 8 >plain
    generate -p 'the cat' --max-tokens 8 --adapter "$test_folder/golden/lora/adapter" >adapted
    expect_code 1 cmp -s plain adapted
}

weights_have_the_format_that_is_asked_for() {
    generate -p 'the cat' --max-tokens 4 --weights int8 -v 2>messages >text
    expect_match '1 texts; read 3 tokens of prompts in .* wrote 4 tokens, .* weights 0.0 MB, room for 1 x 7 tokens' messages
    generate -p 'the cat' --max-tokens 8 --weights f32 >text
    expect_same <(generate -p 'the cat' --max-tokens 8) text
    refused 'int4 needs rows in multiples of 32' 1 generate -p 'the cat' --weights int4
}

nobody_has_to_read_to_the_end() {
    (generate -p 'the cat' --max-tokens 100 2>messages || true) | head -c 2 >start
    expect_equal 2 "$(wc -c <start)"
    expect_equal '' "$(cat messages)"
}

what_makes_no_sense_is_refused() {
    refused 'no model is named' 2 "$OCC_BIN/occ-generate" -p a
    refused 'name one of --prompt' 2 generate
    refused 'name one of .* not several' 2 generate -p a --chat b
    refused '--system belongs to --chat' 2 generate -p a --system b
    refused 'all of --texts would be the same' 2 generate -p a -n 2
    refused "temperature: '-1' is not a number from 0" 2 generate -p a -t -1
    refused "top-p: 'x' is not a number" 2 generate -p a --top-p x
    refused '--stop is empty' 2 generate -p a --stop ''
    refused 'the stop text <.im_end.> is a special token' 1 generate -p a --stop '<|im_end|>'
    refused "unexpected argument 'b'" 2 generate -p a b
    refused 'nowhere' 1 "$OCC_BIN/occ-generate" -m nowhere -p a
    refused 'nowhere' 1 generate -p a --adapter nowhere
    printf '\xFF' >bytes
    refused 'bytes: is not UTF-8' 1 generate --prompt-file bytes
}

a_template_that_cannot_be_used_is_named() {
    mkdir model
    ln -s "$small"/* model
    rm model/chat_template.jinja
    refused 'model: this model has no chat template' 1 generate -m model --chat a
    printf '{%% include "x" %%}' >model/chat_template.jinja
    refused "chat template: line 1: the tag 'include'" 1 generate -m model --chat a
    printf "{{ raise_exception('no ' ~ messages[0].role) }}" >model/chat_template.jinja
    refused 'chat template: line 1: no user' 1 generate -m model --chat a
    expect_code 0 generate -m model -p a --max-tokens 1
}

run greedy_text_is_that_of_transformers
run a_batch_prints_its_rows_in_order_with_what_was_generated
run lines_that_are_no_prompts_are_named_and_skipped
run a_line_that_the_template_refuses_is_skipped
run a_chat_goes_through_the_template
run what_is_drawn_follows_from_the_seed
run a_text_ends_before_a_stop_text
run the_context_is_a_limit
run an_adapter_changes_the_text
run weights_have_the_format_that_is_asked_for
run nobody_has_to_read_to_the_end
run what_makes_no_sense_is_refused
run a_template_that_cannot_be_used_is_named
test_finish
