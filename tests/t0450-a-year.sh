#!/usr/bin/env bash
# t0450-a-year.sh - nightly runs on one store: 365 of them, killed ones, two at a time, and a reader that stays.
# shellcheck disable=SC2317 # functions are called by the names that they are handed over by
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
nights=$OCC_BIN/../tests/nights
python=/usr/bin/python3

# 4 posts a night; with a tau of a day bucket k holds 2^k days at 256 / 2^k tokens, and past 254 days all is folded.
a_year_of_nights_loses_nothing() {
    for last in 99 254 364; do
        "$nights" s $last
        expect_equal '' "$(store verify s)"
    done
    store stats --json s >counts
    expect_json '.samples == 1460 and .pages == 4 * 254 and .folded_pages == 4 * 111' counts
    expect_json '.tokens == 4 * 7 * 256 and (.buckets | map(.pages) == [8, 16, 32, 64, 128, 256, 512])' counts
    expect_json '.file_bytes < 8000000' counts # a night's pages are 1 MB: free pages are used again
    store get s ann/364 >sample
    expect_json '.counts.views == 0' sample
    store get s ann/361 >sample
    expect_json '.counts.views == 300' sample # the last time that it came
    store get --text s dot/111 >text
    expect_equal 'What dot did on day 111.' "$(cat text)"
    expect_code 1 "$OCC_BIN/occ" store get s dot/110 2>messages
}

nights_that_were_killed_are_made_up_for() {
    "$nights" whole 60
    RANDOM=6
    for ((i = 0; i < 15; i++)); do
        "$nights" s 60 &
        sleep "0.$(printf %03d $((RANDOM % 400)))"
        kill -9 $! 2>/dev/null || true
        wait $! 2>/dev/null || true
        faults=$(store verify s 2>&1) || [[ $faults == *'is not a token store'* ]] || complain "$faults"
    done
    "$nights" s 60
    expect_equal '' "$(store verify s)"
    expect_equal "$(content_of whole)" "$(content_of s)"
}

a_second_writer_fails_at_once_and_readers_go_on() {
    "$nights" s 2
    before=$(content_of s)
    exec 9>>s/writer.lock
    flock 9
    expect_code 1 "$OCC_BIN/occ" forget --store s --now 1997-06-01 2>messages
    expect_match 's: another process is writing to this store' messages
    expect_code 1 "$OCC_BIN/occ" store rm s ann/0 2>messages
    expect_match 's: another process is writing to this store' messages
    expect_equal "$before" "$(content_of s)"
    exec 9>&-
    "$OCC_BIN/occ" store rm s ann/0 2>messages
    expect_equal 11 "$(store ls s | wc -l)"
}

# store F2: the store is ten times as large in the end
a_reader_in_python_stays_open_all_the_time() {
    $python -c 'import lmdb, zstandard, numpy' 2>/dev/null || skip 'no lmdb, zstandard or numpy for python3'
    "$nights" s 0 2048
    : >busy
    $python "$test_folder/read_store.py" follow s busy >answer &
    "$nights" s 20 2048
    rm busy
    wait $!
    expect_equal followed "$(cat answer)"
    [ "$(stat -c %s s/data.mdb)" -gt 11000000 ] || complain 'it did not grow past what py-lmdb maps at first'
}

run a_year_of_nights_loses_nothing
run nights_that_were_killed_are_made_up_for
run a_second_writer_fails_at_once_and_readers_go_on
run a_reader_in_python_stays_open_all_the_time
test_finish
