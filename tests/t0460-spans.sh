#!/usr/bin/env bash
# t0460-spans.sh - which text a token stands for: 'occ store get --cells' and Python's Tokens.spans, from a stream to a
# store, through forgetting, and from a byte of text back to its token.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
python=${PYTHON:-/usr/bin/python3}

read_spans() { # COMMAND ARGUMENT...
    $python -c 'import lmdb, zstandard, numpy' 2>/dev/null || skip 'no lmdb, zstandard or numpy for python3'
    $python "$test_folder/read_spans.py" "$@"
}

cells_of() { # STORE: of all pages, as the store has them in order
    for key in $(store ls "$1"); do
        store get --cells "$1" "$key" || return
    done
}

# Text with everything that ranges have to get right: marks, newlines, runs of spaces, bidirectional text, what is cut by
# the end of a page, what is drawn as something else.
make_clips() { # in.tar
    stream_begin
    put_clip kiwi/1 1700000000 'A "title" with  two spaces 😂' "$(sentences 40 | tr '\n' ' ')" 'And the last.'
    jq -nc '[{id: "1", author: "mia.lopez_", text: "so good 🔥🔥", likes: 5100},
        {id: "2", parent: "1", author: "sam", text: "line one\nline two\ttab", likes: 3}]' | put kiwi/1.comments.json
    put_clip kiwi/2 1700086400 'שלום world, مرحبا' 'Short.'
    put_clip plum/3 1700172800 'Long' "$(sentences 200 | tr '\n' ' ')"
    stream_end >in.tar
}

tokens_know_their_text() {
    make_clips
    for mode in tiny hifi; do
        render -q --profile cell10 --mode $mode --pack sample in.tar >pages.tar
        rm -rf s
        compress --store s pages.tar 2>messages
        store verify s
        cells_of s >lines
        for key in kiwi/1 kiwi/2 plum/3; do # all texts of a page together are its text
            store get --cells s $key | jq -j .text >joined
            store get --text s $key | tr -d '\f' >text
            expect_same text joined
        done
        answer=$(read_spans spans s pages.tar lines)
        expect_equal "$(wc -l <lines)" "${answer% *}"
        [ "${answer#* }" -gt 200 ] || complain "only ${answer#* } ranges"
    done
}

halved_tokens_stand_for_their_cells() {
    told_encoder occ.reading '{"nested":4,"profiles":["cell10"]}'
    make_clips
    render -q --profile cell10 --mode tiny --pack sample in.tar >pages.tar
    compress --store s pages.tar 2>messages
    store get --cells s plum/3 >fresh
    for k in 1 2 3; do
        forget --store s --tau 30d --now $((1700172800 + (2 ** k - 1) * 30 * 86400 + 86400)) --force
        store verify s
        store get --cells s plum/3 >halved
        expect_equal $k "$(jq -s '.[0].bucket' halved)"
        expect_equal $(($(wc -l <fresh) / 2 ** k)) "$(wc -l <halved)"
        jq -s --argjson n $((2 ** k)) '[range(0; length; $n) as $i | .[$i:$i + $n] | {text: map(.text) | join(""), start: .[0].start,
            "end": .[-1].end, bytes: (map(.ranges[] | select(.end) | .end - .start) | add)}]' fresh >wanted
        jq -s 'map({text, start, "end": .end, bytes: (.ranges | map(select(.end) | .end - .start) | add)})' halved >got
        expect_same wanted got
        # Ranges that go on from one cell to the next are one.
        [ "$(jq -s 'map(.ranges | length) | add' halved)" -lt "$(jq -s 'map(.ranges | length) | add' fresh)" ]
    done
    cells_of s >lines
    answer=$(read_spans spans s pages.tar lines)
    expect_equal "$(wc -l <lines)" "${answer% *}"
}

packs_name_the_samples_of_their_tokens() {
    make_clips
    render -q --profile cell10 --mode base --pack account in.tar >pages.tar
    compress --store s pages.tar 2>messages
    store verify s
    expect_code 1 store get --cells s kiwi/1 2>messages # it is on a pack
    expect_match 'kiwi/1: no page of it is set in cells' messages
    key=$(store ls s | grep 'kiwi/pack')
    store get --cells s "$key" >lines
    expect_equal 'kiwi/1 kiwi/2' "$(jq -r '.ranges[].sample' lines | sort -u | tr '\n' ' ' | sed 's/ $//')"
}

pages_in_rows_have_none() {
    make_clips
    render -q --profile read10 --mode tiny --pack sample in.tar >pages.tar
    compress --store s pages.tar
    store verify s
    expect_code 1 store get --cells s kiwi/1 2>messages
    expect_match 'kiwi/1: no page of it is set in cells, or it has none any more' messages
    expect_code 1 store get --cells s nobody/1 2>messages
    expect_match 'nobody/1: is not in the store' messages
    expect_equal nothing "$(read_spans nothing s)"
}

what_was_made_anew_stands_for_nothing() {
    make_clips
    render -q --profile cell10 --mode tiny --pack sample in.tar >pages.tar
    compress --store s pages.tar 2>messages
    pool --store s --now 2023-12-24 || skip 'these tokens have no means'
    expect_code 1 store get --cells s plum/3 2>messages
    expect_match 'plum/3 page 0: its tokens were made anew, or means of others' messages
    expect_equal nothing "$(read_spans nothing s)"
    store verify s
}

a_store_of_before_has_none() {
    make_clips
    render -q --profile read10 --mode tiny --pack sample in.tar >pages.tar
    compress --store s pages.tar
    $python -c 'import lmdb
env = lmdb.open("s", max_dbs=16)
cells = env.open_db(b"cells", create=False)
with env.begin(write=True) as txn:
    txn.drop(cells)' 2>/dev/null || skip 'no lmdb for python3'
    store verify s
    expect_equal nothing "$(read_spans nothing s)"
    expect_code 1 store get --cells s kiwi/1 2>messages
    store compact s copy
    store verify copy
}

run tokens_know_their_text
run halved_tokens_stand_for_their_cells
run packs_name_the_samples_of_their_tokens
run pages_in_rows_have_none
run what_was_made_anew_stands_for_nothing
run a_store_of_before_has_none
test_finish
