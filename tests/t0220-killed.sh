#!/usr/bin/env bash
# t0220-killed.sh - workers and whole runs that are killed, stopped or cut off from their output.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"

# A clip that keeps a worker busy for seconds.
long=$scratch/long.mp4
make_media -stream_loop 6000 -i "$tiny" -c copy "$long"

put_long_clip() { # FILE
    mkdir -p "$(dirname "$1")"
    ln "$long" "$1"
}

# In the background; $parent and $workers are its processes. The scan has some of its own, which read info.json and
# end: workers are those that stay.
start_ingest() { # OPTION-OR-PATH...
    local before=
    "$OCC_BIN/occ-ingest" -v "$@" 2>messages &
    parent=$!
    until workers=$(pgrep -P $parent) && [ "$workers" = "$before" ]; do
        before=$workers
        sleep 0.3
    done
}

is_running() { # PID
    [ -e "/proc/$1/status" ] && ! grep -q '^State:.*Z' "/proc/$1/status"
}

expect_all_gone_soon() { # PID...
    local pid tries=0
    for pid in "$@"; do
        while is_running "$pid"; do
            tries=$((tries + 1))
            [ $tries -lt 40 ] || complain "process $pid still runs after 2 s"
            sleep 0.05
        done
    done
}

# Two clips, of which the first is long and has an info.json.
put_long_and_short() {
    put_long_clip in/1-long.mp4
    echo '{"id": "1", "uploader": "u", "title": "from the sidecar"}' >in/1-long.info.json
    put_clip in/2-short.mp4
}

a_worker_killed_costs_its_clip_the_media_alone() {
    put_long_and_short
    start_ingest -j 1 --report report in >out.tar
    kill -KILL "$workers"
    expect_code 3 wait $parent
    expect_report report in/1-long.mp4 partial crash 'crashed \(signal 9\) \(while busy with: '
    expect_report report in/2-short.mp4 ok
    expect_match '; 1 workers replaced$' messages
    member out.tar u/1.json >sample
    expect_match '"title":"from the sidecar".*"media":null.*"status":"partial"' sample
}
run a_worker_killed_costs_its_clip_the_media_alone

a_clip_of_nothing_but_media_fails_with_its_worker() {
    put_long_and_short
    rm in/1-long.info.json
    start_ingest -j 1 --report report in >out.tar
    kill -SEGV "$workers"
    expect_code 3 wait $parent
    expect_report report in/1-long.mp4 failed crash 'crashed \(signal 11\)|process ended' # ASan
    keys_of out.tar >got
    echo in/2-short >wanted
    expect_same wanted got
}
run a_clip_of_nothing_but_media_fails_with_its_worker

a_worker_without_progress_is_replaced() {
    put_long_and_short
    start_ingest -j 1 --stall 3s --report report in >out.tar # a busy machine may be silent for a second
    kill -STOP "$workers"
    expect_code 3 wait $parent
    expect_report report in/1-long.mp4 partial stall 'no progress \(while busy with: '
    expect_report report in/2-short.mp4 ok
    expect_all_gone_soon "$workers"
}
run a_worker_without_progress_is_replaced

a_clip_over_its_CPU_time_is_given_up() {
    put_long_and_short
    start_ingest -j 1 --max-cpu 1s --report report in >out.tar
    expect_code 3 wait $parent
    expect_report report in/1-long.mp4 partial cpu-limit 'used up its CPU time'
    expect_report report in/2-short.mp4 ok
}
run a_clip_over_its_CPU_time_is_given_up

a_reader_that_leaves_ends_the_run_quietly() {
    local status
    cp -pr "$archive" in
    put_clip in/more/{1,2,3,4,5,6}.mp4
    set +o pipefail
    "$OCC_BIN/occ-ingest" in 2>messages | head -c 100 >start
    status=${PIPESTATUS[0]}
    set -o pipefail
    test "$status" -eq 1
    expect_same /dev/null messages
}
run a_reader_that_leaves_ends_the_run_quietly

workers_die_with_their_parent() {
    put_long_and_short
    put_long_clip in/3-long.mp4
    start_ingest -j 3 in >out.tar
    kill -KILL $parent
    expect_code 137 wait $parent
    # shellcheck disable=SC2086
    expect_all_gone_soon $workers
}
run workers_die_with_their_parent

a_signal_to_stop_is_obeyed_at_once() {
    local signal
    put_long_and_short
    for signal in TERM USR1; do
        SECONDS=0
        start_ingest -o out in
        kill -$signal $parent
        expect_code 75 wait $parent
        test $SECONDS -lt 10
        find out -name '*.tmp' >left
        expect_same /dev/null left
        # shellcheck disable=SC2086
        expect_all_gone_soon $workers
        expect_match 'run it again to resume' messages
    done
}
run a_signal_to_stop_is_obeyed_at_once

a_stream_that_was_stopped_is_torn() {
    put_clip in/1-short.mp4
    put_long_clip in/2-long.mp4
    start_ingest -j 1 in >out.tar
    kill -TERM $parent
    expect_code 75 wait $parent
    members_of out.tar >members || true # tar complains about the missing end, too
    expect_match '^__stream__$' members
    expect_no_match '^__end__$' members
}
run a_stream_that_was_stopped_is_torn

output_that_cannot_be_written_is_a_failure() {
    [ -c /dev/full ] || skip 'there is no /dev/full'
    put_clip in/a.mp4
    expect_code 1 ingest in >/dev/full 2>messages
    expect_match 'disk full' messages
    expect_code 1 ingest --report /dev/full in >out.tar 2>messages
    expect_match '/dev/full: .*disk full' messages
}
run output_that_cannot_be_written_is_a_failure

test_finish
