#!/usr/bin/env bash
# render.sh - how fast pages are typeset beside Pango with Cairo and beside Pillow, the two ways in
# which people draw text onto pictures. The same text, font, size, rows and columns: DejaVu Sans,
# 10 pixels, 128 rows in two columns on a grey page of 1024 x 1024, one thread, nothing encoded.
# Rates are by processor time, so that they hold on a busy machine. Prints tables, asserts nothing.
#
#     [OCC_BIN=build/bin] tests/bench/render.sh [--runs N] [--seconds N] [--memory]
#
# OCC_BIN is the folder of a release build with -DWITH_BENCHES=ON. --memory: also the peak memory
# over 100,000 pages, twice, which takes some minutes.
set -eu -o pipefail
export LC_ALL=C.UTF-8

folder=$(cd "$(dirname "$0")" && pwd)
bin=${OCC_BIN:-$folder/../../build/bin}
runs=3
seconds=3
memory=no
samples=2000 # in the stream that is piped

fail() {
    echo "render.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --runs) runs=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --memory) memory=yes ;;
    *) fail "unknown option $1" ;;
    esac
    shift
done
for program in occ bench-render bench-pango bench-samples; do
    [ -x "$bin/$program" ] || fail "OCC_BIN must name the folder of a build with -DWITH_BENCHES=ON"
done
bin=$(cd "$bin" && pwd)
python=/usr/bin/python3
"$python" -c 'import PIL' 2>/dev/null || fail "Pillow is missing (python3-pil)"
# shellcheck source=tests/bench/corpus.sh
. "$folder/corpus.sh"
corpus_need
scratch=$(mktemp -d "${TMPDIR:-/tmp}/occ-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"

# ---- The contestants: each prints "pages characters seconds cpu_seconds" -------------------------

corpus_of() { # SET: the file, nothing for random strings
    [ "$1" = random ] || echo "$corpus_folder/$1"
}

language_of() {
    case $1 in
    zh) echo zh-Hans ;;
    *) echo en ;;
    esac
}

font_of() { # SET: the file of the font that Pillow, which takes one only, is given
    case $1 in
    zh) fc-match -f '%{file}' 'Noto Sans CJK SC' ;;
    *) fc-match -f '%{file}' 'DejaVu Sans' ;;
    esac
}

# shellcheck disable=SC2046 # no argument where there is no file
occ() {
    "$bin/bench-render" -t "$seconds" -l "$(language_of "$1")" $(corpus_of "$1")
}

# shellcheck disable=SC2046
pango() {
    "$bin/bench-pango" -t "$seconds" -l "$(language_of "$1")" $(corpus_of "$1")
}

pillow_cached() {
    "$python" "$folder/peer_pillow.py" cached "$seconds" "$(font_of "$1")" "$(language_of "$1")" \
        <"$1.txt"
}

pillow_each() {
    "$python" "$folder/peer_pillow.py" each "$seconds" "$(font_of "$1")" "$(language_of "$1")" \
        <"$1.txt"
}

contestants=(occ pango pillow_cached pillow_each)

title_of() {
    case $1 in
    occ) echo 'occ' ;;
    pango) echo 'Pango + Cairo' ;;
    pillow_cached) echo 'Pillow, widths of words kept' ;;
    pillow_each) echo 'Pillow, line measured word by word' ;;
    esac
}

# ---- Measuring -----------------------------------------------------------------------------------

measure_set() { # SET: lines go to SET.CONTESTANT
    local run contestant
    # shellcheck disable=SC2046
    "$bin/bench-render" -D 2000000 $(corpus_of "$1") >"$1.txt"
    for ((run = 0; run < runs; run++)); do
        for contestant in "${contestants[@]}"; do
            "$contestant" "$1" >>"$1.$contestant"
        done
    done
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

pages_of() { # SET CONTESTANT: pages per second
    awk '{ printf "%.3f\n", $1 / $4 }' "$1.$2" | median
}

characters_of() {
    awk '{ printf "%.3f\n", $2 / $4 }' "$1.$2" | median
}

print_set() {
    local contestant
    for contestant in "${contestants[@]}"; do
        awk -v "set=$1" -v "name=$(title_of "$contestant")" \
            -v "pages=$(pages_of "$1" "$contestant")" \
            -v "characters=$(characters_of "$1" "$contestant")" \
            -v "occ=$(characters_of "$1" occ)" '
            BEGIN {
                printf "| %s | %s | %.*f | %.0f | %.0f k | %s |\n", set, name, pages < 50, pages,
                    characters / pages, characters / 1e3,
                    name == "occ" ? "" : sprintf("%.*fx", occ < 20 * characters, occ / characters)
            }'
    done
}

# On a busy machine the first column says little; the last one, by processor time, still shows what
# the threads cost each other.
print_threads() {
    local threads rate one
    echo
    echo "| threads | pages/s, wall clock | pages/s of a core | of one thread |"
    echo "|---|---|---|---|"
    for ((threads = 1; threads <= $(nproc); threads++)); do
        rate=$("$bin/bench-render" -t "$seconds" -j "$threads" "$corpus_folder/en" |
            awk '{ print $1 / $3, $1 / $4 }')
        one=${one:-${rate#* }}
        awk -v "n=$threads" -v "rate=$rate" -v "one=$one" 'BEGIN {
            split(rate, r, " ")
            printf "| %d | %.0f | %.0f | %.0f%% |\n", n, r[1], r[2], 100 * r[2] / one }'
    done
}

print_memory() {
    echo
    echo "peak memory, prose with one new word in 40:"
    "$bin/bench-render" -M "$corpus_folder/en"
    echo "peak memory, random strings:"
    "$bin/bench-render" -M
}

print_pipe() {
    "$bin/bench-samples" "$samples" "$corpus_folder/en" >stream.tar
    local pages jobs begin end
    pages=$("$bin/occ" render --mode base stream.tar | tar tf - | grep -c '[.]pgm$')
    echo
    for jobs in 1 0; do
        begin=$(date +%s%N)
        # shellcheck disable=SC2002 # a pipe is what is measured
        cat stream.tar | "$bin/occ" render -j "$jobs" --mode base | cat >/dev/null
        end=$(date +%s%N)
        awk -v "pages=$pages" -v "ns=$((end - begin))" -v "jobs=$jobs" 'BEGIN {
            printf "cat stream | occ render -j %d --mode base | cat >/dev/null: " \
                "%d pages in %.2f s, %.0f pages/s\n", jobs, pages, ns / 1e9, pages * 1e9 / ns }'
    done
}

echo "CPU: $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)," \
    "$(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg) before the run"
echo "$("$bin/occ" --version), Pango $(pkg-config --modversion pango)," \
    "Cairo $(pkg-config --modversion cairo)," \
    "Pillow $("$python" -c 'import PIL; print(PIL.__version__)');" \
    "median of $runs runs of $seconds s"
echo
echo "| text | program | pages/s | characters a page | characters/s | occ is |"
echo "|---|---|---|---|---|---|"
for set in en random zh; do
    measure_set "$set"
    print_set "$set"
done
print_threads
[ "$memory" = no ] || print_memory
print_pipe
