#!/usr/bin/env bash
# t0433-store-commands.sh - samples and accounts are taken out of a store, and come again only when they are brought;
# what merge and export say; stores that cannot be read, or not be locked.
# shellcheck disable=SC2317 # functions are called by the names that they are handed over by
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
small_encoder

# A stream of packs: ann's samples 1 to 4, bob's 5; but for KEY.
make_packs() { # [KEY]: packs.tar
    local i key
    stream_begin
    for i in 1 2 3 4 5; do
        key=$([ $i -lt 5 ] && echo ann || echo bob)/$i
        [ "$key" = "${1:-}" ] || put_clip "$key" $((1700000000 + i * 86400)) "Day $i" "Sentence number $i, of Quebec."
    done
    stream_end | render -q --mode base --pack account >packs.tar
}

rm_says() { # STATUS STORE ARGUMENT...: messages
    local status=$1
    shift
    expect_code "$status" "$OCC_BIN/occ" store rm "$@" 2>messages
}

a_removed_sample_takes_its_pack_along_and_the_others_come_again() { # store F9
    make_packs
    compress --store s <packs.tar
    rm_says 0 s ann/2
    expect_match 'removed 1 samples, 1 packs, 1 pages; 3 other samples have lost their page' messages
    expect_match 'occ store compact' messages
    for i in 1 3 4; do
        expect_match "ann/$i: was on a removed pack and has no page any more" messages
    done
    expect_equal '' "$(store verify s)"
    expect_equal 'bob/5' "$(store ls s | grep -v pack)" # so ingest --skip-from - brings the others
    expect_code 1 "$OCC_BIN/occ" store get s ann/2 2>messages
    make_packs ann/2
    compress --store s <packs.tar
    expect_equal 'ann/1 ann/3 ann/4 bob/5' "$(store ls s | grep -v pack | tr '\n' ' ' | sed 's/ $//')"
    expect_equal 2 "$(store ls s | grep -c pack)"
    expect_equal '' "$(store verify s)"
    store compact s copy
    expect_code 1 grep -c 'ann/2' copy/data.mdb
}

an_account_goes_and_a_wrong_name_is_said() { # store F9
    make_packs
    compress --store s <packs.tar
    before=$(content_of s)
    rm_says 1 s ann/1 ann/nobody
    expect_match 'ann/nobody: is not in the store' messages
    rm_says 1 s --account nobody
    expect_match 'nobody: is not an account of the store' messages
    rm_says 2 s
    rm_says 2 s --account ann ann/1
    expect_equal "$before" "$(content_of s)"
    rm_says 0 s --account ann
    expect_match 'removed 4 samples, 1 packs, 1 pages' messages
    expect_equal 'bob/5' "$(store ls s | grep -v pack)"
    expect_equal '' "$(store verify s)"
    store compact s copy
    expect_code 1 grep -c 'ann' copy/data.mdb
    expect_code 0 grep -c 'bob' copy/data.mdb >count
}

a_folded_sample_sets_the_style_token_back() { # store F9
    make_days 2 ann
    compress --store s <days.tar
    forget --store s --now 2040-01-01 --force --operator pool
    store stats --json s >counts
    expect_json '.folded_pages == 2' counts
    rm_says 0 s ann/0
    expect_match 'ann: a removed sample was folded into this account.s style token, which was reset' messages
    store stats --json s >counts
    expect_json '.folded_pages == 0' counts
    expect_equal '' "$(store verify s)"
}

merge_tells_what_it_keeps() { # store F14
    make_days 3
    compress --store a <days.tar
    sed -i 's/And then some more/And then much more/' stream/kiwi/1.script.json
    stream_tar | render -q --mode tiny | compress --store b
    "$OCC_BIN/occ" store merge a b 2>messages
    expect_match '0 samples with 0 pages; 3 were already there, 1 of them with different content' messages
    expect_match 'kiwi/1: b has different content; what is there is kept' messages
    expect_code 2 "$OCC_BIN/occ" store merge a a 2>messages
    expect_match 'a: is the store to merge into' messages
}

what_is_on_a_pack_is_not_exported_in_silence() { # store F4
    make_packs
    compress --store s <packs.tar
    expect_code 1 "$OCC_BIN/occ" store export -o npy s ann/1 2>messages
    expect_match 'ann/1: has no page of its own: it is on the pack ann/pack' messages
    [ ! -e npy ] || complain 'a folder was made'
}

# store F11
a_store_that_was_cut_is_named_by_every_command() {
    make_days 10
    compress --store s <days.tar
    mkdir cut
    head -c 100000 s/data.mdb >cut/data.mdb
    for command in info ls stats verify 'get X' 'compact copy' 'export -o npy' 'rm X' 'merge s'; do
        # shellcheck disable=SC2086 # a list of words
        set -- $command
        verb=$1
        shift
        expect_code 1 "$OCC_BIN/occ" store "$verb" cut "$@" 2>messages
        expect_match 'cut/data.mdb: has 100000 bytes, needs [0-9]+: it was cut short' messages
    done
    expect_code 1 "$OCC_BIN/occ" store merge s cut 2>messages
    expect_match 'cut/data.mdb: has 100000 bytes' messages
    expect_code 1 "$OCC_BIN/occ" forget --store cut 2>messages
    expect_match 'cut/data.mdb: has 100000 bytes' messages
    expect_code 1 "$OCC_BIN/occ" compress --store cut <days.tar 2>messages
    expect_match 'cut/data.mdb: has 100000 bytes' messages
}

# shellcheck disable=SC2016 # it is the shell inside that expands
what_is_mounted_read_only_needs_no_lock() { # store F1
    unshare -m true 2>/dev/null || skip 'nothing can be mounted here'
    "$OCC_BIN/../tests/nights" s 1
    rm s/lock.mdb
    mkdir mounted
    unshare -m bash -c 'mount --bind s mounted && mount -o remount,ro,bind mounted &&
        "$OCC_BIN/occ" store ls mounted' >keys
    expect_equal 8 "$(wc -l <keys)"
    [ ! -e s/lock.mdb ] || complain 'a lock file was made'
    touch s/lock.mdb
    chmod 444 s/lock.mdb # as of another user
    cp "$OCC_BIN/occ-store" . # the tree may be out of that user's reach
    chmod 755 "$scratch" .
    unshare -m bash -c 'mount --bind s mounted && mount -o remount,ro,bind mounted &&
        setpriv --reuid 65534 --regid 65534 --clear-groups ./occ-store ls mounted' >keys
    expect_equal 8 "$(wc -l <keys)"
}

run a_removed_sample_takes_its_pack_along_and_the_others_come_again
run an_account_goes_and_a_wrong_name_is_said
run a_folded_sample_sets_the_style_token_back
run merge_tells_what_it_keeps
run what_is_on_a_pack_is_not_exported_in_silence
run a_store_that_was_cut_is_named_by_every_command
run what_is_mounted_read_only_needs_no_lock
test_finish
