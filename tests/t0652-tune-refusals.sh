#!/usr/bin/env bash
# t0652-tune-refusals.sh - `occ train tune` with contexts, rows and experts: options that would do nothing, adapters and
# stores that do not fit together, accounts with little to say.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
command -v jq >/dev/null || skip_all 'no jq'

# For the whole file: a store of few posts, a model, bridges.
cd "$scratch" || exit 1
told_encoder occ.reading '{"nested":4,"profiles":["cell10"]}'
shared=$scratch
make_days 6 kiwi
mv days.tar kiwi.tar
make_days 1 plum # of which nothing can be learned from older posts
compress --store tokens kiwi.tar days.tar
"$OCC_BIN/occ" model init --decoder nano --tokenizer "$test_folder/golden/decoder/small" -o decoder
bridge() { # FOLDER MODEL EXPERTS
    "$OCC_BIN/../tests/bridge_folder" "$shared/$1" "$2" "$OCC_MODEL" linear 1 "$3"
}
bridge plain decoder 0
bridge experts decoder 4
bridge narrow "$test_folder/golden/decoder/small" 0
: >text.jsonl

tune() { # [OPTION...]
    "$OCC_BIN/occ-train" tune -o run --model "$shared/decoder" --steps 1 --batch 2 --row 200 -j 1 --compute f32 "$@"
}

visual() { # [OPTION...]
    tune --context visual --encoder "$OCC_MODEL" "$@" "$shared/tokens"
}

refused() { # WORDS STATUS COMMAND...
    local words=$1
    shift
    expect_code "$@" 2>messages
    expect_match "$words" messages
}

what_would_do_nothing_is_refused() {
    for option in --bridge=mlp --bridge-rate=2 --experts=2 --no-experts --top=1 --hidden=8; do
        refused "${option%%=*} is for --context visual" 2 tune --context text "$option" "$shared/tokens"
    done
    for option in --positions=50 --expand=2 --newest=10 --tau=30d; do
        refused "${option%%=*} is for the posts of a store" 2 tune "$option" "$shared/text.jsonl"
    done
    refused '--hold-out-accounts is for --context' 2 tune --hold-out-accounts 0.5 "$shared/tokens"
    refused '--encoder is for --context visual and read' 2 tune --context text --encoder x "$shared/tokens"
    refused '--packing: with --context a row is one post' 2 visual --packing
    refused '--prompts: with --context a row is one post' 2 visual --prompts
    refused '--context takes one store' 2 visual "$shared/tokens"
    refused 'occ is gspf with --context visual' 2 tune --method occ --context text "$shared/tokens"
    refused '--top: there are 2 experts' 2 visual --experts 2 --top 3
    refused '--top: there are 0 experts' 2 visual --top 1
    refused '--experts and --no-experts: name one' 2 visual --experts 2 --no-experts
    refused '--bridge: the adapter of --from has its own' 2 visual --from "$shared/plain" --bridge mlp
    refused '--hidden: a bridge of the kind linear has no inner width' 2 visual --bridge linear --hidden 8
    refused '--bridge-rate 0: a new bridge must learn' 2 visual --bridge linear --bridge-rate 0
    refused '--budget: --mask says which rows are trained' 2 visual --method gspf --mask x --budget 1%
    refused '--mask: chance says which rows are trained' 2 visual --method random-mask --mask x
    refused '--probe: --freeze 0 freezes nothing' 2 visual --method gspf --freeze 0 --probe 5
    refused '--newest 60: a context has 50 positions' 1 visual --bridge linear --positions 50 --newest 60
    refused '--facts 60: a context has 50 positions' 1 visual --bridge linear --positions 50 --facts 60
    refused 'rows of 200 tokens have no room for contexts of 300' 1 visual --bridge linear --positions 300
    for option in --newest=900 --positions=300; do # as a run does
        refused "${option#*=}" 1 tune --predict --context visual --bridge linear --encoder "$OCC_MODEL" "$option"
    done
    refused "'some' is none of none, visual, text" 2 tune --context some "$shared/tokens"
    for option in --budget=0 --budget=101% --budget=x --freeze=1 --bridge-rate=-1 --experts=2000 --bridge=crosses; do
        refused "${option%%=*}" 2 visual --method gspf "$option"
    done
    expect_code 1 test -e run
}

what_does_not_fit_together_is_named() {
    refused 'its bridge leads to a model of 32 numbers, this has' 1 visual --from "$shared/narrow"
    refused '--expand 2: this adapter was made for 1' 1 visual --from "$shared/plain" --expand 2
    for option in --experts=2 --no-experts; do
        refused 'has experts of its own' 1 visual --from "$shared/experts" $option
    done
    refused 'carries no reading head' 1 visual
    "$OCC_BIN/occ" model init --config nano --seed 7 -o other.safetensors
    refused "the store's tokens are those of the encoder" 1 tune --context visual --bridge linear \
        --encoder other.safetensors "$shared/tokens"
    refused 'nowhere' 1 tune --context text nowhere
    head -c 100 "$shared/plain/context.safetensors" >"$shared/narrow/context.safetensors"
    refused 'narrow/context.safetensors' 1 visual --from "$shared/narrow"
    expect_code 1 test -e run/checkpoint.safetensors
}

experts_of_an_adapter_go_on() {
    visual --from "$shared/experts"
    jq -e '.experts | length == 4' run/routing.json
}

# A linear bridge that is there needs none, so that none has to be found.
an_encoder_is_asked_for_where_one_is_needed() {
    export OCC_DATA=$scratch/nowhere
    unset OCC_MODEL
    tune --context visual --from "$shared/plain" "$shared/tokens"
    refused 'no encoder is named \(--encoder FILE\), and the bundled one' 2 tune --context visual --bridge linear "$shared/tokens"
    refused 'no encoder is named' 2 tune --context read "$shared/tokens"
}

accounts_with_little_to_say_are_no_obstacle() {
    visual --from "$shared/plain" -v 2>messages # one post, no context
    expect_match 'to learn from: [0-9]+ posts of 2 accounts' messages
    rm -r run
    make_days 0 pear
    compress --store empty days.tar
    refused 'there is no text to learn from' 1 tune --context visual --bridge linear --encoder "$OCC_MODEL" empty
}

run what_would_do_nothing_is_refused
run what_does_not_fit_together_is_named
run experts_of_an_adapter_go_on
run an_encoder_is_asked_for_where_one_is_needed
run accounts_with_little_to_say_are_no_obstacle
test_finish
