#!/usr/bin/env bash
# t0300-render.sh - samples get the pages that they should, and come out as they went in.
# shellcheck source=tests/lib-render.sh
. "$(dirname "$0")/lib-render.sh"

samples=$scratch/samples.tar # of the sample archive, in which one clip is cut off
"$OCC_BIN/occ" ingest -q "$archive" >"$samples"
[ $? -eq 3 ] || skip_all 'the sample archive cannot be ingested'

every_sample_is_passed_on_unchanged() {
    mkdir before
    tar xf "$samples" -C before
    (cd before && find . -name '*.*' -type f | sort) >names
    test "$(wc -l <names)" -gt 20
    for options in '--mode base' '--mode tiny' '--mode hifi --format png'; do
        mkdir after
        # shellcheck disable=SC2086
        "$OCC_BIN/occ" ingest -q "$archive" 2>/dev/null | render -q $options >pages.tar || test $? -eq 3
        tar xf pages.tar -C after
        while read -r name; do
            expect_same "before/$name" "after/$name"
        done <names
        tar tf "$samples" | grep -v '^__' >order.before
        tar tf pages.tar | grep -Fxf order.before >order.after
        expect_same order.before order.after
        rm -r after
    done
}
run every_sample_is_passed_on_unchanged

# expect_page_of WIDTH PICTURE: a PGM as high as it needs rows of cells of 64 pixels, fewer than the width has
expect_page_of() {
    local type width height most
    { read -r type && read -r width height && read -r most; } < <(head -n 3 "$2" | tr -d '\0')
    expect_equal "P5 $1 255" "$type $width $most"
    if [ $((height % 64)) -ne 0 ] || [ "$height" -lt 64 ] || [ "$height" -ge "$1" ]; then
        complain "$2 is $height pixels high"
    fi
    expect_equal $(($(printf 'P5\n%d %d\n255\n' "$1" "$height" | wc -c) + $1 * height)) "$(stat -c %s "$2")"
}

a_sample_gets_its_own_pages_in_mode_tiny() {
    expect_code 0 render -q --mode tiny "$samples" >pages.tar
    tar tf pages.tar | grep '^banana/7301234567890123456' >names
    tar tf "$samples" | grep '^banana/7301234567890123456' >before
    head -n "$(wc -l <before)" names >first
    expect_same before first # the pages come after what was there
    tail -n +"$(($(wc -l <before) + 1))" names | sed 's/^[^.]*//' >made
    count=$((($(wc -l <made) - 1) / 2))
    test $count -ge 1
    for ((i = 0; i < count; i++)); do
        printf '.p%03d.pgm\n.p%03d.txt\n' $i $i
    done >wanted
    echo .pages.json >>wanted
    expect_same wanted made
    tar xf pages.tar
    expect_page_of 512 banana/7301234567890123456.p000.pgm
    cat banana/7301234567890123456.p*.txt >text
    expect_words 'Everyone opens a banana from the wrong end.' text
    expect_words 'Monkeys pinch the tip.' text
    expect_json '.mode == "tiny" and .format == "pgm" and .profile.name == "cell10"
        and .samples == ["banana/7301234567890123456"] and .pages[0].member == "p000.pgm"' \
        banana/7301234567890123456.pages.json
}
run a_sample_gets_its_own_pages_in_mode_tiny

an_account_gets_packs_in_mode_base() {
    expect_code 0 render -q "$samples" >pages.tar
    keys_of pages.tar >keys
    printf '%s\n' banana/7312345678901234567 banana/7301234567890123456 \
        pear/7323456789012345678 pear/7334567890123456789 banana/pack%3A000000 \
        pear/pack%3A000000 >wanted
    expect_same wanted keys
    tar tf pages.tar | sed -n 's/^banana.pack%3A000000//p' >names
    printf '%s\n' .json .p000.pgm .p000.txt .pages.json >wanted
    expect_same wanted names
    tar xf pages.tar
    expect_json '.id == "pack:000000" and .account == "banana" and .account_name == "Banana Facts"
        and .created == 1692600000
        and .samples == ["banana/7312345678901234567", "banana/7301234567890123456"]' \
        banana/pack%3A000000.json
    expect_json '.samples == ["banana/7312345678901234567", "banana/7301234567890123456"]
        and .width == 1024 and (.pages | length) == 1' banana/pack%3A000000.pages.json
    expect_page_of 1024 banana/pack%3A000000.p000.pgm
    expect_words 'Everyone opens a banana' banana/pack%3A000000.p000.txt
    expect_words 'He said twenty-seven.' banana/pack%3A000000.p000.txt
}
run an_account_gets_packs_in_mode_base

the_ends_of_the_stream_say_what_was_done() {
    expect_code 0 render -q --parts script,header --marks time --comments 7 "$samples" >pages.tar
    member pages.tar __stream__ >begin
    member pages.tar __end__ >end
    expect_json '.format == "occ-stream" and (.tool | startswith("occ-render ")) and (.options
        | .mode == "base" and .profile.name == "cell10" and (.profile.hash | length) == 16
        and .format == "pgm" and .pack == "account" and .parts == ["script", "header"]
        and .marks == "time" and .comments == 7)' begin
    expect_json '.samples == 6 and .partial == 1 and .failed == 0 and .pages == 2
        and .characters > 100 and .tokens == 32 and .inked_tokens > 0 and .inked_tokens < 32' end
    # Of pages that are square, whatever is on them, the empty places are counted too.
    expect_code 0 render -q --profile read10 "$samples" >square.tar
    expect_json '.profile.name == "read10" and .height == 1024' <(member square.tar banana/pack%3A000000.pages.json)
    expect_json '.pages == 2 and .tokens == 512 and .inked_tokens > 0 and .inked_tokens < 512' <(member square.tar __end__)
}
run the_ends_of_the_stream_say_what_was_done

counts_of_the_stage_before_are_passed_on() {
    stream_begin
    put_clip kiwi/1 5 'A title'
    stream_end_with 'partial: 1, skipped: 7, failed: 3' | expect_code 0 render >pages.tar
    member pages.tar __end__ >end
    expect_json '.samples == 2 and .partial == 1 and .skipped == 7 and .failed == 3' end
}
run counts_of_the_stage_before_are_passed_on

# Four accounts with text for several pages each.
make_long_stream() {
    local account clip
    mapfile -t text < <(sentences 40)
    stream_begin
    for account in a b c d; do
        for clip in 1 2 3 4 5 6; do
            put_clip $account/$clip $clip "clip $clip of $account" "${text[@]}"
        done
    done
    stream_end >long.tar
}

the_number_of_threads_changes_nothing() {
    make_long_stream
    for mode in tiny base hifi; do
        for threads in 1 2 3 7; do
            expect_code 0 render -q --mode $mode -j $threads long.tar >$threads.tar
            cmp 1.tar $threads.tar
        done
        test "$(keys_of 1.tar | wc -l)" -ge 24
        render -q --mode $mode -j 3 "$samples" >3.tar
        render -q --mode $mode -j 1 "$samples" | cmp - 3.tar
    done
}
run the_number_of_threads_changes_nothing

a_sample_goes_on_over_a_page_break() {
    make_long_stream
    expect_code 0 render -q long.tar >pages.tar
    mkdir got
    tar xf pages.tar -C got
    count=$(find got/a -name 'pack*.p000.pgm' | wc -l)
    test "$count" -gt 1
    cat got/a/pack*.p000.txt | tr -s '\n ' '  ' >text
    for i in 1 40; do
        test "$(grep -o "sentence number $i," text | wc -l)" -eq 6
    done
    jq -c .samples got/a/pack*[0-9].json >listed
    jq -s -e '(add | unique) == ([range(1; 7)] | map("a/\(.)"))
        and ([range(1; length) as $i | .[$i - 1][-1] <= .[$i][0]] | all)' listed >answer
    for pack in got/a/pack*[0-9].json; do # both members name the same samples
        jq -c .samples "$pack" >one
        jq -c .samples "${pack%.json}.pages.json" >other
        expect_same one other
        expect_json '.created == (.samples | map(ltrimstr("a/") | tonumber) | max)' "$pack"
    done
}
run a_sample_goes_on_over_a_page_break

# render F13
packs_show_the_first_thumbnail_that_can_be_decoded() {
    member "$samples" banana/7301234567890123456.000.jpg >whole.jpg
    stream_begin
    put_clip kiwi/1 1 'One'
    head -c 400 whole.jpg | put kiwi/1.000.jpg
    put kiwi/1.001.jpg <whole.jpg
    put kiwi/1.002.jpg <whole.jpg
    put_clip kiwi/2 2 'Two'
    put kiwi/2.000.jpg <whole.jpg
    put kiwi/2.001.jpg <whole.jpg
    stream_end >in.tar
    for mode in base hifi; do
        expect_code 3 render -v --mode $mode in.tar 2>messages >pages.tar
        expect_match '^occ-render: kiwi/1: partial: 000.jpg: ' messages
        member pages.tar kiwi/pack%3A000000.pages.json >record
        # shellcheck disable=SC2016 # jq's own
        expect_json '.samples as $keys
            | [.sources[] | select(.member | endswith("jpg")) | $keys[.sample] + "." + .member]
            | sort == ["kiwi/1.001.jpg", "kiwi/2.000.jpg"]' record
    done
}
run packs_show_the_first_thumbnail_that_can_be_decoded

packs_are_newest_first_in_mode_hifi() {
    stream_begin
    put_clip kiwi/1 300 'One'
    put_clip kiwi/2 100 'Two'
    put_clip kiwi/4 200 'Four'
    put_clip kiwi/3 200 'Three'
    stream_end >in.tar
    expect_code 0 render -q --mode hifi in.tar | member - kiwi/pack%3A000000.json >newest
    expect_json '.samples == ["kiwi/1", "kiwi/3", "kiwi/4", "kiwi/2"] and .created == 300' newest
    expect_code 0 render -q --mode base in.tar | member - kiwi/pack%3A000000.json >in.order
    expect_json '.samples == ["kiwi/1", "kiwi/2", "kiwi/4", "kiwi/3"] and .created == 300' in.order
    expect_code 0 render -q --mode hifi in.tar | keys_of - >keys # the samples stay in place
    printf 'kiwi/%s\n' 1 2 4 3 pack%3A000000 >wanted
    expect_same wanted keys
}
run packs_are_newest_first_in_mode_hifi

# render F11
accounts_that_take_turns_fill_their_pages() {
    stream_begin
    for i in 1 5 3 2 4; do
        put_clip kiwi/$i $i "Clip $i"
        put_clip plum/$i $((9 - i)) "Clip $i"
    done
    stream_end >in.tar
    for threads in 1 4; do
        expect_code 0 render -j $threads in.tar >pages.tar 2>messages
        test ! -s messages
        keys_of pages.tar >keys
        printf '%s\n' kiwi/1 plum/1 kiwi/5 plum/5 kiwi/3 plum/3 kiwi/2 plum/2 kiwi/4 plum/4 \
            kiwi/pack%3A000000 plum/pack%3A000000 >wanted
        expect_same wanted keys
        member pages.tar plum/pack%3A000000.json >pack
        expect_json '.samples == ["plum/1", "plum/5", "plum/3", "plum/2", "plum/4"]
            and .created == 8' pack
        expect_code 0 render -q -j $threads --mode hifi in.tar | member - kiwi/pack%3A000000.json >pack
        expect_json '.samples == ["kiwi/5", "kiwi/4", "kiwi/3", "kiwi/2", "kiwi/1"]' pack
    done
}
run accounts_that_take_turns_fill_their_pages

# render F11
many_accounts_may_take_turns() {
    stream_begin
    for turn in 1 2 3; do
        for ((i = 0; i < 150; i++)); do
            echo "{\"account\": \"a$i\", \"id\": \"$turn\", \"title\": \"Turn $turn of a$i\"}" |
                put a$i/$turn.json
        done
    done
    # shellcheck disable=SC2034 # for stream_end
    stream_samples=450
    stream_end >in.tar
    expect_code 0 render --mode tiny --pack account in.tar 2>messages >pages.tar
    test ! -s messages
    test "$(keys_of pages.tar | grep -c pack)" -eq 150
    member pages.tar a149/pack%3A000000.p000.txt >page
    expect_equal '▣@a149▤Turn 1 of a149▣@a149▤Turn 2 of a149▣@a149▤Turn 3 of a149' "$(cat page)"
    expect_code 0 render -q --mode tiny --pack account --profile read10 in.tar | member - a149/pack%3A000000.p000.txt >page
    expect_words 'Turn 1 of a149 @a149 Turn 2 of a149 @a149 Turn 3 of a149' page
}
run many_accounts_may_take_turns

put_in_turns() { # TURNS: of three accounts, with different amounts of text
    mapfile -t text < <(sentences 60)
    for ((i = 1; i <= $1; i++)); do
        put_clip kiwi/$i $i "clip $i" "${text[@]}"
        put_clip plum/$i $i "clip $i" "${text[@]:0:9}"
        put_clip pear/$i $i "clip $i" "${text[@]:0:25}"
    done
}

# render F11
where_too_much_waits_one_warning_says_so() {
    stream_begin
    put_in_turns 12
    stream_end >in.tar
    for mode in base hifi; do
        expect_code 0 render --mode $mode --hold 20k -j 1 in.tar >1.tar 2>messages
        expect_equal 1 "$(wc -l <messages)"
        expect_match '^occ-render: warning: [123] accounts came again .* more than 20k of samples.*sort the input by account, or raise --hold$' messages
        expect_code 0 render -q --mode $mode --hold 20k -j 4 in.tar | cmp 1.tar
        rm -rf got
        mkdir got
        tar xf 1.tar -C got
        for account in kiwi plum pear; do
            jq -r '.samples[]' got/$account/pack*[0-9].json | sort -u >shown
            printf "$account/%d\n" {1..12} | sort >wanted
            expect_same wanted shown
            (cd got/$account && printf '%s\n' pack*[0-9].json) >packs
            test "$(wc -l <packs)" -gt 1
            seq -f "pack%%3A%06g.json" 0 $(($(wc -l <packs) - 1)) >wanted
            expect_same wanted packs
        done
        member 1.tar __end__ >end
        expect_json '.samples == '"$(keys_of 1.tar | wc -l)" end
    done
}
run where_too_much_waits_one_warning_says_so

# render F11
what_is_sorted_by_account_loses_nothing() {
    stream_begin
    put_in_turns 8
    (sed -n 1p stream.names && sed 1d stream.names | sort -s -t/ -k1,1) >sorted
    mv sorted stream.names
    stream_end >in.tar
    expect_code 0 render --hold 60k in.tar >held.tar 2>messages
    test ! -s messages
    expect_code 0 render -q in.tar >pages.tar
    keys_of held.tar | sort >keys
    keys_of pages.tar | sort >wanted
    expect_same wanted keys
    keys_of held.tar | sed '/^plum.8$/q' >early # the largest account had to go
    expect_match '^kiwi/pack' early
    grep pack keys | while read -r key; do
        for suffix in json p000.pgm p000.txt pages.json; do
            member held.tar "$key.$suffix" | cmp - <(member pages.tar "$key.$suffix")
        done
    done
}
run what_is_sorted_by_account_loses_nothing

pages_of_an_earlier_render_are_replaced() {
    for mode in tiny base; do
        render -q --mode $mode "$samples" >once.tar
        expect_code 0 render -q --mode $mode once.tar >twice.tar
        cmp once.tar twice.tar
    done
    render -q --mode tiny --format png "$samples" | render -q --mode tiny | cmp - <(
        render -q --mode tiny "$samples"
    )
}
run pages_of_an_earlier_render_are_replaced

pages_of_both_kinds_can_stand_together() {
    render -q --mode tiny "$samples" | render -q --mode base >one.tar
    render -q --mode base "$samples" | render -q --mode tiny >other.tar
    tar tf one.tar >names
    tar tf other.tar >names.other
    expect_same names names.other
    expect_match '^banana/pack%3A000000.p000.pgm$' names
    expect_match '^banana/7301234567890123456.p000.pgm$' names
    member other.tar banana/pack%3A000000.pages.json >record # packs are not rendered again
    expect_json '.mode == "base"' record
}
run pages_of_both_kinds_can_stand_together

formats_are_what_they_are_called() {
    for pair in 'pgm:P5' 'ppm:P6' "png:$(printf '\211')PN"; do
        type=${pair%%:*}
        expect_code 0 render -q --mode tiny --format "$type" "$samples" |
            member - "banana/7301234567890123456.p000.$type" >picture
        LC_ALL=C grep -qaF "${pair#*:}" <(head -c 4 picture)
    done
}
run formats_are_what_they_are_called

parts_and_profile_are_options() {
    expect_code 0 render -q --mode tiny --parts script "$samples" |
        member - banana/7301234567890123456.p000.txt >page
    expect_words 'Monkeys pinch the tip.' page
    expect_no_match 'lifehack' page
    expect_code 0 render -q --mode tiny --parts script --profile clear "$samples" >pages.tar
    member pages.tar banana/7301234567890123456.pages.json >record
    expect_json '.profile.name == "clear" and all(.pages[].boxes[]; .[4] == "script")' record
    expect_code 0 render -q --mode tiny --pack account "$samples" | keys_of - >keys
    expect_match 'pack%3A' keys
    expect_code 0 render -q --mode hifi --pack sample "$samples" | keys_of - >keys
    expect_no_match 'pack' keys
}
run parts_and_profile_are_options

# render F1: strokes through letters of fonts that have no strokes. It takes the fonts of README.
letters_may_borrow_their_marks() {
    [ -n "$(fc-list ':charset=5927' family)" ] || skip 'no font of Chinese characters'
    stream_begin
    put_clip kiwi/1 1 '' $'\u5927\u0336\u5bb6\u0336\u597d\u0336 \u3046\u0336\u305d\u0336 x\u0e39'
    stream_end >in.tar
    expect_code 0 render --mode tiny --parts script in.tar 2>messages >pages.tar
    expect_code 1 grep . messages
    member pages.tar kiwi/1.pages.json >record
    expect_json '.pages[0] | .missing == {} and .clipped == 0' record
}
run letters_may_borrow_their_marks

# render F2: marks are brought into the row; what no row holds is cut off, and that is counted.
clipped_ink_is_counted() {
    stream_begin
    put_clip kiwi/1 1 '' "Z$(printf '\u030c\u0301\u0302\u0303%.0s' 1 2)"
    put_clip kiwi/2 1 '' $'\u00c9COLE, \u1ea4 gjp|()[]{}' "$(sentences 20)"
    stream_end >in.tar
    for profile in read10 clear dense; do
        expect_code 0 render -q --mode tiny --parts script --profile "$profile" in.tar >pages.tar
        member pages.tar kiwi/2.pages.json >record
        expect_json '.pages[0].clipped == 0' record
    done
    member pages.tar kiwi/1.pages.json >record # dense: a letter and eight marks in eight pixels
    expect_json '.pages[0] | .clipped > 0 and .clipped < .ink' record
}
run clipped_ink_is_counted

only_dejavu() { # COMMAND...: on a machine that has no other fonts
    local folder
    folder=$(dirname "$(fc-match -f '%{file}' 'DejaVu Sans')")
    cat >fonts.conf <<EOF
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>$folder</dir><cachedir>$PWD/fonts.cache</cachedir></fontconfig>
EOF
    FONTCONFIG_FILE=$PWD/fonts.conf "$@"
}

# render F8
missing_fonts_are_told_of() {
    stream_begin
    for i in 1 2 3; do # one line per script, not per page
        put_clip "kiwi/$i" 1 '' $'Look: \u4eca\u5929\uff0c\u4eca\u5929\u3002 \u3042\u308b \U0001f9e0'
    done
    stream_end >in.tar
    expect_code 0 only_dejavu render --mode tiny in.tar 2>messages >pages.tar
    [ "$(wc -l <messages)" -eq 3 ] || complain 'not three lines:' "$(cat messages)"
    expect_match 'warning: 18 Han characters .* fonts-noto-cjk$' messages
    expect_match 'warning: 6 Hiragana characters .* fonts-noto-cjk$' messages
    expect_match 'warning: 3 emoji characters .* fonts-noto-color-emoji$' messages
    member pages.tar kiwi/1.pages.json >record
    expect_json '.pages[0].missing == {"U+3002": 1, "U+3042": 1, "U+308B": 1, "U+4ECA": 2,
        "U+5929": 2, "U+FF0C": 1, "U+1F9E0": 1}' record
    expect_code 0 only_dejavu render -q --mode tiny in.tar 2>messages >pages.tar
    expect_code 1 grep . messages
    stream_begin # two in a hundred are no reason to complain
    put_clip kiwi/1 1 '' "$(sentences 1) $(sentences 1) "$'\u4eca'
    stream_end >in.tar
    expect_code 0 only_dejavu render --mode tiny in.tar 2>messages >pages.tar
    expect_code 1 grep . messages
}
run missing_fonts_are_told_of

a_sample_without_text_has_a_record_without_pages() {
    stream_begin
    put_clip kiwi/1 1 ''
    stream_end >in.tar
    expect_code 0 render -q --mode tiny --parts script in.tar >pages.tar
    member pages.tar kiwi/1.pages.json >record
    expect_json '.pages == []' record
    expect_code 0 render -q --mode base --parts script in.tar | keys_of - >keys
    echo kiwi/1 >wanted
    expect_same wanted keys
}
run a_sample_without_text_has_a_record_without_pages

an_empty_stream_stays_one() {
    stream_begin
    stream_end_with 'failed: 2' | expect_code 0 render >pages.tar
    tar tf pages.tar >names
    printf '__stream__\n__end__\n' >wanted
    expect_same wanted names
    member pages.tar __end__ >end
    expect_json '.samples == 0 and .failed == 2 and .pages == 0' end
}
run an_empty_stream_stays_one

test_finish
