#!/bin/sh
# nano.sh - trains the bundled encoder, compress/nano.safetensors, from nothing: the text it learns from (text.sh), the
# options and the seed are all here.
#
#     sh train/nano.sh FOLDER          # as the bundled one was made: PyTorch on a GPU, ten minutes of an H100
#     sh train/nano.sh --cpu FOLDER    # by `occ train read`: the same network, losses and pages, two days of two cores
#
# FOLDER gets the text and the run, 300 MB. The first form needs python3 with torch, numpy and safetensors, and what
# tests/bench is built with.
set -eu

gpu=true
if [ "${1:-}" = --cpu ]; then
    gpu=false
    shift
fi
if [ "$#" != 1 ] || [ "$1" = --help ] || [ "$1" = -h ]; then
    echo "usage: sh train/nano.sh [--cpu] FOLDER"
    exit 2
fi
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/.."
PATH=$PWD/build/release/bin:$PATH

[ -e "$folder/text/SOURCES" ] || sh train/text.sh "$folder/text"
text=$folder/text/train
# English counts three times: it is what most scripts are in.
set -- "$text"/*.txt "$text"/en-*.txt "$text"/en-*.txt
if $gpu; then
    bench-training-pages --alphabet >"$folder/alphabet.json"
    kinds=
    for profile in read10 clear dense cell10 cell8; do
        kinds=$kinds,$profile,$profile-random,$profile-samples
    done
    python3 tests/bench/torch_read.py --pages bench-training-pages --alphabet "$folder/alphabet.json" \
        --kinds "${kinds#,}" --mix "--profiles cell10:0.62,cell8:0.38 --simple 0.5 --samples 0.4" --seed 1 \
        --minutes 9.6 --staged 0.1 --rate 0.004 --simple 1500 --rewhiten 500 --every 200 --text "$@" -o "$folder/run"
    cat "$folder"/run/encoder.part* >"$folder/run/encoder.safetensors"
else
    occ train read -v --threads 2 --seed 1 -o "$folder/run" --steps 240000 --batch 4 --rate 0.004 --staged 0.1 \
        --simple 0.01 --sizes tiny:12,base:1,hifi:0.5 --profiles cell10:0.62,cell8:0.38 --samples 0.4 "$@"
fi
occ model convert --dtype int8 -o "$folder/raw.safetensors" "$folder/run/encoder.safetensors"
# What its confidence means, and what it can read of halved tokens; neither changes a weight.
heldout=$folder/text/heldout
occ eval fidelity -m "$folder/raw.safetensors" -n 12 -k 0,1,2,3 --profiles cell10,cell8 --sets samples,random,digits \
    -t "$heldout/prose.txt" -t tests/golden/social.txt -t "$heldout/european.txt" -t "$heldout/code.txt" \
    --calibrate "$folder/calibration.json" --record "$folder/fidelity.json"
occ model convert --metadata "occ.calibration=$folder/calibration.json" --metadata "occ.fidelity=$folder/fidelity.json" \
    -o "$folder/nano.safetensors" "$folder/raw.safetensors"
occ train plot -o "$folder/nano.svg" "$folder/run"
