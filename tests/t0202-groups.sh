#!/usr/bin/env bash
# t0202-groups.sh - clips with fewer keyframes than thumbnails: four pictures are found all the same,
# whole ones, without decoding more than the way to them. The oracle is the ffmpeg program.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"
command -v jq >"$scratch/log" || skip_all 'jq is not installed'

make_clip() { # FILE OPTIONS... : 6 s, 150 pictures
    local file=$1
    shift
    make_media -f lavfi -i testsrc2=size=320x180:rate=25:duration=6 "$@" "$file"
}

ingest_clip() { # FILE
    ingest --quiet "$1" >samples.tar
    tar -xf samples.tar --exclude '__*' --strip-components 1
    mv "${1%.*}.json" sample.json
}

expect_json() {
    jq -e "$1" sample.json >log || complain "not so: $1" "$(jq -c .media,.thumbs sample.json)"
}

expect_pictures() { # FILE
    mkdir -p got
    mv -- "${1%.*}".*.jpg got
    expect_frames "$1" sample.json null got
    rm -r got
}

groups_are_decoded_in_part() {
    make_clip clip.mp4 -c:v libx264 -g 75 -sc_threshold 0
    ingest_clip clip.mp4
    expect_json '.media.frames.every and .media.frames.decoded < 60 and (.thumbs | length) == 4'
    expect_json '.thumbs[3].pts_ms > 3000'
    expect_pictures clip.mp4
}
run groups_are_decoded_in_part

pictures_before_a_keyframe_that_lack_the_group_before_are_left_out() {
    make_clip clip.mp4 -c:v libx264 -g 60 -sc_threshold 0 \
        -x264-params open-gop=1:bframes=7:b-adapt=0:b-pyramid=normal
    ingest_clip clip.mp4
    expect_json '(.thumbs | length) == 4 and .media.frames.errors == 0'
    expect_pictures clip.mp4
    make_clip hevc.mkv -c:v libx265 -preset superfast -x265-params log-level=0:open-gop=1:keyint=60:scenecut=0
    ingest_clip hevc.mkv
    expect_json '(.thumbs | length) == 4 and .media.frames.errors == 0'
    expect_pictures hevc.mkv
}
run pictures_before_a_keyframe_that_lack_the_group_before_are_left_out

second_pass_finds_pictures_in_every_container() {
    local type
    make_clip clip.ts -c:v libx264 -bf 0 -g 1000 -sc_threshold 0
    for type in mkv avi flv ts; do
        make_media -i clip.ts -c copy "in-$type.$type"
        ingest_clip "in-$type.$type"
        expect_json '.media.frames.every and (.thumbs | length) == 4'
        expect_pictures "in-$type.$type"
    done
}
run second_pass_finds_pictures_in_every_container

index_of_a_fragment_is_not_that_of_the_file() {
    make_clip clip.mp4 -c:v libx264 -g 25 -movflags frag_keyframe+empty_moov+default_base_moof
    ingest_clip clip.mp4
    expect_json '.media.frames.every == false and .media.frames.decoded <= 6'
    expect_json '(.thumbs | length) == 4'
    expect_pictures clip.mp4
}
run index_of_a_fragment_is_not_that_of_the_file

picture_only_at_the_very_end_is_found() {
    make_media -f lavfi -i color=black:size=320x180:rate=25:duration=5.6 \
        -f lavfi -i testsrc2=size=320x180:rate=25:duration=0.4 \
        -filter_complex concat -c:v libx264 -g 1000 -sc_threshold 0 clip.mp4
    ingest_clip clip.mp4
    expect_json '.thumbs | all(.flaw == "good")'
}
run picture_only_at_the_very_end_is_found

# Pictures of a scene each; those that FFmpeg's expression of n, in tenths of a second, selects.
make_slides() { # FILE EXPRESSION OPTIONS...
    local file=$1 expression=$2
    shift 2
    make_media -f lavfi -i 'nullsrc=size=320x180:rate=10:duration=60' \
        -vf "select='$expression',geq=lum='30+mod(floor(X/40)*(T*10+3)*37+floor(Y/45)*(T*10+5)*11\,200)':cb=128:cr=128" \
        -vsync vfr "$@" "$file"
}

# ingest 9
few_pictures_are_all_looked_at() {
    local slides='eq(n,0)+between(n,280,300)*not(mod(n,5))'
    make_slides vp9.webm "$slides" -c:v libvpx-vp9 -deadline realtime -cpu-used 8
    make_slides still.mkv "$slides" -c:v libx264
    make_slides listed.mp4 "$slides" -c:v libx264
    make_slides intra.mp4 "$slides" -c:v libx264 -g 1
    make_slides fast.mkv 'eq(n,0)+between(n,401,404)' -c:v libx264 -bf 3
    local file
    for file in vp9.webm still.mkv listed.mp4 intra.mp4 fast.mkv; do
        ingest_clip "$file"
        expect_json '(.thumbs | length) == 4 and .media.frames.decoded == .media.frames.read'
        expect_pictures "$file"
    done
}
run few_pictures_are_all_looked_at

# ingest 9
pictures_at_an_uneven_pace_are_looked_at_by_number() {
    local type # three pictures in 40 s, then a hundred in 10 s
    make_slides clip.mkv 'lt(n,21)*not(mod(n,10))+between(n,401,500)' -c:v libx264 -g 300 -sc_threshold 0
    for type in mp4 mkv; do
        make_media -i clip.mkv -c copy "clip-$type.$type"
        ingest_clip "clip-$type.$type"
        expect_json '(.thumbs | length) == 4 and ([.thumbs[] | select(.pts_ms > 40000)] | length) > 0'
        expect_json '.media.frames.every and .media.frames.decoded < 90'
        expect_pictures "clip-$type.$type"
    done
}
run pictures_at_an_uneven_pace_are_looked_at_by_number

test_finish
