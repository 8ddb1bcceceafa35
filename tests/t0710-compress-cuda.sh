#!/usr/bin/env bash
# t0710-compress-cuda.sh - pages become tokens on a GPU, which is emulated: the same as on a processor, with however
# little memory. What is not tested is how fast that is, and what a real GPU's own rounding does.
# shellcheck disable=SC2317 # functions are called by the names that they are handed over by
# shellcheck source=tests/lib-store.sh
. "$(dirname "$0")/lib-store.sh"

emulated=$OCC_BIN/../emulated/bin
small_encoder

gpu() { # ARGUMENT...: `occ compress` on it
    "$emulated/occ-compress" -q --device cuda "$@"
}

# The numbers of all tokens of a store, one a line.
numbers() { # STORE
    local file
    rm -rf "exported-$1"
    store export -q -o "exported-$1" "$1"
    find "exported-$1" -name '*.npy' | sort | while read -r file; do
        od -An -v -tf4 -w4 -j128 "$file"
    done
}

# The root mean square of their differences is at most LIMIT of that of the numbers.
expect_near() { # LIMIT STORE STORE
    paste <(numbers "$2") <(numbers "$3") >both
    awk -v limit="$1" '
        NF != 2 || /n/ { bad++ } # nan, inf
        { squares += ($1 - $2) ^ 2; all += $1 ^ 2 }
        END { share = sqrt(squares / all)
              if (NR == 0 || bad || !(share <= limit)) { print NR, bad + 0, share; exit 1 } }' both >found ||
        complain "$2 and $3 differ: numbers, bad ones, share: $(cat found)"
}

tokens_are_those_of_a_processor() {
    make_days 5
    compress --store cpu32 --compute f32 days.tar
    gpu --store gpu32 --compute f32 days.tar
    expect_near 1e-3 cpu32 gpu32 # tokens are packed as bf16, a step of which is 4e-3
    gpu --store gpu16 --compute bf16 days.tar
    expect_near 2e-2 cpu32 gpu16
    expect_equal "$(store ls cpu32)" "$(store ls gpu32)"
    expect_equal "$(store stats --json cpu32 | jq '[.samples, .pages, .tokens, .characters]')" \
        "$(store stats --json gpu16 | jq '[.samples, .pages, .tokens, .characters]')"
    expect_equal '' "$(store verify gpu16)"
    # Batches follow from the pages, not from how fast threads are.
    gpu --store again --compute bf16 --threads 1 days.tar
    expect_equal "$(content_of gpu16)" "$(content_of again)"
    # It was made of the same pages with the same options: nothing is left to do.
    "$emulated/occ-compress" -v --device cuda --store cpu32 days.tar 2>messages
    expect_match ' 0 samples with 0 pages.*5 samples were already there' messages
}

loose_pictures_and_tiles() {
    cp "$test_folder/golden/preprocess/1500x700.png" wide.png
    head -c 1000 wide.png >damaged.png
    expect_code 3 "$OCC_BIN/occ" compress -q --store cpu --mode gundam --compute f32 wide.png damaged.png 2>messages
    expect_code 3 gpu --store gpu --mode gundam --compute f32 wide.png damaged.png 2>messages
    expect_match 'files/damaged%2Epng: page 0: ' messages
    expect_near 1e-3 cpu gpu
    expect_equal $((256 + 10 * 20)) "$(store stats --json gpu | jq .tokens)"
}

a_gpu_is_chosen_by_number() {
    make_days 1
    export OCC_GPU_COUNT=2
    expect_code 2 gpu --device cuda:3 --store s days.tar 2>messages
    expect_match '^occ-compress: --device cuda:3: there is no GPU 3: 2 were found$' messages
    expect_code 2 gpu --device cuda: --store s days.tar 2>messages
    expect_match "there is no device 'cuda:': auto, cpu, cuda, cuda:1 and so on" messages
    expect_code 0 gpu --device cuda:1 --store second days.tar
    expect_code 0 gpu --device cuda:0 --store first days.tar
    expect_equal "$(content_of first)" "$(content_of second)"
    expect_code 2 env OCC_GPU_COUNT=0 "$emulated/occ-compress" --device cuda --store s days.tar 2>messages
    expect_match 'no NVIDIA GPU was found' messages
}

a_failed_allocation_costs_no_sample() {
    local n done=0 refused=0
    make_days 3
    gpu --store whole --compute f32 days.tar
    for n in 1 20 32 36 38 40 42 44 48 56; do
        if OCC_GPU_FAIL_ALLOC=$n gpu --store "s$n" --compute f32 --threads 2 days.tar 2>messages; then
            expect_equal 3 "$(store ls "s$n" | wc -l)"
            expect_near 1e-3 whole "s$n"
            done=$((done + 1))
        else # while it opens: weights that have no room
            expect_match 'out of (GPU )?memory' messages
            refused=$((refused + 1))
            gpu --store "s$n" --compute f32 days.tar # what is there is no obstacle
            expect_equal 3 "$(store ls "s$n" | wc -l)"
        fi
    done
    [ $done -gt 3 ] || complain "only $done runs went on after an allocation had failed"
    [ $refused -gt 0 ] || complain 'none failed where weights are loaded'
}

little_memory_makes_batches_small_or_says_what_is_needed() {
    make_days 4
    gpu --store whole days.tar
    OCC_GPU_MEMORY=$((64 << 20)) gpu --store small days.tar
    expect_near 2e-2 whole small
    expect_code 3 env OCC_GPU_MEMORY=$((40 << 20)) "$emulated/occ-compress" --device cuda --store s days.tar 2>messages
    expect_equal 4 "$(grep -cE 'kiwi/[0-3]: page 0: a picture of 512 x [0-9]+ pixels needs [0-9.]+ MB of GPU memory, and there are [0-9.]+$' messages)"
    expect_match '4 samples could not be encoded' messages
    # What was left out comes when there is more.
    gpu --store s days.tar
    expect_equal "$(content_of whole)" "$(content_of s)"
    gpu --store told --gpu-memory 60M days.tar
    expect_near 2e-2 whole told
    expect_code 3 gpu --store none --gpu-memory 20M days.tar 2>messages
    expect_match 'needs [0-9.]+ MB of GPU memory, and there are ' messages
    expect_code 1 gpu --store none --gpu-memory 1k days.tar 2>messages
    expect_match 'the weights take [0-9.]+ MB of GPU memory, more than the 0.0 allowed' messages
    expect_code 2 "$OCC_BIN/occ" compress --device cpu --gpu-memory 1G --store none days.tar 2>messages
    expect_match '^occ-compress: --gpu-memory: device cpu is not a GPU' messages
}

killed_it_goes_on() {
    local cut=0 i
    make_days 12
    gpu --store whole --compute f32 --commit 1 days.tar
    for i in 1 2 3; do
        "$emulated/occ-compress" -q --device cuda --compute f32 --store s --commit 1 --batch 2 days.tar 2>messages &
        until [ -e s/data.mdb ] && [ "$(store ls s 2>/dev/null | wc -l)" -ge $((3 * i)) ]; do
            kill -0 $! 2>/dev/null || break
        done
        kill -9 $! 2>/dev/null || true
        wait $! 2>/dev/null || true
        expect_equal '' "$(store verify s)"
        [ "$(store ls s | wc -l)" -eq 12 ] || cut=$((cut + 1))
    done
    gpu --compute f32 --store s days.tar
    expect_equal 12 "$(store ls s | wc -l)"
    expect_near 1e-3 whole s
    [ $cut -gt 0 ] || complain 'no run was killed before its end'
}

text_is_read_back() { # by the bundled encoder and its reading head
    local OCC_MODEL=$OCC_BIN/../share/occ/nano.safetensors
    export OCC_MODEL
    make_days 2
    "$emulated/occ-compress" -v --device cuda --verify --store s days.tar 2>messages
    expect_match 'read back: (9[89]|100)\.[0-9]+% of the text of 2 pages on average' messages
    "$emulated/occ-read" --device cuda --store s --text >read.txt
    expect_words 'What happened on day 1' read.txt
    "$emulated/occ-read" --device cuda days.tar >pages.json
    expect_equal 2 "$(jq -s 'map(select(.accuracy > 0.98)) | length' pages.json)"
}

run tokens_are_those_of_a_processor
run loose_pictures_and_tiles
run a_gpu_is_chosen_by_number
run a_failed_allocation_costs_no_sample
run little_memory_makes_batches_small_or_says_what_is_needed
run killed_it_goes_on
run text_is_read_back
test_finish
