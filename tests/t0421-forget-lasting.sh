#!/usr/bin/env bash
# t0421-forget-lasting.sh - what `occ forget` leaves alone, does once only, and asks about. What a store remembers
# of its samples: lasting_test.c.
# shellcheck disable=SC2086 # $packs are words
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

packs='' # or '--pack account'

# A stream of clips ID:CREATED, tiny; CREATED is JSON.
clips() { # TEXT ID:CREATED...: clips.tar
    local text=$1 clip
    shift
    rm -rf stream
    stream_begin
    for clip; do
        put_clip "kiwi/${clip%%:*}" "${clip#*:}" "Clip ${clip%%:*}" "$text"
    done
    stream_end | render -q --mode tiny $packs >clips.tar
}

late() { # FORGET-ARGUMENT...: past the last bucket
    "$OCC_BIN/occ" forget "${weekly[@]}" --store s --now 2034-01-01 --force --operator pool "$@"
}

pages_of() { # STORE
    store stats --json "$1" | jq .pages
}

# store F3
pins_outlive_changes() {
    clips 'as it was' 1:1700000000 2:1700000000
    compress --store s <clips.tar
    forget --store s --pin kiwi/1
    clips 'as it is now' 1:1700000000 2:1700000000
    compress --store s <clips.tar
    late -q
    expect_equal kiwi/1 "$(store ls --pinned s)"
    store get --text s kiwi/1 >text
    expect_words 'as it is now' text
    store stats --json s >counts
    expect_json '.pages == 1 and .pinned_pages == 1 and .buckets[0].tokens == 8' counts
    expect_equal '' "$(store verify s)"
    forget --store s --unpin kiwi/1
    expect_equal '' "$(store ls --pinned s)"
    late -q
    expect_equal 0 "$(pages_of s)"
}

# store F4
pins_hold_packs() {
    packs='--pack account'
    clips 'the first night' 1:1700000000 2:1700086400
    compress --store s <clips.tar
    forget --store s --pin kiwi/1
    first=$(store ls s | grep pack)
    clips 'the second night' 1:1700000000 2:1700086400 3:1700172800
    compress --store s <clips.tar
    second=$(store ls s | grep pack)
    [ "$first" != "$second" ]
    late -q
    expect_equal 1 "$(pages_of s)"
    store get --text s "$second" >text
    expect_words 'the second night' text
    store get s kiwi/2 >sample
    forget --store s --unpin "$second" # stands for all that it shows
    late -q
    expect_equal 0 "$(pages_of s)"
    expect_code 1 "$OCC_BIN/occ" store get s kiwi/1 2>messages
    expect_match 'kiwi/1: the store has no JSON of it' messages
    expect_code 1 "$OCC_BIN/occ" forget --store s --pin kiwi/1 2>messages
    expect_match "kiwi/1: was folded into its account's style token" messages
}

# store F4
keys_that_match_nothing_are_named() {
    packs='--pack account'
    clips 'some text' 1:1700000000
    compress --store s <clips.tar
    for command in 'forget --store s --pin' 'forget --store s --unpin' 'store get s' 'store export -o x s' \
        'store export --format tar s'; do
        expect_code 1 "$OCC_BIN/occ" $command kiwi/9 2>messages >out
        expect_match 'kiwi/9: is not in the store' messages
        [ ! -s out ]
    done
    expect_code 1 "$OCC_BIN/occ" forget --store s --operator pool --account plum 2>messages
    expect_match 'plum: is not an account of the store' messages
    for format in npy safetensors tar; do
        expect_code 1 "$OCC_BIN/occ" store export --format $format -o x s kiwi/1 2>messages
        expect_match 'kiwi/1: has no page of its own: it is on the pack kiwi/pack%3A' messages
    done
    [ ! -e x ]
    expect_code 1 "$OCC_BIN/occ" forget --store s --pin kiwi/1 kiwi/9 2>messages
    expect_equal '' "$(store ls --pinned s)"
}

# store F7
folded_samples_do_not_come_again() {
    for night in 1 2 3 4; do
        clips "views: $night" 1:1700000000 2:1700000000
        "$OCC_BIN/occ" compress -v --store s <clips.tar 2>messages
        late -q
    done
    expect_match '0 samples with 0 pages.*; 2 samples were already there' messages
    expect_match '2 of them were folded' messages
    store stats --json s >counts
    expect_json '.samples == 2 and .folded_pages == 2 and .pages == 0 and .json_bytes == 0' counts
    expect_equal '' "$(store verify s)"
}

# store F7
packs_of_folded_samples_do_not_come_again() {
    packs='--pack account'
    for night in 1 2 3; do
        clips "views: $night" 1:1700000000 2:1700000000
        compress --store s <clips.tar
        late -q
    done
    expect_equal 1 "$(store stats --json s | jq .folded_pages)"
    expect_equal 1 "$(store ls s | grep -c pack)"
    clips 'one is new' 1:1700000000 2:1700000000 3:2000000000
    compress --store s <clips.tar 2>messages
    expect_equal 1 "$(pages_of s)"
    late -q
    store stats --json s >counts
    expect_json '.pages == 1 and .folded_pages == 1' counts
    expect_equal '' "$(store verify s)"
}

# store F8
samples_without_a_date_never_age() {
    clips 'no date' none:null zero:0 negative:-5 text:'"soon"' early:86400 list:'[1]' good:1700000000
    expect_code 0 "$OCC_BIN/occ" compress --store s <clips.tar 2>messages
    expect_match 'warning: 6 samples have no usable date \(created\) and never age: kiwi/none, kiwi/zero, kiwi/negative, \.\.\.$' messages
    expect_code 0 late 2>messages
    expect_match '6 pages have no usable date and never age' messages
    expect_match '1 samples with 1 pages' messages
    expect_equal 6 "$(store ls --undated s | wc -l)"
    store stats --json s >counts
    expect_json '.pages == 6 and .undated_pages == 6 and .buckets == [.buckets[] | select(.bucket == 0)]' counts
    compress --store s <clips.tar 2>messages # said when they are put only
    [ ! -s messages ]
}

# store F8
dates_are_read_as_they_are_meant() {
    clips 'a date' ms:1700000000123 us:1700000000123456 iso:'"2023-11-14"' day:'"20231114"' number:20231114 \
        time:'"2023-11-14T12:00:00Z"' real:1700000000.5 text:'"1700000000"' late:4000000000
    expect_code 0 "$OCC_BIN/occ" compress --store s <clips.tar 2>messages
    expect_match '2 samples give their date in milliseconds, and were dated accordingly: kiwi/ms, kiwi/us$' messages
    expect_match '1 samples are dated in the future, and do not age until then: kiwi/late$' messages
    expect_no_match 'no usable date' messages
    pool --store s --now 2023-11-20 # none is of a week
    store stats --json s >counts
    expect_json '.buckets == [.buckets[] | select(.bucket == 0)]' counts
    pool --store s --now 2023-11-23 # all but one are
    store stats --json s >counts
    expect_json '[.buckets[] | [.bucket, .pages]] == [[0, 1], [1, 8]]' counts
}

# store F8: packs are as old as the newest sample on them, and show none that never ages
packs_have_the_dates_of_their_samples() {
    packs='--pack account'
    clips 'some text' old:1400000000123 new:1700000000
    compress --store s <clips.tar 2>messages
    pool --store s --now 2023-11-20
    expect_equal 8 "$(store stats --json s | jq '.buckets[0].tokens')"
    rm -rf s
    clips 'some text' none:null new:1700000000
    compress --store s <clips.tar 2>messages
    late 2>messages
    expect_match '1 pages have no usable date and never age' messages
    store get s kiwi/none >sample
}

# store F8: what had to be mended to find a date is kept as it was read; what cannot be mended has no place
json_of_a_store_is_sound() {
    stream_begin
    echo '{"format": "occ-stream", "version": 1, "tool": "occ-render", "options": {}}' >stream/__stream__
    printf '{"id": "1", "account": "kiwi", "title": "cut \\ud83d", "created": "2023-11-14"}' | put kiwi/1.json
    echo 'no JSON' | put kiwi/2.json
    echo '[]' | put kiwi/3.json
    stream_samples=3
    stream_end >clips.tar
    expect_code 3 "$OCC_BIN/occ" compress --store s <clips.tar 2>messages
    expect_match 'kiwi/2: json: invalid JSON' messages
    expect_match 'kiwi/3: json: is not an object' messages
    expect_equal kiwi/1 "$(store ls s)"
    expect_equal '' "$(store verify s)"
}

# store F8: a loose picture's date is that of its file, if that is asked for
pictures_have_no_date_of_their_own() {
    cp "$test_folder/golden/preprocess/317x211.png" picture.png
    touch -d 2015-01-01 picture.png
    compress --store s --mode tiny picture.png
    late -q
    expect_equal 1 "$(pages_of s)"
    compress --store s --mode tiny --date mtime picture.png
    late -q
    expect_equal 0 "$(pages_of s)"
}

# store F12
a_wrong_clock_is_asked_about() {
    clips 'some text' 1:1700000000
    compress --store s <clips.tar
    before=$(content_of s)
    pool --store s --now 2023-11-15 # the first pass has none before it
    for how in '' -q; do
        expect_code 1 "$OCC_BIN/occ" forget "${weekly[@]}" --operator pool --store s $how --now 2024-02-14 2>messages
        expect_match 's: this pass would count ages to 2024-02-14, more than 90 days after the last pass, 2023-11-15.*--force' messages
    done
    expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" --operator pool --store s --dry-run --now 2024-02-14 2>messages >plan
    expect_match 'without --dry-run this pass would be refused: .*--force' messages
    expect_match '^tokens +8 before, 1 after$' plan
    expect_equal "$before" "$(content_of s)"
    pool --store s --now 2024-02-13
    pool --store s --now 2034-01-01 --force
    expect_equal 0 "$(pages_of s)"
}

# store F12
what_is_removed_is_told() {
    clips 'some text' 1:1700000000 2:1700000000
    compress --store s <clips.tar
    bytes=$(store stats --json s | jq '.codecs.bf16.bytes + .json_bytes + .text_bytes')
    late 2>messages
    expect_match "warning: 2 samples with 2 pages, $bytes bytes, were removed: past bucket 7" messages
    late 2>messages
    [ ! -s messages ]
}

run pins_outlive_changes
run pins_hold_packs
run keys_that_match_nothing_are_named
run folded_samples_do_not_come_again
run packs_of_folded_samples_do_not_come_again
run samples_without_a_date_never_age
run dates_are_read_as_they_are_meant
run packs_have_the_dates_of_their_samples
run json_of_a_store_is_sound
run pictures_have_no_date_of_their_own
run a_wrong_clock_is_asked_about
run what_is_removed_is_told
test_finish
