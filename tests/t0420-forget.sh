#!/usr/bin/env bash
# t0420-forget.sh - `occ forget`: what it prints, keeps and refuses. The arithmetic: forget_test.c.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

make_days 40 # day 39 is 2023-12-23
mkdir "$scratch/stores"
compress --store "$scratch/stores/days" <days.tar
rm -rf days.tar stream stream.names

copy() { # STORE: a fresh one
    store compact "$scratch/stores/days" "$1"
}

old_pages_keep_fewer_tokens() {
    copy s
    expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" -v --operator pool --store s --now 2023-12-24 2>messages
    expect_match '1 accounts, 40 pages: 33 made smaller, 0 folded, 0 pinned; 320 tokens became ' messages
    store stats --json s >counts
    # a page is a row of 8 cells: 8 tokens to 6 days of age, 4 to 20, 2 to 39
    expect_json '[.buckets[] | [.bucket, .pages, .tokens]] == [[0,7,56],[1,14,56],[2,19,38]]' counts
    expect_equal '' "$(store verify s)"
    before=$(content_of s)
    pool --store s --now 2023-12-24
    expect_equal "$before" "$(content_of s)"
}

a_dry_run_prints_the_plan() {
    copy s
    before=$(content_of s)
    expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" --store s --now 2023-12-24 --dry-run >plan
    expect_match '^ +1 +0 +14 +56 ' plan
    expect_match '^tokens +320 before, 150 after$' plan
    expect_equal "$before" "$(content_of s)"
}

days_and_seconds_are_dates() {
    copy a
    copy b
    pool --store a --now 2023-12-24
    pool --store b --now 1703376000
    expect_equal "$(content_of a)" "$(content_of b)"
    for date in 2023-13-01 2023-02-30 yesterday 2023-12-24x ''; do
        expect_code 2 "$OCC_BIN/occ" forget --store a --now "$date" 2>messages
        expect_match 'is neither a day' messages
    done
}

past_the_last_bucket_pages_are_folded() {
    copy s
    pool --store s --now 2024-12-24 --buckets 3
    store stats --json s >counts
    expect_json '.pages == 0 and .folded_pages == 40 and .samples == 40 and .json_bytes == 0' counts
    expect_equal '' "$(store verify s)"
    make_days 40 # the journal remembers: nothing comes again
    "$OCC_BIN/occ" compress -v --store s <days.tar 2>messages
    expect_match '40 samples were already there' messages
    copy kept
    pool --store kept --now 2024-12-24 --buckets 3 --keep-text
    store get --text kept kiwi/7 >text
    expect_words 'What happened on day 7' text
}

pinned_samples_stay() {
    copy s
    forget --store s --pin kiwi/3 kiwi/4
    pool --store s --now 2030-01-01 --force
    expect_equal 16 "$(store stats --json s | jq '.buckets[] | select(.bucket == 0) | .tokens')"
    expect_code 1 "$OCC_BIN/occ" forget --store s --pin kiwi/99 2>messages
    expect_match 'kiwi/99: is not in the store' messages
}

pages_are_drawn_again_smaller() {
    copy a
    copy b
    copy c
    forget --store a --now 2023-12-24 --operator resize --model "$OCC_MODEL"
    forget --store b --now 2023-12-24 --operator render --model "$OCC_MODEL"
    pool --store c --now 2023-12-24
    for s in a b; do
        expect_equal '' "$(store verify $s)"
        expect_equal 150 "$(store stats --json $s | jq .tokens)"
    done
    [ "$(content_of a)" != "$(content_of b)" ]
    [ "$(content_of a)" != "$(content_of c)" ]
}

square_pages_of_other_profiles_shrink_too() {
    make_days 16 kiwi --profile read10 # day 15 is 2023-11-29
    compress --store s <days.tar
    store compact s drawn
    pool --store s --now 2023-12-06
    forget --store drawn --now 2023-12-06 --operator render --model "$OCC_MODEL"
    for which in s drawn; do # 64, 32 and 16 tokens
        store stats --json $which >counts
        expect_json '[.buckets[] | [.bucket, .pages, .tokens]] == [[0,1,64],[1,14,448],[2,1,16]]' counts
        expect_equal '' "$(store verify $which)"
    done
    [ "$(content_of s)" != "$(content_of drawn)" ]
}

what_cannot_be_is_refused() {
    copy s
    expect_code 2 "$OCC_BIN/occ" forget 2>messages
    expect_match 'no store is named' messages
    unset OCC_MODEL
    mkdir data
    for how in merge render; do
        OCC_DATA=data expect_code 1 "$OCC_BIN/occ" forget --store s --operator $how 2>messages
        expect_match "--operator $how needs the store's encoder \(--model FILE\): nano.safetensors" messages
    done
    expect_code 2 "$OCC_BIN/occ" forget --store s kiwi/3 2>messages
    expect_match 'KEYs need --pin or --unpin' messages
    expect_code 1 "$OCC_BIN/occ" forget --store nowhere 2>messages
    expect_match 'nowhere: No such file' messages
    [ ! -e nowhere ]
    "$OCC_BIN/occ" model init --config nano --seed 9 -o other.safetensors
    expect_code 1 "$OCC_BIN/occ" forget --store s --operator resize --model other.safetensors 2>messages
    expect_match 'is not the encoder of s' messages
}

run old_pages_keep_fewer_tokens
run a_dry_run_prints_the_plan
run days_and_seconds_are_dates
run past_the_last_bucket_pages_are_folded
run pinned_samples_stay
run pages_are_drawn_again_smaller
run square_pages_of_other_profiles_shrink_too
run what_cannot_be_is_refused
test_finish
