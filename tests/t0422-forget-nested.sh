#!/usr/bin/env bash
# t0422-forget-nested.sh - stores of an encoder of nested tokens: merged without it, as far as it learned that, at a
# cost that is told before; and the facts that stay. What tokens become: forget_nest_test.c.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

told_encoder occ.reading '{"nested":4,"profiles":["cell10","cell8"]}' occ.fidelity \
    '{"cell10":[{"k":0,"words":0.98,"numbers":0.99},{"k":1,"words":0.9,"numbers":0.8},{"k":2,"words":0.5,"numbers":0.25}]}'
make_days 40 # day 39 is 2023-12-23
mkdir "$scratch/stores"
compress --store "$scratch/stores/days" <days.tar
rm -rf days.tar stream stream.names
unset OCC_MODEL # nothing below has an encoder
export OCC_DATA=$scratch

copy() { # STORE: a fresh one
    store compact "$scratch/stores/days" "$1"
}

occ_forget() { # ARGUMENT...
    "$OCC_BIN/occ" forget "$@"
}

merging_needs_no_encoder() {
    copy s
    forget --store s --now 2023-12-24
    store stats --json s >counts
    expect_json '[.buckets[] | [.bucket, .pages, .tokens]] == [[0,7,56],[1,14,56],[2,19,38]]' counts
    expect_equal '' "$(store verify s)"
    before=$(content_of s)
    forget --store s --now 2023-12-24 --operator merge
    expect_equal "$before" "$(content_of s)"
    for night in 2023-12-01 2023-12-12 2023-12-20; do # and the nights in between change nothing
        [ -e nightly ] || copy nightly
        forget --store nightly --now $night
    done
    forget --store nightly --now 2023-12-24
    expect_equal "$before" "$(content_of nightly)"
}

the_cost_is_told_before() {
    copy s
    occ_forget --store s --now 2023-12-24 --dry-run "${weekly[@]}" >plan
    # bucket, pages before and after, tokens, bytes, words, numbers
    expect_match '^ +0 +40 +7 +56 +[0-9]+ +98\.0% +99\.0%$' plan
    expect_match '^ +1 +0 +14 +56 +[0-9]+ +90\.0% +80\.0%$' plan
    expect_match '^ +2 +0 +19 +38 +[0-9]+ +50\.0% +25\.0%$' plan
    expect_match '^tokens +320 before, 150 after$' plan
    expect_match '^words +98\.0% before, 72\.[0-9]% after' plan
    expect_match '^numbers +99\.0% before, 57\.[0-9]% after' plan
    bytes=$(sed -n 's/^bytes .* about \([0-9]*\) after/\1/p' plan)
    occ_forget --store s --now 2023-12-24 "${weekly[@]}" >said
    expect_same plan said
    real=$(store stats --json s | jq .codecs.bf16.bytes)
    [ $((bytes * 20)) -gt $((real * 19)) ]
    [ $((real * 20)) -gt $((bytes * 19)) ]
    occ_forget --store s --now 2023-12-24 "${weekly[@]}" >said # nothing is left to do
    [ ! -s said ]
    copy quiet
    forget --store quiet --now 2023-12-24 >said
    [ ! -s said ]
}

halving_ends_where_learning_did() {
    copy s
    occ_forget --store s --now 2024-12-24 --tau 7d >plan
    expect_match '^ +4 +0 +40 +40 +[0-9]+ +- +-$' plan
    expect_match '^held +40 pages in bucket 4: the encoder learned no further halving; past bucket 5 they are folded$' plan
    occ_forget --store s --now 2025-01-10 --tau 7d >plan 2>messages
    [ ! -s plan ]
    [ ! -s messages ] # not every night
    occ_forget --store s --now 2025-04-09 --tau 7d >plan 2>messages
    expect_match '40 samples with 40 pages.* were removed: past bucket 5' messages
    expect_equal '' "$(store verify s)"
}

a_month_is_the_unit() {
    copy s
    occ_forget --store s --now 2023-12-13 >plan # day 0 is of 2023-11-14
    [ ! -s plan ]
    occ_forget --store s --now 2023-12-15 >plan
    expect_match '^ +1 +0 +1 +4 ' plan
    occ_forget --store s --now 2029-01-15 --force >plan # 1889 days: in the last bucket
    expect_match '^folded +0$' plan
    occ_forget --store s --now 2029-01-19 --force >plan 2>messages
    expect_match '^folded +3$' plan
    "$OCC_BIN/occ" forget --help >help
    expect_match '30d' help
}

pages_of_a_profile_that_was_not_learned_stay() {
    stream_begin
    put_clip kiwi/1 1700000000 'A title' 'It was dense on 2023-11-14.'
    put_clip kiwi/2 1700000000 'A title' 'And this one, too.'
    stream_end | render -q --mode tiny --profile dense >dense.tar
    "$OCC_BIN/../tests/small_encoder" told.safetensors occ.reading '{"nested":4,"profiles":["cell10","cell8"]}'
    OCC_MODEL=told.safetensors compress --store s <dense.tar 2>messages
    before=$(content_of s)
    expect_code 0 occ_forget --store s --now 2023-12-24 "${weekly[@]}" >plan 2>messages
    [ ! -s plan ]
    expect_match '2 pages stay as they are: the encoder did not learn to merge pages of profile dense; --operator' messages
    expect_equal "$before" "$(content_of s)"
    occ_forget --store s --now 2023-12-24 "${weekly[@]}" --dry-run >plan
    expect_match '^held +2 pages of a profile that the encoder did not learn to merge \(dense\)$' plan
    expect_match '^words and numbers: not measured$' plan
    pool --store s --now 2023-12-24
    [ "$before" != "$(content_of s)" ]
}

facts_stay_as_text() {
    copy s
    store get --facts s kiwi/7 >facts
    expect_json '.page == 0 and .bucket == 0 and .facts == []' facts
    occ_forget -v --store s --now 2023-12-24 "${weekly[@]}" 2>messages >plan
    expect_match '[0-9]+ facts were kept of pages made smaller' messages
    expect_match 'numbers, dates, handles and links of pages that shrink are kept as text' plan
    store get --facts s kiwi/27 >facts
    expect_json '.bucket == 1 and .facts == ["@kiwi", "2023-12-11", "27"]' facts
    store export -q --format tar s kiwi/27 | tar -xO --wildcards '*.p000.facts.txt' >text
    expect_equal '@kiwi 2023-12-11 27' "$(tr '\n' ' ' <text | sed 's/ $//')"
    store stats s >counts
    expect_match '^facts +[1-9][0-9]* +bytes' counts
    copy without
    forget --store without --now 2023-12-24 --no-facts
    store get --facts without kiwi/27 >facts
    expect_json '.bucket == 1 and .facts == []' facts
    expect_code 1 "$OCC_BIN/occ" store get --facts s kiwi/99 2>messages
    expect_match 'kiwi/99: is not in the store' messages
}

facts_go_with_their_page() {
    copy s
    forget --store s --now 2023-12-24
    forget --store s --now 2029-12-24 --force
    expect_equal 0 "$(store stats --json s | jq '.facts_bytes + .pages')"
    copy s2
    forget --store s2 --now 2023-12-24
    bytes=$(store stats --json s2 | jq .facts_bytes)
    store rm s2 kiwi/7
    [ "$(store stats --json s2 | jq .facts_bytes)" -lt "$bytes" ]
    store compact s2 published
    expect_code 1 grep -aq 2023-11-21 published/data.mdb # no word of a removed sample is left
    expect_equal '' "$(store verify published)"
}

metadata_that_cannot_be_is_refused() {
    make_days 1
    for reading in '{"nested":10}' '{"nested":-1}' '{"nested":99}' '[]' 'nested'; do
        "$OCC_BIN/../tests/small_encoder" bad.safetensors occ.reading "$reading"
        OCC_MODEL=bad.safetensors expect_code 1 "$OCC_BIN/occ" compress --store bad <days.tar 2>messages
        expect_match "the encoder's metadata occ.reading" messages
    done
    "$OCC_BIN/../tests/small_encoder" bad.safetensors occ.fidelity 'very good'
    OCC_MODEL=bad.safetensors expect_code 1 "$OCC_BIN/occ" compress --store bad <days.tar 2>messages
    expect_match "the encoder's metadata occ.fidelity is not a JSON object" messages
}

run merging_needs_no_encoder
run the_cost_is_told_before
run halving_ends_where_learning_did
run a_month_is_the_unit
run pages_of_a_profile_that_was_not_learned_stay
run facts_stay_as_text
run facts_go_with_their_page
run metadata_that_cannot_be_is_refused
test_finish
