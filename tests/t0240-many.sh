#!/usr/bin/env bash
# t0240-many.sh - the memory of a run does not grow with the number of clips.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"

put_clips() { # COUNT: in/00000.mp4 ..., the same file by many names
    local i
    mkdir in
    for ((i = 0; i < $1; i++)); do
        ln "$tiny" "in/$(printf '%05d' $i).mp4"
    done
}

# ASan keeps freed memory for a while, so that memory in use says nothing.
is_sanitized() {
    grep -q __asan_init "$OCC_BIN/occ-ingest"
}

# "peak memory: 26 MiB, largest worker 29 MiB; ..." -> two numbers
peaks_in() { # MESSAGES
    sed -n 's/.*peak memory: \([0-9]*\) MiB, largest worker \([0-9]*\) MiB.*/\1 \2/p' "$1"
}

a_thousand_clips_give_a_thousand_samples_in_flat_memory() {
    local few_parent few_worker parent worker
    put_clips 100
    expect_code 0 ingest -v in >out.tar 2>few
    rm -r in
    put_clips 1000
    expect_code 0 ingest -v --report report in >out.tar 2>many
    expect_match '^occ-ingest: 1000 samples$' many
    expect_match '; 0 workers replaced$' many
    keys_of out.tar >keys
    for ((i = 0; i < 1000; i++)); do
        printf 'in/%05d\n' "$i"
    done >wanted
    expect_same wanted keys
    test "$(grep -c '"status":"ok"' report)" -eq 1000
    if ! is_sanitized; then
        read -r few_parent few_worker <<<"$(peaks_in few)"
        read -r parent worker <<<"$(peaks_in many)"
        [ "$parent" -le $((few_parent + 8)) ] || complain "parent: $few_parent, then $parent MiB"
        [ "$worker" -le $((few_worker + 8)) ] || complain "worker: $few_worker, then $worker MiB"
    fi
}
run a_thousand_clips_give_a_thousand_samples_in_flat_memory

test_finish
