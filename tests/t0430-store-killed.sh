#!/usr/bin/env bash
# t0430-store-killed.sh - kill -9 at random points of compress and forget: nothing that was
# committed is lost, verify finds no fault, a rerun completes to the same content.
# shellcheck disable=SC2317 # functions are called by the names that they are handed over by
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

KILLS=40 # of each
DAYS=20

# kill_after MILLISECONDS COMMAND...
kill_after() {
    local ms=$1
    shift
    "$@" &
    local child=$!
    sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
    kill -9 $child 2>/dev/null || true
    wait $child 2>/dev/null || true
}

# How long a command takes, in milliseconds.
time_of() {
    local start end
    start=$(date +%s%N)
    "$@"
    end=$(date +%s%N)
    echo $(((end - start) / 1000000))
}

killed_compress_loses_nothing_and_completes() {
    make_days $DAYS
    compress --store whole --commit 10k <days.tar
    wanted=$(content_of whole)
    whole_time() { "$OCC_BIN/occ-compress" -q --store timed --commit 10k --threads 1 <days.tar; }
    length=$(time_of whole_time)
    finished=0 cut=0
    RANDOM=4
    for ((i = 0; i < KILLS; i++)); do
        committed=$(if [ -e s/data.mdb ]; then store ls s 2>/dev/null || true; fi)
        kill_after $((RANDOM % (length + 1))) "$OCC_BIN/occ-compress" -q --store s --commit 10k --threads 1 \
            <days.tar 2>/dev/null
        [ -e s/data.mdb ] || continue
        faults=$(store verify s 2>&1) || [[ $faults == *'is not a token store'* ]] || complain "$faults"
        now=$(store ls s 2>/dev/null || true)
        expect_equal "$committed" "$(comm -12 <(echo "$committed") <(echo "$now"))"
        if [ "$(echo "$now" | wc -l)" -eq $DAYS ]; then
            finished=$((finished + 1))
            expect_equal "$wanted" "$(content_of s)"
            rm -r s
        elif [ -n "$now" ]; then
            cut=$((cut + 1))
        fi
    done
    compress --store s <days.tar
    expect_equal "$wanted" "$(content_of s)"
    [ $cut -gt 0 ] || complain 'no run was killed between two commits'
}

killed_forget() { # OPERATOR
    for account in a b c d e; do
        make_days 6 $account
        compress --store start <days.tar
    done
    store compact start whole
    options=("${weekly[@]}" --operator "$1" --now 2024-01-01 --buckets 2)
    forget_whole() { forget "${options[@]}" --store whole; }
    length=$(time_of forget_whole)
    wanted=$(content_of whole)
    [ "$wanted" != "$(content_of start)" ]
    RANDOM=5
    for ((i = 0; i < KILLS / 2; i++)); do
        rm -rf s
        store compact start s
        kill_after $((RANDOM % (length + 1))) "$OCC_BIN/occ-forget" -q "${options[@]}" --store s
        expect_equal '' "$(store verify s)"
        forget "${options[@]}" --store s
        expect_equal "$wanted" "$(content_of s)"
    done
}

killed_forget_loses_nothing_and_completes() {
    killed_forget pool
}

killed_forget_of_nested_tokens_completes() { # with facts
    told_encoder occ.reading '{"nested":4,"profiles":["cell10"]}'
    killed_forget merge
}

run killed_compress_loses_nothing_and_completes
run killed_forget_loses_nothing_and_completes
run killed_forget_of_nested_tokens_completes
test_finish
