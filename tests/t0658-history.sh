#!/usr/bin/env bash
# t0658-history.sh - what a language model is told of accounts in time (train/context/history.h) is what
# store/python/occ_store.py reads of the same store, packs and halved pages too.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"
python=${PYTHON:-/usr/bin/python3}
$python -c 'import lmdb, zstandard, numpy' 2>/dev/null || skip_all 'no lmdb, zstandard or numpy for python3'

told_encoder occ.reading '{"nested":4,"profiles":["cell10","cell8"]}'
cd "$scratch" || exit 1

agree() { # STORE: how many tokens there are
    "$OCC_BIN/../tests/history_lines" "$1" >"$1.ndjson" && $python "$test_folder/read_history.py" "$1" <"$1.ndjson"
}

packs_with_comments() {
    make_pages base
    for codec in bf16 int8 int4; do
        compress --store $codec --codec $codec <pages.tar
        [ "$(agree $codec)" -gt 20 ] || complain "$codec: few tokens"
    done
}

pages_of_one_sample_as_they_age() {
    make_days 40
    compress --store days <days.tar
    fresh=$(agree days)
    forget --store days --now 2023-12-24
    [ "$(agree days)" -lt "$fresh" ] || complain "$fresh tokens before"
    jq -s -e 'map(.bucket) | unique == [0, 1, 2]' days.ndjson >/dev/null || complain 'other buckets'
}

run packs_with_comments
run pages_of_one_sample_as_they_age
test_finish
