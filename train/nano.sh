#!/bin/sh
# nano.sh - trains the bundled encoder, compress/nano.safetensors, from nothing: the text it learns from (text.sh), the
# options and the seed are all here.
#
#     sh train/nano.sh FOLDER          # as the bundled one was made: PyTorch on a GPU, ten minutes of an H100 and ten of an H200
#     sh train/nano.sh --cpu FOLDER    # by `occ train read`: the same network, losses and pages, two days of two cores
#
# FOLDER gets the text and the runs, 400 MB. The first form needs python3 with torch (and its triton), numpy and
# safetensors, and what tests/bench is built with.
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
learn() { # RUN OPTION...
    run=$folder/$1
    shift
    python3 tests/bench/torch_read.py --pages bench-training-pages --alphabet "$folder/alphabet.json" --kinds "$kinds" \
        --every 200 -o "$run" "$@"
    cat "$run"/encoder.part* >"$run/encoder.safetensors"
}
if $gpu; then
    bench-training-pages --alphabet >"$folder/alphabet.json"
    kinds=read10,read10-random,read10-samples
    for profile in clear dense cell10 cell8; do
        kinds=$kinds,$profile,$profile-random,$profile-samples
    done
    learn first --mix "--profiles cell10:0.62,cell8:0.38 --simple 0.5 --samples 0.4" --seed 1 --minutes 9.6 --staged 0.1 \
        --rate 0.004 --simple 1500 --rewhiten 500 --text "$@"
    # Once more from there, with more of what was read worst: random strings, cell8, Vietnamese, code; and what is no
    # ASCII (classes from 96 on) counts half as much again, emoji (from 772 on) twice.
    learn run --from "$folder/first/encoder.safetensors" --mix "--profiles cell10:0.58,cell8:0.42 --samples 0.42 --random 0.4" \
        --seed 2 --minutes 9.4 --rate 0.003 --simple 0 --held tiny:900,base:200,hifi:60 \
        --steps-share tiny:0.8,base:0.14,hifi:0.06 --heavy 96:1.5,772:2 \
        --text "$@" "$text"/vi-*.txt "$text"/vi-*.txt "$text"/code-*.txt
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
if $gpu; then
    occ train plot -o "$folder/nano-first.svg" "$folder/first"
fi
occ train plot -o "$folder/nano.svg" "$folder/run"
