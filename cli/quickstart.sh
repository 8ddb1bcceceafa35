#!/bin/sh
# quickstart.sh - from a fresh clone to a stream of samples: installs what a build needs, builds, and ingests
# ARCHIVE (a folder as yt-dlp leaves it) or the sample archive in tests/archive.
#
#     sh cli/quickstart.sh [ARCHIVE]
set -eu

archive=${1:-}
if [ "$#" -gt 1 ] || [ "$archive" = --help ] || [ "$archive" = -h ]; then
    echo "usage: sh cli/quickstart.sh [ARCHIVE]"
    exit 2
fi
if [ -n "$archive" ]; then
    archive=$(realpath "$archive")
fi
cd "$(dirname "$0")/.."
archive=${archive:-tests/archive}
# shellcheck source=cli/packages.sh
. cli/packages.sh

echo "== Packages"
# shellcheck disable=SC2086 # a list of words
install_packages $build_packages
echo "== Build (build/release)"
cmake --preset release -DWITH_TESTS=OFF >build-quickstart.log
cmake --build --preset release >>build-quickstart.log || {
    cat build-quickstart.log
    exit 1
}
rm -f build-quickstart.log
PATH=$PWD/build/release/bin:$PATH

echo "== occ ingest $archive > out/samples.tar"
mkdir -p out
status=0
occ ingest -v --report out/report.jsonl "$archive" >out/samples.tar || status=$?
echo "   exit status $status (3: some clips were not whole; out/report.jsonl names them)"
if [ "$status" != 0 ] && [ "$status" != 3 ]; then
    exit "$status"
fi
echo "== tar tvf out/samples.tar"
tar tvf out/samples.tar | head -40
echo "== out/report.jsonl"
head -5 out/report.jsonl | cut -c 1-200
echo "Done. The programs are in build/release/bin; 'occ ingest --help' says more."
