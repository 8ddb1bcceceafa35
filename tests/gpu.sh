#!/bin/sh
# gpu.sh - what can be tried on a machine with an NVIDIA GPU alone: tests, parity with the processor, speed, sanitizers,
# training. Needs no network.
#
#     sh tests/gpu.sh [--build FOLDER] [--minutes N] [--parts LIST] [--text FOLDER] [--device NAME] [RESULTS]
#
# Builds the release preset (nvcc, cmake), or takes the FOLDER of one that was built elsewhere: tests/bench/gpu_bundle.sh
# makes such. N minutes in all, 20 unless said otherwise. The parts, in this order, each with a time of its own:
#
#     tests     tests/op_*_test with OCC_TEST_DEVICE=cuda, as many at a time as memory allows
#     parity    occ compress of sample pages on the GPU and on the processor
#     bench     pages a second of both encoders, and their operations beside the machine's peaks (bench-gpu)
#     sanitize  some of the tests under compute-sanitizer: memcheck, racecheck, initcheck
#     steps     steps of training, of the encoder and of a language model (bench-train, bench-step)
#     train     the encoder `nano`, from nothing, for the rest of the time, on the *.txt in the folder --text
#
# A part that fails is told, and the next one runs. RESULTS (gpu-results) gets results.md, log.txt and, of training,
# train.log, encoder.safetensors and metrics.ndjson. Exit: 0 where all parts passed, 1 where not, 77 without nvcc or a GPU. --device
# cpu tries the script itself where there is no GPU.
set -u
export LC_ALL=C

self=$(cd "$(dirname "$0")" && pwd)/gpu.sh
here=${self%/gpu.sh}

say() {
    echo "gpu.sh: $*" >&2
}

ask_gpu() { # FIELD
    nvidia-smi --query-gpu="$1" --format=csv,noheader,nounits 2>/dev/null | head -1
}

now() {
    date +%s
}

# ---- Several programs at a time ------------------------------------------------------------------------------------

# LABEL PROGRAM [ARGUMENT...]: its output goes to $work/LABEL.log, a line of a table to $work/LABEL.md.
try() {
    label=$1
    shift
    began=$(now)
    timeout -k 5 "$try_seconds" "$@" >"$work/$label.log" 2>&1
    status=$?
    case $status in
    0) result=passed ;;
    77) result='**skipped**' ;;
    124 | 137) result="**not done after $try_seconds s**" ;;
    *) result="**failed ($status)** $(grep -E '^(not ok|#|=====.*(Error|Invalid|race|Uninit))|rror' "$work/$label.log" | head -3 | cut -c 1-160 | tr '|\n' '/;')" ;;
    esac
    echo "| $label | $result | $(($(now) - began)) |" >"$work/$label.md"
}

# As many as the GPU's free memory has room for, two GB each.
at_once() {
    free=$(ask_gpu memory.free)
    count=$((${free:-4096} / 2048))
    [ "$count" -le "$(nproc)" ] || count=$(nproc)
    [ "$count" -le 8 ] || count=8
    [ "$count" -ge 1 ] || count=1
    echo "$count"
}

# Standard input: lines LABEL PROGRAM ARGUMENT... Prints a table; false where one did not pass.
try_all() {
    export work try_seconds
    xargs -P "$(at_once)" -L 1 sh "$self" --try
    printf '| what | result | seconds |\n|---|---|---|\n'
    cat "$work"/*.md
    for log in "$work"/*.log; do
        echo "== $(basename "$log" .log)" >&2
        cat "$log" >&2
    done
    ! grep -qF '**' "$work"/*.md
}

# ---- Parts: each in a process of its own. Standard output is for results.md, standard error for log.txt ------------

part_tests() {
    export OCC_TEST_DEVICE="$device"
    try_seconds=150
    for test in "$build"/tests/op_*_test; do
        echo "$(basename "$test") $test"
    done | try_all
}

# Tests with small shapes: a sanitizer makes a kernel ten to a hundred times slower.
part_sanitize() {
    if ! command -v compute-sanitizer >/dev/null; then
        echo 'compute-sanitizer is not there.'
        return 1
    fi
    export OCC_TEST_DEVICE="$device"
    try_seconds=150
    for tool in memcheck racecheck initcheck; do
        case $tool in
        memcheck) names='linear matmul attention layer_norm rms_norm softmax classify top_k gather resample copy' ;;
        racecheck) names='attention layer_norm softmax cross_entropy sum_rows top_k' ;;
        initcheck) names='linear attention layer_norm gather' ;;
        esac
        for name in $names; do
            echo "$tool-$name compute-sanitizer --tool $tool --error-exitcode 9 $build/tests/op_${name}_test"
        done
    done | try_all
}

# DEVICE: tokens of the sample pages into $work/DEVICE.safetensors.
compress_on() {
    "$bin/occ-compress" -v --device "$1" --verify -m "$nano" -s "$work/$1" "$pages" >"$work/$1.said" 2>&1
    status=$?
    sed -n "s/^occ-compress: /- $1: /p" "$work/$1.said"
    [ "$status" -eq 0 ] && "$bin/occ-store" export -q --format safetensors -o "$work/$1.safetensors" "$work/$1"
}

part_parity() {
    [ -e "$pages" ] || sample_pages
    compress_on cpu && mv "$work/cpu.safetensors" "$work/processor" && rm -r "$work/cpu" && compress_on "$device" || return 1
    printf '\nBeside the processor: '
    "$build/tests/tokens_compare" "$work/processor" "$work/$device.safetensors" 0.999
}

# Where the build is no bundle.
sample_pages() {
    "$bin/bench-samples" 6 "$here/golden/texts/en.txt" | "$bin/occ-render" -q --mode base >"$pages"
}

# Of dense BF16 products, TFLOP/s, and of memory, GB/s, by the data sheet; of other GPUs as measured.
peaks() {
    case $(ask_gpu name) in
    *H100*PCIe*) echo --peak 756 --bandwidth 2000 ;;
    *H100*) echo --peak 989 --bandwidth 3350 ;;
    *H200*) echo --peak 989 --bandwidth 4800 ;;
    *A100*80GB*) echo --peak 312 --bandwidth 2039 ;;
    *A100*) echo --peak 312 --bandwidth 1555 ;;
    *L4*) echo --peak 121 --bandwidth 300 ;;
    esac
}

# shellcheck disable=SC2046 # of peaks: words on purpose
part_bench() {
    "$bin/bench-gpu" --device "$device" --model "$nano" --modes "$modes" --batches "$nano_batches" --operations $(peaks) 2>&1 || return 1
    while ! [ -e "$deepencoder" ]; do
        sleep 0.2 # it is being written
    done
    "$bin/bench-gpu" --device "$device" --model "$deepencoder" --modes "$modes" --batches "$deepencoder_batches" --operations $(peaks) 2>&1
}

# shellcheck disable=SC2046
part_steps() {
    rc=0
    cd "$work" || return 1
    printf 'The encoder and its reading heads, tiny pages (bench-train):\n\n'
    for batch in $step_batches; do
        "$bin/bench-train" --device "$device" --threads 1 --batch "$batch" --steps 10 2>&1 || rc=1
    done
    printf '\nA language model with adapters (bench-step):\n\n'
    "$bin/bench-step" --device "$device" --tokens "$step_tokens" --operations $(peaks) 2>&1 || rc=1
    return "$rc"
}

# SECONDS ARGUMENT...: occ train read for as long; a signal ends it like its last step, with weights.
train() {
    limit=$1
    shift
    find "$text" -name '*.txt' | sort |
        xargs timeout -k 20 "$limit" "$bin/occ-train" read -v --device "$device" --batch "$train_batch" -j "$(at_once)" -o "$work/run" "$@" \
            >>"$results/train.log" 2>&1
}

# The length of the run follows from the rate of its first steps, so that the learning rate has fallen at its end.
part_train() {
    began=$(now)
    : >"$results/train.log"
    train $((part_seconds - 30)) --steps 100000 --stop-at 10
    rate=$(sed -n 's/.* \([0-9.]*\) pages\/s.*/\1/p' "$results/train.log" | tail -1)
    left=$((part_seconds - ($(now) - began) - 30))
    steps=$(awk "BEGIN { print int(0.95 * ${rate:-0} * $left / $train_batch) }")
    if [ "$steps" -gt 10 ]; then
        train "$left" --steps "$steps"
    fi
    echo "${rate:-no} pages a second at first; then:"
    echo
    grep -E 'occ-train: |failed|rror' "$results/train.log" | tail -3 | sed 's/^/    /'
    cp "$work/run/metrics.ndjson" "$results/" && cp "$work/run/encoder.safetensors" "$results/" || return 1
    [ -e "$pages" ] || sample_pages
    "$bin/occ-compress" -v --device "$device" --verify -m "$results/encoder.safetensors" -s "$work/store" "$pages" 2>&1 |
        grep 'read back'
}

# ---- All of them -----------------------------------------------------------------------------------------------------

# NAME SECONDS: runs a part within its time and what is left of all.
run_part() {
    case ",$parts," in
    *",$1,"*) ;;
    *) return ;;
    esac
    began=$(now)
    part_seconds=$((ends - began))
    if [ $part_seconds -lt 10 ]; then
        verdicts="$verdicts| $1 | **no time was left** | 0 |
"
        failed=1
        return
    fi
    [ $part_seconds -le "$2" ] || part_seconds=$2
    work=$scratch/$1
    mkdir "$work"
    export part_seconds work
    say "$1, at most $part_seconds s"
    printf '\n## %s\n\n' "$1" >>"$results/results.md"
    echo "==== $1" >>"$results/log.txt"
    timeout -k 30 "$part_seconds" sh "$self" --part "$1" >>"$results/results.md" 2>>"$results/log.txt"
    status=$?
    verdict=passed
    if [ $status -ne 0 ]; then
        verdict="**failed** ($status)"
        failed=1
    fi
    say "$1: $verdict after $(($(now) - began)) s"
    verdicts="$verdicts| $1 | $verdict | $(($(now) - began)) |
"
    [ "$1" = train ] || rm -rf "$work"
}

usage() {
    sed -n 's/^#     sh /usage: sh /p' "$self" >&2
    exit 2
}

build_release() {
    if ! command -v nvcc >/dev/null && ! [ -x /usr/local/cuda/bin/nvcc ]; then
        say 'there is no nvcc: build elsewhere, and name the folder with --build'
        exit 77
    fi
    build=$here/../build/release
    (cd "$here/.." && PATH=$PATH:/usr/local/cuda/bin && cmake --preset release -DWITH_BENCHES=ON && cmake --build --preset release) >&2 || exit 1
}

case ${1:-} in
--try)
    shift
    try "$@"
    exit 0
    ;;
--part)
    case $2 in
    tests) part_tests ;;
    parity) part_parity ;;
    bench) part_bench ;;
    sanitize) part_sanitize ;;
    steps) part_steps ;;
    train) part_train ;;
    esac
    exit
    ;;
esac

build='' minutes=20 results=gpu-results device=cuda text=''
parts=tests,parity,bench,sanitize,steps,train
while [ $# -gt 0 ]; do
    case $1 in
    --build | --minutes | --parts | --text | --device)
        [ $# -gt 1 ] || usage
        eval "${1#--}=\$2"
        shift 2
        ;;
    -*) usage ;;
    *)
        results=$1
        shift
        ;;
    esac
done
if [ "$device" = cuda ] && [ -z "$(ask_gpu name)" ]; then
    say 'there is no NVIDIA GPU: nvidia-smi shows none'
    exit 77
fi
ends=$(($(now) + 60 * minutes))
[ -n "$build" ] || build_release
build=$(cd "$build" && pwd) || exit 2
mkdir -p "$results" && results=$(cd "$results" && pwd) || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# What a bundle has, and where it is otherwise.
bin=$build/bin nano=$build/share/occ/nano.safetensors pages=$build/pages.tar deepencoder=$scratch/deepencoder.safetensors
[ -e "$pages" ] || pages=$scratch/pages.tar
[ -e "$nano" ] || nano=$here/../compress/nano.safetensors
[ -n "$text" ] || text=$build/text
[ -d "$text" ] || text=$here/golden/texts
[ ! -d "$text" ] || text=$(cd "$text" && pwd)
if [ -d "$build/lib" ]; then
    LD_LIBRARY_PATH=$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
fi
if [ -e "$build/fonts.conf" ]; then
    export FONTCONFIG_FILE="$build/fonts.conf" XDG_CACHE_HOME="$scratch"
fi
# The processor is for trying the script: as little as will do.
modes=tiny,base,hifi nano_batches=1,16,64 deepencoder_batches=1,4,16 step_batches='8 64' step_tokens=2048,8192 train_batch=32
if [ "$device" = cpu ]; then
    modes=tiny nano_batches=1,2 deepencoder_batches=1 step_batches=2 step_tokens=128 train_batch=2
fi
export modes nano_batches deepencoder_batches step_batches step_tokens train_batch
export build bin nano pages deepencoder text results device

{
    echo "# $(ask_gpu name || true), $(date -u +%Y-%m-%dT%H:%MZ)"
    echo
    echo "$(ask_gpu driver_version,memory.total), $(nproc) cores; $("$bin/occ" --version 2>/dev/null); parts $parts, $minutes minutes"
} >"$results/results.md"
: >"$results/log.txt"
case ",$parts," in
*,bench,*) "$bin/occ-model" init --config deepencoder --seed 1 -o "$deepencoder" 2>>"$results/log.txt" & ;;
esac

failed=0 verdicts=''
run_part tests 180
run_part parity 90
run_part bench 180
run_part sanitize 175
run_part steps 120
run_part train 86400
printf '\n## Parts\n\n| part | result | seconds |\n|---|---|---|\n%s' "$verdicts" >>"$results/results.md"
exit $failed
