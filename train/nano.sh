#!/bin/sh
# nano.sh - trains the bundled encoder, compress/nano.safetensors, from nothing: the text it learns from (text.sh),
# the options and the seed are all here. Two cores take about an hour; killed and run again, it goes on.
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
    occ train read -v --threads 2 --seed 1 --profiles read10:4,clear:1,dense:5 --random 0.33 --pictures 0.06 \
        --warm-up 100 "$@" "$text"/*.txt "$text"/en-*.txt "$text"/en-*.txt
}
# Many short steps on small parts of pages find the letters, whole pages tell them apart.
if [ ! -e "$folder/letters.safetensors" ]; then
    status=0
    learn -o "$folder/letters" --steps 26000 --stop-at 3200 --batch 2 --sizes part --simple 0.2 --rate 0.003 \
        --merging 0 || status=$?
    [ "$status" = 75 ] || exit "$status"
    cp "$folder/letters/encoder.safetensors" "$folder/letters.safetensors"
fi
learn -o "$folder/run" --from "$folder/letters.safetensors" --steps 5500 --batch 4 \
    --sizes tiny:12,crop:3,base:1,hifi:0.5 --simple 0.25 --rate 0.002 --merging 0.5
occ model convert --dtype int8 -o compress/nano.safetensors "$folder/run/encoder.safetensors"
occ train plot -o train/nano.svg "$folder/run"
occ eval fidelity --model compress/nano.safetensors --text "$folder/text/heldout/fortunes.txt" \
    --profiles read10,clear,dense --modes tiny,base,hifi --steps 3
