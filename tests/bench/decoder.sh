#!/usr/bin/env bash
# decoder.sh - a language model (SmolLM2-135M) tuned and run, beside PyTorch, transformers and PEFT in bf16 and beside the
# floor: what has to be computed at the rate of one large product, or read at the bandwidth of memory, in the same run.
#
#     MODEL=smollm2 PACKED=smollm2-4bit tests/bench/decoder.sh [ROW...]
#
# Rows: full-512 full-2048 lora-512 lora-2048 memory-896 memory-8192 decode; default: all. MODEL and PACKED are what
# train/get-smollm2.sh makes, without and with --packed. Wants occ and bench-ceiling (cmake -DWITH_BENCHES=ON) in OCC_BIN;
# the peer is left out where OCC_VENV has no torch, transformers and peft. memory-8192 of the peer wants 15 GB.
#
# Ours is `occ train tune` and `occ generate` as they are installed: a row a step of --context tokens, all of them
# targets. Neither counts its first step, in which memory is touched for the first time. Memory is the most that the
# process had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${OCC_BIN:=$here/../../build/release/bin}" "${OCC_VENV:=$HOME/.cache/occ-venv}" "${THREADS:=2}"
: "${MODEL:=smollm2}" "${PACKED:=smollm2-4bit}" "${STEPS:=6}"
work=$(mktemp -d "${TMPDIR:-/tmp}/occ-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

peer=false
if "$OCC_VENV/bin/python" -c 'import torch, transformers, peft' 2>/dev/null; then
    peer=true
fi

# Words at random, from the manuals of this repository: two documents, of which one is held out.
python3 - "$here/../.." >"$work/text.jsonl" <<'PY'
import glob, json, random, sys
words = " ".join(open(name).read() for name in sorted(glob.glob(sys.argv[1] + "/*/README.md"))).split()
random.seed(1)
for _ in range(2):
    print(json.dumps({"text": " ".join(random.choice(words) for _ in range(60000))}))
PY

# number JSON KEY
number() {
    python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$1" "$2"
}

# tune MODEL METHOD TOKENS STEPS RECOMPUTE: "tokens/s peak_mb"
tune() {
    rm -rf "$work/run"
    "$OCC_BIN/occ" train tune -v --model "$1" --method "$2" --context "$3" --batch 1 --steps "$4" --recompute "$5" \
        --measure 100000 --measure-rows 1 --threads "$THREADS" -o "$work/run" "$work/text.jsonl" 2>"$work/log" || {
        cat "$work/log" >&2
        return 1
    }
    sed -n 's|.* tokens in this run, \([0-9.]*\) tokens/s.*|\1|p; s|.*the process took \([0-9.]*\) MB.*|\1|p' "$work/log" | paste -sd ' '
}

# beside OPTION...: "tokens/s peak_mb" of the peer
beside() {
    local line
    if $peer && line=$("$OCC_VENV/bin/python" "$here/peer_decoder.py" --model "$MODEL" --threads "$THREADS" "$@" 2>/dev/null | tail -1) &&
        [ -n "$line" ]; then
        echo "$(number "$line" tokens_per_second) $(number "$line" peak_mb)"
    else
        echo "- -"
    fi
}

# Operations of a token: of the matrices 2 forward, 2 for what goes back, with `full` 2 for their own gradients, with
# recomputation 2 again; of attention over half of the row as many products.
floor() {
    python3 - "$@" <<'PY'
import sys
method, tokens, recompute, gflops = sys.argv[1], int(sys.argv[2]), sys.argv[3] != "none", float(sys.argv[4])
layers, width, hidden, kv, vocabulary, rank = 30, 576, 1536, 192, 49152, 16
block = layers * (2 * width * width + 2 * width * kv + 3 * width * hidden)
thin = layers * rank * (4 * width + 2 * (width + kv) + 3 * (width + hidden)) if method == "lora" else 0
head = vocabulary * width
passes = 2 + 2 + (2 if method == "full" else 0)
operations = passes * (block + head) + 6 * thin + (2 * (block + thin) if recompute else 0)
attention = layers * width * tokens / 2 * 4 # products forward
operations += attention * (1 + 2.5 + (1 if recompute else 0))
print(round(gflops * 1e9 / operations, 1))
PY
}

speed() { # METHOD TOKENS
    local first ours theirs rate least
    rate=$(number "$("$OCC_BIN/bench-ceiling" --threads "$THREADS")" product_gflops)
    read -r first _ < <(tune "$MODEL" "$1" "$2" 1 none)
    read -r ours _ < <(tune "$MODEL" "$1" "$2" "$STEPS" none)
    ours=$(python3 -c "print(round(($STEPS - 1) / ($STEPS / $ours - 1 / $first)))")
    read -r theirs _ < <(beside --method "$1" --tokens "$2" --steps 3)
    least=$(floor "$1" "$2" none "$rate")
    echo "$1, $2 tokens a row: $ours tokens/s, PyTorch $theirs; at the rate of one product ($rate GF/s) $least"
}

memory() { # TOKENS
    local rate mb theirs recomputed
    read -r rate mb < <(tune "$MODEL" lora "$1" 2 block)
    echo "lora, $1 positions, recomputed: $mb MB, $rate tokens/s"
    read -r rate mb < <(tune "$PACKED" lora "$1" 2 block)
    echo "lora, $1 positions, recomputed, 4 bits: $mb MB, $rate tokens/s"
    read -r _ theirs < <(beside --tokens "$1" --steps 1)
    read -r _ recomputed < <(beside --tokens "$1" --steps 1 --recompute)
    echo "lora, $1 positions, PyTorch: $theirs MB, recomputed $recomputed MB"
}

decode() {
    local rate theirs bytes bandwidth tokens
    read -r theirs _ < <(beside --decode 128)
    for format in f32 bf16 int8 int4; do
        bandwidth=$(number "$("$OCC_BIN/bench-ceiling" --threads "$THREADS" --repeat 5)" read_gbytes)
        "$OCC_BIN/occ" generate -v --model "$MODEL" --weights $format --threads "$THREADS" --temperature 0 --max-tokens 128 \
            --prompt 'Once upon a time, there was a little girl who' 2>"$work/log" >/dev/null
        rate=$(sed -n 's|.*wrote .* \([0-9.]*\) tokens/s.*|\1|p' "$work/log")
        bytes=$(sed -n 's|.*weights \([0-9.]*\) MB.*|\1|p' "$work/log")
        tokens=$(python3 -c "print(round(100 * $rate * $bytes / ($bandwidth * 1e3)))")
        echo "decoding, $format: $rate tokens/s of $bytes MB, $tokens% of $bandwidth GB/s; transformers in bf16 $theirs"
    done
}

[ $# -gt 0 ] || set -- full-512 full-2048 lora-512 lora-2048 memory-896 memory-8192 decode
for row in "$@"; do
    case $row in
    full-* | lora-*) speed "${row%-*}" "${row#*-}" ;;
    memory-*) memory "${row#*-}" ;;
    decode) decode ;;
    *)
        echo "$0: no row is called '$row'" >&2
        exit 2
        ;;
    esac
done
