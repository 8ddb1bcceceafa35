#!/usr/bin/env bash
# tokenizer.sh - how fast text becomes tokens beside OpenAI's tiktoken, one thread each, on the same text: English
# (Debian's fortunes) and Chinese, in one call. Rates are by processor time, best of RUNS. The ids must be the same.
# Wants bench-tokenizer (cmake -DWITH_BENCHES=ON) in OCC_BIN, and tiktoken from PyPI in OCC_VENV.
#
#     tests/bench/tokenizer.sh [RANKS...]     RANKS: r50k_base.tiktoken (the default), cl100k_base.tiktoken, ...
set -eu -o pipefail
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
: "${OCC_BIN:=$here/../../build/release/bin}" "${OCC_VENV:=$HOME/.cache/occ-venv}" "${RUNS:=9}"
work=$(mktemp -d "${TMPDIR:-/tmp}/occ-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/bench/corpus.sh
. "$here/corpus.sh"
# shellcheck disable=SC2154 # set by corpus.sh
corpus_need

peer=yes
if ! "$OCC_VENV/bin/python" -c 'import tiktoken' 2>/dev/null; then
    if ! { python3 -m venv "$OCC_VENV" && "$OCC_VENV/bin/pip" install -q tiktoken; }; then
        echo "tiktoken cannot be installed from PyPI into $OCC_VENV: ours alone"
        peer=no
    fi
fi
[ $# -gt 0 ] || set -- "$here/../../train/r50k_base.tiktoken"
for ranks in "$@"; do
    for language in en zh; do
        echo "== $(basename "$ranks"), $language"
        "$OCC_BIN/bench-tokenizer" "$ranks" "$corpus_folder/$language" "$RUNS" "$work/ours"
        if [ $peer = yes ]; then
            "$OCC_VENV/bin/python" "$here/peer_tiktoken.py" "$ranks" "$corpus_folder/$language" "$RUNS" "$work/theirs"
            cmp "$work/ours" "$work/theirs"
        fi
    done
done
