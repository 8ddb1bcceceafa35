#!/usr/bin/env bash
# t0700-kernels.sh - kernels as compilers see them: what ptxas made of each for the real GPUs, and
# that both compilers of the host take all of them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

top=$(cd "$test_folder/.." && pwd)
build=$(cd "$OCC_BIN/.." && pwd)

registers_are_enough() { # no kernel keeps in memory what it has no register for
    sh "$test_folder/kernels/registers.sh" --lines "$build" >lines
    [ -s lines ] || skip 'this build was made without nvcc'
    awk -F '\t' '$6 > 0 {print $1 ": " $2 " spills " $6 " bytes on " $3}' lines >spilled
    expect_code 1 grep . spilled
}

each_kernel_is_made_for_each_gpu() {
    sh "$test_folder/kernels/registers.sh" --lines "$build" >lines
    [ -s lines ] || skip 'this build was made without nvcc'
    awk -F '\t' '
        {kernels[$1 ": " $2] = 1; made[$1 ": " $2, $3] = 1}
        END {
            count = split("sm_80 sm_90 sm_100 sm_120", archs, " ")
            for (kernel in kernels) {
                for (i = 1; i <= count; i++) {
                    if (!((kernel, archs[i]) in made)) {
                        print kernel " is not made for " archs[i]
                    }
                }
            }
        }' lines >missing
    expect_code 1 grep . missing
    { grep -l '__global__' "$top"/compress/cuda/*.cu || true; } | while read -r source; do
        expect_match "^${source##*/}" lines
    done
}

the_table_has_each_kernel() {
    sh "$test_folder/kernels/registers.sh" "$build" >table
    sh "$test_folder/kernels/registers.sh" --lines "$build" >lines
    [ -s lines ] || skip 'this build was made without nvcc'
    expect_equal "$(cut -f2 lines | sort -u | wc -l)" "$(tail -n +3 table | wc -l)"
}

compiles_with() { # COMPILER
    command -v "$1" >/dev/null || skip "no $1"
    printf '%s\n' "$top"/compress/cuda/*.cu |
        xargs -P 2 -n 4 "$1" -fsyntax-only -std=c++20 -xc++ -Wall -Wextra -Wno-missing-field-initializers -Werror \
            -D_XOPEN_SOURCE=700 -I"$top" -I"$top/tests/kernels"
}

gcc_takes_all_kernels() {
    compiles_with g++
}

clang_takes_all_kernels() {
    compiles_with clang++
}

run registers_are_enough
run each_kernel_is_made_for_each_gpu
run the_table_has_each_kernel
sh "$test_folder/kernels/registers.sh" "$build" | sed 's/^/# /'
run gcc_takes_all_kernels
run clang_takes_all_kernels
test_finish
