#!/usr/bin/env bash
# profiles.sh - which font, size and pitch; see profile_search.c. Takes about ten minutes.
#
#     [OCC_BIN=build/bin] tests/bench/profiles.sh [-f FAMILY] [-p PITCH] [-z SIZE] [-u] [-c] [-n]
set -eu -o pipefail
export OMP_THREAD_LIMIT=1

folder=$(cd "$(dirname "$0")" && pwd)
bin=${OCC_BIN:-$folder/../../build/bin}
[ -x "$bin/bench-profiles" ] || {
    echo "profiles.sh: OCC_BIN must name the folder of a build with -DWITH_BENCHES=ON" >&2
    exit 1
}
# shellcheck source=tests/bench/corpus.sh
. "$folder/corpus.sh"
corpus_need
exec "$bin/bench-profiles" "$@" "$corpus_folder/en"
