#!/usr/bin/env bash
# t0432-address-space.sh - stores under a limit of address space (ulimit -v): readers map the file and
# no more, writers what there is.
# shellcheck disable=SC2317 # functions are called by the names that they are handed over by
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
[ -e "$OCC_BIN/../tests/libfail_io.so" ] || skip_all 'sanitizers need more address space than there is'
nights=$OCC_BIN/../tests/nights

# limited MEGABYTES COMMAND...
limited() {
    local megabytes=$1
    shift
    (ulimit -v $((megabytes * 1024)) && "$@")
}

readers_and_writers_work_under_a_limit() { # store F13
    "$nights" s 10
    limited 2000 "$OCC_BIN/occ-store" info s >/dev/null
    limited 2000 "$OCC_BIN/occ-store" stats s >/dev/null
    limited 2000 "$OCC_BIN/occ-store" export --format safetensors -o tokens s
    limited 2000 "$nights" s 12
    limited 2000 "$OCC_BIN/occ-forget" -q --operator pool --store s --now 1997-06-29
    limited 500 "$OCC_BIN/occ-store" info s >/dev/null
    expect_equal '' "$(store verify s)"
}

least_room() { # megabytes in which the program starts
    local room=1
    while ! limited $room "$OCC_BIN/occ-store" --version >/dev/null 2>&1; do
        room=$((room + 1))
    done
    echo $room
}

the_limit_is_named_where_it_is_too_small() { # store F13
    "$nights" s 0 4096
    size=$(stat -c %s s/data.mdb)
    for ((i = 0; i < 2; i++)); do # a store of many megabytes, of which most are free
        "$nights" s $((9 + i)) 4096
    done
    size=$(stat -c %s s/data.mdb)
    [ "$size" -gt 20000000 ] || complain "only $size bytes"
    room=$(least_room)
    expect_code 1 limited $((room + 10)) "$OCC_BIN/occ-store" info s 2>messages
    expect_match 's/data.mdb: does not fit the limit of address space \(ulimit -v\)' messages
    expect_code 0 limited $((room + 10 + size / 1000000 + 64)) "$OCC_BIN/occ-store" info s >/dev/null
}

# store F15: in less than the tokens need besides the map
an_export_to_safetensors_does_not_hold_all_tokens() {
    "$nights" s 15 4096
    store export -q --format safetensors -o wanted s
    megabytes=$(($(stat -c %s wanted) / 1000000))
    [ $megabytes -gt 20 ] || complain "only $megabytes MB"
    limited $(($(least_room) + $(stat -c %s s/data.mdb) / 1000000 + megabytes / 2)) \
        "$OCC_BIN/occ-store" export -q --format safetensors -o tokens s
    expect_same wanted tokens
}

run readers_and_writers_work_under_a_limit
run the_limit_is_named_where_it_is_too_small
run an_export_to_safetensors_does_not_hold_all_tokens
test_finish
