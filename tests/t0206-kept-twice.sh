#!/usr/bin/env bash
# t0206-kept-twice.sh - an archive holds a clip several times: one is taken, and the others are reported.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"

long=$scratch/long.mp4
make_media -f lavfi -i testsrc2=size=64x64:rate=5:duration=4 -f lavfi -i sine=duration=4 \
    -c:v libx264 -preset ultrafast -c:a aac -shortest "$long"

put_info() { # ID TITLE MORE-MEMBERS FILE
    mkdir -p -- "$(dirname -- "$4")"
    printf '{"id": "%s", "uploader": "kiwi", "extractor": "TikTok", "title": "%s"%s}\n' "$1" "$2" "$3" >"$4"
}

put_long() { # FILE
    mkdir -p -- "$(dirname -- "$1")"
    cp -p -- "$long" "$1"
}

put_captions() { # FILE
    printf 'WEBVTT\n\n00:00.000 --> 00:00.900\nhello\n' >"$1"
}

# ingest_to KEY ARGUMENT...: one sample of that key, its .json in `sample`; duplicates are reported
ingest_to() {
    expect_code 3 ingest --thumbs 1 --no-audio --report report "${@:2}" >out.tar
    echo "$1" >wanted
    keys_of out.tar >got
    expect_same wanted got
    member out.tar "$1.json" >sample
}

# ingest 1
a_chapter_gives_way_to_the_whole_clip() {
    put_clip 'in/kiwi/Long talk - 001 Intro [abcDEF12345].mp4' 'in/kiwi/Long talk - 002 End [abcDEF12345].mp4'
    put_long 'in/kiwi/Long talk [abcDEF12345].mp4'
    put_info abcDEF12345 'Long talk' '' 'in/kiwi/Long talk [abcDEF12345].info.json'
    mkdir in/chapters
    mv in/kiwi/*002* in/chapters
    ingest_to kiwi/abcDEF12345 in
    expect_match '"title":"Long talk"' sample
    expect_match '"path":"in/kiwi/Long talk \[abcDEF12345\].mp4"' sample
    expect_report report 'in/kiwi/Long talk [abcDEF12345].mp4' ok
    expect_report report 'in/kiwi/Long talk - 001 Intro [abcDEF12345].mp4' skipped duplicate \
        'the same clip as in/kiwi/Long talk \[abcDEF12345\].mp4, which has metadata'
    expect_report report 'in/chapters/Long talk - 002 End [abcDEF12345].mp4' skipped duplicate 'the same clip as'
}
run a_chapter_gives_way_to_the_whole_clip

# ingest 1
the_media_of_an_info_json_elsewhere_keep_it() {
    put_clip 'in/kiwi/Talk - 001 Intro [71].mp4' 'in/kiwi/Talk [71].mp4'
    put_info 71 Talk '' 'in/meta/Talk [71].info.json'
    ingest_to kiwi/71 in
    expect_match '"path":"in/kiwi/Talk \[71\].mp4"' sample
}
run the_media_of_an_info_json_elsewhere_keep_it

# ingest 1
of_two_years_the_one_with_comments_wins_and_gets_the_rest() {
    put_clip 'in/2022/Old title.mp4' 'in/2023/New title.mp4'
    put_info 71 Old ', "description": "only the old one", "like_count": 5' 'in/2022/Old title.info.json'
    put_info 71 New ', "comments": [{"id": "c", "text": "nice", "author": "x"}]' 'in/2023/New title.info.json'
    put_captions 'in/2022/Old title.en.vtt'
    for order in 'in/2022 in/2023' 'in/2023 in/2022'; do
        # shellcheck disable=SC2086 # two operands
        ingest_to kiwi/71 $order
        expect_match '"title":"New","description":"only the old one"' sample
        expect_match '"likes":5' sample
        expect_match '"path":"in/2023/New title.mp4"' sample
        member out.tar kiwi/71.script.json >script
        expect_match hello script
        member out.tar kiwi/71.comments.json >comments
        expect_match nice comments
        expect_report report 'in/2022/Old title.mp4' skipped duplicate \
            'in/2023/New title.mp4, which has comments; the files that only this one has were added'
    done
}
run of_two_years_the_one_with_comments_wins_and_gets_the_rest

# ingest 1
without_metadata_the_longest_that_can_be_read_wins() {
    put_clip in/1/kiwi/99.mp4 in/3/kiwi/99.mkv
    put_long in/2/kiwi/99.mp4
    mkdir -p in/0/kiwi
    head -c 1000000 /dev/zero >in/0/kiwi/99.mp4
    put_captions in/1/kiwi/99.en.vtt
    ingest_to kiwi/99 in/0 in/1 in/2 in/3
    expect_match '"path":"in/2/kiwi/99.mp4"' sample
    expect_match '"source":"sidecar","language":"en"' sample
    expect_report report in/0/kiwi/99.mp4 skipped duplicate 'which can be read'
    expect_report report in/1/kiwi/99.mp4 skipped duplicate 'which is longer'
    expect_report report in/3/kiwi/99.mkv skipped duplicate 'which is longer'
}
run without_metadata_the_longest_that_can_be_read_wins

# ingest 1
copies_that_file_managers_make_are_known() {
    put_clip 'in/kiwi/T [71] (1).mp4' 'in/kiwi/T [71] - Copy.mp4' 'in/kiwi/T [71].mp4'
    put_info 71 T '' 'in/kiwi/T [71].info.json'
    ingest_to kiwi/71 in
    expect_match '"path":"in/kiwi/T \[71\].mp4"' sample
    test "$(grep -c '"duplicate"' report)" -eq 2
}
run copies_that_file_managers_make_are_known

# ingest 1
two_media_of_one_stem_are_one_clip() {
    put_clip in/kiwi/a.mp4
    put_long in/kiwi/a.mov
    ingest_to kiwi/a in
    expect_match '"path":"in/kiwi/a.mov"' sample
    expect_report report in/kiwi/a.mp4 skipped duplicate in/kiwi/a.mov
    expect_code 0 ingest --thumbs 1 --no-audio in/kiwi/a.mp4 >out.tar # the one that is asked for
    member out.tar kiwi/a.json >sample
    expect_match '"path":"in/kiwi/a.mp4"' sample
}
run two_media_of_one_stem_are_one_clip

# ingest 1
clips_that_are_only_alike_stay_apart() {
    put_clip 'in/a/clip [1080p].mp4' 'in/b/other [1080p].mp4' in/a/1.mp4 in/b/1.mp4 'in/a/Part (1).mp4' \
        'in/a/Part (2).mp4'
    put_info 1 A '' in/a/1.info.json
    sed -i s/kiwi/a/ in/a/1.info.json
    expect_code 0 ingest --thumbs 0 --no-audio in >out.tar
    keys_of out.tar | sort >got
    printf '%s\n' a/1 a/1080p a/Part%20%281%29 a/Part%20%282%29 b/1 b/1080p >wanted
    expect_same wanted got
}
run clips_that_are_only_alike_stay_apart

# ingest 1
shares_and_workers_see_the_same_clips() {
    put_clip 'in/kiwi/T - 001 A [71].mp4' 'in/kiwi/T [71].mp4' in/1/kiwi/99.mp4
    put_long in/2/kiwi/99.mp4
    put_info 71 T '' 'in/kiwi/T [71].info.json'
    ingest --thumbs 1 --no-audio -j 1 --report all in >all.tar || true
    for i in 0 1 2; do
        ingest --thumbs 1 --no-audio -j 3 --shard $i/3 --report part in >part.tar || true
        keys_of part.tar >>keys
        cat part >>parts
    done
    keys_of all.tar | sort >wanted
    sort keys >got
    expect_same wanted got
    sed 's/,"ms":.*//' all | sort >wanted
    sed 's/,"ms":.*//' parts | sort >got
    expect_same wanted got
    test "$(wc -l <got)" -eq 4
}
run shares_and_workers_see_the_same_clips

# ingest 1
keys_that_are_done_say_that_there_are_several() {
    put_clip 'in/kiwi/T - 001 A [71].mp4' 'in/kiwi/T [71].mp4'
    put_info 71 T '' 'in/kiwi/T [71].info.json'
    echo kiwi/71 >seen
    expect_code 0 ingest --skip-from seen --report report in >out.tar
    expect_report report 'in/kiwi/T [71].mp4' skipped "done" 'several clips have it'
    expect_report report 'in/kiwi/T - 001 A [71].mp4' skipped "done" 'the same clip as'
}
run keys_that_are_done_say_that_there_are_several

# ingest 1
a_named_chapter_gives_way_to_its_neighbour() {
    put_clip 'in/kiwi/T - 001 A [71].mp4' 'in/kiwi/T [71].mp4'
    put_info 71 T '' 'in/kiwi/T [71].info.json'
    ingest_to kiwi/71 'in/kiwi/T - 001 A [71].mp4'
    expect_match '"path":"in/kiwi/T \[71\].mp4"' sample
    test "$(wc -l <report)" -eq 2
}
run a_named_chapter_gives_way_to_its_neighbour

test_finish
