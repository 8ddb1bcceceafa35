#!/usr/bin/env bash
# t0440-python.sh - store/python/occ_store.py reads what the store in C has written.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
python=/usr/bin/python3
$python -c 'import lmdb, zstandard, numpy' 2>/dev/null || skip_all 'no lmdb, zstandard or numpy for python3'

read_store() { # COMMAND ARGUMENT...
    $python "$test_folder/read_store.py" "$@"
}

make_days 300
mkdir -p "$scratch/stores"
for codec in bf16 int8 int4; do
    compress --store "$scratch/stores/$codec" --codec $codec <days.tar
done
rm -rf days.tar stream stream.names
stores=$scratch/stores

pages_equal_their_export() {
    for codec in bf16 int8 int4; do
        rm -rf npy
        store export -q --format npy -o npy "$stores/$codec"
        expect_equal 300 "$(read_store compare "$stores/$codec" npy)"
    done
}

raw_values_are_views() {
    for codec in bf16 int8 int4; do
        expect_equal views "$(read_store raw "$stores/$codec")"
    done
}

workers_read_what_their_parent_reads() {
    expect_equal workers "$(read_store workers "$stores/bf16")"
}

a_data_loader_reads_every_page_once() {
    answer=$(read_store loader "$stores/int8")
    [ "$answer" != 'no torch' ] || skip 'no torch for python3'
    expect_equal loader "$answer"
}

ranks_and_workers_share_nothing_and_resume() {
    expect_equal order "$(read_store order)"
}

a_sequence_is_that_of_the_published_modules() {
    expect_equal sequence "$(read_store sequence "$test_folder/golden/encoder")"
}

json_and_text_are_those_of_the_stream() { # with a dictionary: 300 samples make one
    expect_equal "$(printf '299\n%s' "$(store get --text "$stores/bf16" kiwi/299 | head -1)")" \
        "$(read_store texts "$stores/bf16" kiwi/299)"
}

it_says_how_a_page_shrank() {
    make_days 3
    compress --store s <days.tar
    expect_equal 3 "$(read_store forgotten s | grep -c '^0 None None$')"
    forget --store s --now 2023-12-24 --operator pool
    expect_equal 3 "$(read_store forgotten s | grep -c '^2 pool None$')"
    forget --store s --now 2024-12-24 --force --operator resize
    expect_equal 3 "$(read_store forgotten s | grep -c '^5 resize None$')"
    [ -e "$OCC_BIN/../share/occ/nano.safetensors" ] || return 0
    OCC_MODEL='' compress --store measured --verify <days.tar
    read_store forgotten measured | awk '{sum += $3} END {print sum / NR}' >mean
    store stats --json measured >counts
    expect_json ".readback.accuracy - $(cat mean) | fabs < 1e-3" counts # Python prints four digits
}

a_store_that_is_compressed_into_can_be_read() {
    make_days 40 plum
    compress --store "$stores/int4" --codec int4 <days.tar &
    for _ in 1 2 3 4 5; do
        read_store raw "$stores/int4" >>answers
    done
    wait $!
    expect_equal 5 "$(grep -c views answers)"
}

run pages_equal_their_export
run raw_values_are_views
run workers_read_what_their_parent_reads
run a_data_loader_reads_every_page_once
run ranks_and_workers_share_nothing_and_resume
run a_sequence_is_that_of_the_published_modules
run json_and_text_are_those_of_the_stream
run it_says_how_a_page_shrank
run a_store_that_is_compressed_into_can_be_read
test_finish
