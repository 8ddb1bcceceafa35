#!/usr/bin/env bash
# t0540-eval.sh - what 'occ eval fidelity' measures, prints and writes, and what an encoder's file does with it.
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

bundled=$OCC_BIN/../share/occ/nano.safetensors
[ -e "$bundled" ] || skip_all 'no bundled encoder'
unset OCC_MODEL
texts=$test_folder/golden/texts

fidelity() { # ARGUMENT...
    "$OCC_BIN/occ" eval fidelity "$@"
}

# A page of each language, so that there are several from few bytes.
make_text() {
    cat "$texts"/{en,de,fr,pl,tr}.txt >"$1"
}

fidelity_is_measured_on_all_texts_that_are_named() {
    fidelity --json -n 1 "$texts/en.txt" "$texts/de.txt" >both.json
    fidelity --json -n 1 -t "$texts/en.txt" >one.json
    expect_code 1 cmp -s both.json one.json # the page is cut out of the whole
    expect_code 1 fidelity -n 1 "$texts/en.txt" missing.txt 2>messages
    expect_match 'missing.txt: No such file' messages
}

expect_set() { # NAME FILTER FILE: true of that set's line
    grep "\"set\":\"$1\"" "$3" >line
    expect_json "$2" line
}

sets_have_lines_of_their_own() {
    fidelity --json -n 1 --sets random,digits,caps,samples -t one="$texts/en.txt" -t two="$texts/ru.txt" -t one="$texts/de.txt" \
        "$texts/fr.txt" >sets
    expect_equal 'one two text random digits caps samples' "$(jq -rs 'map(.set) | join(" ")' sets)"
    # Each is what its name says: numbers in digits, no words in Russian lost, capitals read worse than the same text.
    expect_set digits '.states[0].numbers > 0.5' sets
    expect_set two '.states[0].words > 0.9 and .states[0].numbers == null' sets
    expect_set one '.states[0].characters > 0.97' sets
    expect_set samples '.states[0] | .numbers > 0.5 and .tags != null and .emoji != null' sets # whatever the text lacks
    [ "$(jq -s 'map(select(.set == "caps")) | .[0].states[0].words' sets)" != \
        "$(jq -s 'map(select(.set == "one")) | .[0].states[0].words' sets)" ]
    jq -s . sets >list
    expect_json 'all(.visual_tokens == 64 * .pages and .states[0].visual_tokens == .visual_tokens)' list
    fidelity --json -n 1 --sets random,digits,caps,samples -t one="$texts/en.txt" -t two="$texts/ru.txt" -t one="$texts/de.txt" \
        "$texts/fr.txt" -j 1 >again
    expect_same sets again
    fidelity --json -n 1 --seed 2 --sets digits -t one="$texts/en.txt" | tail -n 1 >other
    grep '"digits"' sets >first
    expect_code 1 cmp -s first other
    fidelity -n 1 --sets none "$texts/en.txt" >table
    expect_match '^cell10 tiny +characters +words +numbers +tags +emoji' table
    expect_match '^  text +9[0-9]\.[0-9]{2}%' table
    expect_no_match random table
}

only_what_came_back_whole_is_counted() {
    # The same words; where one letter of each is outside of the alphabet, no word is kept.
    for i in {1..150}; do printf 'banana number %d for @pear.%d #kiwi 😂 ' "$i" "$i"; done >plain
    sed 's/banana/ban世na/g; s/number/num世er/g; s/for/f世r/g' plain >broken
    fidelity --json -n 1 --sets none -t plain=plain -t broken=broken >sets
    expect_set plain '.states[0] | .words > 0.9 and .numbers > 0.8 and .tags > 0.8' sets
    expect_set broken '.states[0] | .words < 0.1 and .numbers > 0.6 and .characters > 0.6' sets
}

halvings_are_read_where_they_are_asked_for() {
    fidelity --json -n 1 --sets none -k 0,2 --codecs --operators own,pool "$texts/en.txt" >states
    expect_equal 'f32 0,bf16 0,int8 0,int4 0,nested 2,pool 2' \
        "$(jq -r '.states | map("\(.state) \(.k)") | join(",")' states)"
    expect_json '.states | map(.visual_tokens) == [64, 64, 64, 64, 16, 16]' states
    expect_json '.states | map(.characters) | .[0] > .[4] and .[4] > .[5]' states
    fidelity -n 1 --sets none -k 1 "$texts/en.txt" >table
    expect_match '^    nested k=1 ' table
    expect_no_match 'k=2|bf16' table
}

usage_is_checked() {
    expect_code 2 fidelity 2>messages
    expect_match 'no text is named' messages
    expect_code 2 fidelity --sets noise x 2>messages
    expect_match "'noise' is not one of its names" messages
    expect_code 2 fidelity -k 9 x 2>messages
    expect_match "halvings: '9'" messages
    expect_code 2 fidelity --operators forget x 2>messages
    expect_match "operators: 'forget'" messages
    expect_code 2 fidelity -t =x 2>messages
    expect_match 'names have 1 to 31 characters' messages
    expect_code 2 "$OCC_BIN/occ" eval colours x 2>messages
    expect_match 'name a command: fidelity' messages
    : >empty
    expect_code 1 fidelity empty 2>messages
    expect_match 'empty: is empty' messages
}

# The bundled encoder under a name, without what was measured of it: the key is another, of the same length.
uncalibrated() { # FILE
    sed 's/"occ\.calibration"/"occ.calibratiox"/' "$bundled" >"$1"
}

# Rows that are read well and badly, and a calibration of them.
calibrate() {
    make_text mix
    fidelity --json -n 6 -k 0,2,3 --calibration --calibrate map.json --record record.json mix >lines
}

confidence_is_calibrated() {
    calibrate
    tail -n 1 lines >tenths
    expect_json '.calibration | length == 10 and (map(.rows) | add) > 500' tenths
    expect_json '.calibration | all((.expected - .accuracy | fabs) <= 0.03)' tenths
    expect_json '[.calibration[].head] | . == sort and .[0] < .[9]' tenths
    expect_json '(.confidence | length) == (.accuracy | length) and (.confidence | length) <= 16' map.json
    expect_json '.accuracy == (.accuracy | sort) and .confidence == (.confidence | unique)' map.json
    # In an encoder's file it is applied, and the encoder stays the same one.
    "$OCC_BIN/occ" model convert --metadata occ.calibration=map.json --metadata occ.fidelity=record.json \
        -o calibrated "$bundled"
    expect_equal "$("$OCC_BIN/occ" model info "$bundled" | jq -c '[.fingerprint, .bytes]')" \
        "$("$OCC_BIN/occ" model info calibrated | jq -c '[.fingerprint, .bytes]')"
    fidelity --model calibrated --json --seed 5 -n 6 -k 0,2,3 --calibration mix | tail -n 1 >other
    expect_json '.calibration | all((.expected - .accuracy | fabs) <= 0.05)' other # other random strings
    uncalibrated encoder
    fidelity --model encoder --json --seed 5 -n 6 -k 0,2,3 --calibration mix | tail -n 1 >raw
    expect_json '.calibration | all(.expected == .head)' raw
    expect_json 'map(.calibration | map(.expected - .accuracy | fabs) | max) | .[0] > 0.01 and .[1] < .[0] / 2' <(jq -s . raw tenths)
    # Few rows are not enough.
    head -c 300 "$texts/en.txt" >short
    expect_code 1 fidelity -n 1 --sets none --calibrate few.json short 2>messages
    expect_match 'calibrate: 64 rows were read; a calibration takes 200' messages
    expect_code 1 test -e few.json
}

what_is_read_after_halving_is_recorded() {
    calibrate
    expect_json 'keys == ["cell10"] and (.cell10 | map(.k)) == [0, 2, 3]' record.json
    expect_json '.cell10 | map(.characters) | .[0] > .[1] and .[1] > .[2] and .[0] > 0.9' record.json
    # Of the texts alone, not of what was made.
    jq -s '[.[] | select(.set == "text")][0].states | map({k, characters})' lines >text
    jq '.cell10 | map({k, characters})' record.json >recorded
    expect_equal "$(jq -c 'map(.characters * 1e4 | round)' text)" "$(jq -c 'map(.characters * 1e4 | round)' recorded)"
}

metadata_is_checked() {
    echo '{"confidence": [0.9, 0.5], "accuracy": [0.5, 0.6]}' >falling.json
    echo '{"a": [1, 2]}' >some.json
    expect_code 1 "$OCC_BIN/occ" model convert --metadata occ.calibration=falling.json -o out "$bundled" 2>messages
    expect_match 'falling.json: a calibration whose confidence falls' messages
    expect_code 1 "$OCC_BIN/occ" model convert --metadata occ.x="$texts/en.txt" -o out "$bundled" 2>messages
    expect_match 'en.txt: is not JSON' messages
    expect_code 2 "$OCC_BIN/occ" model convert --metadata some.json -o out "$bundled" 2>messages
    expect_match 'is not KEY=FILE' messages
    expect_code 2 "$OCC_BIN/occ" model convert --metadata occ.config=some.json -o out "$bundled" 2>messages
    expect_match 'describes the weights' messages
    expect_code 2 "$OCC_BIN/occ" model init --metadata occ.x=some.json -o out 2>messages
    expect_code 1 test -e out
    "$OCC_BIN/occ" model convert --metadata occ.x=some.json -o out "$bundled"
    expect_equal 1 "$(head -c 100000 out | grep -ac '"occ.x":"{\\"a\\":\[1,2\]}"')"
    # A file that says nonsense is refused, by name.
    uncalibrated encoder
    "$OCC_BIN/occ" model convert --metadata occ.calibratioy=falling.json -o odd encoder
    sed -i 's/occ\.calibratioy/occ.calibration/' odd
    expect_code 1 fidelity --model odd -n 1 "$texts/en.txt" 2>messages
    expect_match 'odd: occ.calibration: a calibration whose confidence falls' messages
}

run fidelity_is_measured_on_all_texts_that_are_named
run sets_have_lines_of_their_own
run only_what_came_back_whole_is_counted
run halvings_are_read_where_they_are_asked_for
run usage_is_checked
run confidence_is_calibrated
run what_is_read_after_halving_is_recorded
run metadata_is_checked
test_finish
