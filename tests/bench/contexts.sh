#!/usr/bin/env bash
# contexts.sh - a post of an account written after the same older posts as visual tokens and as text: positions, seconds
# until the first token, tokens a second after it, memory of the keys and values and of the process.
#
#     MODEL=smollm2 ADAPTER=adapter STORE=tokens.occ ACCOUNT=kiwi tests/bench/contexts.sh [POSITIONS]
#
# ADAPTER has a bridge. Each kind of context shows what the visual one does within POSITIONS (896). One stream, greedy,
# 64 tokens at most; the best of three runs, in which the kinds take turns.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${OCC_BIN:=$here/../../build/release/bin}" "${THREADS:=2}" "${RUNS:=3}"
: "${MODEL:=smollm2}" "${ADAPTER:?a folder with a bridge}" "${STORE:?a store}" "${ACCOUNT:?an account of it}"
export OCC_BIN THREADS RUNS MODEL ADAPTER STORE ACCOUNT
exec python3 - "${1:-896}" <<'PY'
import json, os, re, subprocess, sys, tempfile

KINDS = ["none", "visual", "truncated-text", "text"]
best = {}


def run(kind):
    command = [os.environ["OCC_BIN"] + "/occ-generate", "-m", os.environ["MODEL"], "-a", os.environ["ADAPTER"],
               "-j", os.environ["THREADS"], "--store", os.environ["STORE"], "--account", os.environ["ACCOUNT"],
               "--context", kind, "--max-tokens", "64", "--json", "-v"]
    if kind != "none":
        command += ["--positions", sys.argv[1]]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(command, stdout=out, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
        out.seek(0), log.seek(0)
        text = log.read()
        if status != 0:
            sys.exit(text)
        row = json.loads(out.read())
    first = re.search(r"tokens of prompts in ([\d.]+) s; wrote \d+ tokens, ([\d.]+) tokens/s", text)
    return row, float(first[1]), float(first[2]), usage.ru_maxrss * 1024e-6


for _ in range(int(os.environ["RUNS"])):
    for kind in KINDS:
        row, first, rate, memory = run(kind)
        old = best.get(kind)
        best[kind] = (row, first, rate, memory) if old is None else (
            row, min(first, old[1]), max(rate, old[2]), min(memory, old[3]))
config = json.load(open(os.environ["MODEL"] + "/config.json"))
heads = config.get("num_key_value_heads", config["num_attention_heads"])
size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
position = 2 * config["num_hidden_layers"] * heads * size * 2  # bytes, in BF16
print("| context | positions | stand for | first token, s | tokens/s | keys and values, MB | process, MB |\n"
      "|---|---|---|---|---|---|---|")
for kind, (row, first, rate, memory) in best.items():
    cache = row["prompt_tokens"] * position * 1e-6
    print(f"| {kind} | {row['context']['positions']} | {row['context']['stands_for']} | {first:.2f} | {rate:.0f} | "
          f"{cache:.1f} | {memory:.0f} |")
PY
