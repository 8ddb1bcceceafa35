#!/usr/bin/env bash
# t0405-cells.sh - pages in cells, as high as their text, through compress, read and forget. What is read is whatever a
# network of random weights says: that text comes back in order, cells_read_test.c shows.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

make_cells() { # MODE [RENDER-OPTION...]: cells.tar of a short sample and a long one, and its pages in pages/
    stream_begin
    put_clip kiwi/short 1700000000 'A title' 'Two words.'
    # shellcheck disable=SC2046 # a word is an argument
    put_clip kiwi/long 1700086400 'A title' "$(sentences 30 | tr '\n' ' ')"
    stream_end | render -q --profile cell10 --pack sample --mode "$@" >cells.tar
    rm -rf pages
    mkdir pages
    tar xf cells.tar -C pages
}

height_of() { # PICTURE, a PGM
    head -n 2 "$1" | tail -n 1 | cut -d ' ' -f 2
}

shapes_of() { # STORE: "ROWS COLUMNS" of each page, as its NPY file says
    rm -rf out
    store export -q -o out "$1"
    for file in $(find out -name '*.npy' | sort); do
        head -c 128 "$file" | grep -ao "'shape': ([0-9]*, [0-9]*" | grep -o '[0-9]*, [0-9]*' | tr -d ,
    done
}

a_page_costs_as_many_tokens_as_it_has_cells() {
    for mode in 'tiny 8' 'base 16' 'hifi 40'; do
        make_cells "${mode% *}"
        compress --store s <cells.tar
        long=$(($(height_of pages/kiwi/long.p000.pgm) / 64)) short=$(($(height_of pages/kiwi/short.p000.pgm) / 64))
        [ $short -lt $long ] || complain "the pages are $short and $long rows of cells high"
        expect_equal "$long ${mode#* }|$short ${mode#* }" "$(shapes_of s | paste -sd '|')"
        expect_equal "$(((long + short) * ${mode#* }))" "$(store stats --json s | jq .tokens)"
        expect_equal '' "$(store verify s)"
        # Again, it is all there; in a new store it is the same.
        "$OCC_BIN/occ" compress -v --store s <cells.tar 2>messages
        expect_match '2 samples were already there' messages
        compress --store again --batch 7 --threads 1 <cells.tar
        expect_equal "$(shapes_of s)" "$(shapes_of again)"
        rm -r s again
    done
}

# Heights take turns, so that what goes through the network together is of several.
pages_of_several_heights_go_together() {
    stream_begin
    for i in 1 2 3 4 5 6; do
        put_clip kiwi/$i $((1700000000 + i)) 'A title' "$(sentences $((i % 3 * 12 + 1)) | tr '\n' ' ')"
    done
    stream_end | render -q --profile cell10 --pack sample --mode tiny >cells.tar
    compress --store one --batch 1 --compute f32 <cells.tar
    compress --store six --batch 6 --threads 1 --compute f32 <cells.tar
    expect_equal 3 "$(shapes_of one | sort -u | wc -l)"
    expect_equal "$(shapes_of one)" "$(shapes_of six)"
    expect_equal "$(store stats --json one | jq -c .buckets[].tokens)" "$(store stats --json six | jq -c .buckets[].tokens)"
}

stores_streams_and_pictures_are_read_cell_by_cell() {
    bundled=$OCC_BIN/../share/occ/nano.safetensors
    [ -e "$bundled" ] || skip 'no bundled encoder'
    export OCC_MODEL=$bundled
    make_cells tiny
    compress --store s --verify <cells.tar 2>messages
    "$OCC_BIN/occ" read -q --store s >store.json
    "$OCC_BIN/occ" read -q cells.tar >stream.json
    "$OCC_BIN/occ" read -q --layout cells pages/kiwi/long.p000.pgm >picture.json
    for file in store stream picture; do
        jq -c 'select(.key | test("long")).rows' $file.json >$file.rows
    done
    expect_same stream.rows picture.rows
    # In the store tokens are rounded, so that a letter on the verge may be read as another.
    expect_equal "$(jq -c 'map([.x, .y])' stream.rows)" "$(jq -c 'map([.x, .y])' store.rows)"
    # shellcheck disable=SC2016 # jq's own
    expect_json '. as [$a, $b] | [range($a | length) | select($a[.].text != $b[.].text)] | length * 10 <= ($a | length)' \
        <(jq -s . stream.rows store.rows)
    # A row is a cell, at its corner; cells come one after another, and are all of the text.
    expect_json 'length > 8 and all(.[]; .x % 64 == 0 and .y % 64 == 0 and .x < 512) and
        (map(.y / 64 * 8 + .x / 64) | . == (sort | unique))' stream.rows
    expect_equal "$(jq -j '.[].text' store.rows)" "$("$OCC_BIN/occ" read -q --store s --text kiwi/long)"
    # What was written into the store when it was verified is what is read now.
    expect_equal "$(jq -s 'map(.accuracy) | add / length * 100 | round' store.json)" \
        "$(store stats --json s | jq '.readback.accuracy * 100 | round')"
}

pages_of_other_sizes_are_refused() {
    make_cells tiny
    { printf 'P5\n512 96\n255\n' && head -c $((512 * 96)) /dev/zero; } >pages/kiwi/short.p000.pgm
    tar tf cells.tar | tar --format=pax --no-recursion -C pages -cf strange.tar -T -
    expect_code 3 "$OCC_BIN/occ" compress --store s <strange.tar 2>messages
    expect_match 'kiwi/short: page 0: a page of 512 x 96 pixels; mode tiny in cells has 512 x 64 to 512 in steps of 64' messages
    expect_equal 1 "$(store stats --json s | jq .pages)"
    # In a profile of rows a page is square.
    sed -i 's/"name":"cell10"/"name":"read10"/' pages/kiwi/*.pages.json
    tar tf cells.tar | tar --format=pax --no-recursion -C pages -cf strange.tar -T -
    expect_code 3 "$OCC_BIN/occ" compress --store t <strange.tar 2>messages
    expect_match 'kiwi/long: page 0: a page of 512 x [0-9]+ pixels; mode tiny has 512 x 512$' messages
    expect_code 3 "$OCC_BIN/occ" read --layout rows pages/kiwi/long.p000.pgm --model "$OCC_BIN/../share/occ/nano.safetensors" 2>messages
    expect_match 'a picture of 512 x [0-9]+ pixels; pages are 512, 1024 or 1280 pixels wide and as high' messages
}

# Pictures are taken for pages where the encoder was trained on such; others are fitted to the mode, as they always were.
pictures_are_pages_for_an_encoder_of_cells() {
    make_cells tiny
    compress --store fitted --mode tiny pages/kiwi/short.p000.pgm
    expect_equal '8 8' "$(shapes_of fitted)"
    for key in 'occ.profiles ["read10","cell10"]' 'occ.reading {"profiles":["cell10"]}'; do
        with_metadata "$model" "${key%% *}" "${key#* }" >cells.safetensors
        compress --store s --mode tiny --model cells.safetensors pages/kiwi/short.p000.pgm
        expect_equal "$(($(height_of pages/kiwi/short.p000.pgm) / 64)) 8" "$(shapes_of s)"
        rm -r s
        compress --store s --mode base --model cells.safetensors pages/kiwi/short.p000.pgm # of another mode
        expect_equal '16 16' "$(shapes_of s)"
        rm -r s
    done
}

profiles_in_cells_may_be_new_to_an_encoder() {
    make_cells tiny
    with_metadata "$model" occ.reading '{"profiles":["cell8","clear"]}' >cells.safetensors
    expect_code 0 "$OCC_BIN/occ" compress --store s --model cells.safetensors <cells.tar 2>messages
    expect_match '2 pages are set in profile cell10, which this encoder was not trained on \(cell8, clear\)' messages
    expect_equal 1 "$(grep -c 'not trained on' messages)"
    with_metadata "$model" occ.reading '{"profiles":["cell10"]}' >cells.safetensors
    expect_code 0 "$OCC_BIN/occ" compress --store t --model cells.safetensors <cells.tar 2>messages
    expect_no_match 'not trained on' messages
}

pages_in_cells_are_drawn_again() {
    for mode in tiny hifi; do
        make_cells "$mode"
        compress --store "$mode" <cells.tar
        for how in resize render; do
            rm -rf s
            cp -r "$mode" s
            forget --store s --now 2023-12-24 --tau 15d --operator "$how"
            expect_equal '' "$(store verify s)"
            expect_json '[.buckets[].bucket] | . == [1]' <(store stats --json s)
            content_of s >"$how"
        done
        [ "$(cat resize)" != "$(cat render)" ]
    done
}

run a_page_costs_as_many_tokens_as_it_has_cells
run pages_of_several_heights_go_together
run stores_streams_and_pictures_are_read_cell_by_cell
run pages_of_other_sizes_are_refused
run pictures_are_pages_for_an_encoder_of_cells
run profiles_in_cells_may_be_new_to_an_encoder
run pages_in_cells_are_drawn_again
test_finish
