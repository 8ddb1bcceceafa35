#!/usr/bin/env bash
# t0205-joining.sh - which files of an archive become one sample, and which samples a run makes.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"

write_info() { # ID FILE: a minimal info.json
    printf '{"id": "%s", "uploader": "kiwi", "extractor": "TikTok", "title": "t"}\n' "$1" >"$2"
}

write_captions() { # TEXT FILE
    printf 'WEBVTT\n\n00:00.000 --> 00:00.900\n%s\n' "$1" >"$2"
}

sidecars_of_one_stem_make_one_sample() {
    put_clip 'in/a clip.mp4'
    write_info 71 'in/a clip.info.json'
    write_captions 'hello' 'in/a clip.en.vtt'
    write_captions 'hallo' 'in/a clip.de.vtt'
    echo 'from the description file' >'in/a clip.description'
    echo '{"comments": [{"cid": "1", "text": "nice"}]}' >'in/a clip.comments.json'
    expect_code 0 ingest --report report in >out.tar
    echo kiwi/71 >wanted
    keys_of out.tar >got
    expect_same wanted got
    member out.tar kiwi/71.json >sample
    expect_match '"description":"from the description file"' sample
    member out.tar kiwi/71.script.json >script
    expect_match '"text":"hello"' script
    member out.tar kiwi/71.comments.json >comments
    expect_match '"text":"nice"' comments
    expect_report report 'in/a clip.mp4' ok
    expect_match '"captions":2,"cues":1,"thumbs":[1-4],"comments":1' report.line
}
run sidecars_of_one_stem_make_one_sample

without_sidecars_folder_and_name_give_account_and_id() {
    put_clip in/pear/7001.mp4 'in/pear/A title [7002].mp4'
    expect_code 0 ingest in >out.tar
    printf '%s\n' pear/7001 pear/7002 >wanted
    keys_of out.tar >got
    expect_same wanted got
    member out.tar pear/7002.json >sample
    expect_match '"title":"A title"' sample
    expect_match '"created_from":"file"' sample
}
run without_sidecars_folder_and_name_give_account_and_id

sidecars_in_other_folders_join_by_id() {
    put_clip 'in/media/Plum [72].mp4' in/media/73.mp4 in/media/other-name.mp4
    mkdir in/json in/vtt in/comments
    write_info 72 'in/json/Plum, long title [72].info.json'
    write_info 73 in/json/73.info.json
    write_info 74 in/media/other-name.info.json
    write_captions 'plum' 'in/vtt/whatever [72].en.vtt'
    write_captions 'peach' in/vtt/73.vtt
    write_captions 'by the id in info.json' in/vtt/74.en.vtt
    echo '[{"cid": "1", "aweme_id": "72", "text": "to 72"},
           {"cid": "2", "aweme_id": "73", "text": "to 73"}]' >in/comments/export.json
    expect_code 0 ingest --report report in >out.tar
    printf '%s\n' kiwi/73 kiwi/72 kiwi/74 >wanted
    keys_of out.tar >got
    expect_same wanted got
    member out.tar kiwi/72.script.json >script
    expect_match '"text":"plum"' script
    member out.tar kiwi/74.script.json >script
    expect_match '"text":"by the id in info.json"' script
    member out.tar kiwi/73.comments.json >comments
    expect_match '"to 73"' comments
    expect_no_match '"to 72"' comments
}
run sidecars_in_other_folders_join_by_id

slides_of_gallery_dl_are_thumbnails_of_one_sample() {
    local i
    mkdir -p in/tiktok/kiwi
    for i in 01 02 03; do
        make_media -f lavfi -i "testsrc2=size=64x64:rate=1,hue=h=$((10#$i * 90))" -frames:v 1 \
            "in/tiktok/kiwi/75_$i.jpg"
        echo '{"category": "tiktok", "id": "75", "user": "kiwi", "desc": "three slides"}' \
            >"in/tiktok/kiwi/75_$i.jpg.json"
    done
    expect_code 0 ingest --report report in >out.tar
    members_of out.tar | grep -c '^[^/]*/75\.00[012]\.jpg$' >got
    echo 3 >wanted
    expect_same wanted got
    keys_of out.tar >got
    test "$(wc -l <got)" -eq 1
    member out.tar "$(cat got).json" >sample
    expect_match '"description":"three slides"' sample
}
run slides_of_gallery_dl_are_thumbnails_of_one_sample

unfinished_downloads_and_playlists_are_not_clips() {
    put_clip in/76.mp4 in/77.f137.mp4 in/77.temp.mp4
    touch in/78.mp4.part in/78.mp4.ytdl in/79.tmp in/80.mp4.part-Frag3.part in/notes.txt
    echo '{"id": "kiwi", "_type": "playlist", "title": "all of kiwi"}' >in/kiwi.info.json
    expect_code 0 ingest --report report in >out.tar
    test "$(wc -l <report)" -eq 1
    expect_report report in/76.mp4 ok
}
run unfinished_downloads_and_playlists_are_not_clips

a_file_operand_takes_its_sidecars_and_nothing_else() {
    put_clip in/81.mp4 in/82.mp4
    touch in/broken.mp4
    ln -s nowhere in/dangling.mp4
    write_info 81 in/81.info.json
    write_captions 'mine' in/81.en.vtt
    write_captions 'orphan' in/83.en.vtt
    expect_code 0 ingest --report report in/81.mp4 >out.tar
    test "$(wc -l <report)" -eq 1
    member out.tar kiwi/81.script.json >script
    expect_match '"text":"mine"' script
    (cd in && expect_code 0 ingest 81.mp4 >../here.tar)
    keys_of here.tar >got
    echo kiwi/81 >wanted
    expect_same wanted got
}
run a_file_operand_takes_its_sidecars_and_nothing_else

lists_of_paths_may_hold_any_name() {
    put_clip $'in/new\nline.mp4' 'in/ blank .mp4' in/third.mp4
    find in -name '*.mp4' ! -name third.mp4 -print0 | sort -z >list
    expect_code 0 ingest -0 --files-from list --report report in/third.mp4 >out.tar
    ingest -0 --files-from - in/third.mp4 <list >piped.tar
    expect_same out.tar piped.tar
    printf '%s\n' in/third in/%20blank%20 in/new%0Aline >wanted
    keys_of out.tar >got
    expect_same wanted got
    expect_report report 'in/new\nline.mp4' ok
}
run lists_of_paths_may_hold_any_name

keys_in_the_skip_list_are_left_out() {
    put_clip in/a.mp4 in/b.mp4 in/c.mp4
    printf '%s\n' in/a in/c in/never-seen >seen
    expect_code 0 ingest --skip-from seen --report report in >out.tar
    echo in/b >wanted
    keys_of out.tar >got
    expect_same wanted got
    expect_report report in/a.mp4 skipped "done" 'list of keys'
}
run keys_in_the_skip_list_are_left_out

shares_are_disjoint_and_complete() {
    local i
    put_clip in/{a,b,c,d,e,f,g,h,i}.mp4
    ingest in >all.tar
    keys_of all.tar | sort >wanted
    for i in 0 1 2; do
        ingest --shard $i/3 --report "report.$i" in >"part.$i.tar"
        keys_of "part.$i.tar" >"keys.$i"
        test -s "keys.$i"
        test "$(wc -l <"report.$i")" -eq "$(wc -l <"keys.$i")"
    done
    sort keys.0 keys.1 keys.2 >got
    expect_same wanted got
}
run shares_are_disjoint_and_complete

bytes_do_not_depend_on_the_number_of_workers() {
    cp -pr "$archive" in
    put_clip in/zucchini/{1,2,3,4,5,6}.mp4
    echo '[{"cid": "1", "aweme_id": "1", "text": "a '$'\xff''"}, {"cid": "2", "aweme_id": "2",
        "text": "b"}, {"cid": "3", "aweme_id": "6", "text": "c"}]' >in/comments-of-all.json
    expect_code 3 ingest -j 1 --report report in >out.tar
    for jobs in 2 5; do
        expect_code 3 ingest -j $jobs --report "report.$jobs" in >"out.$jobs.tar"
        expect_same out.tar "out.$jobs.tar"
        sed -i 's/,"ms":.*//' "report.$jobs"
        sed 's/,"ms":.*//' report >wanted
        expect_same wanted "report.$jobs"
    done
}
run bytes_do_not_depend_on_the_number_of_workers

clips_come_in_the_order_of_the_operands_then_of_their_names() {
    put_clip z/b.mp4 z/a.mp4 z/in/c.mp4 y/d.mp4
    touch z/aa.mp4
    expect_code 3 ingest --report report z y >out.tar
    printf '%s\n' z/a z/b in/c y/d >wanted
    keys_of out.tar >got
    expect_same wanted got
    sed 's/^{"input":"\([^"]*\)".*/\1/' report >got
    printf '%s\n' z/a.mp4 z/aa.mp4 z/b.mp4 z/in/c.mp4 y/d.mp4 >wanted
    expect_same wanted got
}
run clips_come_in_the_order_of_the_operands_then_of_their_names

a_key_comes_once() {
    put_clip in/one/same/1.mp4 in/two/same/1.mp4
    expect_code 3 ingest --report report in >out.tar
    echo same/1 >wanted
    keys_of out.tar >got
    expect_same wanted got
    expect_report report in/one/same/1.mp4 ok
    expect_report report in/two/same/1.mp4 skipped duplicate 'key came before'
}
run a_key_comes_once

the_end_of_the_stream_counts_as_the_report_does() {
    cp -pr "$archive" in
    touch in/empty.mp4 in/orphan.vtt
    expect_code 3 ingest --report report in >out.tar
    member out.tar __end__ >end
    expect_match '"samples":4,"partial":1,"skipped":1,"failed":1' end
    test "$(grep -c '"status":"ok"' report)" -eq 3
    test "$(grep -c '"status":"partial"' report)" -eq 1
    test "$(wc -l <report)" -eq 6
}
run the_end_of_the_stream_counts_as_the_report_does

one_export_gives_each_clip_its_own_comments() {
    put_clip in/a/81.mp4 in/a/82.mp4 # without any metadata: their names are their ids
    echo '[{"cid": "1", "aweme_id": "81", "text": "to 81"},
           {"cid": "2", "aweme_id": "82", "text": "to 82"}]' >in/export.json
    cp in/export.json in/a/83.json # beside a clip, with a name that says nothing
    put_clip in/a/83.mp4
    sed -i 's/"82"/"83"/' in/a/83.json
    expect_code 0 ingest in >out.tar
    for id in 81 82; do
        member out.tar a/$id.comments.json >comments
        expect_match "^\\[\\{\"id\":\"[12]\",[^{]*\"text\":\"to $id\"[^{]*\\]\$" comments
    done
    member out.tar a/83.comments.json >comments
    expect_match '"to 82"' comments
    expect_no_match '"to 81"' comments
}
run one_export_gives_each_clip_its_own_comments

without_metadata_the_folder_is_the_account() {
    put_clip mango/1.mp4 mango/sub/2.mp4
    for from in . ./ ../mango 1.mp4; do
        (cd mango && ingest --thumbs 0 --no-audio "$from") >out.tar
        keys_of out.tar >got
        expect_match '^mango/1$' got
    done
    ingest mango >out.tar
    keys_of out.tar >got
    printf '%s\n' mango/1 sub/2 >wanted
    expect_same wanted got
}
run without_metadata_the_folder_is_the_account

# ingest 10
media_are_known_by_many_names_and_by_their_info_json() {
    mkdir -p in/kiwi
    make_media -f lavfi -i sine=duration=1 -f matroska in/kiwi/a.mka
    make_media -f lavfi -i sine=duration=1 in/kiwi/b.aiff
    put_clip in/kiwi/c.f4v in/kiwi/d.unknown_video in/kiwi/e.weird 'in/kiwi/no extension'
    write_info e in/kiwi/e.info.json
    write_info f 'in/kiwi/no extension.info.json'
    echo 'an URL' >in/kiwi/e.url
    expect_code 0 ingest --thumbs 0 --no-audio --report report in >out.tar
    printf 'kiwi/%s\n' a b c d e f >wanted
    keys_of out.tar >got
    expect_same wanted got
    expect_report report in/kiwi/e.weird ok
    member out.tar kiwi/e.json >sample
    expect_match '"codec":"h264"' sample
    expect_match '"warnings":\[\]' sample
}
run media_are_known_by_many_names_and_by_their_info_json

# ingest 10
files_of_unknown_kinds_are_reported() {
    put_clip in/kiwi/a.mp4 'in/kiwi/lost [dQw4w9WgXcQ].weird'
    echo no media >in/kiwi/a.blob
    echo no media >in/kiwi/b.blob
    echo clutter >in/kiwi/clutter.blob
    write_info b in/kiwi/b.info.json
    expect_code 3 ingest --thumbs 0 --no-audio --report report in >out.tar
    member out.tar kiwi/a.json >sample
    expect_match '"warnings":\["a.blob: an unknown kind of file' sample
    expect_report report in/kiwi/a.mp4 ok
    expect_report report in/kiwi/b.blob partial not-media ''
    expect_report report 'in/kiwi/lost [dQw4w9WgXcQ].weird' skipped orphan 'an unknown kind of file'
    test "$(wc -l <report)" -eq 3
}
run files_of_unknown_kinds_are_reported

# ingest 17
captions_of_kinds_that_are_not_read_are_listed() {
    local kind
    put_clip in/kiwi/a.mp4 in/kiwi/b.mp4
    for kind in lrc sbv stl scc smi; do
        echo text >in/kiwi/a.en.$kind
    done
    echo text >in/kiwi/b.en.lrc
    write_captions hello in/kiwi/b.de.vtt
    expect_code 3 ingest --thumbs 0 --no-audio --report report in >out.tar
    expect_report report in/kiwi/a.mp4 partial sidecar 'a.en.lrc: captions of this kind'
    expect_report report in/kiwi/b.mp4 ok
    member out.tar kiwi/a.json >sample
    for kind in lrc sbv stl scc smi; do
        expect_match "\"language\":\"en\",\"kind\":\"$kind\",\"bitmap\":false,\"chosen\":false,\"cues\":null" sample
        expect_match "\"a.en.$kind: captions of this kind are listed, not read\"" sample
    done
    member out.tar kiwi/b.json >sample
    expect_match '"kind":"lrc","bitmap":false,"chosen":false' sample
    expect_match '"warnings":\["b.en.lrc: ' sample
    member out.tar kiwi/b.script.json >script
    expect_match hello script
}
run captions_of_kinds_that_are_not_read_are_listed

# ingest 18
captions_of_the_spoken_language_are_preferred() {
    local id=7349999999999999991
    put_clip in/kiwi/a.mp4 in/kiwi/b.mp4 in/kiwi/c.mp4 in/kiwi/d.mp4 "in/kiwi/$id x.mp4"
    write_captions original in/kiwi/a.de-orig.vtt
    write_captions translated in/kiwi/a.en.vtt
    cp in/kiwi/a.de-orig.vtt in/kiwi/b.de-orig.vtt
    cp in/kiwi/a.en.vtt in/kiwi/b.en.vtt
    write_captions manual in/kiwi/b.de.vtt
    write_captions spoken in/kiwi/c.de.vtt
    write_captions translated in/kiwi/c.en-de.vtt
    write_captions spoken in/kiwi/d.de.vtt # only info.json says what is spoken
    write_captions translated in/kiwi/d.en.vtt
    printf '{"id": "d", "uploader": "kiwi", "subtitles": {}, "automatic_captions": {"de-orig": [], "en": []}}' \
        >in/kiwi/d.info.json
    write_captions spoken "in/kiwi/$id x [4_deu-DE_ASR_1_webvtt].vtt"
    write_captions translated "in/kiwi/$id x [2_eng-US_MT_1_webvtt].vtt"
    expect_code 0 ingest --thumbs 0 --no-audio in >out.tar
    for key in a:original b:manual c:spoken d:spoken $id:spoken; do
        member out.tar "kiwi/${key%%:*}.script.json" >script
        expect_match "\"${key##*:}\"" script
    done
    ingest --thumbs 0 --no-audio --lang en in >out.tar
    member out.tar kiwi/b.script.json >script
    expect_match translated script
    ingest --thumbs 0 --no-audio --lang de in >out.tar
    member out.tar kiwi/b.script.json >script
    expect_match manual script
}
run captions_of_the_spoken_language_are_preferred

test_finish
