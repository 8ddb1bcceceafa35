#!/usr/bin/env bash
# t0410-compress-bad-input.sh - what is damaged is named, the rest goes on, nothing is half written.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

no_encoder_and_no_store_are_explained() {
    unset OCC_MODEL
    mkdir data
    OCC_DATA=data expect_code 1 "$OCC_BIN/occ" compress --store s </dev/null 2>messages
    expect_match 'no encoder is named \(--model FILE\), and the bundled one: nano.safetensors: is not in data' messages
    expect_code 2 "$OCC_BIN/occ" compress --model x </dev/null 2>messages
    expect_match 'no store is named' messages
    expect_code 1 "$OCC_BIN/occ" compress --store s --model nowhere.safetensors </dev/null 2>messages
    expect_match 'nowhere.safetensors: No such file' messages
    [ ! -e s ]
}

a_file_that_is_no_encoder_is_refused() {
    echo 'not a model' >text
    expect_code 1 "$OCC_BIN/occ" compress --store s --model text </dev/null 2>messages
    expect_match 'text: ' messages
    head -c 5000 "$OCC_MODEL" >begun
    expect_code 1 "$OCC_BIN/occ" compress --store s --model begun </dev/null 2>messages
    expect_match 'begun: the file ends in its header' messages
    head -c 1000000 "$OCC_MODEL" >begun
    expect_code 1 "$OCC_BIN/occ" compress --store s --model begun </dev/null 2>messages
    expect_match 'begun: tensor .* past the end of the file' messages
    # The metadata says nano, the tensors are of something else.
    sed 's/model.image_newline/model.image_newlino/' "$OCC_MODEL" >renamed
    expect_code 1 "$OCC_BIN/occ" compress --store s --model renamed </dev/null 2>messages
    expect_match "no encoder 'nano': 1 tensors are missing, the first is model.image_newline" messages
    [ ! -e s ]
}

a_damaged_page_fails_its_sample_alone() {
    make_days 4
    mkdir unpacked
    tar xf days.tar -C unpacked
    tar tf days.tar >names
    echo garbage >unpacked/kiwi/1.p000.pgm
    head -c 5000 unpacked/kiwi/2.p000.pgm >begun && mv begun unpacked/kiwi/2.p000.pgm
    tar --format=pax --no-recursion -C unpacked -cf damaged.tar -T names
    expect_code 3 "$OCC_BIN/occ" compress -q --store quiet <damaged.tar 2>messages # store F14
    expect_match '^occ-compress: kiwi/1: page 0: neither PNG nor JPEG nor binary PNM' messages
    expect_equal 2 "$(wc -l <messages)"
    expect_code 3 "$OCC_BIN/occ" compress --store s <damaged.tar 2>messages
    expect_match 'kiwi/1: page 0: neither PNG nor JPEG nor binary PNM' messages
    expect_match 'kiwi/2: page 0: PNM: [0-9]+ bytes of pixels, 32768 are needed' messages
    expect_match '2 samples could not be encoded' messages
    expect_equal 'kiwi/0 kiwi/3 ' "$(store ls s | tr '\n' ' ')"
    expect_code 0 "$OCC_BIN/occ" compress -q --store s <days.tar # mended: the rest comes too
    expect_equal 4 "$(store ls s | wc -l)"
    expect_equal '' "$(store verify s)"
}

a_page_of_another_size_is_refused() {
    make_days 2
    mkdir unpacked
    tar xf days.tar -C unpacked
    { printf 'P5\n500 512\n255\n' && head -c 256000 /dev/zero; } >unpacked/kiwi/1.p000.pgm
    tar tf days.tar | tar --format=pax --no-recursion -C unpacked -cf wrong.tar -T -
    expect_code 3 "$OCC_BIN/occ" compress --store s <wrong.tar 2>messages
    expect_match 'kiwi/1: page 0: a page of 500 x 512 pixels; mode tiny in cells has 512 x 64 to 512 in steps of 64$' messages
}

a_record_that_is_damaged_is_refused() {
    make_days 3
    mkdir unpacked
    tar xf days.tar -C unpacked
    echo '{"mode": "poster", "pages": []}' >unpacked/kiwi/0.pages.json
    echo '[' >unpacked/kiwi/1.pages.json
    tar tf days.tar | tar --format=pax --no-recursion -C unpacked -cf wrong.tar -T -
    expect_code 3 "$OCC_BIN/occ" compress --store s <wrong.tar 2>messages
    expect_match "kiwi/0: pages.json: mode 'poster'" messages
    expect_match 'kiwi/1: pages.json: ' messages
    expect_equal 'kiwi/2' "$(store ls s)"
}

a_truncated_stream_keeps_what_came_before() {
    make_days 5
    head -c $(($(stat -c %s days.tar) * 3 / 5)) days.tar >cut.tar
    expect_code 1 "$OCC_BIN/occ" compress --store s <cut.tar 2>messages
    expect_match 'stopped early|ends too early|truncated' messages
    kept=$(store ls s | wc -l)
    [[ $kept -ge 1 && $kept -lt 5 ]] || complain "$kept samples"
    expect_equal '' "$(store verify s)"
    expect_code 0 "$OCC_BIN/occ" compress -q --store s <days.tar
    expect_equal 5 "$(store ls s | wc -l)"
    echo 'no tar' | expect_code 1 "$OCC_BIN/occ" compress --store s 2>messages
    expect_match 'occ-compress: error|occ-compress: ' messages
}

samples_without_pages_are_told() { # store F14: `occ render` was left out
    take_in "$archive" >samples.tar
    expect_code 1 "$OCC_BIN/occ" compress -q --store s <samples.tar 2>messages
    expect_equal "occ-compress: 4 samples and no pages: run 'occ render' first" "$(cat messages)"
    expect_equal '' "$(store ls s)" # or 'ingest --skip-from' would take them for done
    stream_begin # of another program
    put_clip kiwi/1 1 'One'
    stream_end | expect_code 1 "$OCC_BIN/occ" compress -q --store s 2>messages
    expect_equal "occ-compress: 1 samples and no pages: run 'occ render' first" "$(cat messages)"
    make_days 2
    expect_code 1 "$OCC_BIN/occ" compress -q --store both days.tar samples.tar 2>messages
    expect_match "^occ-compress: samples.tar: 4 samples and no pages: run 'occ render' first" messages
    expect_equal 2 "$(store stats --json both | jq .pages)"
    # Nothing to be put on a page is another matter.
    stream_begin
    echo '{"id": "1", "account": "kiwi"}' | put kiwi/1.json
    stream_samples=1
    stream_end | render -q --mode base --parts script >empty.tar
    expect_code 0 "$OCC_BIN/occ" compress -q --store empty <empty.tar
}

what_follows_a_stream_and_is_none_is_refused() { # store F6
    make_days 3
    { cat days.tar && head -c 3000 /dev/urandom; } >noise.tar
    expect_code 1 "$OCC_BIN/occ" compress -q --store s <noise.tar 2>messages
    expect_match "^occ-compress: after __end__, byte $(stat -c %s days.tar): not a sample stream" messages
    expect_equal 3 "$(store ls s | wc -l)" # what came before is kept
    expect_code 3 "$OCC_BIN/occ" compress -q --store s nowhere.png days.tar 2>messages
    expect_match '^occ-compress: nowhere.png: No such file' messages
    expect_code 1 "$OCC_BIN/occ" compress -q --store s days.tar nowhere.tar 2>messages
    expect_match '^occ-compress: nowhere.tar: No such file' messages
}

a_signal_ends_the_wait_for_input() {
    make_days 1
    mkfifo in
    "$OCC_BIN/occ-compress" --store s <in 2>messages &
    exec 9>in
    head -c 2000 days.tar >&9
    sleep 0.5
    kill $!
    expect_code 75 wait $! # by itself: the last resort is nine seconds away
    exec 9>&-
    expect_match 'stopped by a signal; run it again to resume' messages
}

a_store_of_another_encoder_or_format_is_refused() {
    make_days 1
    compress --store s <days.tar
    "$OCC_BIN/occ" model init --config nano --seed 2 -o other.safetensors
    expect_code 1 "$OCC_BIN/occ" compress --store s --model other.safetensors <days.tar 2>messages
    expect_match 'holds tokens of the encoder nano \([0-9a-f]+\), not of nano \([0-9a-f]+\)' messages
    expect_code 1 "$OCC_BIN/occ" store merge other s s 2>messages || true
    mkdir home
    echo 'dear diary' >home/diary.txt
    expect_code 1 "$OCC_BIN/occ" compress --store home <days.tar 2>messages
    expect_match 'home: is not a token store: it holds diary.txt' messages
    expect_equal diary.txt "$(ls home)"
    for command in info ls stats verify; do
        expect_code 1 "$OCC_BIN/occ" store $command home 2>messages
        expect_match 'home: is not a token store' messages
    done
    printf 'garbage' >home/data.mdb
    expect_code 1 "$OCC_BIN/occ" store info home 2>messages
}

usage_is_checked() {
    expect_code 2 "$OCC_BIN/occ" store
    expect_code 2 "$OCC_BIN/occ" store frobnicate s 2>messages
    expect_match 'no such command: frobnicate' messages
    expect_code 2 "$OCC_BIN/occ" store get s
    expect_code 2 "$OCC_BIN/occ" model
    expect_code 2 "$OCC_BIN/occ" model init 2>messages
    expect_match 'init needs --output' messages
    for verb in 'forget --store s' read 'eval fidelity x'; do
        # shellcheck disable=SC2086 # words
        expect_code 2 "$OCC_BIN/occ" $verb --device cuda </dev/null 2>messages
        expect_match 'no (CUDA|NVIDIA GPU)' messages
    done
    expect_code 2 "$OCC_BIN/occ" compress --store s --device cuda </dev/null 2>messages
    expect_match 'no (CUDA backend|NVIDIA GPU)' messages
    OCC_CPU=z80 expect_code 1 "$OCC_BIN/occ" compress --store s </dev/null 2>messages
    expect_match 'OCC_CPU=z80: the levels are' messages
}

a_full_disk_is_reported_and_loses_nothing() {
    unshare -m true 2>/dev/null || skip 'no mount namespace'
    make_days 60
    cat >in_namespace <<'END'
set -e
mkdir disk
mount -t tmpfs -o size=400k none disk
code=0
"$OCC_BIN/occ" compress --store disk/s --threads 1 <days.tar 2>messages || code=$?
[ $code = 1 ] || { echo "exit status $code"; exit 1; }
grep -q 'disk full' messages || { cat messages; exit 1; }
if [ -e disk/s/data.mdb ]; then
    "$OCC_BIN/occ" store verify disk/s || grep -q . messages
fi
mount -o remount,size=64m disk
"$OCC_BIN/occ" compress --store disk/s --threads 1 <days.tar
"$OCC_BIN/occ" store verify disk/s
"$OCC_BIN/occ" store ls disk/s | wc -l >count
END
    expect_code 0 unshare -m bash in_namespace
    expect_equal 60 "$(cat count)"
}

run no_encoder_and_no_store_are_explained
run a_file_that_is_no_encoder_is_refused
run a_damaged_page_fails_its_sample_alone
run a_page_of_another_size_is_refused
run a_record_that_is_damaged_is_refused
run a_truncated_stream_keeps_what_came_before
run samples_without_pages_are_told
run what_follows_a_stream_and_is_none_is_refused
run a_signal_ends_the_wait_for_input
run a_store_of_another_encoder_or_format_is_refused
run usage_is_checked
run a_full_disk_is_reported_and_loses_nothing
test_finish
