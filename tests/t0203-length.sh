#!/usr/bin/env bash
# t0203-length.sh - a file that was cut off is not confused with one whose tracks end at different times,
# whose last picture is held, or whose clock does not begin at 0.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"
command -v jq >"$scratch/log" || skip_all 'jq is not installed'

# Copies a clip into each container: Matroska, FLV, transport stream, MP4 of fragments.
put_in_containers() { # CLIP NAME OPTIONS...
    local clip=$1 name=$2 type
    shift 2
    for type in mkv flv ts; do
        make_media -i "$clip" -c copy "$@" "$name-$type.$type"
    done
    make_media -i "$clip" -c copy "$@" -movflags frag_keyframe+empty_moov+default_base_moof "$name-mp4.mp4"
}

cut_off() { # FILE PERCENT: to cut-PERCENT-FILE
    head -c $(($(stat -c %s "$1") * $2 / 100 + 1)) "$1" >"cut-$2-$1"
}

expect_whole() { # LEAST-MS MOST-MS FILE...
    local least=$1 most=$2 file
    shift 2
    expect_code 0 ingest --report report "$@" >out.tar
    for file in "$@"; do
        expect_report report "$file" ok
        member out.tar "$(keys_of out.tar | grep "/${file%.*}\$").json" >sample.json
        jq -e ".duration_ms >= $least and .duration_ms <= $most" sample.json >log ||
            complain "$file lasts $(jq .duration_ms sample.json) ms, not $least to $most"
    done
}

expect_cut() { # FILE...
    local file
    expect_code 3 ingest --report report "$@" >out.tar
    for file in "$@"; do
        expect_report report "$file" partial truncated ''
    done
}

make_clip() { # FILE SECONDS-OF-PICTURES SECONDS-OF-SOUND OPTIONS...
    local file=$1 pictures=$2 sound=$3
    shift 3
    make_media -f lavfi -i "testsrc2=size=128x96:rate=10:duration=$pictures" -f lavfi -i "sine=duration=$sound" \
        -c:v libx264 -g 10 -c:a aac "$@" "$file"
}

# ingest 7
sound_may_outlast_the_pictures() {
    make_clip clip.mkv 3 12
    put_in_containers clip.mkv long
    make_media -i clip.mkv -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus long-webm.webm
    expect_whole 11900 12300 long-*
    local file
    for file in long-*; do
        cut_off "$file" 60
        cut_off "$file" 95
    done
    expect_cut cut-*
}
run sound_may_outlast_the_pictures

# ingest 7
last_picture_may_be_held() {
    make_media -f lavfi -i testsrc2=size=128x96:rate=2:duration=2.5 -c:v libx264 -bf 0 clip.mkv
    put_in_containers clip.mkv held -bsf:v 'setts=duration=if(eq(N\,4)\,17000\,DURATION)'
    make_media -i clip.mkv -c:v libvpx-vp9 clip.webm
    make_media -i clip.webm -c copy -bsf:v 'setts=duration=if(eq(N\,4)\,17000\,DURATION)' held-webm.webm
    expect_whole 18000 19500 held-mkv.mkv held-flv.flv held-webm.webm
    expect_whole 2000 19500 held-ts.ts held-mp4.mp4 # which do not say how long
    local file
    for file in held-*; do
        cut_off "$file" 60
    done
    expect_cut cut-*
}
run last_picture_may_be_held

# ingest 7
clock_may_begin_late() {
    make_clip clip.mkv 6 6 -bf 0
    put_in_containers clip.mkv late -output_ts_offset 10
    make_media -i clip.mkv -c copy -output_ts_offset 3 three.flv
    make_media -i clip.mkv -c copy -output_ts_offset 10 listed.mp4
    make_media -i clip.mkv -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus -output_ts_offset 3600 late-webm.webm
    expect_whole 5950 6150 late-* three.flv listed.mp4
    jq -e '.thumbs | length == 4 and .[-1].pts_ms < 6000' sample.json >log || complain "$(jq -c .thumbs sample.json)"
    local file
    for file in late-* three.flv; do
        cut_off "$file" 60
    done
    expect_cut cut-*
}
run clock_may_begin_late

# ingest 7
fragments_that_are_missing_are_missed() {
    make_clip clip.mkv 8 8
    make_media -i clip.mkv -c copy -movflags dash+frag_keyframe+global_sidx whole.mp4
    local fourth
    fourth=$(LC_ALL=C grep -abo moof whole.mp4 | sed -n '4s/:.*//p')
    head -c $((fourth - 4)) whole.mp4 >three.mp4 # which ends where a fragment does
    expect_whole 7900 8300 whole.mp4
    expect_cut three.mp4
}
run fragments_that_are_missing_are_missed

# ingest 7
sound_alone_is_whole_or_cut_too() {
    local type
    for type in mp3 flac wav ogg mka; do
        make_media -f lavfi -i sine=duration=20 "tone-$type.$type"
        cut_off "tone-$type.$type" 50
    done
    make_media -f lavfi -i sine=duration=20 -movflags +faststart tone-m4a.m4a
    cut_off tone-m4a.m4a 50
    expect_whole 19900 20200 tone-*
    expect_cut cut-*
}
run sound_alone_is_whole_or_cut_too

put_metadata() { # NAME JSON-MEMBERS
    cp "$scratch/six.mp4" "in/$1.mp4"
    printf '{"id": "%s", "uploader": "u", %s}' "$1" "$2" >"in/$1.info.json"
}
make_clip "$scratch/six.mp4" 6 6

warnings_of() { # KEY: of the sample, and the report has the same
    member out.tar "$1.json" | jq -c .warnings | tee sample.warnings
    jq -c "select(.key == \"$1\") | .warnings" report | cmp - sample.warnings
}

# ingest 8
file_shorter_than_its_metadata_say_is_reported() {
    local name
    mkdir in
    put_metadata broken '"duration": 1110.76'
    put_metadata text '"duration_string": "0:20"'
    put_metadata section '"duration": 600, "section_start": 100, "section_end": 120'
    put_metadata whole '"duration": 6'
    put_metadata rounded '"duration": 7'
    put_metadata longer '"duration": 3'
    put_metadata live '"duration": 600, "is_live": true'
    put_metadata unknown '"duration": null'
    put_metadata cut-on-purpose '"duration": 600, "section_start": 100, "section_end": 106'
    put_metadata cut-to-the-end '"duration": 600, "section_start": 594'
    put_metadata sponsor '"duration": 66, "sponsorblock_chapters": [{"start_time": 3, "end_time": 63.5}]'
    expect_code 0 ingest --report report in >out.tar
    for name in broken text section; do
        warnings_of "u/$name" | grep -q 'the file lasts 6.0 s, its metadata say' || complain "$name: no warning"
    done
    for name in whole rounded longer live unknown cut-on-purpose cut-to-the-end sponsor; do
        [ "$(warnings_of "u/$name")" = '[]' ] || complain "$name: $(warnings_of "u/$name")"
    done
}
run file_shorter_than_its_metadata_say_is_reported

# ingest 8
sound_that_ends_early_is_reported() {
    make_clip early.mp4 20 3
    make_clip even.mp4 6 5
    expect_code 0 ingest --report report early.mp4 even.mp4 >out.tar
    local folder
    folder=$(basename "$PWD")
    [ "$(warnings_of "$folder/early")" = '["the sound ends at 3.0 s, the pictures at 20.0 s"]' ]
    [ "$(warnings_of "$folder/even")" = '[]' ]
}
run sound_that_ends_early_is_reported

# ingest 20
damage_in_the_middle_is_not_called_the_end() {
    make_clip first.ts 3 3
    make_media -f lavfi -i testsrc2=size=160x120:rate=10:duration=3 -f lavfi -i sine=duration=3 \
        -c:v libx264 -g 10 -c:a aac second.ts
    mkdir in
    head -c -188 first.ts | cat - second.ts >in/joined.ts
    expect_code 3 ingest --report report in >out.tar
    expect_report report in/joined.ts partial decode-errors 'damaged packets: [1-9][0-9]*, the first at [23]'
}
run damage_in_the_middle_is_not_called_the_end

test_finish
