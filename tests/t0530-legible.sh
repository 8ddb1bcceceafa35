#!/usr/bin/env bash
# t0530-legible.sh - what an encoder was not trained on is turned into what it was, or warned of: colours, characters outside
# of its alphabet, pages that it cannot read with confidence.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

bundled=$OCC_BIN/../share/occ/nano.safetensors

needs_encoder() {
    [ -e "$bundled" ] || skip 'no bundled encoder'
    unset OCC_MODEL
}

page_of() { # MAGIC BYTES-OF-A-PIXEL: a page of mode tiny in one colour
    printf '%s\n512 512\n255\n' "$1"
    printf "$2%.0s" {1..262144} # the bytes are part of the format
}

tokens_of() { # MODEL PICTURE
    rm -rf store out
    compress --store store --mode tiny --model "$1" "$2"
    store export -q -o out store
    find out -name '*.npy' -exec sha256sum {} + | cut -c 1-64
}

colours_become_grey_where_the_encoder_knows_grey_alone() { # fidelity: 16.5% of emoji came back on colour pages
    page_of P6 'oZ<' >page.ppm # (111, 90, 60), and its luma 93:
    page_of P5 ']' >page.pgm
    grey=$(tokens_of "$model" page.pgm)
    expect_equal "$grey" "$(tokens_of "$model" page.ppm)"
    # An encoder of another name has seen colours, as the published one; so has one that says so.
    sed 's/\\"name\\":\\"nano\\"/\\"name\\":\\"tint\\"/' "$model" >tint.safetensors
    cmp -s "$model" tint.safetensors && complain 'the name was not changed'
    [ "$(tokens_of tint.safetensors page.pgm)" != "$(tokens_of tint.safetensors page.ppm)" ]
    with_metadata "$model" occ.pages rgb >rgb.safetensors
    expect_equal "$grey" "$(tokens_of rgb.safetensors page.pgm)" # the same weights
    [ "$grey" != "$(tokens_of rgb.safetensors page.ppm)" ]
    with_metadata tint.safetensors occ.pages grey >grey.safetensors
    expect_equal "$(tokens_of grey.safetensors page.pgm)" "$(tokens_of grey.safetensors page.ppm)"
}

emoji_on_colour_pages_are_read_as_on_grey_ones() {
    needs_encoder
    stream_begin
    put_clip kiwi/1 1700000000 'Kiwi 😂😂😂 🔥🔥🔥' 'Tears of joy 😂 and a fire 🔥🔥🔥 and a heart 💜💜💜.'
    stream_end >in.tar
    for format in pgm ppm png; do
        render -q --mode tiny --format $format in.tar >pages.tar
        "$OCC_BIN/occ" read -q --text pages.tar >text.$format
        tar xf pages.tar kiwi/1.p000.$format
        "$OCC_BIN/occ" read -q --text kiwi/1.p000.$format | cmp - text.$format
        cmp text.pgm text.$format
    done
    expect_match '😂' text.png
}

characters_outside_the_alphabet_are_told_once() {
    needs_encoder
    stream_begin
    put_clip kiwi/1 1700000000 'Plain' 'Nothing but letters, ünd ein paar ändere: ω, ж, — and 😂.'
    put_clip kiwi/2 1700000000 'Few' 'One 世 in a page of English, of which there are a hundred letters and rather more, so that it is one in a hundred or so; not yet enough.'
    stream_end | render -q --mode tiny >pages.tar
    expect_code 0 "$OCC_BIN/occ" compress --store s <pages.tar 2>messages
    expect_same /dev/null messages
    stream_begin
    put_clip kiwi/3 1700000000 'Half' 'Half of it: 世界你好 and so on.'
    put_clip kiwi/4 1700000000 '全部' '世界你好世界你好世界你好世界你好世界你好世界你好世界你好世界你好'
    stream_end | render -q --mode tiny >pages.tar
    expect_code 0 "$OCC_BIN/occ" compress --store s <pages.tar 2>messages
    expect_match 'warning: 2 pages have more than 1% of characters that .*; most: kiwi/4 page 0, [0-9.]+% \(U\+' messages
    expect_match 'U\+4E16 世, U\+754C 界' messages
    expect_equal 1 "$(wc -l <messages)"
    expect_code 0 "$OCC_BIN/occ" compress -q --store quiet <pages.tar 2>messages
    expect_same /dev/null messages
    # An encoder without a reading head has no alphabet.
    OCC_MODEL=$model expect_code 0 "$OCC_BIN/occ" compress --store random <pages.tar 2>messages
    expect_same /dev/null messages
}

pages_that_are_read_without_confidence_are_told_once() {
    needs_encoder
    make_days 2
    expect_code 0 "$OCC_BIN/occ" compress --store s --verify <days.tar 2>messages
    expect_same /dev/null messages
    expect_code 0 "$OCC_BIN/occ" read --store s >pages 2>messages
    expect_same /dev/null messages
    # A pixel down: the rows are no longer where they were trained.
    mkdir unpacked
    tar xf days.tar -C unpacked
    for clip in 0 1; do
        page=unpacked/kiwi/$clip.p000.pgm
        head -n 3 $page >header
        { cat header && head -c 512 /dev/zero | tr '\0' '\377' && tail -c +$(($(wc -c <header) + 1)) $page | head -c -512; } >moved
        mv moved $page
    done
    tar tf days.tar | tar --format=pax --no-recursion -C unpacked -cf moved.tar -T -
    wanted='warning: 2 pages are read with a confidence below 0.85, .*least: .*kiwi/[01].* page 0, 0.[0-7]'
    expect_code 0 "$OCC_BIN/occ" read <moved.tar >pages 2>messages
    expect_match "$wanted" messages
    expect_equal 1 "$(wc -l <messages)"
    expect_code 0 "$OCC_BIN/occ" read unpacked/kiwi/[01].p000.pgm >pages 2>messages
    expect_match "$wanted" messages
    expect_code 0 "$OCC_BIN/occ" compress --store moved --verify <moved.tar 2>messages
    expect_match "$wanted" messages
    expect_equal 1 "$(wc -l <messages)"
    # Pictures, whose text nobody knows: also one on which nothing is found.
    page_of P5 '\346' >grey.pgm
    expect_code 0 "$OCC_BIN/occ" compress --store pictures --mode tiny --verify unpacked/kiwi/0.p000.pgm grey.pgm 2>messages
    expect_match 'warning: 2 pages are read with a confidence below 0.85, .*least: files/grey%2Epgm page 0, 0.00' messages
    # Forgotten pages are another matter.
    forget --store s --now 2024-06-20
    expect_code 0 "$OCC_BIN/occ" read --store s >pages 2>messages
    expect_match 'warning: 2 pages that were forgotten in part are read with a confidence below 0.85' messages
}

run colours_become_grey_where_the_encoder_knows_grey_alone
run emoji_on_colour_pages_are_read_as_on_grey_ones
run characters_outside_the_alphabet_are_told_once
run pages_that_are_read_without_confidence_are_told_once
test_finish
