#!/usr/bin/env bash
# t0207-photo-posts.sh - slides, covers and sound find each other, whatever tools and folders they come from.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"

id=7349999999999999991

# Pictures p1.jpg to p12.jpg, each brighter than the one before, and a song with and without a cover.
for i in {1..12}; do
    make_media -f lavfi -i "testsrc2=size=64x64:rate=1,hue=h=$((i * 30)),lutyuv=y=val*$((20 + 6 * i))/100" \
        -frames:v 1 -q:v 2 "$scratch/p$i.jpg"
done
make_media -f lavfi -i sine=duration=2 "$scratch/song.mp3"
make_media -f lavfi -i sine=duration=2 -i "$scratch/p12.jpg" -map 0 -map 1 -c:v copy -disposition:v attached_pic \
    -id3v2_version 3 "$scratch/cover.mp3"

put() { # FILE COPY
    mkdir -p -- "$(dirname -- "$2")"
    cp -- "$scratch/$1" "$2"
}

put_info() { # FILE
    mkdir -p -- "$(dirname -- "$1")"
    printf '{"id": "%s", "uploader": "%s", "extractor": "TikTok", "title": "pears"}\n' $id "${2:-banana}" >"$1"
}

put_gallery() { # FILE
    printf '{"category": "tiktok", "id": "%s", "user": "banana", "desc": "pears, all of them"}\n' $id >"$1.json"
}

put_captions() { # TEXT FILE
    mkdir -p -- "$(dirname -- "$2")"
    printf 'WEBVTT\n\n00:00.000 --> 00:00.900\n%s\n' "$1" >"$2"
}

# expect_post KEY PICTURES [OPERAND...]: that (else `in`) is one whole sample with so many pictures, in order
expect_post() {
    local operands=("${@:3}")
    expect_code 0 ingest --thumbs 12 --report report "${operands[@]:-in}" >out.tar
    echo "$1" >wanted
    keys_of out.tar >got
    expect_same wanted got
    test "$(wc -l <report)" -eq 1 || complain "the report has more than one line"
    member out.tar "$1.json" >sample
    jq '.thumbs[].luma' sample >got
    sort -g got >wanted
    expect_same wanted got
    test "$(wc -l <got)" -eq "$2" || complain "$(wc -l <got) pictures, not $2"
    members_of out.tar >members
}

# ingest 2
sound_of_one_tool_and_slides_of_another_are_one_post() {
    put song.mp3 "in/yt/my best pears [$id].mp3"
    put_info "in/yt/my best pears [$id].info.json" banana_then
    for i in 1 2 3; do
        put p$i.jpg "in/gdl/${id}_0$i my best pears [f$i].jpg"
        put_gallery "in/gdl/${id}_0$i my best pears [f$i].jpg"
    done
    expect_post banana_then/$id 3
    expect_match '"title":"pears","description":"pears, all of them"' sample
    expect_match '"path":"in/yt/my best pears' sample
    expect_match audio.json members
    expect_post banana_then/$id 3 in/yt in/gdl
    expect_post banana_then/$id 3 in/gdl in/yt
    mkdir one
    mv in/*/* one
    expect_post banana_then/$id 3 one
}
run sound_of_one_tool_and_slides_of_another_are_one_post

# ingest 2
slides_without_json_find_the_sound() {
    put song.mp3 "in/banana/pears [$id].mp3"
    for i in 1 2 3; do
        put p$i.jpg in/banana/${id}_0$i.jpg
    done
    expect_post banana/$id 3
    mkdir in/slides
    mv in/banana/*.jpg in/slides
    expect_post banana/$id 3
    put_info "in/meta/pears [$id].info.json"
    expect_post banana/$id 3
    expect_match '"title":"pears"' sample
}
run slides_without_json_find_the_sound

# ingest 2
parts_in_folders_of_their_own_join() {
    put song.mp3 "in/audio/pears [$id].mp3"
    put_info "in/meta/pears [$id].info.json"
    put_captions hello "in/subs/pears [$id].en.vtt"
    put p1.jpg "in/thumb/pears [$id].jpg"
    expect_post banana/$id 1
    expect_match script.json members
    mv "in/thumb/pears [$id].jpg" "in/thumb/pears [$id].originCover.jpg"
    expect_post banana/$id 1
    rm -r in
    put song.mp3 in/audio/pears.mp3 # no id in any name
    put_info in/meta/pears.info.json
    put_captions hello in/subs/pears.en.vtt
    put p1.jpg in/thumb/pears.jpg
    expect_post banana/$id 1
    expect_match script.json members
}
run parts_in_folders_of_their_own_join

# ingest 2
pictures_without_a_clip_are_a_post_or_reported() {
    for i in 1 2 3; do
        put p$i.jpg in/banana/${id}_$i.jpg
        put p$i.jpg in/banana/screenshot_$i.jpg
    done
    put p4.jpg 'in/banana/gone [7349999999999999992].jpg'
    put p5.jpg in/banana/folder.jpg
    expect_code 3 ingest --report report in >out.tar
    echo banana/$id >wanted
    keys_of out.tar >got
    expect_same wanted got
    members_of out.tar >members
    expect_match '\.002\.jpg' members
    expect_report report in/banana/${id}_1.jpg ok
    expect_report report in/banana/screenshot_1.jpg skipped orphan 'nor to 2 more .* up to in/banana/screenshot_3.jpg'
    expect_report report 'in/banana/gone [7349999999999999992].jpg' skipped orphan 'no clip belongs to this picture'
    expect_report report in/banana/folder.jpg skipped orphan 'no clip belongs to this picture'
    test "$(wc -l <report)" -eq 4
    expect_code 0 ingest in/banana/folder.jpg >out.tar # asked for
    keys_of out.tar >got
    expect_match banana/folder got
}
run pictures_without_a_clip_are_a_post_or_reported

# ingest 3
gallery_dl_puts_the_id_first() {
    put song.mp3 "in/banana/$id my best pears [700].mp3"
    put song.mp3 'in/banana/7349999999999999992 my worst pears [700].mp3'
    put song.mp3 'in/banana/10 ways to peel a pear [7349999999999999993].mp3'
    put song.mp3 'in/banana/15000000000000000 views [dQw4w9WgXcQ].mp3'
    put_captions hello "in/banana/$id my best pears [2_eng-US_ASR_1_webvtt].vtt"
    expect_code 0 ingest in >out.tar
    keys_of out.tar | sort >got
    printf 'banana/%s\n' $id 7349999999999999992 7349999999999999993 dQw4w9WgXcQ >wanted
    expect_same wanted got
    member out.tar banana/$id.json >sample
    expect_match '"title":"my best pears"' sample
    expect_match '"language":"eng-US","kind":"vtt"' sample
    member out.tar banana/$id.script.json >script
    expect_match hello script
    member out.tar banana/7349999999999999993.json >sample
    expect_match '"title":"10 ways to peel a pear"' sample
}
run gallery_dl_puts_the_id_first

# ingest 3
an_info_json_tells_yt_dlps_names_from_gallery_dls() {
    put song.mp3 "in/banana/7349999999999999990 likes [$id].mp3"
    put_info "in/banana/7349999999999999990 likes [$id].info.json"
    put p1.jpg "in/banana/7349999999999999990 likes [$id].jpg"
    expect_post banana/$id 1
}
run an_info_json_tells_yt_dlps_names_from_gallery_dls

# ingest 3
a_post_of_gallery_dl_is_one_sample() {
    put song.mp3 "in/banana/$id TikTok audio #$id [700].mp3"
    put p9.jpg "in/banana/$id TikTok photo #$id [cover].jpg"
    for i in 1 2 3; do
        put p$i.jpg "in/banana/${id}_0$i TikTok photo #$id [f$i].jpg"
    done
    expect_post banana/$id 3
    expect_match '"title":null' sample
    for file in in/banana/*; do
        put_gallery "$file"
    done
    expect_post banana/$id 3
    expect_match '"description":"pears, all of them"' sample
}
run a_post_of_gallery_dl_is_one_sample

# ingest 4
slides_come_by_number() {
    for i in {1..12}; do
        put "p$i.jpg" "in/banana/${id}_$i.jpg"
    done
    expect_post banana/$id 12
    put song.mp3 in/banana/$id.mp3
    expect_post banana/$id 12
    for i in {1..12}; do
        mv "in/banana/${id}_$i.jpg" "in/banana/${id}_$((i * 10)) pears [f$i].jpg"
    done
    expect_post banana/$id 12
    rm -r in
    for i in {1..12}; do # a folder for each post
        put "p$i.jpg" "in/$id/$i.jpg"
        put_gallery "in/$id/$i.jpg"
    done
    expect_post banana/$id 12
}
run slides_come_by_number

# ingest 5
a_cover_inside_gives_way_to_slides() {
    put cover.mp3 in/banana/$id.mp3
    for i in 1 2 3; do
        put p$i.jpg in/banana/${id}_0$i.jpg
    done
    expect_post banana/$id 3
    expect_match '"container":"mp3","codec":null,"audio_codec":"mp3","width":null' sample
    make_media -i "$scratch/song.mp3" -i "$scratch/p12.jpg" -map 0 -map 1 -c:a aac -c:v copy -f mp4 in/banana/track.m4a
    mv in/banana/track.m4a in/banana/$id.m4a # a cover that nothing marks as one
    mv in/banana/$id.mp3 .
    expect_post banana/$id 3
    expect_match '"codec":null' sample
    mv $id.mp3 in/banana
    rm in/banana/*.m4a in/banana/*.jpg
    expect_post banana/$id 1
    echo broken >in/banana/${id}_01.jpg # then the cover is better than nothing
    expect_code 3 ingest in >out.tar
    members_of out.tar >members
    expect_match '000\.jpg' members
}
run a_cover_inside_gives_way_to_slides

test_finish
