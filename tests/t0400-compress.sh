#!/usr/bin/env bash
# t0400-compress.sh - pages become tokens in a store: what is stored, skipped, replaced, and given back.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

an_archive_becomes_tokens() {
    make_pages base
    expect_code 0 "$OCC_BIN/occ" compress -v --store s <pages.tar 2>messages
    expect_match '6 samples with 2 pages, 64 tokens of [1-9][0-9]+ characters' messages
    expect_equal '' "$(store verify s)"
    store stats --json s >counts
    expect_json '.accounts == 2 and .samples == 6 and .pages == 2 and .tokens == 64
        and .characters > 500 and .codecs.bf16.pages == 2 and .buckets[0].pages == 2' counts
    store info s >described
    expect_json '.encoder.name == "nano" and .encoder.dim > 0 and .vectors' described
    make_pages base --profile read10 # pages that are square, and the empty places on them
    compress --store square <pages.tar
    expect_json '.pages == 2 and .tokens == 512' <(store stats --json square)
    store get s banana/7312345678901234567 >sample
    expect_json '.id == "7312345678901234567" and .account == "banana"' sample
}

each_mode_has_its_grid() { # of square pages; of cells, t0405
    for mode in tiny:8x8 base:16x16 hifi:20x40; do
        make_pages "${mode%:*}" --pack account --profile read10
        compress --store "${mode%:*}" <pages.tar
        store export -q -o out "${mode%:*}"
        # shellcheck disable=SC2016 # jq has nothing to do with it: the header of a npy is text
        grid=$(find out -name '*.npy' | head -1 | xargs head -c 120 | grep -ao '([0-9]*, [0-9]*, [0-9]*' | tr -d '( ' | cut -d, -f1,2)
        expect_equal "${mode#*:}" "${grid/,/x}"
        rm -r out
    done
}

keys_are_those_that_ingest_skips() {
    make_pages base
    compress --store s <pages.tar
    store ls s >keys
    expect_equal 6 "$(wc -l <keys)"
    take_in --skip-from keys "$archive" >rest.tar
    expect_equal '' "$(keys_of rest.tar)"
    expect_equal "$(tr '\n' '|' <keys)" "$(store ls -0 s | tr '\0' '|')"
}

a_second_run_keeps_what_is_there() {
    make_pages base
    compress --store s <pages.tar
    before=$(content_of s)
    "$OCC_BIN/occ" compress -v --store s <pages.tar 2>messages
    expect_match ' 0 samples with 0 pages.*6 samples were already there' messages
    expect_equal "$before" "$(content_of s)"
}

other_options_or_pages_replace() {
    make_days 3
    compress --store s <days.tar
    "$OCC_BIN/occ" compress -v --store s --codec int8 <days.tar 2>messages
    expect_match ' 3 samples with 3 pages' messages
    expect_match 'int8: the error is [0-9.]+% of the tokens' messages
    store stats --json s >counts
    expect_json '.pages == 3 and .codecs.int8.pages == 3 and (.codecs | has("bf16") | not)' counts
    sed -i 's/What happened on day 1/What was never messages of day 1/' stream/kiwi/1.script.json
    stream_tar | render -q --mode tiny >changed.tar
    "$OCC_BIN/occ" compress -v --store s --codec int8 <changed.tar 2>messages
    expect_match ' 1 samples with 1 pages.*2 samples were already there' messages
    store get --text s kiwi/1 >text
    expect_words 'What was never messages of day 1' text
    expect_equal '' "$(store verify s)"
}

the_same_pages_give_the_same_store_whatever_the_threads() {
    make_days 12
    compress --store one --threads 1 <days.tar
    compress --store four --threads 4 <days.tar
    expect_equal "$(content_of one)" "$(content_of four)"
    compress --store batch --threads 2 --batch 5 --compute f32 <days.tar
    compress --store alone --threads 1 --compute f32 <days.tar
    expect_equal 12 "$(store stats --json batch | jq .pages)"
    expect_equal '' "$(store verify batch)"
}

packs_of_another_night_do_not_meet() { # their numbers begin at 0 in each stream
    stream_begin
    put_clip kiwi/1 1700000000 One 'The first night.'
    stream_end | render -q --mode base | compress --store s
    stream_begin
    put_clip kiwi/2 1700086400 Two 'The second night.'
    stream_end | render -q --mode base | compress --store s
    expect_equal 2 "$(store stats --json s | jq .pages)"
    # All of it again, differently packed: the packs of before are replaced.
    stream_begin
    put_clip kiwi/1 1700000000 One 'The first night.'
    put_clip kiwi/2 1700086400 Two 'The second night.'
    stream_end | render -q --mode base | "$OCC_BIN/occ" compress -v --store s 2>messages
    expect_match '2 packs of earlier runs were replaced' messages
    expect_equal 1 "$(store stats --json s | jq .pages)"
    expect_equal 1 "$(store ls s | grep -c pack)"
    expect_equal '' "$(store verify s)"
}

streams_follow_each_other() { # store F6
    take_in --output shards --shard-size 64k "$archive"
    test "$(find shards -name '*.tar' | wc -l)" -gt 1
    cat shards/*.tar | render -q --mode base >pages.tar
    render -q --mode base shards/*.tar | cmp pages.tar -
    take_in "$archive" | render -q --mode base | cmp <(tail -c +1537 pages.tar) <(tail -c +1537 /dev/stdin) ||
        complain 'shards are not what the whole is'
    compress --store s <pages.tar
    # Streams of pages number their packs alike; each shard has its own.
    for shard in shards/*.tar; do
        render -q --mode base "$shard" >"pages-${shard##*/}"
    done
    cat pages-*.tar | compress --store cat
    compress --store files pages-*.tar
    expect_equal "$(content_of cat)" "$(content_of files)"
    expect_equal 4 "$(store ls files | grep -vc pack)"
    expect_equal '' "$(store verify files)"
    # What is packed otherwise takes the place of all packs, over all streams of the run.
    "$OCC_BIN/occ" compress -v --store files <pages.tar 2>messages
    expect_equal "$(content_of s)" "$(content_of files)"
    compress --store files pages-*.tar
    expect_equal "$(content_of cat)" "$(content_of files)"
}

a_key_that_comes_again_is_skipped_and_told() { # store F6
    make_days 3
    mv days.tar three.tar
    sed -i 's/day 1/another day/' stream/kiwi/1.script.json
    stream_tar | render -q --mode tiny >changed.tar
    expect_code 3 "$OCC_BIN/occ" compress -q --store s three.tar changed.tar 2>messages
    expect_equal 'kiwi/0 kiwi/1 kiwi/2 ' "$(sed -n 's/^occ-compress: changed.tar: \(.*\): skipped, its key came before$/\1/p' messages | tr '\n' ' ')"
    store get --text s kiwi/1 >text
    expect_words 'What happened on day 1' text
    cat three.tar changed.tar | expect_code 3 "$OCC_BIN/occ" compress --store other 2>messages
    expect_match 'warning: 3 samples were skipped: their keys came before' messages
    expect_equal "$(content_of s)" "$(content_of other)"
    # Another run is another matter.
    expect_code 0 "$OCC_BIN/occ" compress -q --store s changed.tar
    store get --text s kiwi/1 >text
    expect_words 'What happened on another day' text
}

streams_and_pictures_go_together() {
    make_days 2
    cp "$test_folder/golden/preprocess/317x211.png" small.png
    expect_code 0 "$OCC_BIN/occ" compress -q --store s small.png days.tar
    compress --store s days.tar small.png
    expect_equal 'files/small%2Epng kiwi/0 kiwi/1 ' "$(store ls s | tr '\n' ' ')"
    "$OCC_BIN/occ" compress -v --store s small.png - <days.tar 2>messages
    expect_match ' 0 samples with 0 pages.*3 samples were already there' messages
}

a_signal_stops_it_after_the_pages_in_hand() {
    local days=150
    [ -e "$OCC_BIN/../tests/libfail_io.so" ] || days=30 # sanitizers take ten times as long
    make_days $days
    "$OCC_BIN/occ-compress" --store s --threads 1 <days.tar 2>messages &
    until [ -e s/data.mdb ]; do sleep 0.01; done # now about a second of work is left
    kill -TERM $!
    expect_code 75 wait $!
    expect_match 'stopped by a signal; run it again to resume' messages
    expect_equal '' "$(store verify s 2>&1 | grep -v 'is not a token store' || true)"
    compress --store s <days.tar
    expect_equal $days "$(store ls s | wc -l)"
}

loose_pictures_are_encoded() {
    make_pages base --profile read10
    tar xf pages.tar
    cp "$(find banana -name '*.pgm' | grep pack)" page.pgm
    cp "$test_folder/golden/preprocess/317x211.png" small.png
    cp "$(find banana -name '*.jpg' | head -1)" photo.jpg
    expect_code 0 "$OCC_BIN/occ" compress -q --store s page.pgm small.png photo.jpg
    expect_equal 'files/page%2Epgm files/photo%2Ejpg files/small%2Epng ' "$(store ls s | tr '\n' ' ')"
    expect_equal 768 "$(store stats --json s | jq .tokens)"
    # A page of the mode's size gives the tokens that it gives in a stream.
    compress --store streamed <pages.tar
    store export -q -o a streamed
    store export -q -o b s files/page%2Epgm
    cmp a/banana/pack*.npy b/files/page*.npy
}

gundam_gives_a_view_and_its_tiles() {
    compress --store s --mode gundam "$test_folder/golden/preprocess/1500x700.png"
    expect_equal 2 "$(store stats --json s | jq .pages)"
    expect_equal $((256 + 10 * 20)) "$(store stats --json s | jq .tokens)" # 2 x 1 tiles of 100
}

exports_hold_the_tokens() {
    make_days 3
    compress --store s <days.tar
    expect_code 0 "$OCC_BIN/occ" store export -q --format safetensors -o t.safetensors s kiwi/1 kiwi/2
    head -c 2000 t.safetensors | grep -ao '"kiwi/[12].p000"' | sort -u >names
    expect_equal 2 "$(wc -l <names)"
    store export -q --format tar s >s.tar
    expect_equal 'kiwi/0 kiwi/1 kiwi/2 ' "$(keys_of s.tar | tr '\n' ' ')"
    expect_equal "$(store get --text s kiwi/1)" "$(member s.tar kiwi/1.txt)"
    store export -q -o npy s
    cmp <(member s.tar kiwi/2.p000.npy) npy/kiwi/2.p000.npy
    expect_code 1 "$OCC_BIN/occ" store export -o x s kiwi/9 2>messages
    expect_match 'kiwi/9: is not in the store' messages
}

shards_are_merged() {
    make_days 4
    compress --store all <days.tar
    make_days 2
    compress --store one <days.tar
    expect_code 0 "$OCC_BIN/occ" store merge -q new one
    expect_code 0 "$OCC_BIN/occ" store merge new all one 2>messages
    expect_match 'all: 2 samples with 2 pages; 2 were already there' messages
    expect_equal "$(content_of all)" "$(content_of new)"
    expect_code 0 "$OCC_BIN/occ" store compact new copy
    expect_equal "$(content_of all)" "$(content_of copy)"
    expect_equal '' "$(store verify copy)"
}

verbose_twice_names_each_sample() {
    local i
    mkdir -p clips/kiwi
    for i in 0 1 2; do
        printf '{"id":"%d","uploader_id":"kiwi","title":"t","description":"d"}\n' $i >clips/kiwi/$i.info.json
    done
    "$OCC_BIN/occ" ingest -vv clips 2>ingested >samples.tar
    "$OCC_BIN/occ" render -vv --mode tiny samples.tar 2>rendered >pages.tar
    "$OCC_BIN/occ" compress -vv --store s pages.tar 2>compressed
    "$OCC_BIN/occ" compress -vv --store s pages.tar 2>again
    "$OCC_BIN/occ" compress -v --store s2 pages.tar 2>once
    expect_equal 3 "$(grep -cE '^occ-ingest: clips/kiwi/([0-2])\.info\.json: kiwi/\1$' ingested)"
    expect_equal 3 "$(grep -cE '^occ-render: kiwi/[0-2]$' rendered)"
    expect_equal 3 "$(grep -cE '^occ-compress: kiwi/[0-2]: 1 pages$' compressed)"
    expect_equal 3 "$(grep -cE '^occ-compress: kiwi/[0-2]: nothing to do$' again)"
    expect_equal 0 "$(grep -c kiwi/ once)"
}

run an_archive_becomes_tokens
run each_mode_has_its_grid
run keys_are_those_that_ingest_skips
run a_second_run_keeps_what_is_there
run other_options_or_pages_replace
run the_same_pages_give_the_same_store_whatever_the_threads
run packs_of_another_night_do_not_meet
run streams_follow_each_other
run a_key_that_comes_again_is_skipped_and_told
run streams_and_pictures_go_together
run a_signal_stops_it_after_the_pages_in_hand
run loose_pictures_are_encoded
run gundam_gives_a_view_and_its_tiles
run exports_hold_the_tokens
run shards_are_merged
run verbose_twice_names_each_sample
test_finish
