# shellcheck shell=bash
# lib-ingest.sh - lib.sh and, for tests of `occ ingest`, clips and expectations of them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

command -v ffmpeg >"$scratch/log" || skip_all 'ffmpeg is not installed'
archive=$test_folder/archive # of four clips, see make.sh there
peel='Peel a banana from the other end [7301234567890123456]'
export archive peel

ingest() {
    "$OCC_BIN/occ" ingest "$@"
}

make_media() { # FFMPEG-ARGUMENTS...
    ffmpeg -nostdin -hide_banner -loglevel error -y "$@"
}

# The smallest clip that is complete: one second, five pictures, a tone.
tiny=$scratch/tiny.mp4
make_media -f lavfi -i testsrc2=size=64x64:rate=5:duration=1 -f lavfi -i sine=duration=1 \
    -c:v libx264 -preset ultrafast -c:a aac -shortest "$tiny" ||
    skip_all 'ffmpeg cannot make H.264 and AAC'

put_clip() { # FILE... : each becomes a copy of that clip
    local file
    for file in "$@"; do
        mkdir -p -- "$(dirname -- "$file")"
        cp -p -- "$tiny" "$file"
    done
}

# The line of REPORT on INPUT has these. MESSAGE is a regular expression, as in the JSON.
expect_report() { # REPORT INPUT STATUS [REASON MESSAGE]
    grep -F -e "{\"input\":\"$2\"," -- "$1" >report.line || complain "$1 has no line on $2"
    test "$(wc -l <report.line)" -eq 1 || complain "$1 has several lines on $2"
    expect_match "\"status\":\"$3\"" report.line
    if [ $# -gt 3 ]; then
        expect_match "\"reason\":\"$4\"" report.line
        expect_match "\"message\":\"[^\"]*$5" report.line
    fi
}

# Writes the names of the members, or of the samples, of a stream to standard output.
members_of() { # TAR
    tar -tf "$1"
}
keys_of() { # TAR
    tar -tf "$1" | sed -n 's/^\([^.]*\)\.json$/\1/p'
}
member() { # TAR NAME
    tar -xOf "$1" -- "$2"
}

# ffmpeg's expression for the frames that it shows at the times of the thumbnails in SAMPLE.
frames_at() { # SAMPLE
    jq -r '[.thumbs[].pts_ms / 1000 - 0.002 | "gte(t,\(.))*(isnan(prev_t)+lt(prev_t,\(.)))"] | join("+")' "$1"
}

# Each thumbnail *.NNN.jpg in FOLDER is the frame of FILE that ffmpeg shows at its time, put through FILTER (24 dB
# and more between the two).
expect_frames() { # FILE SAMPLE FILTER FOLDER
    rm -f -- want.*.png
    make_media -i "$1" -vf "select='$(frames_at "$2")',$3" -vsync passthrough -start_number 0 want.%03d.png
    make_media -i want.%03d.png -i "$(find "$4" -name '*.000.jpg' | sed 's/000\.jpg$/%03d.jpg/')" \
        -lavfi scale2ref,psnr=stats_file=psnr -f null -
    expect_equal "$(jq '.thumbs | length' "$2")" "$(grep -c psnr_avg psnr)"
    sed 's/.*psnr_avg:\([^ ]*\).*/\1/' psnr | awk '$1 != "inf" && $1 < 24 { exit 1 }' || complain "$1: $(cat psnr)"
}
