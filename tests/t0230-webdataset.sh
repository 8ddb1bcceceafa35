#!/usr/bin/env bash
# t0230-webdataset.sh - the output of `occ ingest` is read by programs that are not ours: GNU tar,
# Python's tarfile and the webdataset library. All must see the same members with the same bytes.
# The library comes from PyPI into a virtual environment outside the tree, made on first use and
# without torch, which webdataset only takes when it is there.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

environment=${XDG_CACHE_HOME:-$HOME/.cache}/occ-tests/venv
archive=$test_folder/archive

ingest() { # the archive holds a clip that is cut off, hence status 3
    expect_code 3 "$OCC_BIN/occ" ingest --quiet "$@" "$archive"
}

# Members of samples as GNU tar gives them: NAME BYTES SHA256.
list_with_tar() {
    # shellcheck disable=SC2016 # tar's shell is to expand it
    tar --extract --file "$1" --exclude='__*' --to-command='
        sum=$(sha256sum) && echo "$TAR_REALNAME $TAR_SIZE ${sum%% *}"'
}

have_python() {
    command -v python3 >where || skip 'python3 is not installed'
}

# Made under another name, so that an environment is complete or absent.
make_environment() {
    [ ! -x "$environment/bin/python" ] || return 0
    mkdir -p "${environment%/*}"
    if ! python3 -m venv "$environment.$$"; then
        rm -rf "$environment.$$"
        skip 'python3 -m venv does not work (Debian: python3-venv)'
    fi
    if ! "$environment.$$/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: webdataset==1.0.2 braceexpand==0.1.7 numpy pyyaml pillow; then
        rm -rf "$environment.$$"
        skip 'pip cannot install webdataset from PyPI'
    fi
    mv -T "$environment.$$" "$environment" || rm -rf "$environment.$$"
}

gnu_tar_lists_and_extracts_the_stream() {
    ingest >stream.tar
    tar --list --file stream.tar >names
    test "$(head -n 1 names)" = __stream__
    test "$(tail -n 1 names)" = __end__
    tar --extract --file stream.tar
    test "$(find . -name '*.jpg' | wc -l)" -gt 0
    tar --list --verbose --numeric-owner --file stream.tar >long
    expect_code 1 grep -v '^-rw-r--r-- 0/0 .* 1970-01-01 ' long >&8
}
run gnu_tar_lists_and_extracts_the_stream

members_of_a_sample_are_adjacent_and_json_comes_first() {
    ingest >stream.tar
    tar --list --file stream.tar --exclude='__*' >names
    sed 's/[.].*//' names | uniq >keys
    sort -u keys | wc -l >wanted
    wc -l <keys >got
    expect_same wanted got
    grep '^[^.]*[.]json$' names | sed 's/[.].*//' >first
    expect_same keys first
    awk -F. '$1 != key { key = $1; if ($0 != key ".json") exit 1 }' names
}
run members_of_a_sample_are_adjacent_and_json_comes_first

python_tarfile_reads_the_stream() {
    have_python
    ingest >stream.tar
    list_with_tar stream.tar >wanted
    python3 "$test_folder/read_webdataset.py" tarfile stream.tar >got
    expect_same wanted got
}
run python_tarfile_reads_the_stream

webdataset_reads_the_stream() {
    have_python
    make_environment
    ingest >stream.tar
    list_with_tar stream.tar >wanted
    "$environment/bin/python" "$test_folder/read_webdataset.py" webdataset stream.tar >got
    expect_same wanted got
}
run webdataset_reads_the_stream

webdataset_reads_the_stream_from_a_pipe() {
    have_python
    make_environment
    ingest >stream.tar
    list_with_tar stream.tar >wanted
    "$environment/bin/python" "$test_folder/read_webdataset.py" webdataset \
        "pipe:'$OCC_BIN/occ' ingest --quiet '$archive' || test \$? -eq 3" >got
    expect_same wanted got
}
run webdataset_reads_the_stream_from_a_pipe

webdataset_reads_shards_like_the_stream() {
    have_python
    make_environment
    ingest >stream.tar
    list_with_tar stream.tar >wanted
    ingest --output shards --shard-size 64k
    test "$(find shards -name 'ingest-*.tar' | wc -l)" -gt 1
    for shard in shards/ingest-*.tar; do
        list_with_tar "$shard"
    done >got
    expect_same wanted got
    "$environment/bin/python" "$test_folder/read_webdataset.py" webdataset shards/ingest-*.tar >got
    expect_same wanted got
}
run webdataset_reads_shards_like_the_stream

environment_has_no_torch() {
    [ -x "$environment/bin/python" ] || skip 'there is no environment'
    expect_code 1 "$environment/bin/python" -c 'import torch' 2>where
}
run environment_has_no_torch

test_finish
