#!/usr/bin/env bash
# templates.sh - the chat templates of TRL 1.16 rendered by ours and by jinja2 with transformers' settings: conversations with
# and without tools, calls, lists and mistakes. Says how many come out the same, how many both refuse, how many only ours
# refuses by name, and which differ (then it fails).
# Wants bench-templates (cmake -DWITH_BENCHES=ON) in OCC_BIN; puts the Python packages into OCC_VENV.
#
#     tests/bench/templates.sh
set -eu -o pipefail
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
: "${OCC_BIN:=$here/../../build/release/bin}" "${OCC_VENV:=$HOME/.cache/occ-venv}"
[ -x "$OCC_VENV/bin/python" ] || python3 -m venv "$OCC_VENV"
"$OCC_VENV/bin/python" -c 'import jinja2, transformers' 2>/dev/null ||
    "$OCC_VENV/bin/pip" install -q jinja2==3.1.6 transformers==5.24.0
# Its templates alone, without what it needs to train.
"$OCC_VENV/bin/pip" show trl 2>/dev/null | grep -q '^Version: 1\.16\.0' ||
    "$OCC_VENV/bin/pip" install -q --no-deps trl==1.16.0
exec "$OCC_VENV/bin/python" "$here/peer_jinja.py" "$OCC_BIN/bench-templates"
