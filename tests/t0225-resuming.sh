#!/usr/bin/env bash
# t0225-resuming.sh - shards of a run that was killed, or made of other clips: run again, it ends as
# if nothing had happened, and complete shards are not made twice.
# shellcheck source=tests/lib-ingest.sh
. "$(dirname "$0")/lib-ingest.sh"

put_many_clips() {
    put_clip in/{a,b,c,d,e,f,g,h}{1,2,3}.mp4
}

to_shards() { # FOLDER [OPTION...]
    local folder=$1
    shift
    expect_code 0 ingest -q --shard-size 64k -o "$folder" "$@" in
}

expect_same_shards() { # WANTED GOT: folders
    (cd "$1" && sha256sum -- *) >wanted
    (cd "$2" && sha256sum -- *) >got
    expect_same wanted got
    find "$2" -name '.*.tmp' >left
    expect_same /dev/null left
}

killed_at_any_moment_a_rerun_gives_the_same_shards() {
    local kills=0 began took ms status
    put_many_clips
    began=$(date +%s%3N)
    to_shards undisturbed
    took=$(($(date +%s%3N) - began))
    while [ $kills -lt 25 ]; do
        rm -rf out
        while true; do
            "$OCC_BIN/occ-ingest" -q --shard-size 64k -o out in &
            parent=$!
            ms=$((RANDOM % took))
            sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
            kill -KILL $parent 2>gone || true
            status=0
            wait $parent || status=$?
            [ $status -eq 137 ] || break
            kills=$((kills + 1))
        done
        test $status -eq 0
        expect_same_shards undisturbed out
    done
}
run killed_at_any_moment_a_rerun_gives_the_same_shards

complete_shards_are_kept_as_they_are() {
    put_many_clips
    to_shards out
    test "$(find out -name 'ingest-*.tar' | wc -l)" -ge 4
    rm out/ingest-000003.tar
    stat -c '%n %i %Y' out/ingest-00000[012].tar >wanted
    to_shards out --report report
    stat -c '%n %i %Y' out/ingest-00000[012].tar >got
    expect_same wanted got
    expect_report report in/a1.mp4 skipped kept 'complete shard of an earlier run'
    expect_report report in/h3.mp4 ok
}
run complete_shards_are_kept_as_they_are

expect_as_if_fresh() { # [OPTION...]: out/, which an earlier run left, ends as an empty folder would
    to_shards out "$@"
    rm -rf fresh
    to_shards fresh "$@"
    expect_same_shards fresh out
}

other_options_or_clips_start_over_where_they_matter() {
    put_many_clips
    to_shards out
    expect_as_if_fresh --thumbs 1
    put_clip in/z.mp4 # at the end
    expect_as_if_fresh --thumbs 1
    put_clip in/d25.mp4 # in the middle
    rm in/h2.mp4
    expect_as_if_fresh --thumbs 1
    rm in/[b-h]*.mp4 # shards too many
    expect_as_if_fresh --thumbs 1
}
run other_options_or_clips_start_over_where_they_matter

leftovers_of_a_killed_run_are_removed() {
    put_many_clips
    to_shards undisturbed
    cp -r undisturbed out
    touch out/.ingest-00000{2,6,7}.tar.tmp
    cp out/ingest-000000.tar out/ingest-000006.tar
    rm out/ingest-000003.tar
    to_shards out
    expect_same_shards undisturbed out
}
run leftovers_of_a_killed_run_are_removed

a_full_disk_leaves_complete_shards() {
    put_many_clips
    to_shards fresh
    mkdir disk kept
    cat >on_small_disk <<'END'
mount -t tmpfs -o size=200k none disk || exit 77
"$OCC_BIN/occ-ingest" -q --shard-size 64k -o disk in 2>messages
echo $? >status
cp -a disk/. kept
END
    unshare --mount --map-root-user sh on_small_disk || skip 'a small disk cannot be mounted'
    test "$(cat status)" -eq 1
    expect_match 'disk/ingest-00000[0-9].tar: .*disk full' messages
    test -f kept/ingest-000000.tar
    find kept -type f ! -name 'ingest-00000[0-9].tar' >left
    expect_same /dev/null left
    for shard in kept/*; do
        expect_same "fresh/$(basename "$shard")" "$shard"
    done
    to_shards kept
    expect_same_shards fresh kept
}
run a_full_disk_leaves_complete_shards

test_finish
