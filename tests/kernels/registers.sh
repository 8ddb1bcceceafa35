#!/bin/sh
# registers.sh - what each kernel takes of each generation of GPUs, as ptxas told when a build was
# made: a table in Markdown, or, with --lines, a line for each: file, kernel, architecture,
# registers, bytes of stack, bytes spilled, bytes of static shared memory, with tabs between.
#
#     sh tests/kernels/registers.sh build/release
set -eu
lines=no
if [ "${1:-}" = --lines ]; then
    lines=yes
    shift
fi
top=$(cd "$(dirname "$0")/../.." && pwd)

logs() { # of the sources that there are
    for source in "$top"/compress/cuda/*.cu; do
        log="$1/CMakeFiles/occ-compress-lib.dir/compress/cuda/${source##*/}.o.log"
        [ ! -e "$log" ] || echo "$log"
    done
}

read_logs() {
    # shellcheck disable=SC2016 # awk's own $0
    logs "$1" | xargs -r awk '
        function finish() {
            if (kernel != "") {
                print file, kernel, arch, registers, stack, spilled, shared
            }
            kernel = ""
        }
        BEGIN {OFS = "\t"}
        FNR == 1 {finish(); file = FILENAME; sub(/.*\//, "", file); sub(/\.o\.log$/, "", file)}
        /Compiling entry function/ {
            finish()
            split($0, part, "\047")
            kernel = part[2]
            arch = part[4]
            registers = stack = spilled = shared = 0
        }
        / bytes stack frame/ {stack += $1; spilled += $5 + $9}
        /: Used [0-9]+ registers/ {
            registers = $5
            if (match($0, /[0-9]+ bytes smem/)) {
                shared = substr($0, RSTART, RLENGTH) + 0
            }
        }
        END {finish()}
    ' | c++filt | sed 's/\tvoid /\t/; s/(anonymous namespace):://g; s/([^\t]*)\t/\t/' | LC_ALL=C sort -u
}

if [ "$lines" = yes ]; then
    read_logs "$1"
    exit
fi
read_logs "$1" | awk -F '\t' '
    BEGIN {
        count = split("sm_80 sm_90 sm_100 sm_120", archs, " ")
        print "| kernel | sm_80 | sm_90 | sm_100 | sm_120 |"
        print "|---|---|---|---|---|"
    }
    function finish(i) {
        if (kernel != "") {
            printf "| `%s` |", kernel
            for (i = 1; i <= count; i++) {
                printf " %s |", cells[archs[i]]
            }
            print ""
        }
        split("", cells)
    }
    $2 != kernel {finish(); kernel = $2}
    {
        cells[$3] = $4
        cells[$3] = cells[$3] ($5 > 0 ? ", stack " $5 : "")
        cells[$3] = cells[$3] ($6 > 0 ? ", spilled " $6 : "")
        cells[$3] = cells[$3] ($7 > 0 ? ", shared " $7 : "")
    }
    END {finish()}
'
