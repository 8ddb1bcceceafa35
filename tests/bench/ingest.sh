#!/usr/bin/env bash
# ingest.sh - how fast `occ ingest` is beside what people write themselves: one ffmpeg a file for
# pictures and one for captions, and a PyAV script. The same files, two processes each, in turn in
# the same run, so that the ratios hold on a busy machine. Prints a table and asserts nothing.
#
#     [OCC_BIN=build/bin] tests/bench/ingest.sh [--install] [--runs N] [SET...]
#
# The sets (short-250, short-48, long) are made once by material.sh in a cache folder. No peer looks
# at audio. Their pictures are keyframes, at most four a file, so fewer than occ's where keyframes
# are far apart; "ffmpeg, decoding" is for these: it decodes what other pictures refer to, as occ
# does. The ratio is to the better ffmpeg of keyframes.
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

# KEYFRAMES PICTURES PATH of a file. The thumbnail filter passes one picture of every N, the most
# typical one; N is at least 2 for it. Without -vsync vfr the pictures would be repeated to fill the
# time.
# shellcheck disable=SC2016 # for the shell that xargs starts
ffmpeg_file='
    name=${2##*/}
    [ "$SKIP" = nokey ] && n=$((($0 + 3) / 4)) || n=$((($1 / 2 + 3) / 4))
    filter=scale=320:320:force_original_aspect_ratio=decrease
    [ $n -lt 2 ] || filter=$filter,thumbnail=$n
    ffmpeg -nostdin -v fatal $THREADS -skip_frame $SKIP -i "$2" -map 0:v:0 -vf "$filter" \
        -vsync vfr -frames:v 4 "out/$name-%d.jpg"
    ffmpeg -nostdin -v fatal $THREADS -i "$2" -map 0:s:0? -f srt - >"out/$name.srt" || true'

with_ffmpeg() { # THREADS SKIP
    THREADS=$1 SKIP=$2 xargs -P 2 -L 1 sh -c "$ffmpeg_file" <"$material/$set.list"
}

ffmpeg_default() {
    with_ffmpeg '' nokey
}

ffmpeg_one_thread() {
    with_ffmpeg '-threads 1 -filter_threads 1' nokey
}

ffmpeg_decoding() {
    with_ffmpeg '-threads 1 -filter_threads 1' noref
}

pyav() {
    /usr/bin/python3 "$folder/peer_pyav.py" out <"$material/$set.list"
}

contestants=(occ_with_audio occ_without_audio ffmpeg_default ffmpeg_one_thread pyav)
few_keyframes=short-250 # the set that ffmpeg_decoding is for; it would take minutes for the long one

# ---- Measuring -----------------------------------------------------------------------------------

seconds_of() { # COMMAND: wall clock and processor time, which a busy machine blurs less
    local TIMEFORMAT='%R %U %S'
    { time "$@" 1>&2 2>/dev/null; } 2>&1 | awk '{ print $1, $2 + $3 }'
}

count_pictures() { # CONTESTANT
    case $1 in
    occ*) "$bin/occ" ingest -q --no-audio "$material/$set" | tar tf - | grep -c '[.]jpg$' ;;
    *) find out -name '*.jpg' | wc -l ;;
    esac
}

measure_set() { # times go to SET.CONTESTANT, one line per run; pictures to SET.CONTESTANT.pictures
    local run contestant
    cat "$material/$set"/* >/dev/null # into the page cache
    local all=("${contestants[@]}")
    [ "$set" != $few_keyframes ] || all+=(ffmpeg_decoding)
    for ((run = 0; run < runs; run++)); do
        for contestant in "${all[@]}"; do
            rm -rf out
            mkdir out
            seconds_of "$contestant" >>"$set.$contestant"
            [ $run -gt 0 ] || count_pictures "$contestant" >"$set.$contestant.pictures"
        done
    done
}

median_of() { # CONTESTANT COLUMN: 1 wall clock, 2 processor
    awk -v "column=$2" '{ print $column }' "$set.$1" | sort -n |
        awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

print_row() { # NAME CONTESTANT PEER
    awk -v "name=$1" -v "wall=$(median_of "$2" 1)" -v "cpu=$(median_of "$2" 2)" \
        -v "peer_wall=$(median_of "$3" 1)" -v "peer_cpu=$(median_of "$3" 2)" \
        -v "pictures=$(cat "$set.$2.pictures")" -v "set=$set" '
        { files++; frames += $2 }
        END {
            printf "%-9s %-17s %7.2f s %7.2f s %7.1f %8.0f %6.2fx %6.2fx %8d\n", set, name, wall,
                cpu, files / wall, frames / wall, peer_wall / wall, peer_cpu / cpu, pictures
        }' "$material/$set.list"
}

print_set() {
    local peer=ffmpeg_default name='ffmpeg'
    if awk -v "a=$(median_of ffmpeg_one_thread 1)" -v "b=$(median_of ffmpeg_default 1)" \
        'BEGIN { exit !(a < b) }'; then
        peer=ffmpeg_one_thread name='ffmpeg -threads 1'
    fi
    print_row 'occ' occ_with_audio "$peer"
    print_row 'occ --no-audio' occ_without_audio "$peer"
    print_row "$name" "$peer" "$peer"
    [ ! -e "$set.ffmpeg_decoding" ] || print_row 'ffmpeg, decoding' ffmpeg_decoding "$peer"
    print_row 'PyAV' pyav "$peer"
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
    echo "two processes each, median of $runs; the ratios are to the better ffmpeg"
    printf '%-9s %-17s %9s %9s %7s %8s %7s %7s %8s\n' set program wall cpu clips/s frames/s \
        wall cpu pictures
}

cd "$scratch"
print_head
for set in "${sets[@]}"; do
    measure_set
    print_set
done
print_memory
