#!/usr/bin/env bash
# t0431-fail-io.sh - each allocation, write, sync and rename fails once: an error each time, never a
# crash, never a bad store, and the next run completes. (A preloaded library, fail_io.c.)
# shellcheck disable=SC2317 # functions are called by the names that they are handed over by
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
fail_io=$OCC_BIN/../tests/libfail_io.so
[ -e "$fail_io" ] || skip_all 'sanitizers have an allocator of their own'
CALLS=200 # of a kind are tried at most, spread evenly over all there are

# once KIND N COMMAND...: reads days.tar; its exit status must be 0, 1 or 3, never a signal
once() {
    local kind=$1 number=$2 status=0
    shift 2
    FAIL_IO=$kind:$number FAIL_IO_COUNT=$PWD/count LD_PRELOAD=$fail_io "$@" <days.tar 2>messages || status=$?
    case $status in
    0 | 1 | 3) ;;
    *) complain "exit status $status when $kind $number failed: $*" "$(cat messages)" ;;
    esac
    [ $status -ne 1 ] || grep -q . messages || complain "no word when $kind $number failed: $*"
    return 0
}

# try_all KIND PREPARE CHECK COMMAND...
try_all() {
    local kind=$1 prepare=$2 check=$3 count step number
    shift 3
    $prepare
    once "$kind" 0 "$@"
    count=$(cat count)
    [ "$count" -gt 0 ] || complain "no call of $kind in $*"
    step=$((count / CALLS + 1))
    for ((number = 1; number <= count; number += step)); do
        $prepare
        once "$kind" $number "$@"
        $check || complain "after $kind $number failed: $*"
    done
}

sound_and_complete() {
    if [ -e s/data.mdb ]; then
        faults=$("$OCC_BIN/occ" store verify s 2>&1) || [[ $faults == *'is not a token store'* ]] || complain "$faults"
    fi
    "$OCC_BIN/occ-compress" -q --store s --threads 1 <days.tar || return 1
    [ "$(content_of s)" = "$wanted" ]
}

compress_reports_each_failure() {
    make_days 2
    compress --store whole --threads 1 <days.tar
    wanted=$(content_of whole)
    nothing() { rm -rf s; }
    for kind in write fsync open mmap; do
        try_all $kind nothing sound_and_complete "$OCC_BIN/occ-compress" -q --store s --threads 1
    done
}

compress_survives_without_memory() {
    make_days 1
    nothing() { rm -rf s; }
    sound() { [ ! -e s/data.mdb ] || "$OCC_BIN/occ" store verify s >/dev/null 2>messages || grep -q 'not a token store' messages; }
    try_all malloc nothing sound "$OCC_BIN/occ-compress" -q --store s --threads 1
}

forget_reports_each_failure() {
    make_days 4
    compress --store start --threads 1 <days.tar
    store compact start whole
    pool --store whole --now 2024-06-01 --buckets 2
    wanted=$(content_of whole)
    again() { rm -rf s && store compact start s; }
    completes() {
        expect_equal '' "$(store verify s)"
        pool --store s --now 2024-06-01 --buckets 2
        [ "$(content_of s)" = "$wanted" ]
    }
    for kind in write fsync malloc; do
        try_all $kind again completes "$OCC_BIN/occ-forget" -q "${weekly[@]}" --operator pool --store s --now 2024-06-01 \
            --buckets 2
    done
}

export_and_compact_report_each_failure() {
    make_days 2
    compress --store s --threads 1 <days.tar
    wanted=$(content_of s)
    nothing() { rm -rf out out.tmp; }
    untouched() {
        [ "$(content_of s)" = "$wanted" ]
        [ ! -e out ] || [ "$("$OCC_BIN/occ" store verify out 2>&1 || true)" = '' ] || [ -f out ]
    }
    for kind in malloc write fsync rename; do
        try_all $kind nothing untouched "$OCC_BIN/occ-store" export -q --format safetensors -o out s
    done
    for kind in malloc write fsync rename; do
        try_all $kind nothing untouched "$OCC_BIN/occ-store" compact s out
    done
}

run compress_reports_each_failure
run compress_survives_without_memory
run forget_reports_each_failure
run export_and_compact_report_each_failure
test_finish
