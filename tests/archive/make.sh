#!/bin/sh
# make.sh - makes the sample archive beside it: what yt-dlp leaves of two small accounts, in a few
# seconds of generated pictures and synthetic speech. Needs ffmpeg with libx264 and flite, and jq.
# The result is committed; run this again only to change it.
set -eu
cd "$(dirname "$0")"
rm -rf banana pear
mkdir banana pear
font=/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf

run_ffmpeg() {
    ffmpeg -hide_banner -loglevel error -y -fflags +bitexact "$@"
}

# One scene: SOURCE SECONDS TEXT OUTPUT. Vertical, 288 x 512.
scene() {
    run_ffmpeg -f lavfi -i "$1,trim=duration=$2,scale=288:512:force_original_aspect_ratio=increase,crop=288:512,setsar=1,fps=25,drawtext=fontfile=$font:text='$3':fontsize=30:fontcolor=white:borderw=3:x=(w-tw)/2:y=h-90" \
        -c:v libx264 -preset veryslow -crf 32 -pix_fmt yuv420p -flags +bitexact -an "$4"
}

# Speech: TEXT OUTPUT
speech() {
    run_ffmpeg -f lavfi -i "flite=text='$1':voice=slt" -ar 44100 -ac 2 -c:a pcm_s16le "$2"
}

# info.json of a TikTok clip: ID ACCOUNT NAME CREATED SECONDS VIEWS LIKES DESCRIPTION OUTPUT
info() {
    jq -n --arg id "$1" --arg account "$2" --arg name "$3" --argjson created "$4" \
        --argjson seconds "$5" --argjson views "$6" --argjson likes "$7" --arg text "$8" '{
        id: $id, title: ($text | .[0:72]), description: $text, timestamp: $created,
        upload_date: ($created | strftime("%Y%m%d")), duration: $seconds,
        uploader: $account, uploader_id: ("68" + $id[0:15]), channel: $name,
        channel_id: ("MS4wLjABAAAA" + $account), uploader_url: ("https://www.tiktok.com/@" + $account),
        view_count: $views, like_count: $likes, repost_count: ($likes / 20 | floor),
        comment_count: 4, save_count: ($likes / 8 | floor), track: "original sound", artists: [$name],
        webpage_url: ("https://www.tiktok.com/@" + $account + "/video/" + $id),
        extractor: "TikTok", extractor_key: "TikTok", _type: "video", epoch: 1763900000,
        _version: {version: "2026.08.21", repository: "yt-dlp/yt-dlp"}}' >"$9"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 1. A vertical clip with metadata, English captions and comments from the web API.
id=7301234567890123456
stem="banana/Peel a banana from the other end [$id]"
scene "mandelbrot=size=288x512:rate=25:start_scale=1.2:end_scale=0.4" 2 "one" "$work/1.mp4"
scene "testsrc2=size=288x512:rate=25" 2 "two" "$work/2.mp4"
scene "gradients=size=288x512:rate=25:c0=0xffe135:c1=0x6b4f00:x0=20:y0=20:x1=200:y1=500:seed=7" 3 "three" "$work/3.mp4"
speech "Everyone opens a banana from the wrong end. Monkeys pinch the tip. Try it once and you will never go back." "$work/1.wav"
printf "file '%s'\n" "$work/1.mp4" "$work/2.mp4" "$work/3.mp4" >"$work/list"
run_ffmpeg -f concat -safe 0 -i "$work/list" -i "$work/1.wav" -map 0:v -map 1:a -c:v libx264 \
    -preset veryslow -crf 30 -g 50 -flags +bitexact -c:a aac -b:a 48k -shortest -movflags +faststart "$stem.mp4"
info $id banana "Banana Facts" 1690000000 7 1204553 98211 \
    "Everyone opens a banana from the wrong end 🍌 #banana #lifehack #foodtok" "$stem.info.json"
cat >"$stem.en.vtt" <<VTT
WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.300
Everyone opens a banana from the <i>wrong</i> end.

00:00:02.300 --> 00:00:04.000
Monkeys pinch the tip.

00:00:04.000 --> 00:00:06.800
Try it once and you will
never go back.
VTT
jq -n --arg id $id '{comments: [
    {cid: "7301300000000000001", aweme_id: $id, text: "I have been doing this wrong for 34 years", create_time: 1690003600,
     digg_count: 5120, reply_id: "0", author_pin: true, user: {uid: "1", unique_id: "slowpoke", nickname: "Slow Poke"},
     reply_comment_total: 1, reply_comment: [
        {cid: "7301300000000000002", aweme_id: $id, text: "it is never too late 🍌", create_time: 1690003900, digg_count: 830,
         reply_id: "7301300000000000001", user: {uid: "2", unique_id: "banana", nickname: "Banana Facts"}}]},
    {cid: "7301300000000000003", aweme_id: $id, text: "monkeys: 🙈", create_time: 1690010000, digg_count: 77, reply_id: "0",
     user: {uid: "3", unique_id: "kiwi_kate", nickname: "Kate"}}],
    cursor: 3, has_more: 0, total: 3}' >"$stem.comments.json"

# 2. A clip with its captions inside (mov_text), comments in the info.json, one keyframe only.
id=7312345678901234567
stem="banana/How many bananas are too many [$id]"
scene "life=size=36x64:rate=5:mold=10:ratio=0.4:death_color=0x5a3d00:life_color=0xffe135:seed=3" 5 "too many" "$work/4.mp4"
speech "Doctors say two a day. I asked a gorilla. He said twenty seven." "$work/2.wav"
cat >"$work/2.srt" <<SRT
1
00:00:00,000 --> 00:00:01,200
Doctors say two a day.

2
00:00:01,200 --> 00:00:02,200
I asked a gorilla.

3
00:00:02,200 --> 00:00:03,100
He said twenty-seven.
SRT
run_ffmpeg -i "$work/4.mp4" -i "$work/2.wav" -i "$work/2.srt" -map 0:v -map 1:a -map 2:s -c:v copy \
    -c:a aac -b:a 48k -c:s mov_text -metadata:s:s:0 language=eng -flags +bitexact -shortest -movflags +faststart "$stem.mp4"
info $id banana "Banana Facts" 1692600000 5 88012 6120 \
    "how many is too many? asking for a friend #banana #gorilla" "$work/2.json"
jq '.comments = [
    {id: "c1", parent: "root", text: "twenty-eight, then", author: "@peelgood", author_id: "u7", like_count: 41, timestamp: 1692600500},
    {id: "c2", parent: "c1", text: "bold", author: "@banana", author_id: "u1", author_is_uploader: true, like_count: 12, timestamp: 1692600900}]' \
    "$work/2.json" >"$stem.info.json"

# 3. A slideshow post: sound only, the pictures beside it.
id=7323456789012345678
stem="pear/$id"
speech "Pears ripen from the inside out. Press near the stem. If it gives, it is ready." "$work/3.wav"
run_ffmpeg -i "$work/3.wav" -c:a aac -b:a 48k -flags +bitexact "$stem.m4a"
info $id pear "Pear Review" 1700000000 6 5310 402 "pears ripen from the inside out 🍐 #pear #fruit" "$stem.info.json"
run_ffmpeg -f lavfi -i "cellauto=size=288x512:rule=90:random_seed=2" -frames:v 1 -q:v 8 "${stem}_01.jpg"
run_ffmpeg -f lavfi -i "testsrc2=size=288x512" -frames:v 1 -q:v 8 "${stem}_02.jpg"
jq -n --arg id $id '{utterances: [
    {start_time: 0, end_time: 1900, text: "Pears ripen from the inside out."},
    {start_time: 1900, end_time: 3300, text: "Press near the stem."},
    {start_time: 3300, end_time: 5200, text: "If it gives, it is ready."}]}' >"$stem.eng-US.json"

# 4. A download that broke off: the container lists more than is there.
id=7334567890123456789
head -c 60000 "banana/Peel a banana from the other end [7301234567890123456].mp4" >"pear/A pear falls [$id].mp4"
info $id pear "Pear Review" 1703000000 7 911 60 "a pear falls #pear #physics" "pear/A pear falls [$id].info.json"

# As real folders have them: a download not finished and a playlist's description.
printf 'half' >"pear/Next week [7340000000000000000].mp4.part"
jq -n '{id: "pear", _type: "playlist", title: "pear", entries: null}' >"pear/pear.info.json"
du -sk .
