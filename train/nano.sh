#!/bin/sh
# nano.sh - trains the bundled encoder, compress/nano.safetensors, from nothing: the text it learns from (text.sh),
# the options and the seed are all here. Two cores take two to three hours; killed and run again, it goes on.
#
#     sh train/nano.sh FOLDER     # for the text and the checkpoints, some 800 MB
set -eu
if [ "$#" != 1 ] || [ "$1" = --help ] || [ "$1" = -h ]; then
    echo "usage: sh train/nano.sh FOLDER"
    exit 2
fi
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/.."
PATH=$PWD/build/release/bin:$PATH

[ -e "$folder/text/SOURCES" ] || sh train/text.sh "$folder/text"
text=$folder/text/train
learn() { # English counts three times: it is what most scripts are in
    occ train read -v --threads 2 --seed 1 --random 0.33 --pictures 0.06 --warm-up 100 "$@" \
        "$text"/*.txt "$text"/en-*.txt "$text"/en-*.txt
}
# Many short steps on small parts of pages find the letters.
if [ ! -e "$folder/letters.safetensors" ]; then
    status=0
    learn -o "$folder/letters" --steps 26000 --stop-at 3200 --batch 2 --sizes part --profiles read10 --simple 0.2 \
        --rate 0.003 --merging 0 || status=$?
    [ "$status" = 75 ] || exit "$status"
    cp "$folder/letters/encoder.safetensors" "$folder/letters.safetensors"
fi
# Whole pages of one type tell them apart: ASCII first, all alphabets from the second half on.
learn -o "$folder/reading" --from "$folder/letters.safetensors" --steps 6000 --batch 4 --sizes tiny:12,crop:3 \
    --profiles read10 --simple 0.5 --rate 0.002 --merging 0
# Then all types and sizes; merges from the second half on.
learn -o "$folder/run" --from "$folder/reading/encoder.safetensors" --steps 12000 --batch 4 \
    --sizes tiny:12,crop:3,base:1,hifi:0.5 --profiles read10:4,clear:1,dense:5 --simple 0 --rate 0.0015 --merging 0.5
occ model convert --dtype int8 -o compress/nano.safetensors "$folder/run/encoder.safetensors"
occ train plot -o train/nano.svg "$folder/run"
occ eval fidelity --model compress/nano.safetensors --text "$folder/text/heldout/fortunes.txt" \
    --profiles read10,clear,dense --modes tiny,base,hifi --steps 3
