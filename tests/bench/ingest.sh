#!/usr/bin/env bash
# ingest.sh - how fast `occ ingest` is beside what people write themselves: one ffmpeg a file for
# pictures and one for captions, and a PyAV script. The same files, two processes each, in turn in
# the same run, so that the ratios hold on a busy machine. Prints a table and asserts nothing.
#
#     [OCC_BIN=build/bin] tests/bench/ingest.sh [--install] [--runs N] [SET...]
#
# The sets (short-250, short-48, long) are made once by material.sh in a cache folder. A peer's
# pictures are keyframes, at most four a file, and it does no audio; occ finds four also where there
# are fewer keyframes.
set -eu -o pipefail
export LC_ALL=C.UTF-8

folder=$(cd "$(dirname "$0")" && pwd)
material=${XDG_CACHE_HOME:-$HOME/.cache}/occ-bench
bin=${OCC_BIN:-$folder/../../build/bin}
packages=(ffmpeg opencv-doc fillets-ng-data python3-av python3-pil)
runs=3
sets=()

fail() {
    echo "ingest.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --install) apt-get update -qq && apt-get install --yes -qq "${packages[@]}" >&2 ;;
    --runs) runs=$2 && shift ;;
    -*) fail "unknown option $1" ;;
    *) sets+=("$1") ;;
    esac
    shift
done
[ ${#sets[@]} -gt 0 ] || sets=(short-250 short-48 long)
for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 ||
        fail "needs ${packages[*]}; $package is missing: --install gets them from Debian"
done
[ -x "$bin/occ" ] || fail "OCC_BIN must name the folder of the built programs"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/occ-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$material/complete" ]; then
    echo "making the files once, about ten minutes ..." >&2
    "$folder/material.sh" "$material"
    touch "$material/complete"
fi

# ---- The contestants: each takes apart the files of a set and leaves pictures in ./out ----------

with_occ() {
    "$bin/occ" ingest -q -j 2 "$@" "$material/$set" >/dev/null || [ $? -eq 3 ]
}

occ_with_audio() {
    with_occ
}

occ_without_audio() {
    with_occ --no-audio
}

# KEYFRAMES PICTURES PATH of a file. The filter passes one picture of every N, the most typical one;
# N is at least 2 for it. Without -vsync vfr the pictures would be repeated to fill the time.
# shellcheck disable=SC2016 # for the shell that xargs starts
ffmpeg_file='
    name=${2##*/}
    n=$((($0 + 3) / 4))
    filter=scale=320:320:force_original_aspect_ratio=decrease
    [ $n -lt 2 ] || filter=thumbnail=$n,$filter
    ffmpeg -nostdin -v fatal $THREADS -skip_frame nokey -i "$2" -map 0:v:0 -vf "$filter" \
        -vsync vfr -frames:v 4 "out/$name-%d.jpg"
    ffmpeg -nostdin -v fatal $THREADS -i "$2" -map 0:s:0? -f srt - >"out/$name.srt" || true'

with_ffmpeg() {
    THREADS=$1 xargs -P 2 -L 1 sh -c "$ffmpeg_file" <"$material/$set.list"
}

ffmpeg_default() {
    with_ffmpeg ''
}

ffmpeg_one_thread() {
    with_ffmpeg '-threads 1 -filter_threads 1'
}

pyav() {
    /usr/bin/python3 "$folder/peer_pyav.py" out <"$material/$set.list"
}

contestants=(occ_with_audio occ_without_audio ffmpeg_default ffmpeg_one_thread pyav)

# ---- Measuring -----------------------------------------------------------------------------------

milliseconds_of() { # COMMAND
    local start=${EPOCHREALTIME/./} end
    "$@" >&2
    end=${EPOCHREALTIME/./}
    echo $(((end - start) / 1000))
}

count_pictures() { # CONTESTANT
    case $1 in
    occ*) "$bin/occ" ingest -q --no-audio "$material/$set" | tar tf - | grep -c '[.]jpg$' ;;
    *) find out -name '*.jpg' | wc -l ;;
    esac
}

measure_set() { # times go to SET.CONTESTANT, a line a run; pictures to SET.CONTESTANT.pictures
    local run contestant
    cat "$material/$set"/* >/dev/null # into the page cache
    for ((run = 0; run < runs; run++)); do
        for contestant in "${contestants[@]}"; do
            rm -rf out
            mkdir out
            milliseconds_of "$contestant" >>"$set.$contestant"
            [ $run -gt 0 ] || count_pictures "$contestant" >"$set.$contestant.pictures"
        done
    done
}

median_of() {
    sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

print_row() { # NAME CONTESTANT PEER-MS
    awk -v "name=$1" -v "ms=$(median_of "$set.$2")" -v "peer=$3" -v "set=$set" \
        -v "pictures=$(cat "$set.$2.pictures")" '
        { files++; frames += $2 }
        END {
            printf "%-10s %-19s %7.2f s %8.1f %9.0f %7.2fx %9d\n", set, name, ms / 1000,
                files * 1000 / ms, frames * 1000 / ms, peer / ms, pictures
        }' "$material/$set.list"
}

print_set() {
    local peer=ffmpeg_default name='ffmpeg'
    if [ "$(median_of "$set.ffmpeg_one_thread")" -lt "$(median_of "$set.$peer")" ]; then
        peer=ffmpeg_one_thread name='ffmpeg -threads 1'
    fi
    local time
    time=$(median_of "$set.$peer")
    print_row 'occ' occ_with_audio "$time"
    print_row 'occ --no-audio' occ_without_audio "$time"
    print_row "$name" "$peer" "$time"
    print_row 'PyAV' pyav "$time"
}

print_memory() {
    local size file
    for file in wide tall; do
        size=$("$bin/occ" ingest -v -j 1 "$material/long/$file.mp4" 2>&1 >/dev/null |
            sed -n 's/.*largest worker \([0-9]*\) MiB.*/\1/p')
        echo "peak memory of a worker, 1080p $file: $size MiB"
    done
}

print_head() {
    echo "CPU: $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)," \
        "$(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg) before the run"
    echo "$("$bin/occ" --version), $(ffmpeg -version | sed -n '1s/ Copyright.*//p')," \
        "PyAV $(/usr/bin/python3 -c 'import av; print(av.__version__)')"
    echo "two processes each, median of $runs; ratio to the better ffmpeg"
    printf '%-10s %-19s %9s %8s %9s %8s %9s\n' set program wall clips/s frames/s ratio pictures
}

cd "$scratch"
print_head
for set in "${sets[@]}"; do
    measure_set
    print_set
done
print_memory
