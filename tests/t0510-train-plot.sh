#!/usr/bin/env bash
# t0510-train-plot.sh - the curves of a training run as a picture: what is in it, what is left out, what is refused.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

plot() { # [OPTION...] PATH
    "$OCC_BIN/occ-train" plot "$@"
}

# metrics LINES: a training that goes from a loss of 10 to one of 0.1, with all names there are
metrics() {
    awk -v lines="$1" 'BEGIN {
        count = split("early0 early1 early2 read10 read10-random clear dense dense-random merge1", names, " ")
        for (i = 1; i <= lines; i++) {
            printf "{\"step\":%d,\"pages\":%d,\"rate\":%g,\"norm\":2.5,\"skipped\":0", i * 20, i * 130, i * 1e-6
            loss = 10 * exp(-log(100) * (i - 1) / (lines - 1))
            for (n = 1; n <= count; n++) printf ",\"%s\":[%.6g,%.6g]", names[n], loss * 0.75, loss * 0.25
            print "}"
        }
    }'
}

# curves_of FILE: what the picture says and "NAME STROKE DASHES: X Y X Y ..." for each curve
curves_of() {
    python3 - "$1" <<'PYTHON'
import re, sys
import xml.etree.ElementTree as tree
space = "{http://www.w3.org/2000/svg}"
root = tree.parse(sys.argv[1]).getroot()
assert root.tag == space + "svg", root.tag
for text in root.iter(space + "text"):
    print("text", text.text)
for path in root.iter(space + "path"):
    title = path.find(space + "title")
    if title is not None:
        points = re.findall(r"[0-9.]+", path.get("d"))
        print(title.text, path.get("stroke"), path.get("stroke-dasharray"), ":", *points)
PYTHON
}

the_picture_has_every_curve() {
    mkdir run
    metrics 20 >run/metrics.ndjson
    expect_code 0 plot run -o curve.svg 2>messages
    expect_equal '' "$(cat messages)"
    curves_of curve.svg >curves
    for name in early0 early1 early2 read10 read10-random clear dense dense-random merge1; do
        expect_match "^text $name\$" curves
        expect_match "^$name #[0-9a-f]{6} " curves
    done
    expect_match '^learning rate ' curves
    expect_match '^text 2600 pages in 400 steps$' curves
    expect_match '^text pages seen$' curves
    expect_equal 9 "$(grep -c '^text 0\.100$' curves)" # where each ends
}

equal_factors_are_equal_heights() {
    local pages=0
    for loss in 10,0 0.5,0.5 0.1,0; do # factors of 10
        echo "{\"pages\":$((++pages)),\"a\":[$loss]}"
    done >m.ndjson
    plot m.ndjson >curve.svg
    curves_of curve.svg | sed -n 's/^a .*: //p' >points
    python3 - <<'PYTHON'
x1, y1, x2, y2, x3, y3 = map(float, open("points").read().split())
assert abs((x2 - x1) - (x3 - x2)) < 0.2 and x2 > x1, (x1, x2, x3)
assert abs((y2 - y1) - (y3 - y2)) < 0.2 and y2 > y1, (y1, y2, y3)
PYTHON
}

curves_are_told_apart() {
    metrics 20 >m.ndjson
    plot m.ndjson >curve.svg
    curves_of curve.svg | grep '^[a-z0-9-]* #' | cut -d: -f1 >looks
    expect_equal 9 "$(cut -d' ' -f2- looks | sort -u | wc -l)"
    look() { grep "^$1 " looks | cut -d' ' -f2; }
    expect_equal "$(look read10)" "$(look read10-random)"
    expect_match '^read10 #[^ ]* none' looks
    expect_match '^read10-random #[^ ]* [0-9]' looks
}

many_lines_are_smoothed_and_thinned() {
    metrics 3000 | awk 'NR % 2 {gsub(/:\[/, ":[1")} {print}' >m.ndjson # every other is far off
    plot m.ndjson -o curve.svg
    curves_of curve.svg >curves
    expect_match '^text .*; running means of 101 lines$' curves
    expect_code 0 test "$(wc -c <curve.svg)" -lt 300000
    # Without the means every other point of the second half would be 100 pixels away.
    sed -n 's/^read10 .*: //p' curves >points
    python3 - <<'PYTHON'
values = list(map(float, open("points").read().split()))
heights = values[1::2]
half = heights[len(heights) // 2:]
assert all(abs(a - b) < 8 for a, b in zip(half, half[1:])), half
PYTHON
}

the_same_lines_give_the_same_bytes_anywhere() {
    mkdir run
    metrics 50 >run/metrics.ndjson
    plot run >one.svg
    plot run -o two.svg
    plot run/metrics.ndjson -o - >three.svg
    expect_same one.svg two.svg
    expect_same one.svg three.svg
}

a_single_line_is_a_dot() {
    metrics 20 | sed -n 1p >m.ndjson
    expect_code 0 plot m.ndjson -o curve.svg
    curves_of curve.svg >curves
    expect_match '^read10 .*: [0-9.]+ [0-9.]+ 0$' curves
    echo '{"pages":0,"a":[0,0]}' >m.ndjson # no extent in any direction
    expect_code 0 plot m.ndjson -o curve.svg
    curves_of curve.svg >curves
    expect_match '^a ' curves
}

lines_that_are_wrong_are_left_out_and_told() {
    {
        metrics 5
        printf '%s\n' 'no JSON' '' '[1]' 7 '{"pages":900,"read10":[NaN,1]}' '{"pages":900,"read10":[1e999,1]}' \
            '{"pages":900,"read10":[null,1]}' '{"pages":900,"read10":[1]}' '{"pages":900,"read10":[-1,1]}' \
            '{"read10":[1,1]}' '{"pages":"x","read10":[1,1]}' '{"pages":1,"read10":[1,1]}' \
            '{"pages":900,"<b>":[1,1]}' '{"pages":900,"":[1,1]}' '{"pages":900,"a-name-without-end":[1,1]}' \
            '{"pages":99999999999999999999,"read10":[1,1]}'
        printf '\0\n\377\376\n{"step":200,"pages":1000,"read10":[0.1,0.2],"note":"x","rate":"fast"}\n{"pages":1'
    } >m.ndjson
    expect_code 3 plot m.ndjson -o curve.svg 2>messages
    expect_match '^occ-train: m.ndjson: 18 of 24 lines were left out; the first: line 6 is not JSON$' messages
    curves_of curve.svg >curves
    expect_match '^text 1000 pages in 200 steps$' curves
    expect_equal 9 "$(grep -c '^[a-z0-9-]* #' curves)"
    expect_no_match '<b>|a-name' curve.svg
}

each_fault_has_its_reason() {
    reason() { # LINE REGEX
        printf '{"pages":5,"a":[1,1]}\n%s\n' "$1" >m.ndjson
        expect_code 3 plot m.ndjson -o curve.svg 2>messages
        expect_match "the first: line 2 $2\$" messages
    }
    reason '[]' 'is not a JSON object'
    reason '{"a":[1,1]}' 'has no whole number "pages"'
    reason '{"pages":4,"a":[1,1]}' 'has fewer pages than one before it'
    reason '{"pages":6,"a":[1,1,1]}' '"a" is not a pair of numbers from 0 on'
    reason '{"pages":6,"a b":[1,1]}' 'has a loss whose name is not 1 to 16 of A-Z a-z 0-9 \. _ -'
    reason "{\"pages\":6$(printf ',"n%d":[1,1]' {1..24})}" 'brings more than 24 names of losses'
    expect_code 0 grep -q '"a":' m.ndjson
    printf '{"pages":5%s}' "$(printf ',"n%d":[1,1]' {1..24})" >m.ndjson
    expect_code 0 plot m.ndjson -o curve.svg
}

what_holds_no_losses_is_refused() {
    : >empty.ndjson
    expect_code 1 plot empty.ndjson -o curve.svg 2>messages
    expect_match '^occ-train: empty.ndjson: is empty: no step has been recorded yet$' messages
    printf '\n  \n' >blank.ndjson
    expect_code 1 plot blank.ndjson -o curve.svg 2>messages
    expect_match 'blank.ndjson: is empty' messages
    echo 'A text.' >text.ndjson
    expect_code 1 plot text.ndjson -o curve.svg 2>messages
    expect_match '^occ-train: text.ndjson: is not the metrics of a training run: line 1 is not JSON$' messages
    echo '{"step":20,"pages":100}' >bare.ndjson
    expect_code 1 plot bare.ndjson -o curve.svg 2>messages
    expect_match '^occ-train: bare.ndjson: its lines hold no loss$' messages
    expect_code 1 plot nowhere -o curve.svg 2>messages
    expect_match '^occ-train: nowhere: No such file' messages
    mkdir run
    expect_code 1 plot run -o curve.svg 2>messages
    expect_match '^occ-train: run/metrics.ndjson: No such file' messages
    expect_code 1 test -e curve.svg
}

a_picture_that_cannot_be_written_is_told() {
    metrics 5 >m.ndjson
    expect_code 1 plot m.ndjson >/dev/full 2>messages
    expect_match 'standard output: .*disk full' messages
    expect_code 1 plot m.ndjson -o nowhere/curve.svg 2>messages
    expect_match 'nowhere/.*No such file' messages
    echo before >curve.svg
    : >empty.ndjson
    expect_code 1 plot empty.ndjson -o curve.svg 2>messages
    expect_equal before "$(cat curve.svg)"
}

commands_are_checked() {
    metrics 5 >m.ndjson
    expect_code 2 "$OCC_BIN/occ-train" 2>messages
    expect_match '^occ-train: name a command: read, tune, align, plot$' messages
    expect_code 2 "$OCC_BIN/occ-train" draw m.ndjson 2>messages
    expect_match '^occ-train: no such command: draw: read, tune, align, plot$' messages
    expect_code 2 plot 2>messages
    expect_match '^occ-train: plot takes FOLDER or one FILE$' messages
    expect_code 2 plot m.ndjson m.ndjson 2>messages
    expect_code 2 "$OCC_BIN/occ-train" read 2>messages
    expect_match '^occ-train: read takes TEXT\.\.\.$' messages
    expect_code 2 "$OCC_BIN/occ-train" read m.ndjson 2>messages
    expect_match '^occ-train: no folder is named: --output FOLDER$' messages
}

run the_picture_has_every_curve
run equal_factors_are_equal_heights
run curves_are_told_apart
run many_lines_are_smoothed_and_thinned
run the_same_lines_give_the_same_bytes_anywhere
run a_single_line_is_a_dot
run lines_that_are_wrong_are_left_out_and_told
run each_fault_has_its_reason
run what_holds_no_losses_is_refused
run a_picture_that_cannot_be_written_is_told
run commands_are_checked
test_finish
