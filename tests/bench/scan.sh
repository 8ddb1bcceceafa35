#!/usr/bin/env bash
# scan.sh - what it costs to find, join and report N clips (100,000) of three files each. The files are empty, so
# nothing is decoded: this is the price of the archive's size alone. Prints a line and asserts nothing.
#
#     OCC_BIN=build/release/bin tests/bench/scan.sh [N]
set -eu
clips=${1:-100000}
bin=$(cd "${OCC_BIN:?names the folder of the built programs}" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/occ-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

for ((account = 0; account < clips / 1000; account++)); do
    mkdir "account$account"
    for ((i = 0; i < 1000; i++)); do
        printf '%s\0' "account$account/A rather typical title of a short video [73$((account * 1000 + i))]"{.mp4,.info.json,.en.vtt}
    done
done | xargs -0 touch

start=${EPOCHREALTIME/./}
"$bin/occ" ingest -v --report report.jsonl . 2>messages | cat >/dev/null
end=${EPOCHREALTIME/./}
echo "$(wc -l <report.jsonl) clips, $((3 * clips)) files: $(((end - start) / 1000)) ms," \
    "$(sed -n 's/.*\(peak memory: [0-9]* MiB\).*/\1/p' messages) in the parent"
