#!/usr/bin/env bash
# t0002-source.sh - the rules of the house that a machine can check.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

top=$(cd "$test_folder/.." && pwd)

sources() {
    find "$top/store" "$top/ingest" "$top/render" "$top/compress" "$top/train" "$top/cli" "$top/tests" \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cc' \) -print
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

# A folder or room includes itself, and those it stands on.
expect_includes() {
    local folder=$1 allowed=$2
    grep -rnE '^#include [<"](store|ingest|render|compress|train|cli)/' "$top/$folder" --include='*.[ch]' --include='*.cu' |
        grep -vE "\"($allowed)[/.]" >found || true
    expect_code 1 grep . found
}

dependencies_point_one_way() {
    expect_includes store store
    expect_includes ingest 'ingest|store'
    expect_includes render 'render|store'
    expect_includes compress 'compress|render|store'
    expect_includes train 'train|compress|render|store'
    expect_includes cli 'cli|ingest|render|compress|train|store'
}

a_backend_keeps_to_itself() { # all else goes by compress/ops.h
    grep -rnE '^#include "compress/(cpu|cuda)/' "$top"/{store,ingest,render,compress,train,cli} --include='*.[ch]' --include='*.cu' |
        grep -vE "^$top/compress/(cpu|cuda)/" >found || true
    expect_code 1 grep . found
}

# Of the libraries of others a folder includes its own alone, as CMakeLists.txt has it.
expect_libraries() {
    local folder=$1 allowed=$2
    local all='archive|archive_entry|dnnl|ebur128|expat|fontconfig|ft2build|hb|immintrin|jansson|lib(av|sw)[a-z]*'
    all+='|lmdb|oneapi|pcre2|png|turbojpeg|unicode|xxhash|zdict|zstd|omp|cpuid'
    grep -rnE "^#include (<($all)[./-]|FT_)" "$top/$folder" --include='*.[ch]' --include='*.cu' |
        grep -vE "#include (<($allowed)[./-]|${3:-nothing else})" >found || true
    expect_code 1 grep . found
}

libraries_of_others_have_one_folder() {
    expect_libraries store 'archive|archive_entry|jansson|lmdb|xxhash|zdict|zstd'
    expect_libraries ingest 'ebur128|expat|jansson|lib(av|sw)[a-z]*|xxhash'
    expect_libraries render 'fontconfig|ft2build|hb|jansson|png|turbojpeg|unicode|xxhash' FT_
    expect_libraries compress 'cpuid|immintrin|jansson|oneapi|png|turbojpeg|xxhash'
    expect_libraries train 'jansson|pcre2|xxhash'
    expect_libraries cli jansson
    expect_code 1 grep -rlE '#include <(oneapi|immintrin|cpuid)' "$top/compress" --exclude-dir=cpu
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

# Sources without what stands in quotes and comments, one per line as "FILE:LINE:CODE".
code_of() { # FOLDER...
    # shellcheck disable=SC2016 # awk's own $0
    find "${@/#/$top/}" -name '*.[ch]' -exec awk '
        FNR == 1 {inside = 0}
        {
            line = $0
            gsub(/\\./, "", line)
            gsub(/"[^"]*"/, "\"\"", line)
            code = ""
            while (line != "") {
                at = index(line, inside ? "*/" : "/*")
                if (at == 0) {
                    code = code (inside ? "" : line)
                    break
                }
                code = code (inside ? "" : substr(line, 1, at - 1))
                line = substr(line, at + 2)
                inside = !inside
            }
            print FILENAME ":" FNR ":" code
        }' {} +
}

# only_in FILES ERE FOLDER...: no other file has it; FILES is an ERE, too
only_in() {
    local files=$1 banned=$2
    shift 2
    code_of "$@" | grep -E "$banned" | grep -vE "^$top/($files):" >found || true
    expect_code 1 grep . found
}

libraries_do_not_print_or_exit() {
    only_in 'store/log\.c' '\b(stdout|stderr)\b' store ingest render compress train
    only_in '' '\b(v?printf|v?dprintf|puts|putchar|perror|exit|_Exit|quick_exit|abort)[[:space:]]*\(' \
        store ingest render compress train
    only_in 'ingest/pool_worker\.c' '\b_exit[[:space:]]*\(' store ingest render compress train # a process of its own
}

what_is_written_once_stays_so() {
    only_in 'store/(array|bytes)\.c' '\brealloc[[:space:]]*\(' store ingest render compress train cli
    only_in 'store/cpu_count\.c' '_SC_NPROCESSORS' store ingest render compress train cli
    # a log line has the time of day, a wait a point in time
    only_in 'store/(clock|log)\.c|render/render_jobs\.c' '\b(clock_gettime|gettimeofday)[[:space:]]*\(' \
        store ingest render compress train cli
}

files_and_functions_have_a_limit() {
    sources | while read -r file; do
        lines=$(wc -l <"$file")
        [ "$lines" -le 600 ] || echo "$file: $lines lines"
        awk -v file="$file" '
            /^[A-Za-z_].*\{$/ && /\(/ {start = NR; name = $0}
            /^\}/ {if (start && NR - start > 60) print file ": " name ": " NR - start " lines"; start = 0}
        ' "$file"
    done >found
    expect_code 1 grep . found
}

# Messages and help: "is not a", "after", "a training run". ("there is no model" is English.)
messages_are_plain_english() {
    grep -rnoE '"([^"\\]|\\.)*"' "$top"/{store,ingest,render,compress,train,cli} --include='*.[ch]' --include='*.cu' | grep -vE ':"[a-z_/]+\.h"$' |
        grep -E '\b(is|are) no [a-z]|\b([Bb]ehind|[Tt]old)\b|\ba training( (is|was|that)\b|[.,;:"])' |
        grep -vE '\bthere (is|are) no |\bis no (longer|more)\b' >found || true
    expect_code 1 grep . found
}
run messages_are_plain_english

# What waits for numbers stands in a line of its own.
documents_are_whole() {
    grep -rnE '^[A-Z0-9]+(_[A-Z0-9]+)+$' "$top" --include='*.md' --exclude-dir=build >found || true
    expect_code 1 grep . found
}
run documents_are_whole

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
run a_backend_keeps_to_itself
run libraries_of_others_have_one_folder
run rooms_of_ingest_know_their_neighbours
run rooms_of_render_stand_on_each_other
run libraries_do_not_print_or_exit
run what_is_written_once_stays_so
run files_and_functions_have_a_limit
run shell_scripts_are_clean
run no_path_of_a_machine
run the_top_level_is_tidy
run every_fault_has_its_test
test_finish
