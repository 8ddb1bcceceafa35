#!/usr/bin/env bash
# material.sh - makes the files that ingest.sh measures with, once, in a cache folder:
#     short-250/  vertical H.264 + AAC + mov_text clips of 5 to 11 s, x264's usual keyframe distance
#     short-48/   the same clips with a keyframe every 48 pictures at least
#     long/       Debian's vtest.avi and intro.mpg as they are, 1080p and 1080x1920 H.264 + AAC,
#                 and ten minutes of the 1080p one joined without encoding again
# Real pixels and real sound throughout, from the Debian packages opencv-doc and fillets-ng-data.
# Beside each set is SET.list, one line per file: KEYFRAMES PICTURES PATH.
#     material.sh FOLDER
set -eu -o pipefail
export LC_ALL=C.UTF-8

folder=$1
examples=/usr/share/doc/opencv-doc
intro=/usr/share/games/fillets-ng/images/menu/intro.mpg
vtest=$examples/examples/data/vtest.avi

run_ffmpeg() {
    ffmpeg -nostdin -v fatal -y "$@"
}

write_captions() { # one cue every two seconds
    local i
    for ((i = 0; i < 36; i++)); do
        printf '%d\n00:%02d:%02d,000 --> 00:%02d:%02d,900\nWhat is said in second %d.\n\n' $((i + 1)) \
            $((i / 30)) $((i * 2 % 60)) $(((i * 2 + 1) / 60)) $(((i * 2 + 1) % 60)) $((i * 2))
    done >captions.srt
}

# One clip: SOURCE SPEED START SECONDS CROP(0-3) KEYINT OUT. SPEED: vtest.avi has 10 pictures a
# second, which played three times as fast are as many as a telephone makes.
make_short() {
    local source=$1 speed=$2 start=$3 seconds=$4 crop=$5 keyint=$6 out=$7
    run_ffmpeg -ss $((start * speed)) -t $((seconds * speed)) -i "$source" \
        -ss "$start" -t "$seconds" -i "$intro" -t "$seconds" -i captions.srt \
        -map 0:v -map 1:a -map 2:s \
        -vf "setpts=PTS/$speed,crop=ih*9/16:ih:(iw-ow)*$crop/3:0,scale=576:1024:flags=bicubic" \
        -r 30 -c:v libx264 -preset veryfast -crf 26 -g "$keyint" -pix_fmt yuv420p \
        -c:a aac -ac 2 -ar 44100 -b:a 96k -c:s mov_text -metadata:s:s:0 language=eng \
        -movflags +faststart -t "$seconds" "$out"
}

make_short_set() { # KEYINT
    local keyint=$1 crop start seconds count=0
    mkdir -p "short-$keyint"
    for crop in 0 1 2 3; do
        for ((start = crop; start < 60; start += 6)); do
            seconds=$((5 + count % 7))
            make_short "$intro" 1 $start $seconds $crop "$keyint" "short-$keyint/i$count.mp4"
            count=$((count + 1))
        done
        for ((start = crop; start < 16; start += 4)); do
            seconds=$((5 + count % 7))
            make_short "$vtest" 3 $start $seconds $crop "$keyint" "short-$keyint/v$count.mp4"
            count=$((count + 1))
        done
    done
}

make_long_set() {
    mkdir -p long
    cp "$vtest" "$intro" long/
    local common=(-map 0:v -map 1:a -map 2:s -c:v libx264 -preset veryfast -pix_fmt yuv420p
        -c:a aac -ac 2 -ar 44100 -b:a 128k -c:s mov_text -metadata:s:s:0 language=eng)
    run_ffmpeg -i "$intro" -i "$intro" -i captions.srt "${common[@]}" -t 72 \
        -vf 'crop=iw:iw*9/16,scale=1920:1080:flags=bicubic' long/wide.mp4
    run_ffmpeg -i "$vtest" -i "$intro" -i captions.srt "${common[@]}" -t 39 \
        -vf 'setpts=PTS/2,crop=ih*9/16:ih,scale=1080:1920:flags=bicubic' -r 20 long/tall.mp4
    for _ in 1 2 3 4 5 6 7 8; do
        echo "file '$PWD/long/wide.mp4'"
    done >list
    run_ffmpeg -f concat -safe 0 -i list -map 0 -c copy long/joined.mp4
}

list_files() { # SET: its files with the number of their keyframes and of all pictures
    local file
    for file in "$1"/*; do
        ffprobe -v fatal -select_streams v:0 -show_entries packet=flags -of csv=p=0 "$file" |
            awk -v "file=$PWD/$file" '/K/ { keys++ } END { print keys + 0, NR, file }'
    done >"$1.list"
}

mkdir -p "$folder"
cd "$folder"
write_captions
make_long_set
make_short_set 250
make_short_set 48
list_files long
list_files short-250
list_files short-48
rm list captions.srt
