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
# English counts three times: it is what most scripts are in.
occ train read -v --threads 2 --seed 1 -o "$folder/run" --steps 20000 --batch 4 --rate 0.005 --staged 0.35 --simple 0.03 \
    --sizes tiny:12,crop:3,base:1,hifi:0.5 --profiles read10:5,clear:1,dense:4 --random 0.33 --pictures 0.06 \
    "$text"/*.txt "$text"/en-*.txt "$text"/en-*.txt
occ model convert --dtype int8 -o compress/nano.safetensors "$folder/run/encoder.safetensors"
occ train plot -o train/nano.svg "$folder/run"
occ eval fidelity --model compress/nano.safetensors --text "$folder/text/heldout/fortunes.txt" \
    --profiles read10,clear,dense --modes tiny,base,hifi --codecs --halvings 0,1,2,3 --operators own,pool,resize,render
