#!/usr/bin/env bash
# t0210-bad-input.sh - damage in one file costs that file alone: it gets a line in the
# report that says so, and the clips beside it come out as if it were not there.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"

# The good clips, and their samples when nothing else is there.
cp -pr "$archive/banana" "$scratch/good"
mkdir "$scratch/alone"
(cd "$scratch/alone" && mkdir in && cp -pr ../good in/ && ingest in >out.tar && tar -xf out.tar) ||
    skip_all 'the good clips are not good'

# Ingests in/ together with the good clips, which must come out unharmed; no decoder may crash.
# Leaves report, out.tar and the members in got/.
ingest_beside_good_clips() { # STATUS [OPTION...]
    local status=$1 name
    shift
    cp -pr "$scratch/good" in/
    expect_code "$status" ingest -v "$@" --report report in >out.tar 2>messages
    expect_match '; 0 workers replaced$' messages
    expect_no_match '"reason":"crash"' report
    mkdir got
    tar -xf out.tar -C got
    for name in "$scratch"/alone/banana/*; do
        expect_same "$name" "got/banana/$(basename "$name")"
    done
}

overwrite() { # FILE OFFSET BYTES-AS-PRINTF-FORMAT
    # shellcheck disable=SC2059
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

offset_of() { # REGEX FILE: of the first match
    LC_ALL=C grep -aboP -m 1 -e "$1" "$2" | LC_ALL=C sed 's/:.*//;q'
}

files_that_are_not_media_are_recognised() {
    mkdir in
    touch in/empty.mp4
    echo 'not a film' >in/text.mp4
    head -c 100000 /dev/zero >in/zeros.mp4
    ingest_beside_good_clips 3
    expect_report report in/empty.mp4 failed empty 'file is empty'
    expect_report report in/text.mp4 failed not-media 'not a media file'
    expect_report report in/zeros.mp4 failed not-media 'not a media file'
}
run files_that_are_not_media_are_recognised

container_without_pictures_and_sound_is_not_media() {
    mkdir in # tracks of a kind and of codecs that nobody knows
    LC_ALL=C sed 's/vide/data/; s/soun/data/; s/avc1/xxxx/g; s/mp4a/xxxx/g' "$tiny" >in/data.mp4
    ingest_beside_good_clips 3
    expect_report report in/data.mp4 failed not-media 'neither video nor audio'
}
run container_without_pictures_and_sound_is_not_media

# Cuts a clip off at every 4 KiB: whatever is left, there is a line on it.
ingest_cut_clips() { # CLIP
    local size
    mkdir in
    for ((size = 4096; size < $(stat -c %s "$1"); size += 4096)); do
        head -c $size "$1" >in/cut-$size.mp4
    done
    ingest_beside_good_clips 3
    grep -E '"(partial|failed)","reason":"[a-z-]+","message":"[^"]+"' report >lines
    test "$(grep -c '"in/cut-' lines)" -eq "$(find in -name 'cut-*' | wc -l)"
}

clip_cut_off_anywhere_gives_what_is_left() {
    ingest_cut_clips "$archive/banana/$peel.mp4"
    expect_report report in/cut-4096.mp4 failed not-media 'not a media file'
    expect_report report in/cut-98304.mp4 partial truncated 'lists 175 frames, [0-9]+ are there'
    expect_match '"thumbs":4' report.line
}
run clip_cut_off_anywhere_gives_what_is_left

clip_whose_index_is_cut_off_is_reported() {
    make_media -i "$archive/banana/$peel.mp4" -c copy index-last.mp4
    ingest_cut_clips index-last.mp4
    expect_report report in/cut-98304.mp4 failed not-media 'not a media file'
}
run clip_whose_index_is_cut_off_is_reported

damage_within_the_pictures_is_survived() {
    local seed at
    mkdir in
    for seed in {1..20}; do
        RANDOM=$seed
        cp "$archive/banana/$peel.mp4" "in/damaged-$seed.mp4"
        for at in {1..8}; do # after the index, which comes first
            at=$((20000 + (RANDOM * 32768 + RANDOM) % 130000))
            overwrite "in/damaged-$seed.mp4" $at "\\x$((RANDOM % 8))f\\x$((RANDOM % 8))7\\xff\\x00"
        done
    done
    ingest_beside_good_clips 3
    test "$(grep -c '"input":"in/damaged' report)" -eq 20
    grep '"input":"in/damaged' report >lines
    expect_match '"partial","reason":"decode-errors","message":"[0-9]+ damaged pictures' lines
    expect_no_match '"status":"failed"' lines
}
run damage_within_the_pictures_is_survived

pictures_too_large_to_decode_are_not_decoded() {
    mkdir in # sizes written over those of small pictures, outside and inside the coded picture
    make_media -f lavfi -i color=size=64x64:rate=1 -frames:v 1 -c:v rawvideo in/raw.avi
    make_media -f lavfi -i color=size=64x64:rate=1 -frames:v 1 -c:v mjpeg in/inside.mkv
    overwrite in/raw.avi $(($(offset_of strf in/raw.avi) + 12)) '\x10\x27\0\0\x10\x27\0\0'
    overwrite in/inside.mkv $(($(offset_of '\xff\xc0\x00\x11\x08' in/inside.mkv) + 5)) \
        '\x27\x10\x27\x10'
    ingest_beside_good_clips 3
    expect_report report in/raw.avi partial too-large '10000 x 10000 pixels'
    expect_report report in/inside.mkv partial decode-errors '1 damaged pictures'
}
run pictures_too_large_to_decode_are_not_decoded

# Playlists and the like name other files; their content must not get into the sample.
# ingest 21
undecodable_codecs_are_named() {
    mkdir in
    LC_ALL=C sed 's/avc1/bvc2/g' "$tiny" >in/unknown.mp4
    make_media -i "$tiny" -c copy -encryption_scheme cenc-aes-ctr -encryption_key 000102030405060708090a0b0c0d0e0f \
        -encryption_kid 101112131415161718191a1b1c1d1e1f in/locked.mp4
    ingest_beside_good_clips 3
    expect_report report in/unknown.mp4 partial no-decoder 'video: no decoder for bvc2'
    expect_match '"codec":"bvc2"' got/in/unknown.json
    expect_report report in/locked.mp4 partial no-decoder 'o: encrypted'
}
run undecodable_codecs_are_named

files_that_name_other_files_are_not_followed() {
    mkdir in
    cp "$tiny" secret.mp4
    printf 'ffconcat version 1.0\nfile secret.mp4\n' >in/concat.mp4
    printf '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n' >in/hls.mp4
    printf '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://%s\n' "$PWD/secret.mp4" >in/url.mp4
    printf '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">%s</MPD>' \
        '<Period><AdaptationSet><BaseURL>secret.mp4</BaseURL></AdaptationSet></Period>' >in/dash.mp4
    ingest_beside_good_clips 3
    for name in concat hls url dash; do
        expect_report report in/$name.mp4 failed not-media 'not a media file'
        expect_match '"thumbs":0' report.line
    done
}
run files_that_name_other_files_are_not_followed

pipes_and_broken_links_are_reported_without_blocking() {
    put_clip in/below/a.mp4
    mkfifo in/fifo.mp4
    mkdir in/folder.mp4
    ln -s loop.mp4 in/loop.mp4
    ln -s nowhere in/dangling.mp4
    ln -s .. in/below/up
    ingest_beside_good_clips 3
    expect_report report in/fifo.mp4 failed not-a-file 'not a regular file'
    expect_report report in/loop.mp4 failed unreadable 'Too many levels of symbolic links'
    expect_report report in/dangling.mp4 failed unreadable 'No such file'
    expect_report report in/below/a.mp4 ok
    test "$(wc -l <report)" -eq 6
}
run pipes_and_broken_links_are_reported_without_blocking

unreadable_files_are_reported() {
    local as_nobody=()
    put_clip in/denied.mp4 in/half.mp4 in/denied/b.mp4
    echo '{"id": "half"}' >in/half.info.json
    chmod 000 in/denied.mp4 in/half.info.json in/denied
    mkdir -m 777 out
    chmod 755 "$scratch" . in
    if [ -r in/denied.mp4 ]; then # root reads everything
        as_nobody=(setpriv --reuid=65534 --clear-groups --inh-caps=-all)
        "${as_nobody[@]}" "$OCC_BIN/occ-ingest" --version >version ||
            skip 'runs as root, and the programs are not readable for anybody else'
    fi
    expect_code 3 "${as_nobody[@]}" "$OCC_BIN/occ-ingest" --report out/report in >out.tar
    chmod 755 in/denied
    expect_report out/report in/denied.mp4 failed unreadable 'Permission denied'
    expect_report out/report in/denied failed unreadable 'Permission denied'
    expect_report out/report in/half.mp4 partial sidecar 'half.info.json: Permission denied'
}
run unreadable_files_are_reported

names_may_be_as_long_as_the_system_allows() {
    local long
    long=$(printf 'n%.0s' {1..251})
    put_clip "in/$long.mp4"
    ingest_beside_good_clips 0
    expect_report report "in/$long.mp4" ok
    expect_code 3 ingest --report report "in/$long$long.mp4" "$tiny" >out.tar
    expect_report report "in/$long$long.mp4" failed unreadable 'File name too long'
    expect_report report "$tiny" ok
}
run names_may_be_as_long_as_the_system_allows

invalid_UTF8_is_mended_everywhere() {
    local bad=$'\xff\xc3' name=$'na\xffme'
    put_clip "in/$name.mp4"
    printf 'WEBVTT\n\n00:00.000 --> 00:00.900\nvtt%s.\n' "$bad" >"in/$name.en.vtt"
    printf 'described %s.' "$bad" >"in/$name.description"
    printf '{"id": "9%s", "title": "t%s", "uploader": "u"}' "$bad" "$bad" >"in/$name.info.json"
    printf '{"comments": [{"cid": "1", "text": "c%s"}]}' "$bad" >"in/$name.comments.json"
    ingest_beside_good_clips 0
    iconv -f UTF-8 -t UTF-8 report >valid
    cat got/u/*.json | iconv -f UTF-8 -t UTF-8 >valid
    expect_match '"input":"in/na.+me.mp4"' report
    expect_match '"text":"vtt.+\."' valid
    expect_match '"description":"described .+\."' valid
    expect_match '[1-9] places mended' valid
}
run invalid_UTF8_is_mended_everywhere

broken_sidecars_make_the_sample_partial() {
    put_clip in/{half,binary,text,array}.mp4
    printf '{"id": "1", "title": ' >in/half.info.json
    head -c 1000 "$tiny" >in/binary.comments.json
    echo 'no list' >in/text.comments.json
    echo '[1, 2, 3]' >in/array.info.json
    echo '{"id": ' >in/nothing-else.info.json
    ingest_beside_good_clips 3
    expect_report report in/half.mp4 partial sidecar 'half.info.json: invalid JSON at line 1'
    expect_match '"thumbs":[1-4]' report.line
    expect_report report in/binary.mp4 partial sidecar 'binary.comments.json: invalid JSON'
    expect_report report in/text.mp4 partial sidecar 'text.comments.json: invalid JSON'
    expect_report report in/array.mp4 partial sidecar 'array.info.json: '
    expect_report report in/nothing-else.info.json failed sidecar 'invalid JSON'
}
run broken_sidecars_make_the_sample_partial

# ingest 19
json_of_python_and_powershell_is_read() {
    put_clip in/nan.mp4 in/utf16.mp4 in/bare.mp4
    printf '{"id": "nan", "uploader": "pear", "description": "NaN, Infinity", "tbr": NaN, "x": [-Infinity]}' \
        >in/nan.info.json
    printf '{"id": "utf16", "uploader": "pear", "title": "d\303\251j\303\240"}' | iconv -t UTF-16 >in/utf16.info.json
    printf '{"cid": "1", "text": "eins"}\r\n{"cid": "2", "text": "zwei"}\r\n' | iconv -t UTF-16BE >in/utf16.comments.jsonl
    printf 'word for word' | iconv -t UTF-16LE >in/bare.description
    ingest_beside_good_clips 0
    expect_match '"description":"NaN, Infinity".*"warnings":\["nan.info.json: 2 places mended"\]' got/pear/nan.json
    expect_match '"title":"déjà".*"warnings":\[\]' got/pear/utf16.json
    expect_match '"text":"eins".*"text":"zwei"' got/pear/utf16.comments.json
    expect_match '"description":"word for word"' got/in/bare.json
}
run json_of_python_and_powershell_is_read

huge_and_deep_sidecars_are_survived() {
    put_clip in/long.mp4 in/deep.mp4
    printf '{"id": "long", "uploader": "u", "x": "' >in/long.info.json # all of it on one line
    head -c 50M /dev/zero | tr '\0' x >>in/long.info.json
    printf '"}' >>in/long.info.json
    printf '{"id": "deep", "x": ' >in/deep.info.json
    head -c 1M /dev/zero | tr '\0' '[' >>in/deep.info.json
    ingest_beside_good_clips 3
    expect_report report in/long.mp4 ok
    expect_match '"key":"u/long"' report.line
    expect_report report in/deep.mp4 partial sidecar 'deep.info.json: .*depth'
}
run huge_and_deep_sidecars_are_survived

a_memory_bomb_without_a_clip_stays_out_of_the_parent() {
    grep -q __asan_init "$OCC_BIN/occ-ingest" && skip 'memory cannot be limited in sanitizer builds'
    put_clip in/a.mp4
    { printf '{"id": "a", "x": [1' # numbers take twenty times their text in memory
      head -c 8M /dev/zero | sed 's/\x00/,1/g'
      printf ']}'; } >in/bomb.info.json
    expect_code 3 ingest -v --max-memory 256M --report report in >out.tar 2>messages
    expect_report report in/a.mp4 ok
    expect_report report in/bomb.info.json failed memory 'ran out of memory'
    peak=$(sed -n 's/.*peak memory: \([0-9]*\) MiB.*/\1/p' messages)
    [ "$peak" -lt 100 ] || complain "$peak MiB"
}
run a_memory_bomb_without_a_clip_stays_out_of_the_parent

sidecars_of_no_clip_are_orphans() {
    put_clip in/a.mp4
    printf 'WEBVTT\n' >in/b.en.vtt
    ingest_beside_good_clips 3
    expect_report report in/b.en.vtt skipped orphan 'no clip belongs'
}
run sidecars_of_no_clip_are_orphans

without_thumbnails_no_picture_is_missed() {
    mkdir in
    cp -pr "$scratch/good" in/
    expect_code 0 ingest --thumbs 0 --no-audio --report report in >out.tar
    members_of out.tar >members
    expect_no_match '\.(jpg|pgm)$|audio' members
}
run without_thumbnails_no_picture_is_missed

eight_errors_in_a_row_end_the_track() {
    mkdir in
    make_media -f lavfi -i testsrc2=size=160x120:rate=10:duration=4 -c:v mjpeg in/jpegs.mov
    size=$(stat -c %s in/jpegs.mov) # each picture stands alone; those of the middle third become zeros
    dd if=/dev/zero of=in/jpegs.mov bs=1 seek=$((size / 3)) count=$((size / 3)) conv=notrunc status=none
    ingest_beside_good_clips 3
    expect_report report in/jpegs.mov partial decode-errors 'video: gave up after 8 errors in a row'
    expect_match '"thumbs":[1-4]' report.line
}
run eight_errors_in_a_row_end_the_track

test_finish
