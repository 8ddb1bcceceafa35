#!/usr/bin/env bash
# t0310-render-bad-input.sh - streams that end early or are none, members that are not what they
# should be, and neighbours in the pipe that go away or stand still.
# shellcheck source=tests/lib-render.sh
. "$(dirname "$0")/lib-render.sh"

# Three samples of two accounts.
small_stream() {
    stream_begin
    put_clip kiwi/1 1 'One' 'The first sentence.'
    put_clip kiwi/2 2 'Two' 'The second sentence.'
    put_clip plum/1 1 'Three' 'The third sentence.'
}

# More output than fits into any pipe, in some time.
big_stream() { # FILE
    local clip
    mapfile -t text < <(sentences 300)
    stream_begin
    for clip in 1 2 3 4 5 6; do
        put_clip kiwi/$clip $clip "clip $clip" "${text[@]}"
    done
    stream_end >"$1"
}

a_stream_that_ends_early_is_a_failure() {
    small_stream
    stream_tar >torn.tar
    for options in '--mode base' '--mode tiny' '--mode base -j 1'; do
        # shellcheck disable=SC2086
        expect_code 1 render $options <torn.tar >pages.tar 2>messages
        expect_match '^occ-render: the upstream stage stopped early \(no __end__ after [23] samples\)$' \
            messages
        tar tf pages.tar >names 2>/dev/null || true # what came is there, but no end
        expect_match '^kiwi/2.script.json$' names
        expect_match '^kiwi/.*p000.pgm$' names
        expect_no_match '^__end__$' names
    done
    expect_code 1 render torn.tar 2>messages >pages.tar
    expect_match '^occ-render: torn.tar: the upstream' messages
}
run a_stream_that_ends_early_is_a_failure

a_stream_cut_off_anywhere_is_a_failure() {
    small_stream
    stream_end >whole.tar
    size=$(stat -c %s whole.tar)
    for at in 0 1 300 512 700 1024 1500 2048 3000 4096 $((size - 3000)) $((size - 2048)); do
        head -c "$at" whole.tar | expect_code 1 render >pages.tar 2>messages
        expect_match '^occ-render: ' messages
        test "$(wc -l <messages)" -eq 1
        grep -qa __end__ pages.tar && complain "cut at $at, there is an __end__"
    done
    head -c 0 whole.tar | expect_code 1 render >pages.tar 2>messages
    expect_match 'empty input: the upstream stage wrote nothing' messages
}
run a_stream_cut_off_anywhere_is_a_failure

what_is_no_stream_is_refused() {
    head -c 100000 /dev/urandom >noise
    expect_code 1 render <noise >out 2>messages
    expect_match '^occ-render: not a sample stream' messages
    expect_same /dev/null out
    echo 'hello' >file
    tar -cf some.tar file
    expect_code 1 render some.tar >out 2>messages
    expect_match "^occ-render: some.tar: not a sample stream: it starts with 'file'" messages
    expect_code 1 render none.tar >out 2>messages
    expect_match '^occ-render: none.tar: No such file' messages
    expect_code 1 render . >out 2>messages
    expect_match '^occ-render: ' messages
}
run what_is_no_stream_is_refused

a_key_that_is_too_long_is_refused() {
    stream_begin
    put_clip "$(printf 'k%.0s' {1..200})/1" 1 'One'
    stream_end >in.tar
    expect_code 1 render in.tar >out 2>messages
    expect_match "^occ-render: in.tar: 'kkk.*: the key is too long" messages
}
run a_key_that_is_too_long_is_refused

members_that_cannot_be_read_cost_themselves_alone() {
    small_stream
    echo '[{"text": ' >stream/kiwi/1.script.json
    echo 'no json' | put kiwi/3.json
    head -c 5000 /dev/urandom | put kiwi/3.comments.json
    head -c 5000 /dev/urandom | put kiwi/3.000.jpg
    put_clip kiwi/4 4 'Four' 'The fourth sentence.'
    sed -i '/^plum/d' stream.names # the samples of an account follow each other
    # shellcheck disable=SC2034 # for stream_end
    stream_samples=4
    stream_end >in.tar
    for mode in base tiny; do
        expect_code 3 render --mode $mode in.tar >pages.tar 2>messages
        expect_match '^occ-render: kiwi/1: partial: ' messages
        expect_match '^occ-render: kiwi/3: partial: ' messages
        expect_no_match 'kiwi/[24]: partial' messages
        expect_match 'warning: 2 samples could not be put on pages whole$' messages
        member pages.tar __end__ >end
        expect_json '.partial == 2' end
        member pages.tar kiwi/3.comments.json | cmp - stream/kiwi/3.comments.json
        rm -rf got
        mkdir got
        tar xf pages.tar -C got
        cat got/kiwi/*.p*.txt >text
        expect_words 'The second sentence.' text
        expect_words 'The fourth sentence.' text
    done
    expect_code 3 render -q in.tar 2>messages >pages.tar # store F14: -q still names what failed
    expect_match '^occ-render: kiwi/1: partial: script.json: ' messages
    expect_match '^occ-render: kiwi/3: partial: comments.json: ' messages
    expect_no_match 'warning' messages
}
run members_that_cannot_be_read_cost_themselves_alone

strange_text_becomes_pages() {
    stream_begin
    put_clip kiwi/1 1 'A line without end'
    { # 1 MB without a space; control characters; floods of marks; bytes that are not UTF-8
        printf '[{"text": "'
        head -c 1000000 /dev/zero | tr '\0' 'x'
        printf '"}, {"text": "\\u0000\\u0007\\u001b[31mred\\ud800"}, {"text": "a'
        printf '\314\201%.0s' {1..5000}
        printf '"}, {"text": "\377\376\300\200 end"}, {"text": 7}, {}, null]'
    } | put kiwi/1.script.json
    stream_end >in.tar
    for mode in base tiny; do
        code=0
        render -q --mode $mode in.tar >pages.tar || code=$?
        test $code -eq 0 || test $code -eq 3
        member pages.tar __end__ >end
        expect_json '.pages > 20 and .characters > 900000' end
        tar tf pages.tar >names
    done
}
run strange_text_becomes_pages

more_pages_than_a_sample_may_have_are_left_out() {
    stream_begin
    put_clip kiwi/1 1 'Long'
    {
        printf '[{"text": "'
        head -c 3000000 /dev/zero | tr '\0' 'W'
        printf '"}]'
    } | put kiwi/1.script.json
    put_clip kiwi/2 1 'Short' 'The last sentence.'
    stream_end >in.tar
    expect_code 3 render -v --mode tiny in.tar 2>messages >pages.tar
    expect_match '^occ-render: kiwi/1: partial: more than 1[0-9]+ pages: the rest is left out$' messages
    tar tf pages.tar >names
    expect_match '^kiwi/1.p999.pgm$' names
    member pages.tar kiwi/2.p000.txt >text
    expect_words 'The last sentence.' text
}
run more_pages_than_a_sample_may_have_are_left_out

# one.tar and two.tar: kiwi/1, kiwi/2 and plum/1; the second has kiwi/2 again, and kiwi/3.
two_streams() {
    small_stream
    stream_end >one.tar
    stream_begin
    put_clip kiwi/2 2 'Two' 'The second sentence, told again.'
    put_clip kiwi/3 3 'Three' 'The last sentence.'
    stream_end_with "skipped: 5" >two.tar
}

streams_follow_each_other() { # render F5
    two_streams
    cat one.tar two.tar >both.tar
    cp one.tar joined.tar
    tar -A -f joined.tar two.tar
    dd if=two.tar of=padded.tar bs=10240 conv=sync status=none
    cat one.tar padded.tar >padding.tar
    for mode in base tiny; do
        expect_code 3 render -q --mode $mode one.tar two.tar >pages.tar 2>messages
        expect_equal 'occ-render: two.tar: kiwi/2: skipped, its key came before' "$(cat messages)"
        keys_of pages.tar | grep -v pack >keys
        expect_equal 'kiwi/1 kiwi/2 plum/1 kiwi/3 ' "$(tr '\n' ' ' <keys)"
        member pages.tar __end__ >end
        expect_json '.skipped == 6' end
        tar xOf pages.tar --wildcards '*.p000.txt' >text
        expect_words 'The last sentence.' text
        expect_no_match 'told again' text
        for input in both.tar joined.tar padding.tar; do
            expect_code 3 render -q --mode $mode <$input 2>messages >again.tar
            expect_match '^occ-render: kiwi/2: skipped, its key came before$' messages
            cmp pages.tar again.tar
        done
        expect_code 3 render -q --mode $mode - two.tar <one.tar 2>messages >again.tar
        cmp pages.tar again.tar
    done
}
run streams_follow_each_other

what_follows_a_stream_and_is_none_is_refused() { # render F5
    two_streams
    { cat one.tar && head -c 3000 /dev/urandom; } >noise.tar
    { cat one.tar && echo; } >line.tar
    { cat one.tar && head -c 2500 two.tar; } >torn.tar
    { cat one.tar && sed 's/"version": 1/"version": 2/' two.tar; } >newer.tar
    { head -c -3000 one.tar && cat two.tar; } >cut.tar
    cp one.tar more.tar
    tar --format=pax -C stream -rf more.tar kiwi/3.json
    for bad in noise line torn newer cut more; do
        expect_code 1 render -q $bad.tar >pages.tar 2>$bad
        grep -qa __end__ pages.tar && complain "$bad.tar: there is an __end__"
        expect_match "^occ-render: $bad.tar: " $bad
        test "$(wc -l <$bad)" -eq 1
    done
    expect_match "noise.tar: after __end__, byte $(stat -c %s one.tar): not a sample stream" noise
    expect_match "more.tar: after __end__, byte [0-9]+: 'kiwi/3.json' follows" more
    expect_match 'torn.tar: stream 2: the upstream stage stopped early' torn
    expect_match 'newer.tar: stream 2: stream version 2; this build reads version 1' newer
    expect_code 1 render -q one.tar torn.tar >pages.tar 2>messages
    expect_match '^occ-render: torn.tar: stream 2: ' messages
    expect_code 1 render -q one.tar none.tar >pages.tar 2>messages
    expect_match '^occ-render: none.tar: No such file' messages
    expect_same /dev/null pages.tar
}
run what_follows_a_stream_and_is_none_is_refused

packs_that_are_passed_on_keep_apart() { # render F5: their numbers are those of one stream
    stream_begin
    put_clip kiwi/1 1 'One' 'The first sentence.'
    stream_end | render -q --mode base >one.tar
    stream_begin
    put_clip kiwi/2 2 'Two' 'The second sentence.'
    stream_end | render -q --mode base >two.tar
    expect_code 3 render -q --mode tiny one.tar two.tar one.tar >pages.tar 2>messages
    expect_equal 'kiwi/1 kiwi/pack%3A000000 kiwi/2 kiwi/pack%3A000001 kiwi/pack%3A000002 ' \
        "$(keys_of pages.tar | tr '\n' ' ')"
    member pages.tar kiwi/pack%3A000001.json >pack
    expect_json '.id == "pack:000001" and .samples == ["kiwi/2"]' pack
    member pages.tar kiwi/pack%3A000001.p000.txt >text
    expect_words 'The second sentence.' text
    expect_code 0 render -q --mode base pages.tar >base.tar # is a stream as any other
}
run packs_that_are_passed_on_keep_apart

names_that_are_not_ascii_are_named() { # store F14: case 27
    local format
    small_stream
    put ünï/0.json <stream/kiwi/1.json
    stream_end >/dev/null
    for format in pax ustar gnu; do
        tar --format=$format --no-recursion -C stream -cf in.tar -T stream.names
        for locale in C C.UTF-8; do
            LC_ALL=$locale expect_code 1 render -q in.tar >pages.tar 2>messages
            expect_match "^occ-render: in.tar: member name '.xC3.xBCn.xC3.xAF/0.json' is not ASCII" messages
        done
    done
}
run names_that_are_not_ascii_are_named

a_signal_ends_a_render_that_waits_for_input() {
    mkfifo in out
    for case in reading writing; do
        SECONDS=0
        if [ $case = reading ]; then
            small_stream
            (
                stream_tar | head -c -1024 # without tar's own end mark
                exec sleep 60
            ) >in &
            holder=$!
            "$OCC_BIN/occ-render" <in >pages.tar 2>messages &
        else
            big_stream big.tar
            # shellcheck disable=SC2217 # that it does not read is the point
            sleep 60 <out &
            holder=$!
            "$OCC_BIN/occ-render" big.tar >out 2>messages &
        fi
        parent=$!
        sleep 0.7
        kill $parent
        expect_code 75 wait $parent
        test $SECONDS -lt 6
        expect_match 'stopped by a signal; run it again$' messages
        test "$(wc -l <messages)" -eq 1
        kill $holder
    done
}
run a_signal_ends_a_render_that_waits_for_input

a_signal_ends_a_render_at_work() {
    local signal
    stream_begin
    put_clip kiwi/1 1 'Long'
    { # some thousand pages
        printf '[{"text": "'
        head -c 20000000 /dev/zero | tr '\0' 'W'
        printf '"}]'
    } | put kiwi/1.script.json
    stream_end >big.tar
    for signal in TERM USR1; do
        "$OCC_BIN/occ-render" big.tar >/dev/null 2>messages &
        parent=$!
        sleep 0.7
        kill -s "$signal" $parent
        expect_code 75 wait $parent
        expect_match 'stopped by a signal; run it again$' messages
    done
}
run a_signal_ends_a_render_at_work

a_reader_that_leaves_ends_the_run_quietly() {
    local status
    big_stream big.tar
    set +o pipefail
    "$OCC_BIN/occ-render" big.tar 2>messages | head -c 100 >start
    status=${PIPESTATUS[0]}
    set -o pipefail
    test "$status" -eq 1
    expect_same /dev/null messages
}
run a_reader_that_leaves_ends_the_run_quietly

output_that_cannot_be_written_is_a_failure() {
    [ -c /dev/full ] || skip 'there is no /dev/full'
    small_stream
    stream_end >in.tar
    expect_code 1 render in.tar >/dev/full 2>messages
    expect_match '^occ-render: .*disk full' messages
    test "$(wc -l <messages)" -eq 1
    expect_code 1 render in.tar 2>messages >&-
    expect_match '^occ-render: ' messages
}
run output_that_cannot_be_written_is_a_failure

a_full_disk_in_the_middle_is_a_failure() {
    big_stream big.tar
    (ulimit -f 2000 && trap '' XFSZ && expect_code 1 render big.tar >pages.tar 2>messages)
    expect_match '^occ-render: ' messages
    test "$(wc -l <messages)" -eq 1
}
run a_full_disk_in_the_middle_is_a_failure

mistakes_on_the_command_line_are_explained() {
    expect_code 2 render --mode huge x.tar 2>messages
    expect_match "^occ-render: --mode: 'huge'.*tiny, base.*hifi" messages
    expect_code 2 render --profile small x.tar 2>messages
    expect_match "^occ-render: --profile: 'small'.*read10" messages
    expect_code 2 render --parts header,picture x.tar 2>messages
    expect_match "^occ-render: --parts: .*picture" messages
    expect_code 2 render --marks all x.tar 2>messages
    expect_match "^occ-render: --marks: 'all'.*speaker" messages
    expect_code 2 render -j 1000 x.tar 2>messages
    expect_match '^occ-render: -j: ' messages
}
run mistakes_on_the_command_line_are_explained

binary_never_goes_to_a_terminal() {
    script -qec true /dev/null >out </dev/null || skip 'script(1) gets no terminal here'
    small_stream
    stream_end >in.tar
    expect_code 2 script -qec "$OCC_BIN/occ-render in.tar" /dev/null >out </dev/null
    expect_match 'standard output is a terminal' out
    expect_code 2 script -qec "$OCC_BIN/occ-render >pages.tar" /dev/null >out </dev/null
    expect_match 'standard input is a terminal: name a FILE' out
}
run binary_never_goes_to_a_terminal

test_finish
