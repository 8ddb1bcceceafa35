#!/usr/bin/env bash
# t0100-cli.sh - the launcher, and what every program of ours has to do alike: help, man page,
# completion, version, exit status.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

# Verbs of shell script, beside a copy of the launcher and on PATH.
make_verbs() {
    mkdir bin elsewhere
    cp "$OCC_BIN/occ" bin/occ
    cat >bin/occ-greet <<'END'
#!/bin/sh
echo "greet beside: $*"
exit 7
END
    sed 's/beside/elsewhere/; s/exit 7/exit 0/' bin/occ-greet >elsewhere/occ-greet
    sed 's/greet beside/wave/' bin/occ-greet >elsewhere/occ-wave
    echo 'no program' >elsewhere/occ-text
    chmod +x bin/occ-greet elsewhere/occ-greet elsewhere/occ-wave
    PATH=$PWD/elsewhere:$PATH
}

occ() { # as on a machine on which nothing of ours is installed
    PATH=$PWD/elsewhere bin/occ "$@"
}

for_each_program() { # FUNCTION, called with each built program
    local program count=0
    for program in "$OCC_BIN/occ" "$OCC_BIN"/occ-*; do
        if [ -f "$program" ] && [ -x "$program" ]; then
            "$1" "$program"
            count=$((count + 1))
        fi
    done
    [ "$count" -gt 0 ]
}

verb_beside_the_launcher_comes_before_PATH() {
    make_verbs
    expect_code 7 occ greet 'a  b' -x --help >out
    echo 'greet beside: a  b -x --help' >wanted
    expect_same wanted out
}
run verb_beside_the_launcher_comes_before_PATH

verb_is_found_on_PATH() {
    make_verbs
    expect_code 7 occ wave >out
    expect_match '^wave: $' out
}
run verb_is_found_on_PATH

launcher_called_through_a_link_finds_its_verbs() {
    make_verbs
    ln -s "$PWD/bin/occ" elsewhere/linked
    expect_code 7 elsewhere/linked greet >out
    expect_match beside out
}
run launcher_called_through_a_link_finds_its_verbs

help_of_a_verb_is_its_own() {
    make_verbs
    expect_code 7 occ help greet >out
    expect_match '^greet beside: --help$' out
}
run help_of_a_verb_is_its_own

help_lists_the_verbs_once_and_no_other_files() {
    make_verbs
    expect_code 0 occ --help >out
    expect_code 0 occ help >out.help
    expect_code 0 occ >out.alone
    expect_same out out.help
    expect_same out out.alone
    expect_match '^Usage: occ ' out
    expect_match '^  wave$' out
    expect_no_match '^  text' out
    test "$(grep -c '^  greet' out)" -eq 1
}
run help_lists_the_verbs_once_and_no_other_files

known_verbs_are_explained_where_they_are_found() {
    make_verbs
    expect_code 0 occ --help >out
    expect_no_match '^  ingest' out
    cp bin/occ-greet bin/occ-ingest
    expect_code 0 occ --help >out
    expect_match '^  ingest +video archive' out
}
run known_verbs_are_explained_where_they_are_found

unknown_verb_is_refused_with_a_suggestion() {
    make_verbs
    expect_code 2 occ wvae >out 2>err
    expect_same /dev/null out
    expect_match "^occ: 'wvae' is not an occ command \(did you mean 'wave'\?\)$" err
    expect_match "^Try 'occ --help'.$" err
    expect_code 2 occ gre 2>err
    expect_match "did you mean 'greet'" err
    expect_code 2 occ help wvae 2>err
    expect_match "'wvae' is not an occ command" err
}
run unknown_verb_is_refused_with_a_suggestion

unlike_words_are_not_suggested() {
    make_verbs
    expect_code 2 occ xylophone 2>err
    expect_match "^occ: 'xylophone' is not an occ command$" err
    expect_code 2 occ '' 2>err
    expect_match "^occ: '' is not an occ command$" err
}
run unlike_words_are_not_suggested

verb_cannot_be_a_path() {
    make_verbs
    mkdir bin/occ-dir
    cp bin/occ-greet bin/occ-dir/sub
    expect_code 2 occ dir/sub 2>err
    expect_match "'dir/sub' is not an occ command" err
}
run verb_cannot_be_a_path

program_that_cannot_be_executed_is_a_failure() {
    make_verbs
    printf '\177ELF broken' >bin/occ-broken
    chmod +x bin/occ-broken
    expect_code 1 occ broken 2>err
    expect_match 'occ: .*/occ-broken: Exec format error' err
}
run program_that_cannot_be_executed_is_a_failure

check_version() {
    expect_code 0 "$1" --version >out
    expect_match "^$(basename "$1") [0-9]+\.[0-9]+\.[0-9]+$" out
}
version_is_printed() {
    for_each_program check_version
}
run version_is_printed

check_usage_errors() {
    expect_code 2 "$1" --no-such-option >out 2>err
    expect_same /dev/null out
    expect_match "^$(basename "$1"): unknown option '--no-such-option'$" err
    expect_match "^Try 'occ .*--help'.$" err
    test "$(wc -l <err)" -eq 2
    expect_code 2 "$1" --version=3 2>err
    expect_match 'version: takes no value' err
}
usage_errors_are_two_lines_on_stderr() {
    for_each_program check_usage_errors
}
run usage_errors_are_two_lines_on_stderr

check_width() {
    expect_code 0 "$1" --help >out
    expect_code 0 "$1" -h >short
    expect_no_match '.{81}|[[:space:]]$' out
    expect_no_match '.{81}|[[:space:]]$' short
    expect_match '^  75 ' out
    expect_match '^  -h, --help' short
}
help_fits_80_columns() {
    for_each_program check_width
}
run help_fits_80_columns

check_full_disk() {
    expect_code 1 "$1" --help >/dev/full 2>err
    expect_match 'standard output: disk full' err
    expect_code 1 "$1" --version >&- 2>err
    expect_match 'standard output: Bad file' err
}
help_that_cannot_be_written_is_a_failure() {
    [ -c /dev/full ] || skip 'there is no /dev/full'
    for_each_program check_full_disk
}
run help_that_cannot_be_written_is_a_failure

check_man_page() {
    expect_code 0 "$1" --help=man >page.1
    expect_code 0 groff -ww -man -Tascii -P-cbou page.1 >text 2>warnings
    expect_same /dev/null warnings
    expect_match 'EXIT STATUS' text
    expect_no_match '.{81}' text
    grep -v '^[.]' page.1 | expect_code 1 grep -E '[^\]-' >&8
}
man_page_has_no_warnings_and_no_bare_hyphens() {
    command -v groff >where || skip 'groff is not installed'
    for_each_program check_man_page
}
run man_page_has_no_warnings_and_no_bare_hyphens

check_completion() {
    local words
    expect_code 0 "$1" --help=bash >script
    bash -n script
    words=$(basename "$1")
    bash --norc -c '. ./script
        COMP_WORDS=("$1" --he) COMP_CWORD=1
        "_${1//-/_}"
        echo "${COMPREPLY[@]}"' bash "$words" >out
    echo --help >wanted
    expect_same wanted out
}
completion_knows_the_options() {
    for_each_program check_completion
}
run completion_knows_the_options

# What bash would offer for the words of a command line; the last is the one under the cursor.
complete_line() {
    bash --norc -c '. ./script
        _occ_greet() { COMPREPLY=("verb: ${COMP_WORDS[*]} at $COMP_CWORD"); }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _occ
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}
completion_of_the_launcher_offers_verbs_and_asks_them() {
    make_verbs
    expect_code 0 occ --help=bash >script
    complete_line occ gr >out
    expect_match '^greet$' out
    complete_line occ help wa >out
    expect_match '^wave$' out
    complete_line occ greet --a b >out
    expect_match '^verb: occ-greet --a b at 2$' out
}
run completion_of_the_launcher_offers_verbs_and_asks_them

test_finish
