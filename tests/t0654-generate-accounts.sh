#!/usr/bin/env bash
# t0654-generate-accounts.sh - `occ generate --store`, `occ eval perplexity --store`: posts of accounts after what a store
# shows of the older ones, as visual tokens or text. Decoder, bridge and encoder have random weights: texts mean nothing.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
command -v jq >/dev/null || skip_all 'no jq'

# For the whole file: two accounts of a post a day, a decoder, adapters with a bridge.
cd "$scratch" || exit 1
told_encoder occ.reading '{"nested":4,"profiles":["cell10"]}'
shared=$scratch
make_days 9 kiwi
mv days.tar kiwi.tar
make_days 5 plum
compress --store tokens kiwi.tar days.tar
"$OCC_BIN/occ" model init --decoder nano --tokenizer "$test_folder/golden/decoder/small" -o decoder
bridge() { # FOLDER KIND EXPAND EXPERTS
    "$OCC_BIN/../tests/bridge_folder" "$shared/$1" "$shared/decoder" "$OCC_MODEL" "$2" "$3" "$4"
}
bridge reader linear 2 0
bridge experts mlp 1 4

generate() { # OPTION...
    "$OCC_BIN/occ-generate" -m "$shared/decoder" --compute f32 --max-tokens 8 "$@"
}

kiwi() { # OPTION...: of the account kiwi
    generate --store "$shared/tokens" --account kiwi --json "$@"
}

perplexity() { # OPTION...
    "$OCC_BIN/occ" eval perplexity -m "$shared/decoder" --compute f32 --store "$shared/tokens" "$@"
}

refused() { # WORDS STATUS COMMAND...
    local words=$1
    shift
    expect_code "$@" 2>messages
    expect_match "$words" messages
}

a_model_without_an_adapter_reads_the_posts_as_text() {
    kiwi >out
    jq -e '.context.kind == "text" and .account == "kiwi" and .end == "length"' out
    jq -e '.context.stands_for == .context.positions and .context.stands_for > 100' out
    jq -e '.context.spent == {soft: 0, marks: 0, pooled: 0, text: .context.positions, facts: 0, prompt: (.prompt_tokens - .context.positions)}' out
    kiwi --context none >none.out
    generate -p $'Account: kiwi\nCaption:' --json >plain
    jq -se '.[0].context.positions == 0 and .[0].generated == .[1].generated' none.out plain
    jq -se '.[0].prompt_tokens - .[0].context.positions == .[1].prompt_tokens' out none.out
    jq -se '.[0].generated != .[1].generated' out none.out
}

an_adapter_with_a_bridge_reads_them_as_tokens() {
    kiwi --adapter "$shared/reader" >out
    jq -e '.context.kind == "visual" and .context.spent.soft == 2 * .context.visual_tokens' out
    jq -e '.context.spent | .soft > 0 and .marks > 0 and .pooled == 0' out
    jq -e '([.context.spent[]] | add) == .prompt_tokens' out
    jq -e '.context.positions < .context.stands_for' out
    for kind in text pooled-text truncated-text; do # the same posts
        kiwi --adapter "$shared/reader" --context $kind >$kind.out
        jq -e --arg kind $kind '.context.kind == $kind' $kind.out
    done
    jq -se '.[0].context.stands_for == .[1].context.stands_for' out text.out
    jq -se '.[0].context.positions >= .[1].context.positions and .[1].context.positions > 0' out truncated-text.out
    jq -e '.context.spent.pooled > 0 and .context.spent.soft == 0' pooled-text.out
    jq -se 'map(.generated) | unique | length > 2' out text.out pooled-text.out truncated-text.out
}

only_what_is_older_is_shown() {
    local last=0 shown
    for day in 1699999999 1700000001 1700200000 1700400000 2024-06-01; do
        shown=$(kiwi --adapter "$shared/reader" --now "$day" | jq .context.stands_for)
        ((shown > last)) || [ "$day" = 1699999999 ]
        last=$shown
    done
    kiwi --adapter "$shared/reader" --now 1699999999 2>messages | jq -e '.context.stands_for == 0 and .context.visual_tokens == 0'
    kiwi --now 1700000000 --context text >first 2>messages # a post is not older than itself
    jq -e '.context.positions == 0' first
    expect_match 'tokens shows nothing of kiwi that is older' messages
}

a_budget_of_positions_holds() {
    for positions in 8 20 60; do
        kiwi --adapter "$shared/reader" --positions $positions >out
        jq -e --argjson most $positions '.context.positions <= $most' out
    done
    kiwi --adapter "$shared/reader" --positions 60 --newest 30 >mixed
    jq -e '.context.positions <= 60 and .context.spent.soft > 0' mixed
    jq -se '.[1].context.spent.text > .[0].context.spent.text' out mixed
    kiwi --adapter "$shared/reader" --tau 1d --now 2023-11-30 >aged
    kiwi --adapter "$shared/reader" --now 2023-11-30 >whole
    jq -se '.[0].context.visual_tokens < .[1].context.visual_tokens' aged whole
}

# As many positions as occ train tune had with rows like these, whatever is to be written.
positions_do_not_depend_on_what_is_written() {
    kiwi --adapter "$shared/reader" --row 176 --max-tokens 100 >much
    kiwi --adapter "$shared/reader" --row 176 --max-tokens 4 --positions 132 >few
    jq -se '.[0].context == .[1].context and .[0].context.positions > 57 and .[0].tokens > 4' much few
    refused '--newest 133: a context has 132 positions' 2 kiwi --adapter "$shared/reader" --row 176 --newest 133
}

# Whose text is not known: tokens all the same.
pages_in_rows_are_shown() {
    make_days 3 fig --profile read10
    compress --store rows days.tar
    generate --store rows --account fig --json --adapter "$shared/reader" >out 2>messages
    jq -e '.context.stands_for == 0 and .context.visual_tokens > 0' out
    expect_equal '' "$(grep 'shows nothing' messages)"
}

the_style_of_another_account_is_its_posts() {
    kiwi --adapter "$shared/reader" --style-from plum >borrowed
    generate --store "$shared/tokens" --account plum --json --adapter "$shared/reader" >plum.out
    kiwi --adapter "$shared/reader" >own
    jq -e '.account == "kiwi" and .style_from == "plum"' borrowed
    jq -se '.[0].context.stands_for == .[1].context.stands_for' borrowed plum.out
    jq -se '.[0].context.stands_for != .[1].context.stands_for' borrowed own
    kiwi --script >script
    jq -se '.[0].script == true and .[0].context.spent.prompt != .[1].context.spent.prompt' script own
}

accounts_run_in_a_batch() {
    cat >rows <<'END'
{"account": "kiwi", "id": 1}
{"account": "plum", "script": true}
{"account": "nobody"}
{"account": "plum", "style_from": "kiwi", "created": 1700300000}
{"account": "kiwi", "created": "2023-11-17", "real": "text"}
{"prompt": "the cat"}
{"account": "kiwi", "created": "never"}
{"account": "kiwi", "script": 1}
{"account": "kiwi", "style_from": 1}
END
    for together in 1 4; do
        expect_code 3 generate --store "$shared/tokens" --adapter "$shared/reader" --batch rows --together $together \
            >out$together 2>messages
    done
    expect_same out1 out4
    expect_match "rows:3: the store has no account 'nobody'" messages
    expect_match 'rows:6: with --store a line has an account, and no prompt' messages
    expect_match 'rows:7: created is not a date' messages
    expect_match 'rows:8: script is neither true nor false' messages
    expect_match 'rows:9: style_from is not a text' messages
    expect_match '5 lines were skipped' messages
    jq -se 'length == 4 and .[0].id == 1 and .[3].real == "text" and all(.[]; .context.kind == "visual")' out1
    kiwi --adapter "$shared/reader" >alone
    jq -se '.[0].generated == .[4].generated and .[0].context == .[4].context' out1 alone
    kiwi --adapter "$shared/reader" --now 2023-11-17 >dated
    jq -se '.[3].generated == .[4].generated and .[3].context == .[4].context' out1 dated
}

several_texts_are_drawn_after_one_context() {
    kiwi --adapter "$shared/reader" -t 1 -n 4 -v >four 2>messages
    jq -se 'length == 4 and ([.[].generated] | unique | length == 4) and ([.[].context] | unique | length == 1)' four
    kiwi --adapter "$shared/reader" -t 1 -n 4 --together 1 -v >again 2>together
    expect_same four again
    expect_match "4 texts; read $(($(jq -s '.[0].prompt_tokens' four) + 3)) tokens of prompts" together
    expect_match 'contexts \(visual\): [0-9]+ positions that stand for [0-9]+ text tokens' messages
    generate --store "$shared/tokens" --account kiwi --adapter "$shared/reader" -t 1 -n 2 >texts
    expect_equal 'true' "$(jq -rs --rawfile texts texts '$texts == (.[:2] | map(.generated + "\n") | add)' four)"
}

the_experts_that_were_chosen_are_reported() {
    kiwi --adapter "$shared/experts" >out
    jq -e '.context.routing.experts | length == 4 and (add - 1 | fabs) < 1e-9 and min >= 0' out
    jq -e '.context.routing.entropy > 0 and .context.routing.entropy <= (4 | log)' out
    kiwi --adapter "$shared/reader" | jq -e '.context | has("routing") | not'
    kiwi --adapter "$shared/experts" --context text | jq -e '.context | has("routing") | not'
}

tokens_of_another_encoder_are_refused() {
    "$OCC_BIN/occ" model init --config nano --seed 2 -o other.st
    "$OCC_BIN/../tests/bridge_folder" other "$shared/decoder" other.st linear 1 0
    refused "the store's tokens are those of the encoder small .* which the adapter is for" 1 kiwi --adapter other
    refused "the store's tokens are those of .* other.st is for" 1 kiwi --context read --encoder other.st
    kiwi --adapter other --context text >out # which needs no tokens
}

# By the bundled encoder, which can read: nearly the text itself.
what_the_reading_head_reads_is_a_context() {
    unset OCC_MODEL
    [ -e "$OCC_BIN/../share/occ/nano.safetensors" ] || skip 'no bundled encoder'
    make_days 2 fig
    compress --store readable days.tar
    for kind in read text; do
        generate --store readable --account fig --context $kind --json >$kind.out
    done
    jq -se '.[0].context.kind == "read" and .[0].context.positions == .[0].context.spent.text' read.out
    jq -se '(.[0].context.positions - .[1].context.positions | fabs) < 0.05 * .[1].context.positions' read.out text.out
}

held_out_posts_are_measured() {
    for kind in none text; do
        perplexity --context $kind --hold-out 0.3 --json >$kind.out
        jq -se --arg kind $kind 'length == 3 and ([.[].account] == ["kiwi", "plum", null]) and all(.[]; .context == $kind)' $kind.out
        jq -se '.[2].rows == .[0].rows + .[1].rows and .[2].targets == .[0].targets + .[1].targets' $kind.out
        jq -se '(.[2].loss * .[2].targets - (.[:2] | map(.loss * .targets) | add) | fabs) < 1e-3' $kind.out
        jq -se 'all(.[]; .loss > 4 and .loss < 8 and (.perplexity - (.loss | exp) | fabs) < 1e-3)' $kind.out
    done
    jq -se '.[2].positions == 0 and .[2].stands_for == 0' none.out
    jq -se '.[2].positions > 0 and .[2].loss != null' text.out
    perplexity --context none --positions 100 --hold-out 0.3 --json >short.out # --positions say what a target has room for
    jq -se '.[2].targets == .[5].targets' short.out none.out
    refused '--expand does nothing with --context none' 2 perplexity --context none --expand 2
    jq -se '.[2].targets == .[5].targets and .[2].loss != .[5].loss' none.out text.out # the same posts
    perplexity --adapter "$shared/reader" --hold-out 0.3 --json >visual
    jq -se '.[2].context == "visual" and .[2].expand == 2 and .[2].targets == .[5].targets' visual none.out
    jq -se '.[2].stands_for > .[2].positions' visual
    perplexity --adapter "$shared/reader" --hold-out 0.3 --measure-rows 1 --json >one
    jq -se 'length == 1 and .[0].rows == 1' one
    perplexity --context none --hold-out 0.3 >table
    expect_match '^none +rows +tokens +loss +perplexity +positions +stand for' table
    expect_match '^all +[0-9]+ ' table
}

# The loss of posts without a context is that of the same rows of text, as occ train tune measures them.
a_post_without_a_context_is_a_document() {
    "$OCC_BIN/occ" train tune -q --model "$shared/decoder" --compute f32 --hold-out 0.3 --steps 1 --batch 1 --measure 1 \
        --measure-rows 1000 -o run "$shared/tokens"
    perplexity --context none --hold-out 0.3 --json >none.out
    jq -se --argjson before "$(jq -s '[.[].held_out // empty] | first' run/metrics.ndjson)" '(.[2].loss - $before | fabs) < 1e-4' none.out
}

# What tuning with tokens leaves: rows, mask, bridge, experts.
an_adapter_measures_as_it_did_when_it_was_made() {
    "$OCC_BIN/occ" train tune -q --model "$shared/decoder" --compute f32 --method occ --context visual --bridge linear \
        --encoder "$OCC_MODEL" --expand 2 --experts 4 --top 2 --hold-out 0.3 --positions 100 --row 400 --steps 4 --batch 4 \
        --rate 1e-3 -o run "$shared/tokens"
    perplexity --adapter run/adapter --hold-out 0.3 --positions 100 --row 400 --json >out
    jq -se --argjson best "$(jq -s '[.[].held_out // empty] | min' run/metrics.ndjson)" '(.[2].loss - $best | fabs) < 0.01' out
    jq -se --argjson all "$(jq -s '[.[].held_out // empty] | first' run/metrics.ndjson)" '.[2].loss < $all - 0.01' out
    kiwi --adapter run/adapter --positions 100 --row 400 >text
    jq -e '.context.kind == "visual" and (.context.routing.experts | length == 4)' text
}

what_makes_no_sense_is_refused() {
    refused '--account is for the posts of a store: --store FOLDER' 2 generate --account kiwi
    refused '--script is for the posts of a store' 2 generate -p a --script
    refused '--now is for the posts of a store' 2 generate -p a --now 2024-01-01
    refused '--style-from is for the posts of a store' 2 generate -p a --style-from kiwi
    refused '--positions is for the posts of a store' 2 generate -p a --positions 9
    refused '--context is for the posts of a store' 2 generate -p a --context text
    refused '--encoder is for --adapter and --store' 2 generate -p a --encoder "$OCC_MODEL"
    refused '--store goes with --account NAME, or with --batch FILE' 2 generate -p a --store "$shared/tokens"
    refused 'not several' 2 kiwi -p a
    refused "none of none, visual, text" 2 kiwi --context all
    refused '--context 12 and --row are the same' 2 kiwi --context 12 --row 12
    refused "context: '12x' is not a whole number" 2 kiwi --context 12x
    refused "now: 'soon' is neither a day" 2 kiwi --now soon
    refused '--expand 3: 1, 2, 4 or 8' 2 kiwi --expand 3
    refused 'have no room for contexts of 2000' 2 kiwi --positions 2000 --row 1000
    refused '--positions does nothing with --context none' 2 kiwi --context none --positions 4
    refused '--context visual needs an adapter that reads visual tokens' 2 kiwi --context visual
    refused '--expand 4: this adapter was made for 2' 2 kiwi --adapter "$shared/reader" --expand 4
    refused '--row 4096: the model was trained on 2048' 2 kiwi --row 4096
    refused 'rows have 8 tokens, and 8 of them are to be written' 2 kiwi --row 8
    refused "nobody" 1 generate --store "$shared/tokens" --account nobody
    refused "the store has no account 'nobody'" 1 kiwi --style-from nobody
    refused 'nowhere' 1 generate --store nowhere --account kiwi
    refused 'nowhere' 1 kiwi --adapter nowhere
    refused 'FILE is for texts' 2 perplexity "$0"
    refused '--window is for texts' 2 perplexity --window 64
    refused "hold-out: '2' is not a number" 2 perplexity --hold-out 2
    refused 'no post with text is held out' 1 perplexity --hold-out 0
    refused '--measure-rows is for the posts of a store' 2 "$OCC_BIN/occ" eval perplexity -m "$shared/decoder" --measure-rows 3 "$0"
    refused 'perplexity takes no --calibrate' 2 perplexity --calibrate map.json
    refused 'fidelity takes no --store' 2 "$OCC_BIN/occ" eval fidelity --store "$shared/tokens" "$0"
    refused 'info takes no --adapter' 2 "$OCC_BIN/occ" model info "$shared/decoder" --adapter "$shared/reader"
    refused 'init takes no --adapter' 2 "$OCC_BIN/occ" model init --adapter "$shared/reader" -o new
    refused 'convert takes no --adapter' 2 "$OCC_BIN/occ" model convert --adapter "$shared/reader" -o new "$OCC_MODEL"
}

run a_model_without_an_adapter_reads_the_posts_as_text
run an_adapter_with_a_bridge_reads_them_as_tokens
run only_what_is_older_is_shown
run a_budget_of_positions_holds
run positions_do_not_depend_on_what_is_written
run pages_in_rows_are_shown
run the_style_of_another_account_is_its_posts
run accounts_run_in_a_batch
run several_texts_are_drawn_after_one_context
run the_experts_that_were_chosen_are_reported
run tokens_of_another_encoder_are_refused
run what_the_reading_head_reads_is_a_context
run held_out_posts_are_measured
run a_post_without_a_context_is_a_document
run an_adapter_measures_as_it_did_when_it_was_made
run what_makes_no_sense_is_refused
test_finish
