#!/usr/bin/env bash
# t0002-source.sh - the rules of the house that a machine can check.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

top=$(cd "$test_folder/.." && pwd)

sources() {
    find "$top/store" "$top/ingest" "$top/render" "$top/compress" "$top/train" "$top/cli" "$top/tests" -name '*.[ch]' -print
}

sources_are_formatted() {
    command -v clang-format-14 >/dev/null || skip "no clang-format-14"
    sources | xargs clang-format-14 --style="file:$top/.clang-format" -n -Werror
}

# expect_none ERE: no source line matches, texts in quotes aside.
expect_none() {
    sources | while read -r file; do
        sed -E 's/"([^"\\]|\\.)*"/""/g' "$file" | grep -nE "$1" | sed "s|^|$file:|" || true
    done >found
    expect_code 1 grep . found
}

no_banned_calls() {
    expect_none '\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|alloca)[[:space:]]*\('
}

no_assignments_in_conditions() {
    expect_none '\b(if|while)[[:space:]]*\(.*[^=!<>]=[^=].*\)[[:space:]]*\{$'
}

no_lines_left_for_later() {
    expect_none '\b(TODO|FIXME|XXX|HACK)\b'
}

# A folder or room includes itself, those it stands on, and only the third-party libraries that are its own.
expect_includes() {
    local folder=$1 allowed=$2
    if grep -rnE '^#include [<"](store|ingest|render|compress|train|cli)/' "$top/$folder" --include='*.[ch]' |
        grep -vE "\"($allowed)[/.]" >found; then
        cat found
        return 1
    fi
}

dependencies_point_one_way() {
    expect_includes store store
    expect_includes ingest 'ingest|store'
    expect_includes render 'render|store'
    expect_includes compress 'compress|render|store'
    expect_includes train 'train|compress|render|store'
    expect_includes cli 'cli|ingest|render|compress|train|store'
    expect_code 1 grep -rlE '#include <(lib(av|sw)|ebur128|expat)' "$top/store" "$top/render" "$top/compress" "$top/train" "$top/cli"
    expect_code 1 grep -rlE '#include <(archive|lmdb|zstd)' "$top/ingest" "$top/render" "$top/compress" "$top/train"
    expect_code 1 grep -rlE '#include (<(hb|ft2build|fontconfig|unicode|png|turbojpeg)|FT_)' \
        "$top/store" "$top/ingest" "$top/train" "$top/cli"
    expect_code 1 grep -rlE '#include <(hb|ft2build|fontconfig|unicode)' "$top/compress" "$top/train"
    expect_code 1 grep -rlE '#include <pcre2' "$top/store" "$top/ingest" "$top/render" "$top/compress" "$top/cli"
    expect_code 1 grep -rlE '#include <oneapi' "$top/store" "$top/ingest" "$top/render" "$top/train" "$top/cli"
}

rooms_of_ingest_know_their_neighbours() {
    local pool='ingest/(pool|heartbeat)'
    expect_includes ingest/captions 'ingest/captions|store'
    expect_includes ingest/media 'ingest/(media|captions|heartbeat)|store'
    expect_includes ingest/sidecars 'ingest/(sidecars|captions|archive)|store'
    expect_includes ingest/archive "ingest/(archive|sidecars|media)|$pool|store"
    expect_code 1 grep -rlE '#include <(lib(av|sw)|ebur128)' "$top/ingest" --exclude-dir=media --exclude-dir=captions
    expect_code 1 grep -rlE '#include <expat' "$top/ingest" --exclude-dir=captions
}

rooms_of_render_stand_on_each_other() {
    expect_includes render/text 'render/text|render/mode|store'
    expect_includes render/page 'render/(text|page)|render/mode|store'
    expect_includes render/content 'render/(text|page|content)|render/mode|store'
}

libraries_do_not_print_or_exit() {
    if grep -nE '\b(printf|puts|putchar|perror|exit|abort)[[:space:]]*\(' \
        -r "$top/ingest" "$top/render" "$top/store" "$top/compress" "$top/train" --include='*.c' |
        grep -vE 'store/log\.c' >found; then
        cat found
        return 1
    fi
}

files_and_functions_have_a_limit() {
    sources | while read -r file; do
        lines=$(wc -l <"$file")
        [ "$lines" -le 800 ] || echo "$file: $lines lines"
        awk -v file="$file" '
            /^[A-Za-z_].*\{$/ && /\(/ {start = NR; name = $0}
            /^\}/ {if (start && NR - start > 100) print file ": " name ": " NR - start " lines"; start = 0}
        ' "$file"
    done >found
    expect_code 1 grep . found
}

shell_scripts_are_clean() {
    command -v shellcheck >/dev/null || skip "no shellcheck"
    (cd "$top" && shellcheck -x cli/*.sh train/*.sh tests/*.sh tests/*/*.sh .ci/run)
}

no_path_of_a_machine() {
    expect_code 1 grep -rnIE '/(home/[a-z]+|root)/' "$top/store" "$top/ingest" "$top/render" \
        "$top/compress" "$top/cli" "$top/README.md" "$top/CMakeLists.txt" "$top/CMakePresets.json"
}

the_top_level_is_tidy() {
    git -C "$top" ls-files >files 2>/dev/null || skip "no git checkout"
    cut -d/ -f1 files | sort -u | grep -v '^[.]' |
        grep -vxE 'store|ingest|render|compress|train|cli|tests|CMakeLists.txt|CMakePresets.json|README.md|LICENSE' \
            >found || true
    expect_code 1 grep . found
}

every_fault_has_its_test() {
    sed -nE 's/^\| ((ingest|render|store) F?[0-9]+) \|.*/\1/p' "$test_folder/faults.md" >faults
    expect_equal 53 "$(wc -l <faults)"
    while read -r fault; do
        grep -rqE "\b$fault([^0-9]|$)" "$test_folder" --include='*.c' --include='*.sh' || complain "no test of $fault"
    done <faults
}

run sources_are_formatted
run no_banned_calls
run no_assignments_in_conditions
run no_lines_left_for_later
run dependencies_point_one_way
run rooms_of_ingest_know_their_neighbours
run rooms_of_render_stand_on_each_other
run libraries_do_not_print_or_exit
run files_and_functions_have_a_limit
run shell_scripts_are_clean
run no_path_of_a_machine
run the_top_level_is_tidy
run every_fault_has_its_test
test_finish
