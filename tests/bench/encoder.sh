#!/usr/bin/env bash
# encoder.sh - the full-size encoder with random weights beside PyTorch on the same file: parity in F32, then seconds a
# page. Wants bench-encoder (cmake -DWITH_BENCHES=ON) and occ in OCC_BIN, and PyTorch from PyPI in OCC_VENV.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${OCC_BIN:=$here/../../build/release/bin}" "${OCC_VENV:=$HOME/.cache/occ-venv}" "${THREADS:=2}" "${REPEAT:=3}"
work=$(mktemp -d "${TMPDIR:-/tmp}/occ-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

torch() {
    "$OCC_VENV/bin/python" "$here/peer_torch.py" "$@"
}

if ! "$OCC_VENV/bin/python" -c 'import torch, safetensors' 2>/dev/null; then
    if ! { python3 -m venv "$OCC_VENV" && "$OCC_VENV/bin/pip" install -q torch numpy safetensors; }; then
        echo "skipped: PyTorch cannot be installed from PyPI into $OCC_VENV"
        exit 0
    fi
fi
"$OCC_BIN/occ" model init --config deepencoder --seed 1 -o "$work/weights.safetensors"
echo '== PyTorch against the published modules'
torch --golden "$here/../golden/encoder"
echo '== F32, full size: largest difference of tokens'
"$OCC_BIN/bench-encoder" --model "$work/weights.safetensors" --mode tiny --f32 --repeat 1 --tokens "$work/tiny" >/dev/null
torch --weights "$work/weights.safetensors" --mode tiny --dtype f32 --repeat 1 --threads "$THREADS" --compare "$work/tiny"
echo "== Seconds per page, $THREADS threads: ours (a page each), PyTorch (both on a page)"
for mode in tiny base hifi; do
    "$OCC_BIN/bench-encoder" --model "$work/weights.safetensors" --mode $mode --threads "$THREADS" --repeat "$REPEAT"
    for dtype in bf16 f32; do
        torch --weights "$work/weights.safetensors" --mode $mode --dtype $dtype --threads "$THREADS" --repeat "$REPEAT"
    done
done
