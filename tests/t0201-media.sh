#!/usr/bin/env bash
# t0201-media.sh - clips of many makes: the pictures are upright, whole and those of their time stamps. The
# oracle is the ffmpeg program, which decodes every frame.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"
command -v jq >/dev/null || skip_all "no jq"

# make_clip FILE OPTIONS...: 6 s of a moving test picture, 320 x 180, 25 pictures a second
make_clip() {
    local file=$1
    shift
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "testsrc2=size=320x180:rate=25:duration=6" "$@" "$file"
}

# ingest_clip FILE...: sample.json and thumbnails of the one clip
ingest_clip() {
    rm -rf got
    mkdir got
    expect_code 0 "$OCC_BIN/occ" ingest -q --thumb-size 320 "$@" >samples.tar
    tar xf samples.tar -C got --strip-components 1 --exclude '__*'
    cp got/*[!oats].json sample.json 2>/dev/null || cp "$(find got -name '*.json' | grep -vE 'script|audio|comments')" sample.json
}

expect_json() {
    jq -e "$1" sample.json >/dev/null || complain "not so: $1" "$(jq -c . sample.json | head -c 2000)"
}

# expect_pictures FILE FILTER: the thumbnails, three or more, are the frames that ffmpeg shows at their times
expect_pictures() {
    [ "$(jq '.thumbs | length' sample.json)" -ge 3 ] || complain "$1: less than 3 pictures"
    expect_frames "$1" sample.json "$2" got
}

keyframes_serve_where_there_are_enough() {
    make_clip clip.mp4 -c:v libx264 -g 25
    ingest_clip clip.mp4
    expect_json '.media.frames.every == false and .media.frames.decoded <= 6 and .media.frames.read == 150'
    expect_pictures clip.mp4 scale=320:180
}

one_keyframe_means_decoding_all() {
    make_clip clip.mp4 -c:v libx264 -g 1000 -sc_threshold 0
    ingest_clip clip.mp4
    expect_json '.media.frames.every and (.thumbs | length) == 4'
    expect_pictures clip.mp4 scale=320:180
}

transport_streams_give_whole_pictures() {
    make_clip open.ts -c:v libx264 -g 25 -x264-params open-gop=1:bframes=3
    ingest_clip open.ts
    expect_pictures open.ts scale=320:180
    # no keyframe but the first: rows of pictures are refreshed one after the other
    make_clip refresh.ts -c:v libx264 -g 30 -x264-params intra-refresh=1
    ingest_clip refresh.ts
    expect_pictures refresh.ts scale=320:180
    make_clip open.mpg -c:v mpeg2video -g 15 -bf 2 -b:v 2M
    ingest_clip open.mpg
    expect_pictures open.mpg scale=320:180
}

rotation_is_applied() {
    make_clip plain.mp4 -c:v libx264 -g 25
    ffmpeg -hide_banner -loglevel error -y -i plain.mp4 -c copy -metadata:s:v rotate=90 clip.mp4
    ingest_clip clip.mp4
    # the tag counts the other way round: turned back by 90 is turned on by 270
    expect_json '.media.rotation == 270 and .media.width == 180 and .media.height == 320'
    expect_pictures clip.mp4 scale=180:320 # ffmpeg turns it by itself
}

pixels_that_are_not_square_are_stretched() {
    make_clip clip.mp4 -c:v libx264 -g 25 -vf setsar=1/2
    ingest_clip clip.mp4
    expect_json '.media.width == 160 and .media.height == 180'
    expect_pictures clip.mp4 scale=160:180
}

ten_bits_are_read() {
    make_clip clip.mkv -c:v libx264 -g 25 -pix_fmt yuv420p10le
    ingest_clip clip.mkv
    expect_pictures clip.mkv scale=320:180
}

interlaced_pictures_lose_their_comb() {
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "testsrc2=size=320x180:rate=50:duration=6" \
        -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -flags +ildct+ilme -b:v 4M -g 15 clip.mpg
    ingest_clip clip.mpg
    expect_json '.media.interlaced'
    expect_pictures clip.mpg yadif,scale=320:180
}

uneven_frame_rates_keep_their_times() {
    make_clip clip.mp4 -vf "select='not(mod(n,7))+lt(n,60)*mod(n,2)',setpts=PTS+if(gt(N\,20)\,3/TB\,0)" \
        -vsync vfr -c:v libx264 -g 6
    ingest_clip clip.mp4
    expect_json '.duration_ms > 8500 and .thumbs[-1].pts_ms > 5000'
    expect_pictures clip.mp4 scale=320:180
}

other_codecs_are_read() {
    make_clip vp9.webm -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25
    ingest_clip vp9.webm
    expect_pictures vp9.webm scale=320:180
    make_clip mpeg4.avi -c:v mpeg4 -g 12 -q:v 3
    ingest_clip mpeg4.avi
    expect_pictures mpeg4.avi scale=320:180
    make_clip bframes.avi -c:v libx264 -bf 2 -g 25 # whose header lists 300 pictures
    ingest_clip bframes.avi
    expect_json '.media.frames.read == 150 and .status == "ok"'
    if ffmpeg -hide_banner -encoders 2>/dev/null | grep -q libx265; then
        make_clip hevc.mp4 -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25
        ingest_clip hevc.mp4
        expect_pictures hevc.mp4 scale=320:180
    fi
}

# numbered_clip FILE SECONDS OPTIONS...: pictures of ten bars, white where their number has a bit
numbered_clip() {
    local file=$1 seconds=$2
    shift 2
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "nullsrc=size=10x2:rate=25:duration=$seconds" \
        -vf "geq=lum='16+219*mod(floor((N+37)/pow(2,X)),2)':cb=128:cr=128,scale=320:180:flags=neighbor" "$@" "$file"
}

numbers_in() { # FFMPEG-ARGUMENTS... FILTER: the number in each picture, one per line
    local filter=${*: -1}
    ffmpeg -hide_banner -loglevel error "${@:1:$#-1}" -vf "${filter}scale=10:1:flags=area,format=gray" \
        -vsync passthrough -f rawvideo - | od -An -v -w10 -tu1 |
        awk '{ n = 0; for (i = 1; i <= 10; i++) n += ($i > 127) * 2 ^ (i - 1); print n - 37 }'
}

# expect_numbers FILE: as expect_pictures, to the picture
expect_numbers() {
    numbers_in -i "$1" "select='$(frames_at sample.json)'," >wanted
    numbers_in -i "$(find got -name '*.000.jpg' | sed 's/000\.jpg$/%03d.jpg/')" '' >numbers
    expect_same wanted numbers
    expect_equal 4 "$(wc -l <numbers)"
}

# ingest 6
pictures_without_presentation_times_have_the_right_ones() {
    local file
    numbered_clip keys.avi 12 -c:v mpeg4 -bf 2 -g 25 -q:v 3
    numbered_clip groups.avi 12 -c:v mpeg4 -bf 2 -g 150 -q:v 3
    numbered_clip all.avi 1.6 -c:v mpeg4 -bf 2 -g 150 -q:v 3
    numbered_clip h264.avi 12 -c:v libx264 -g 50
    numbered_clip open.avi 12 -c:v libx264 -g 25 -x264-params open-gop=1:bframes=7:b-adapt=0
    numbered_clip h264-groups.avi 12 -c:v libx264 -g 200 -sc_threshold 0
    numbered_clip mpeg2.avi 4 -c:v mpeg2video -bf 2 -g 12 -q:v 3
    numbered_clip raw.ts 6 -c:v libx264 -g 25 -f h264
    numbered_clip raw-groups.ts 6 -c:v libx264 -g 100 -sc_threshold 0 -f h264
    for file in *.avi *.ts; do
        ingest_clip "$file"
        expect_numbers "$file"
    done
    ingest_clip keys.avi
    expect_json '.media.frames.every == false and .thumbs[-1].pts_ms > 6000'
    ingest_clip raw.ts
    expect_json '.duration_ms == 6000 and .thumbs[-1].pts_ms > 3000'
}

black_flat_and_blurred_pictures_are_left_out() {
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "color=black:size=320x180:rate=25:duration=2" \
        -f lavfi -i "color=gray:size=320x180:rate=25:duration=2" \
        -f lavfi -i "testsrc2=size=320x180:rate=25:duration=2" \
        -f lavfi -i "testsrc2=size=320x180:rate=25:duration=2,gblur=sigma=12" \
        -filter_complex '[0][1][2][3]concat=n=4' -c:v libx264 -g 10 clip.mp4
    ingest_clip clip.mp4
    expect_json 'all(.thumbs[]; .pts_ms >= 4000 and .pts_ms < 6000 and .flaw == "good")'
}

a_dull_clip_still_has_a_picture() {
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "color=black:size=320x180:rate=25:duration=2" -c:v libx264 clip.mp4
    ingest_clip clip.mp4
    expect_json '(.thumbs | length) == 1 and .thumbs[0].flaw == "black"'
}

covers_of_songs_are_pictures() {
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "testsrc2=size=200x200" -frames:v 1 cover.jpg
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "sine=duration=2" -i cover.jpg -map 0 -map 1 -c:v copy \
        -disposition:v attached_pic -id3v2_version 3 clip.mp3
    ingest_clip clip.mp3
    expect_json '(.thumbs | length) == 1 and .thumbs[0].width == 200 and (.duration_ms | . > 1900 and . < 2200)'
}

tracks_of_every_text_kind_are_read() {
    printf '1\n00:00:01,000 --> 00:00:02,000\n<i>eins</i>\n' >de.srt
    printf '1\n00:00:01,000 --> 00:00:02,000\none\n' >en.srt
    make_clip plain.mkv -c:v libx264 -g 25
    for kind in srt ass webvtt; do
        ffmpeg -hide_banner -loglevel error -y -i plain.mkv -i de.srt -i en.srt -map 0 -map 1 -map 2 -c copy \
            -c:s $kind -metadata:s:s:0 language=ger -metadata:s:s:1 language=eng "$kind.mkv"
        ingest_clip --lang de "$kind.mkv"
        [ "$(jq -c '[.[] | .start_ms, .text]' got/*.script.json)" = '[1000,"eins"]' ]
        ingest_clip "$kind.mkv"
        [ "$(jq -c '[.[] | .end_ms, .text]' got/*.script.json)" = '[2000,"one"]' ]
    done
}

bitmap_tracks_are_counted() {
    # an empty display set of a Blu-ray subtitle: header, type, size
    { printf 'PG\0\0\0\0\0\0\0\0\200\0\0'; printf 'PG\0\1\0\0\0\0\0\0\200\0\0'; } >empty.sup
    make_clip plain.mkv -c:v libx264 -g 25
    ffmpeg -hide_banner -loglevel error -y -i plain.mkv -i empty.sup -map 0 -map 1 -c copy clip.mkv
    ingest_clip clip.mkv
    expect_json '.captions == [{source: "embedded", language: null, kind: "hdmv_pgs_subtitle", bitmap: true,
        chosen: false, cues: 0}]'
}

run keyframes_serve_where_there_are_enough
run one_keyframe_means_decoding_all
run transport_streams_give_whole_pictures
run rotation_is_applied
run pixels_that_are_not_square_are_stretched
run ten_bits_are_read
run interlaced_pictures_lose_their_comb
run uneven_frame_rates_keep_their_times
run other_codecs_are_read
run pictures_without_presentation_times_have_the_right_ones
run black_flat_and_blurred_pictures_are_left_out
run a_dull_clip_still_has_a_picture
run covers_of_songs_are_pictures
run tracks_of_every_text_kind_are_read
run bitmap_tracks_are_counted
test_finish
