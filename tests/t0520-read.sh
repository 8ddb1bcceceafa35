#!/usr/bin/env bash
# t0520-read.sh - tokens become text again: `occ read`, `compress --verify`, what `store stats` makes of it, and
# forgetting by merging. Most of it needs the encoder that ships with the programs. How well that one reads is measured
# by `occ eval fidelity`; here it only has to read far better than chance.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

bundled=$OCC_BIN/../share/occ/nano.safetensors
empty=$scratch/empty # a folder of data without any
mkdir "$empty"

needs_encoder() {
    [ -e "$bundled" ] || skip 'no bundled encoder'
    unset OCC_MODEL
}

read_back() { # ARGUMENT...
    "$OCC_BIN/occ" read -q "$@"
}

expect_all() { # FILTER FILE: jq's filter is true of each line
    jq -se "length > 0 and all(.[]; $1)" "$2" >/dev/null || complain "not so in $2: $1" "$(cut -c 1-500 "$2")"
}

store_days() { # STORE [COMPRESS-OPTION...]: three days, a tiny page each
    local name=$1
    shift
    make_days 3
    compress --store "$name" --verify "$@" <days.tar
}

a_store_says_what_it_was_told() {
    needs_encoder
    make_days 3
    expect_code 0 "$OCC_BIN/occ" compress -v --store s --verify <days.tar 2>messages
    expect_match 'read back: [0-9.]+% of the text of 3 pages on average; worst [0-9.]+%, kiwi/[0-2] page 0' messages
    read_back --store s >pages
    expect_equal 'kiwi/0 kiwi/1 kiwi/2 ' "$(jq -r .key pages | tr '\n' ' ')"
    expect_all '.page == 0 and .bucket == 0 and (has("shrunk_by") | not) and .accuracy > 0.9' pages
    expect_all '(.rows | length) >= 3 and .characters > 50 and .confidence > 0.5 and .confidence <= 1' pages
    expect_all '.rows | map(.y) | . == sort and all(. >= 0 and . < 512)' pages
    expect_all '.rows | all(.x >= 0 and .x < 512 and .confidence > 0 and (.text | length) > 0)' pages
    read_back --store s kiwi/1 --text >text
    expect_words 'What happened on day' text
    expect_equal "$(jq -j 'select(.key == "kiwi/1").rows[].text' pages)" "$(cat text)"
    expect_equal 2 "$(read_back --store s --text | tr -cd '\f' | wc -c)"
}

what_was_measured_is_in_the_store() {
    needs_encoder
    store_days s
    store stats --json s >counts
    read_back --store s | jq -s '{pages: length, accuracy: (map(.accuracy) | add / length),
        worst: map({key, page, accuracy}) | sort_by(.accuracy)}' >again
    expect_equal 3 "$(jq .readback.pages counts)"
    jq -n --slurpfile a counts --slurpfile b again '[$a[0].readback, $b[0]]' >both
    expect_json '(.[0].accuracy - .[1].accuracy | fabs) < 1e-3' both
    expect_json '(.[0].worst[0].accuracy - .[1].worst[0].accuracy | fabs) < 1e-3' both
    expect_json '.codecs.bf16.accuracy == .readback.accuracy' counts
    store stats s >table
    expect_match '^read back +[0-9.]+%  of the text when it was encoded, mean of 3 pages$' table
    expect_match '^ *[0-9.]+%  kiwi/[0-2] page 0$' table
    # It goes with the pages.
    store merge -q other s
    store compact other copy
    expect_equal "$(jq -c .readback counts)" "$(store stats --json copy | jq -c .readback)"
    expect_equal '' "$(store verify copy)"
    # A store of before: nothing was measured.
    compress --store plain <days.tar
    store stats --json plain >counts
    expect_json '(has("readback") | not) and (.codecs.bf16 | has("accuracy") | not)' counts
}

coarser_codecs_are_measured_too() {
    needs_encoder
    for codec in bf16 int8 int4; do
        store_days $codec --codec $codec
        store stats --json $codec >counts
        expect_json ".codecs.$codec.accuracy > (if \"$codec\" == \"int4\" then 0.6 else 0.9 end)" counts
    done
}

streams_and_pictures_are_read() {
    needs_encoder
    make_days 2
    read_back <days.tar >pages
    read_back - <days.tar >dash
    expect_same pages dash
    expect_equal 'kiwi/0 kiwi/1 ' "$(jq -r .key pages | tr '\n' ' ')"
    expect_all '.accuracy > 0.9 and (has("bucket") | not)' pages
    tar xf days.tar
    read_back kiwi/1.p000.pgm >picture
    expect_all '.key == "kiwi/1.p000.pgm" and .page == 0 and (has("accuracy") | not)' picture
    expect_equal "$(jq -r '.rows[].text' picture)" "$(jq -r 'select(.key == "kiwi/1").rows[].text' pages)"
}

streams_one_behind_another_are_read() { # store F6
    needs_encoder
    make_days 2
    mv days.tar kiwi.tar
    make_days 3
    tar xf days.tar kiwi/2.p000.pgm
    cat kiwi.tar days.tar | expect_code 3 "$OCC_BIN/occ" read -q >pages 2>messages
    expect_equal 'kiwi/0 kiwi/1 kiwi/2 ' "$(jq -r .key pages | tr '\n' ' ')"
    expect_equal 'occ-read: kiwi/0: skipped, its key came before|occ-read: kiwi/1: skipped, its key came before' \
        "$(paste -sd '|' messages)"
    expect_code 3 "$OCC_BIN/occ" read -q kiwi/2.p000.pgm kiwi.tar - <days.tar >mixed 2>messages
    expect_match '^occ-read: standard input: kiwi/1: skipped' messages
    expect_equal 'kiwi/0 kiwi/1 kiwi/2 kiwi/2.p000.pgm ' "$(jq -r .key mixed | tr '\n' ' ')"
    echo >>days.tar
    expect_code 1 "$OCC_BIN/occ" read -q days.tar >pages 2>messages
    expect_match '^occ-read: days.tar: after __end__, byte [0-9]+: ' messages
    expect_equal 3 "$(wc -l <pages)"
    make_days 0
    take_in "$archive" >samples.tar
    expect_code 1 "$OCC_BIN/occ" read -q days.tar samples.tar >pages 2>messages # store F14
    expect_equal "occ-read: samples.tar: 4 samples and no pages: run 'occ render' first" "$(cat messages)"
    [ ! -s pages ]
}

pages_of_all_sizes_are_read() {
    needs_encoder
    for mode in tiny base hifi; do
        make_pages $mode --pack account
        read_back <pages.tar >pages
        expect_equal 2 "$(wc -l <pages)"
        expect_all '.accuracy > 0.9 and .characters > 100' pages
    done
    tar xf pages.tar # hifi
    mv banana/pack*.pgm page.pgm
    read_back page.pgm >hifi
    read_back --mode large page.pgm >coarse
    expect_all '.characters > 100' hifi
    [ "$(jq .confidence hifi)" != "$(jq .confidence coarse)" ]
}

halving_is_the_way_of_encoders_that_learned_it() {
    needs_encoder
    store_days s
    store compact s pooled
    expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" -v --store s --now 2023-11-25 2>messages >plan # ages of one week
    expect_match 'nested tokens are halved, up to 4 times$' messages
    expect_match '3 made smaller' messages
    read_back --store s >halved
    expect_all '.bucket == 1 and .shrunk_by == "nest" and .accuracy > 0.8' halved
    forget --store s --now 2023-12-24 # of five weeks
    read_back --store s >halved
    expect_all '.bucket == 2 and .shrunk_by == "nest" and .accuracy > 0.8' halved
    expect_equal '' "$(store verify s)"
    before=$(content_of s)
    forget --store s --now 2023-12-24
    expect_equal "$before" "$(content_of s)"
    forget --store pooled --now 2023-12-24 --operator pool
    read_back --store pooled >pages
    expect_all '.bucket == 2 and .shrunk_by == "pool"' pages
    [ "$before" != "$(content_of pooled)" ]
    # Means are not nested, they stay means.
    expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" --store pooled --now 2024-12-24 --force --operator merge 2>messages >plan
    expect_match '3 pages had shrunk in another way before: for these, means were taken' messages
}

# An encoder from before tokens were nested, which merges them by maps: random ones, and no reading head.
encoder_of_maps() { # FILE
    python3 - "$model" "$1" <<'END'
import json, random, struct, sys
whole = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", whole[:8])[0]
header, data, dim = json.loads(whole[8:8 + size]), whole[8 + size:], 768
random.seed(1)
for name, rows, columns in [("merge", dim, 2 * dim), ("unmerge", 2 * dim, dim)]:
    for way in ("columns", "rows"):
        for part, shape in [("weight", [rows, columns]), ("bias", [rows])]:
            count = rows * columns if part == "weight" else rows
            more = bytearray(b"\0\x3c" * count) # bf16, of one size
            more[0::2] = random.randbytes(count)
            header[f"{name}.{way}.{part}"] = {"dtype": "BF16", "shape": shape, "data_offsets": [len(data), len(data) + len(more)]}
            data += more
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + data)
END
}

store_of_maps() { # STORE: three days in rows, as it was then, by the encoder in mine.safetensors
    encoder_of_maps mine.safetensors
    make_days 3
    stream_tar | render -q --mode tiny --profile read10 >rows.tar
    compress --store "$1" --model mine.safetensors <rows.tar
    unset OCC_MODEL
}

# store F5: the store keeps the maps of its own encoder
a_store_is_merged_without_its_encoder() {
    store_of_maps s
    store compact s named
    for each in s named; do
        expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" -v --store $each --now 2023-11-25 --model mine.safetensors 2>messages >plan
        expect_match "pages are merged by the maps of $each\$" messages
    done
    OCC_DATA=$empty forget --store s --now 2023-12-24
    forget --store named --now 2023-12-24 --model mine.safetensors
    expect_equal "$(content_of named)" "$(content_of s)"
    store stats --json s >counts
    expect_json '[.buckets[] | select(.pages > 0) | [.bucket, .pages]] == [[2, 3]]' counts
    store get --facts s kiwi/0 >facts
    expect_match '@kiwi' facts
    "$OCC_BIN/occ" model init --config nano --seed 2 -o other.safetensors
    expect_code 1 "$OCC_BIN/occ" forget "${weekly[@]}" --store s --now 2023-12-25 --model other.safetensors 2>messages
    expect_match 'is not the encoder of s' messages
}

# So is one of nested tokens, which needs no maps, nor looks for them.
a_store_is_halved_without_its_encoder() {
    needs_encoder
    store_days s
    store compact s named
    OCC_DATA=$empty forget --store s --now 2023-11-25
    OCC_DATA=$empty forget --store s --now 2023-12-24
    forget --store named --now 2023-11-25 --model "$bundled"
    forget --store named --now 2023-12-24 --model "$bundled"
    expect_equal "$(content_of named)" "$(content_of s)"
    read_back --store s >halved
    expect_equal '@kiwi 2023-11-14' "$(jq -r 'select(.key == "kiwi/0") | .facts | join(" ")' halved)"
}

# Takes the maps out of a store, as if it were of before.
drop_maps() { # STORE
    /usr/bin/python3 -c 'import lmdb' 2>/dev/null || skip "no python3 with lmdb"
    /usr/bin/python3 - "$1" <<'END'
import sys, lmdb
env = lmdb.open(sys.argv[1], max_dbs=8)
with env.begin(write=True) as txn:
    assert txn.delete(b"maps", db=env.open_db(b"meta", txn))
END
}

# store F5: nothing but what was asked for
a_store_without_maps_takes_those_of_its_encoder_or_asks() {
    store_of_maps s
    store compact s whole
    drop_maps s
    store compact s asked
    before=$(content_of s)
    OCC_DATA=$empty expect_code 1 "$OCC_BIN/occ" forget "${weekly[@]}" --store s --now 2023-12-24 2>messages
    expect_match 's: keeps no maps for merging.*nano.safetensors: is not in.*--model FILE.*--operator pool' messages
    OCC_DATA=$empty expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" --dry-run --store s --now 2023-12-24 2>messages >plan
    expect_match 'without --dry-run this pass would be refused: s: keeps no maps' messages
    expect_equal "$before" "$(content_of s)"
    forget --store s --now 2023-11-25 --model mine.safetensors # which is the store's
    OCC_DATA=$empty forget --store s --now 2023-12-24
    forget --store whole --now 2023-11-25
    forget --store whole --now 2023-12-24
    expect_equal "$(content_of whole)" "$(content_of s)"
    store stats --json s >counts
    expect_json '[.buckets[] | select(.pages > 0) | [.bucket, .pages]] == [[2, 3]]' counts
    OCC_DATA=$empty forget --store asked --now 2023-12-24 --operator pool
    store stats --json asked >counts
    expect_json '.buckets == [.buckets[] | select(.bucket == 2)]' counts
}

# store F5: pages that an operator cannot make smaller
pages_stay_rather_than_shrink_in_another_way() {
    needs_encoder
    store_days s
    forget --store s --now 2023-11-25 --operator resize
    before=$(content_of s)
    expect_code 0 "$OCC_BIN/occ" forget "${weekly[@]}" --store s --now 2023-12-24 2>messages
    expect_match '3 pages stay as they are: merge cannot make them smaller, since they were drawn anew' messages
    expect_equal "$before" "$(content_of s)"
    forget --store s --now 2023-12-24 --operator pool
    [ "$before" != "$(content_of s)" ]
}

pages_that_were_drawn_smaller_are_read_as_such() {
    needs_encoder
    for how in resize render; do
        store_days $how
        forget --store $how --now 2023-11-25 --operator $how # ages of a week: one halving
        read_back --store $how >pages
        expect_all '.bucket == 1' pages
        expect_equal "$how" "$(jq -r .shrunk_by pages | sort -u)"
        expect_all '.rows | all(.x < 256)' pages
    done
    expect_json '.accuracy > 0.05' pages # render: the beginning of the text
}

# store F5
random_encoders_have_no_maps() { # OCC_MODEL: no reading head
    make_days 2
    compress --store s <days.tar
    for how in '' '--operator merge'; do
        # shellcheck disable=SC2086 # words
        expect_code 1 "$OCC_BIN/occ" forget "${weekly[@]}" --store s --now 2023-12-24 $how 2>messages
        expect_match 'nano.safetensors: carries no maps for merging' messages
    done
    expect_code 1 "$OCC_BIN/occ" forget --store s --operator merge --model nowhere 2>messages
    expect_match 'nowhere: No such file' messages
    expect_code 1 "$OCC_BIN/occ" compress --store other --verify <days.tar 2>messages
    expect_match '--verify: .*carries no reading head' messages
    [ ! -e other ]
    expect_code 1 "$OCC_BIN/occ" read --store s 2>messages
    expect_match 'carries no reading head' messages
}

what_cannot_be_read_is_named() {
    needs_encoder
    store_days s
    expect_code 3 "$OCC_BIN/occ" read --store s kiwi/9 kiwi/1 >pages 2>messages
    expect_match 'kiwi/9: is not in the store' messages
    expect_equal kiwi/1 "$(jq -r .key pages)"
    expect_code 1 "$OCC_BIN/occ" read --store s kiwi/9 2>messages # store F4
    expect_match 'kiwi/9: is not in the store' messages
    expect_code 3 "$OCC_BIN/occ" read "$test_folder/golden/preprocess/317x211.png" nowhere.png >pages 2>messages
    expect_match '317x211.png: a picture of 317 x 211 pixels; pages in cells are 512, 1024 or 1280 pixels wide and a multiple of 64 high, at most as high as wide' messages
    expect_match 'nowhere.png: No such file' messages
    expect_match '2 pages could not be read' messages
    [ ! -s pages ]
    OCC_MODEL=$model compress --store random <days.tar
    expect_code 1 "$OCC_BIN/occ" read --store random 2>messages
    expect_match 'nano.safetensors: is not the encoder of random' messages
    expect_code 1 "$OCC_BIN/occ" read --store nowhere 2>messages
    expect_match 'nowhere: is not a token store' messages
    head -c $(($(stat -c %s days.tar) / 2)) days.tar >cut.tar
    expect_code 1 "$OCC_BIN/occ" read <cut.tar >pages 2>messages
    mkdir unpacked
    tar xf days.tar -C unpacked
    echo garbage >unpacked/kiwi/1.p000.pgm
    tar tf days.tar | tar --format=pax --no-recursion -C unpacked -cf damaged.tar -T -
    expect_code 3 "$OCC_BIN/occ" read <damaged.tar >pages 2>messages
    expect_match 'kiwi/1 page 0: neither PNG nor JPEG nor binary PNM' messages
    expect_equal 2 "$(wc -l <pages)"
}

usage_is_checked() {
    unset OCC_MODEL
    OCC_DATA=$empty expect_code 1 "$OCC_BIN/occ" read --store s 2>messages
    expect_match 'no encoder is named \(--model FILE\), and the bundled one: nano.safetensors: is not in' messages
    OCC_DATA=$empty expect_code 1 "$OCC_BIN/occ" compress --store s </dev/null 2>messages
    expect_match 'no encoder is named \(--model FILE\), and the bundled one: nano.safetensors: is not in' messages
    expect_code 2 "$OCC_BIN/occ" read - --store s 2>messages
    expect_match "'-' is a stream" messages
    expect_code 2 "$OCC_BIN/occ" read --mode gundam x.png 2>messages
    [ ! -e s ]
}

a_closed_pipe_ends_it_quietly() {
    needs_encoder
    store_days s
    code=0
    { read_back --store s 2>messages || code=$?; echo $code >code; } | head -c 1 >first
    [ ! -s messages ]
}

profiles_that_were_not_trained_are_named_once() {
    needs_encoder
    grep -aq 'occ.reading' "$bundled" || skip 'the bundled encoder does not say what it was trained on'
    expect_code 0 "$OCC_BIN/occ" compress --store s < <(make_days 3 && cat days.tar) 2>messages
    expect_no_match 'not trained on' messages
    make_days 3
    stream_tar | render -q --mode tiny --profile read10 >rows.tar
    mkdir unpacked
    tar xf rows.tar -C unpacked
    sed -i 's/"name":"read10"/"name":"gothic"/' unpacked/kiwi/*.pages.json
    tar tf rows.tar | tar --format=pax --no-recursion -C unpacked -cf strange.tar -T -
    expect_code 0 "$OCC_BIN/occ" compress --store strange --verify <strange.tar 2>messages
    expect_match '3 pages are set in profile gothic, which this encoder was not trained on .*; [0-9.]+% of their text' messages
    expect_equal 1 "$(grep -c gothic messages)"
}

text_tokens_are_counted() {
    make_days 3
    compress --store s <days.tar
    store stats --json s >counts
    expect_json '.text.tokenizer == "r50k_base" and .text.pages == 3 and .text.visual_tokens == 24
        and .text.tokens > 80 and (.text.per_visual_token * 24 - .text.tokens | fabs) < 1e-6' counts
    store stats s >table
    expect_match '^text tokens +[0-9]+  of r50k_base, [0-9.]+ per visual token$' table
    # Where texts are gone, it says so.
    store compact s folded
    "$OCC_BIN/occ" compress -q --store folded "$test_folder/golden/preprocess/317x211.png"
    store stats folded >table
    expect_match 'of r50k_base, [0-9.]+ per visual token, on the 3 of 4 pages whose text is there$' table
    # Without the file, all else is there.
    OCC_DATA=$empty expect_code 0 "$OCC_BIN/occ" store stats s >table 2>messages
    expect_match 'text tokens were not counted: r50k_base.tiktoken: is not in' messages
    expect_match '^pages +3$' table
    expect_no_match 'text tokens' table
    OCC_DATA=$empty store stats -q --json s >counts
    expect_json '(has("text") | not) and .pages == 3' counts
    # One that is named must be there.
    expect_code 1 "$OCC_BIN/occ" store stats --tokenizer nowhere s >table 2>messages
    expect_match 'nowhere: No such file' messages
    expect_match '^pages +3$' table
    cp "$OCC_BIN/../share/occ/r50k_base.tiktoken" mine.tiktoken
    store stats --json --tokenizer mine.tiktoken s >mine
    expect_json '.text.tokenizer == "mine"' mine
}

run a_store_says_what_it_was_told
run what_was_measured_is_in_the_store
run coarser_codecs_are_measured_too
run streams_and_pictures_are_read
run streams_one_behind_another_are_read
run pages_of_all_sizes_are_read
run halving_is_the_way_of_encoders_that_learned_it
run a_store_is_halved_without_its_encoder
run a_store_is_merged_without_its_encoder
run a_store_without_maps_takes_those_of_its_encoder_or_asks
run pages_stay_rather_than_shrink_in_another_way
run pages_that_were_drawn_smaller_are_read_as_such
run random_encoders_have_no_maps
run what_cannot_be_read_is_named
run usage_is_checked
run a_closed_pipe_ends_it_quietly
run profiles_that_were_not_trained_are_named_once
run text_tokens_are_counted
test_finish
