#!/usr/bin/env bash
# t0003-tidy.sh - what clang-tidy says about the sources: nothing. Which checks, and why not others: .clang-tidy.
#
#     OCC_BIN=build/dev/bin bash tests/t0003-tidy.sh [FILE...]     # all files of C without FILE
#
# Kernels take it a minute more and three compilers read them with all warnings (t0700-kernels.sh).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
command -v clang-tidy-14 >/dev/null || skip_all 'no clang-tidy-14'
build=$OCC_BIN/..
[ -e "$build/compile_commands.json" ] || skip_all 'this build kept no list of its commands'

top=$(cd "$test_folder/.." && pwd)
files=("$@")

clang_tidy_is_silent() {
    if [ ${#files[@]} -eq 0 ]; then
        sed -n 's/^ *"file": "\(.*\.c\)".*/\1/p' "$build/compile_commands.json" | sort -u
    else
        printf '%s\n' "${files[@]}"
    fi >sources
    (cd "$top" && xargs -P "$(nproc)" -n 6 clang-tidy-14 --quiet -p "$build" 2>&1) <sources >said ||
        complain "$(grep -vE 'warnings? (and .*)?generated|^(Suppressed|Use -header-filter)' said)"
}

run clang_tidy_is_silent
test_finish
