#!/usr/bin/env bash
# legibility.sh - are all scripts drawn, and can the pages be read again? Needs tesseract and its
# language packs; see legibility.c. Prints a Markdown table; fails when a character was missing.
#
#     [OCC_BIN=build/bin] tests/bench/legibility.sh [-p PROFILE] [-s SCALE]
set -eu
export OMP_THREAD_LIMIT=1 # its threads wait for each other most of the time

folder=$(cd "$(dirname "$0")" && pwd)
bin=${OCC_BIN:-$folder/../../build/bin}
[ -x "$bin/bench-legibility" ] || {
    echo "legibility.sh: OCC_BIN must name the folder of a build with -DWITH_BENCHES=ON" >&2
    exit 1
}
exec "$bin/bench-legibility" "$@" "$folder"/../golden/texts/*.txt
