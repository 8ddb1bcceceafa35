#!/usr/bin/env bash
# t0440-python.sh - store/python/occ_store.py reads what the store in C has written.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
python=${PYTHON:-/usr/bin/python3}
nights=$OCC_BIN/../tests/nights
$python -c 'import lmdb, zstandard, numpy' 2>/dev/null || skip_all 'no lmdb, zstandard or numpy for python3'

read_store() { # COMMAND ARGUMENT...
    $python "$test_folder/read_store.py" "$@"
}

small_encoder
cd "$scratch" || exit 1
mkdir -p "$scratch/stores"
make_days 30
for codec in int8 int4; do
    compress --store "$scratch/stores/$codec" --codec $codec <days.tar
done
make_days 300
compress --store "$scratch/stores/bf16" <days.tar
rm -rf days.tar stream stream.names
stores=$scratch/stores

pages_equal_their_export() {
    for codec in bf16 int8 int4; do
        rm -rf npy
        store export -q --format npy -o npy "$stores/$codec"
        pages=$(store ls "$stores/$codec" | wc -l)
        expect_equal "$pages" "$(read_store compare "$stores/$codec" npy)"
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

nested_tokens_and_facts_are_read() {
    make_days 12
    sed -i '/^__end__$/d' stream.names # one more comes, of several rows of cells
    put_clip kiwi/12 1700000000 'A long one' "It was 2023-11-14. $(sentences 20 | tr '\n' ' ')"
    stream_end | render -q --mode tiny >days.tar
    "$OCC_BIN/../tests/small_encoder" told.safetensors occ.reading '{"nested":4,"profiles":["cell10"]}'
    OCC_MODEL=told.safetensors compress --store before <days.tar
    store compact before after
    forget --store after --now 2024-01-24 # buckets 2 and 3
    store stats --json before >counts
    expect_json '.pages == 13 and .tokens > 13 * 8' counts
    expect_equal nested "$(read_store nested before after)"
    rm -rf npy
    store export -q --format npy -o npy after
    expect_equal 13 "$(read_store compare after npy)"
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

# store F2: a store that grows past what LMDB has mapped (10 MiB at first), and what is held of it
a_store_that_grows_is_read_on() {
    "$nights" s 0 4096
    mkfifo asks answers
    read_store growing s >asks <answers &
    exec 4<asks 5>answers
    for last in 3 5; do
        read -r line <&4
        expect_equal grow "$line"
        "$nights" s $last 4096
        echo grown >&5
    done
    expect_equal growing "$(cat <&4)"
    wait $!
}

# read_store as another user, who may read the stores in this folder
as_nobody() {
    setpriv --reuid 65534 --regid 65534 --clear-groups "$python" "$PWD/read_store.py" "$@"
}

another_user_reads_with_a_lock_or_is_told() { # store F1
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    chmod 755 "$scratch" .
    sed "s|^sys.path.insert.*|sys.path.insert(0, '$PWD')|" "$test_folder/read_store.py" >read_store.py
    cp "$test_folder/../store/python/occ_store.py" .
    "$nights" s 0
    expect_equal 4 "$(as_nobody opened s)"
    chmod 644 s/lock.mdb # as it was made once
    as_nobody opened s >messages
    expect_match "^PermissionError .*may not be written.*occ store info s.*'s/lock.mdb'$" messages
    expect_equal 4 "$(read_store opened s)" # its owner mends it
    expect_equal 4 "$(as_nobody opened s)"
    chmod 777 s
    chmod 644 s/lock.mdb # who may write to the folder sees them, too
    as_nobody opened s >messages
    expect_match '^PermissionError .*lock.mdb' messages
    chmod 755 s
    rm s/lock.mdb
    as_nobody opened s >messages
    expect_match '^PermissionError .*cannot be made.*lock.mdb' messages
}

a_store_that_was_cut_is_named() { # store F11
    "$nights" s 2
    whole=$(stat -c %s s/data.mdb)
    for size in 200 4096 8192 8193 100000 $((whole / 2)); do
        rm -rf cut
        mkdir cut
        head -c $size s/data.mdb >cut/data.mdb
        read_store opened cut >messages
        expect_match "^ValueError cut/data.mdb: has $size bytes, needs [0-9]+: it was cut short" messages
    done
    : >cut/data.mdb
    expect_equal 'ValueError cut: is not a token store: data.mdb is empty' "$(read_store opened cut)"
}

run pages_equal_their_export
run raw_values_are_views
run workers_read_what_their_parent_reads
run a_data_loader_reads_every_page_once
run ranks_and_workers_share_nothing_and_resume
run a_sequence_is_that_of_the_published_modules
run json_and_text_are_those_of_the_stream
run it_says_how_a_page_shrank
run nested_tokens_and_facts_are_read
run a_store_that_is_compressed_into_can_be_read
run a_store_that_grows_is_read_on
run another_user_reads_with_a_lock_or_is_told
run a_store_that_was_cut_is_named
test_finish
