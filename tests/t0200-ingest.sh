#!/usr/bin/env bash
# t0200-ingest.sh - the sample archive becomes the samples that it should.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip_all "no jq"

archive=$test_folder/archive

# ingest ARGUMENTS...: the stream in samples.tar, unpacked here; one clip of the archive is cut off: status 3
ingest() {
    expect_code 3 "$OCC_BIN/occ" ingest -q --report report.jsonl "$@" >samples.tar
    tar xf samples.tar
}

# expect_json FILTER FILE: jq's filter is true
expect_json() {
    jq -e "$1" "$2" >/dev/null || complain "not so in $2: $1" "$(jq -c . "$2" | head -c 2000)"
}

every_clip_becomes_a_sample() {
    ingest "$archive"
    tar tf samples.tar | sed -n 's/\.json$//p' | grep -vE 'script|comments|audio' >keys
    printf '%s\n' banana/7312345678901234567 banana/7301234567890123456 pear/7323456789012345678 \
        pear/7334567890123456789 >wanted
    expect_same wanted keys
    expect_json '.samples == 4 and .failed == 0 and .skipped == 0' __end__
    expect_json '.format == "occ-stream" and .version == 1 and .options.thumbs == 4' __stream__
}

metadata_comes_from_info_json() {
    ingest "$archive"
    expect_json '.id == "7301234567890123456" and .account == "banana"
        and .created == 1690000000 and .created_from == "metadata" and .duration_ms == 7000
        and .counts.views == 1204553 and .counts.saves == 12276
        and .hashtags == ["banana", "lifehack", "foodtok"]
        and .media.width == 288 and .media.height == 512 and .media.fps == 25
        and (.source.path | endswith("[7301234567890123456].mp4"))' banana/7301234567890123456.json
}

captions_come_from_files_tracks_and_creators() {
    ingest "$archive"
    expect_json '[.[].text] == ["Everyone opens a banana from the wrong end.",
        "Monkeys pinch the tip.", "Try it once and you will\nnever go back."]
        and .[1].start_ms == 2300 and .[1].end_ms == 4000' banana/7301234567890123456.script.json
    expect_json '.captions == [{source: "embedded", language: "eng", kind: "mov_text", bitmap: false,
        chosen: true, cues: 3}]' banana/7312345678901234567.json
    expect_json '.[2].text == "He said twenty-seven."' banana/7312345678901234567.script.json
    expect_json '.captions[0].kind == "creator"' pear/7323456789012345678.json
    expect_json '.[0].text == "Pears ripen from the inside out."' pear/7323456789012345678.script.json
}

comments_come_threaded_from_both_shapes() {
    ingest "$archive"
    expect_json '[.[].author] == ["slowpoke", "banana", "kiwi_kate"] and .[0].pinned
        and .[1].by_creator and .[1].parent == .[0].id and .[2].likes == 77' \
        banana/7301234567890123456.comments.json
    expect_json '.[1].by_creator and .[1].parent == "c1"' banana/7312345678901234567.comments.json
    expect_code 1 test -e pear/7334567890123456789.comments.json
}

each_scene_has_its_thumbnail() {
    ingest "$archive"
    expect_json '[.thumbs[] | .scene] == [0, 1, 2, 2] and all(.thumbs[]; .flaw == "good")' \
        banana/7301234567890123456.json
    expect_json '.media.frames.every == false' banana/7301234567890123456.json
    # one keyframe only: the others had to be decoded
    expect_json '(.thumbs | length) == 4 and .media.frames.every' banana/7312345678901234567.json
    # sound only: the slides beside it
    expect_json '(.thumbs | length) == 2 and .media.codec == null' pear/7323456789012345678.json
    for picture in banana/*.jpg pear/*.jpg; do
        [ "$(head -c 2 "$picture" | od -An -tx1)" = " ff d8" ]
    done
}

sound_is_measured() {
    ingest "$archive"
    expect_json '.loudness_lufs > -25 and .loudness_lufs < -10 and (.envelope.dbfs | length) > 50
        and .mel.bands == 64' banana/7301234567890123456.audio.json
    head -c 15 pear/7323456789012345678.mel.pgm >picture
    expect_match '^P5' picture
}

a_broken_download_keeps_what_it_has() {
    ingest "$archive"
    expect_json '.status == "partial" and (.warnings[0] | contains("are there"))
        and (.thumbs | length) > 0' pear/7334567890123456789.json
    jq -c 'select(.status != "ok") | [.key, .status, .reason, .frames.expected]' report.jsonl >messages
    echo '["pear/7334567890123456789","partial","truncated",175]' >wanted
    expect_same wanted messages
}

the_same_input_gives_the_same_bytes() {
    for jobs in 1 2 5; do
        expect_code 3 "$OCC_BIN/occ-ingest" -q -j "$jobs" "$archive" >"$jobs.tar"
    done
    cmp 1.tar 2.tar
    cmp 1.tar 5.tar
}

thumbs_and_audio_are_options() {
    ingest --thumbs 1 --thumb-size 64 --no-audio "$archive"
    expect_json '(.thumbs | length) == 1 and .thumbs[0].height == 64' banana/7301234567890123456.json
    expect_code 1 test -e banana/7301234567890123456.audio.json
    ingest --thumbs 0 "$archive"
    tar tf samples.tar >names
    expect_match 'mel.pgm' names
    rm -rf banana pear
    tar xf samples.tar
    [ -z "$(find banana pear -name '*.jpg')" ]
}

languages_are_chosen() {
    mkdir clips
    cp "$archive"/banana/*7301234567890123456].mp4 clips/a.mp4
    for language in de en fr; do
        printf 'WEBVTT\n\n00:00.000 --> 00:01.000\nin %s\n' "$language" >"clips/a.$language.vtt"
    done
    for wish in de fr,de en-US fre nl; do
        expect_code 0 "$OCC_BIN/occ" ingest -q --lang "$wish" clips |
            tar xO clips/a.script.json | jq -r '.[0].text' >>got
    done
    printf 'in %s\n' de fr en fr en >wanted # nobody offers nl: English is next
    expect_same wanted got
}

speakers_of_captions_are_named() {
    mkdir clips
    cp "$archive"/banana/*7301234567890123456].mp4 clips/a.mp4
    printf 'WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ann>Bananas?\n<v.loud Bob>Yes.</v>\n\n' >clips/a.en.vtt
    printf '00:01.000 --> 00:02.000\n&gt;&gt; ANN: No.\n' >>clips/a.en.vtt
    expect_code 0 "$OCC_BIN/occ" ingest -q clips | tar xO clips/a.script.json >script
    expect_json '. == [{start_ms: 0, end_ms: 1000, text: "Bananas?", speaker: "Ann"},
        {start_ms: 0, end_ms: 1000, text: "Yes.", speaker: "Bob"},
        {start_ms: 1000, end_ms: 2000, text: ">> ANN: No."}]' script
    expect_match '"text":"Yes.","speaker":"Bob"' script
}

# ingest 11, 12, 14: the text of the file is in the script
captions_of_webvtt_are_read_as_the_standard_says() {
    mkdir clips
    cp "$archive"/banana/*7301234567890123456].mp4 clips/a.mp4
    printf 'WEBVTT\r\r00:01.000 --> 00:02.000\ruse &lt;b&gt;\r  00:02.000 --> 00:04.000\rC:\\New &hellip;\r' \
        >clips/a.en.vtt
    printf '\rsays who\rand when\r' >>clips/a.en.vtt
    expect_code 0 "$OCC_BIN/occ" ingest -q --report report.jsonl clips >samples.tar
    tar xf samples.tar
    expect_json '. == [{start_ms: 1000, end_ms: 2000, text: "use <b>"},
        {start_ms: 2000, end_ms: 4000, text: "C:\\New …"}]' clips/a.script.json
    expect_json '.warnings == ["a.en.vtt: texts without a readable time, left out: 1"]' clips/a.json
}

# ingest 17
captions_of_video_sites_are_read() {
    mkdir clips
    printf '{"events":[{"tStartMs":0,"dDurationMs":1000,"segs":[{"utf8":"alpha"},{"utf8":" beta"}]}]}' >clips/a.en.json3
    printf '<transcript><text start="1" dur="2">it&amp;#39;s</text></transcript>' >clips/b.en.srv1
    printf '<timedtext><text t="1000" d="2000">two</text></timedtext>' >clips/c.en.srv2
    printf '<timedtext format="3"><body><p t="1000" d="2000"><s>th</s><s>ree</s></p></body></timedtext>' >clips/d.en.srv3
    printf '<tt><body><p begin="1s" dur="2s">one<br/>two</p></body></tt>' >clips/e.en.ttml
    printf '<tt><body><p begin="1s" dur="2s">more</p></body></tt>' >clips/f.en.dfxp
    printf '<tt><body><p begin="1s" dur="2s">cut off</p><p beg' >clips/g.en.ttml
    for clip in a b c d e f g; do
        cp "$archive"/banana/*7301234567890123456].mp4 "clips/$clip.mp4"
    done
    expect_code 3 "$OCC_BIN/occ" ingest -q --report report.jsonl clips >samples.tar
    tar xf samples.tar
    for clip in a b c d e f; do
        jq -r '.[] | "\(.start_ms) \(.end_ms) \(.text | gsub("\n"; "|"))"' "clips/$clip.script.json"
    done >got
    printf '%s\n' '0 1000 alpha beta' "1000 3000 it's" '1000 3000 two' '1000 3000 three' '1000 3000 one|two' \
        '1000 3000 more' >wanted
    expect_same wanted got
    jq -rs '[.[] | select(.status != "ok") | "\(.key) \(.reason)"] | join(";")' report.jsonl >got
    echo 'clips/g sidecar' >wanted
    expect_same wanted got
    expect_json '.warnings[0] | startswith("g.en.ttml: line 1: ")' clips/g.json
}

no_captions_is_a_result() {
    mkdir clips
    cp "$archive"/banana/*7301234567890123456].mp4 clips/a.mp4
    expect_code 0 "$OCC_BIN/occ" ingest -q --report report.jsonl clips >samples.tar
    expect_json '.status == "ok" and .captions == 0' report.jsonl
    tar tf samples.tar >names
    expect_no_match 'script' names
}

incomplete_clips_are_named_under_q_too() { # store F14
    expect_code 3 "$OCC_BIN/occ" ingest -q "$archive" >samples.tar 2>messages
    expect_match '^occ-ingest: .*/pear/A pear falls .*: partial: the container lists 175 frames, 35 are there$' messages
    expect_equal 1 "$(wc -l <messages)"
    mkdir twice twice/a twice/b
    cp "$archive"/banana/*7301234567890123456* twice/a
    cp "$archive"/banana/*7301234567890123456* twice/b
    expect_code 3 "$OCC_BIN/occ" ingest -q twice >samples.tar 2>messages
    expect_match '^occ-ingest: .*: skipped: the same clip as .*' messages
    expect_code 3 "$OCC_BIN/occ" ingest -q --report report.jsonl "$archive" >samples.tar 2>messages
    expect_equal '' "$(cat messages)" # the report names it
}

binary_never_goes_to_a_terminal() {
    script -qec true /dev/null >out </dev/null || skip 'script(1) gets no terminal here'
    code=0
    script -qec "$OCC_BIN/occ-ingest $archive" /dev/null >out </dev/null || code=$?
    [ "$code" = 2 ]
    expect_match 'terminal' out
}

a_signal_while_looking_for_clips_ends_at_once() {
    mkfifo list
    sleep 60 >list &
    holder=$!
    "$OCC_BIN/occ-ingest" --files-from list >out &
    parent=$!
    until readlink "/proc/$parent/fd/"* 2>/dev/null | grep -q '/list$'; do sleep 0.05; done
    sleep 0.2
    kill $parent
    expect_code 75 wait $parent
    kill $holder
}

run every_clip_becomes_a_sample
run metadata_comes_from_info_json
run captions_come_from_files_tracks_and_creators
run comments_come_threaded_from_both_shapes
run each_scene_has_its_thumbnail
run sound_is_measured
run a_broken_download_keeps_what_it_has
run the_same_input_gives_the_same_bytes
run thumbs_and_audio_are_options
run languages_are_chosen
run speakers_of_captions_are_named
run captions_of_webvtt_are_read_as_the_standard_says
run captions_of_video_sites_are_read
run no_captions_is_a_result
run incomplete_clips_are_named_under_q_too
run binary_never_goes_to_a_terminal
run a_signal_while_looking_for_clips_ends_at_once
test_finish
