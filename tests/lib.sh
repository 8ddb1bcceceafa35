# shellcheck shell=bash
# lib.sh - shell tests that speak TAP (testanything.org), understood by CTest (exit status) and
# `prove`. OCC_BIN names the folder of the built programs. A test file, tNNNN-words.sh, is
#
#     #!/usr/bin/env bash
#     . "$(dirname "$0")/lib.sh"
#     version_is_printed() {
#         expect_code 0 "$OCC_BIN/occ" --version >out
#         expect_match '^occ [0-9]' out
#     }
#     run version_is_printed
#     test_finish
#
# Each test runs in a shell and an empty scratch folder of its own, which are gone afterwards, with
# `set -eu -o pipefail`: the first command that fails ends it, in a pipe too, and what it printed is
# shown. bash does not look at the status of `! command` and of all but the last of `a && b`: write
# `expect_code 1 command` and one command a line.

set -u
export LC_ALL=C.UTF-8 TZ=UTC
for variable in "${!OCC_@}"; do # the programs' own variables
    [ "$variable" = OCC_BIN ] || unset "$variable"
done

test_count=0
test_failed=0
test_folder=$(cd "$(dirname "$0")" && pwd)
export test_folder # of the test files, for golden files and the like

skip_all() { # REASON: the whole file cannot run here
    echo "1..0 # SKIP $*"
    exit 77
}

if [ -z "${OCC_BIN:-}" ] || ! OCC_BIN=$(cd "$OCC_BIN" && pwd); then
    echo "Bail out! OCC_BIN must name the folder of the built programs"
    exit 1
fi
export OCC_BIN
scratch=$(mktemp -d "${TMPDIR:-/tmp}/occ-test.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

run() { # FUNCTION: one test; its title is the name of the function
    local title=${1//_/ } status
    test_count=$((test_count + 1))
    mkdir "$scratch/$test_count" || exit 1
    # Not in a condition: there `set -e` would have no effect.
    (
        cd "$scratch/$test_count" || exit 1
        set -e -o pipefail
        exec 8>&1 # where the expect_ functions complain, however the test redirects
        "$1"
    ) </dev/null >"$scratch/log" 2>&1
    status=$?
    if [ $status -eq 77 ] && [ -e "$scratch/$test_count/.skipped" ]; then
        echo "ok $test_count - $title # SKIP $(cat "$scratch/$test_count/.skipped")"
    elif [ $status -eq 0 ]; then
        echo "ok $test_count - $title"
    else
        sed 's/^/# /' "$scratch/log"
        echo "not ok $test_count - $title"
        test_failed=$((test_failed + 1))
    fi
    rm -rf "${scratch:?}/$test_count"
}

skip() { # REASON: the running test cannot run here
    echo "$*" >.skipped
    exit 77
}

test_finish() { # the last line of a test file, whose exit status it gives
    echo "1..$test_count"
    [ $test_failed -eq 0 ] && [ $test_count -gt 0 ]
}

complain() {
    echo "$*" >&8
    return 1
}

expect_code() { # STATUS COMMAND...: redirections of the call are the command's
    local wanted=$1 got=0
    shift
    "$@" 8>&- || got=$?
    [ "$got" -eq "$wanted" ] || complain "exit status $got, wanted $wanted: $*"
}

expect_match() { # REGEX FILE: a line of FILE matches (grep -E)
    grep -qE -e "$1" -- "$2" || complain "no line of $2 matches $1:" "$(head -c 4000 -- "$2")"
}

expect_no_match() { # REGEX FILE
    expect_code 1 grep -nE -e "$1" -- "$2" >&8
}

expect_same() { # WANTED GOT: two files hold the same bytes
    cmp -s -- "$1" "$2" || complain "$(diff -u -- "$1" "$2" | head -n 60)"
}

expect_equal() { # WANTED GOT: two texts
    [ "$1" = "$2" ] || complain "got '$2', wanted '$1'"
}
