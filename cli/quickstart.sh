#!/bin/sh
# quickstart.sh - from a fresh clone to visual tokens and back: installs what a build needs, builds, ingests ARCHIVE (a
# folder as yt-dlp leaves it) or the sample archive in tests/archive, renders what it found, compresses the pages with
# the bundled encoder and reads the tokens.
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

echo "== occ ingest $archive | occ render --mode base > out/pages.tar"
mkdir -p out
status=0
# tee keeps the samples for a look at them. A failure of ingest ends the render too; status 3 of either says that
# something could not be had whole.
{
    occ ingest -v --report out/report.jsonl "$archive" ||
        echo "   exit status $? of ingest (3: some clips were not whole; out/report.jsonl names them)" >&2
} | tee out/samples.tar | occ render -v --mode base >out/pages.tar || status=$?
if [ "$status" != 0 ] && [ "$status" != 3 ]; then
    exit "$status"
fi
echo "== tar tvf out/pages.tar"
tar tvf out/pages.tar | head -40
echo "== out/report.jsonl"
head -5 out/report.jsonl | cut -c 1-200
echo "== occ render --mode tiny --format png out/samples.tar: a page to look at"
clip=$(tar tf out/samples.tar | sed -n 's/\.script\.json$//p' | head -1)
if [ -n "$clip" ]; then
    occ render -q --mode tiny --format png out/samples.tar | # which tar ends after the one page that it wants
        tar xOf - --occurrence=1 "$clip.p000.png" >out/page.png
    echo "out/page.png is the first page of $clip"
fi
echo "== occ compress --store out/tokens.occ --verify < out/pages.tar"
occ compress -v --store out/tokens.occ --verify <out/pages.tar
echo "== occ store stats out/tokens.occ"
occ store stats out/tokens.occ
echo "== occ read --store out/tokens.occ --text: the beginning of what the tokens say, read without a language model"
occ read -v --store out/tokens.occ --text >out/read.txt
head -12 out/read.txt
echo "Done. The programs are in build/release/bin; 'occ help VERB' says more."
