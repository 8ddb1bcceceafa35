"""torch_context.py - how a small language model learns to read visual tokens, in PyTorch, on a GPU or the CPUs; peer of
`occ train align`, and what made train/context/smollm2-135m/.

    torch_context.py corpus TEXT OUT.tar                          # text of train/text.sh as posts of accounts
    torch_context.py gather --encoder FILE -o OUT.npz STORE...    # what the reading head reads of each cell
    torch_context.py train --model SMOLLM2 --pages OUT.npz --held-out OUT.npz --stage reading -o FOLDER
    torch_context.py train ... --stage context --from FOLDER -o FOLDER
    torch_context.py measure --model SMOLLM2 --held-out OUT.npz FOLDER

A row is

    [page] [age] soft tokens of a span [read]  ->  the text of the span, end token

or ends with [end] and what follows, as the next post of an account; torch_context_rows.py has all kinds, and what their
names mean, torch_context_network.py the bridge "named" and the losses. The language model is frozen, with LoRA on its
linear maps, and the model as it is teaches what to make of a context: its distributions after the full text are those
that the model shall have after visual tokens. A model that is taught to read alone forgets to write.

`train` goes by the clock: --minutes, over which each stage has mixes of lessons; rates rise for 1.5% of the time, and
fall from 45% of it on, as half a cosine. It prints a line of JSON every 15 seconds, and on a GPU held-out figures every 75;
FOLDER, an adapter's folder in the format of `occ`, is written every minute and at the end, and --from goes on from it
(--begin SHARE: of the time that is taken as over). `measure` prints, a token of held-out rows:

    loss, accuracy          after visual tokens; teacher-forced
    divergence, teacher     from the model as it is with the full text (f, a, t); that one's loss
    without_context         of a: loss after no more than [end] and the prompt, with the adapter
    model_without_context   of a: loss of the model as it is, after no more than the prompt

The bundled adapter was made so (SmolLM2-135M: train/get-smollm2.sh):

    sh train/text.sh text
    python3 tests/bench/torch_context.py corpus text S.tar
    occ render --parts description,script S.tar | occ compress --codec int8 --store S.occ
    python3 tests/bench/torch_context.py gather --encoder compress/nano.safetensors -o S.npz S.occ
    sh train/paper/accounts.sh data
    occ render --parts description,script data/*.tar | occ compress --codec int8 --store paper.occ
    python3 tests/bench/torch_context.py gather --encoder compress/nano.safetensors --every 7 -o H.npz paper.occ
    python3 tests/bench/torch_context.py train --model smollm2 --pages S.npz --held-out H.npz --stage reading -o first
    python3 tests/bench/torch_context.py train --model smollm2 --pages S.npz --held-out H.npz --stage context \\
        --from first -o smollm2-135m

on an NVIDIA H100 (80 GB) with 15 processes that build rows: 8.5 minutes, 6,341 steps, 65 million positions (of the
teacher a third is counted); then 1.1 minutes, 1,000 steps, 10 million positions. A step takes at most 17 GB. That was an
earlier form of these files: on a CPU both have the same batches, losses and gradients; this one has not run on a card, and
names accounts as they are, where that one had ".." behind them. S.occ has 3,146 pages, 59,423 posts, 34 MB of text. None
of the accounts of train/paper/accounts.sh is in that text: what is measured are accounts that the adapter has never seen.
A token of these:

    reading, share of tokens read    r4x4 96.9%  r4x16 97.0%  r2x4 94.4%  r1x4 85.3%  r1x16 85.0%  r1x64 63.8%
    (after the first stage alone)         96.9%        97.3%       94.8%       86.9%        86.5%        77.9%

    loss of                  what follows: f1x32  f4x16    the next post: a1x96  a4x24    plain text: t256
    after visual tokens                    3.984  3.909                   4.038  4.017                3.813
    (after the first stage)                4.052  3.979                   4.099  4.077                3.846
    the model, full text                   3.566  3.663                   3.667  3.776                3.755

Needs torch, safetensors, tokenizers, numpy; `gather` also py-lmdb and zstandard."""
import argparse
import collections
import os

Stage = collections.namedtuple("Stage", "minutes rate bridge_rate begin mixes")  # mixes: (share of the time, weights)
STAGES = {
    "reading": Stage(8.5, 1e-3, 4e-4, 0, [
        (0.00, {"r8x4": 1, "r4x4": 4, "r4x8": 1, "t256": .5}),
        (0.10, {"r8x4": .3, "r4x4": 2, "r4x8": 1, "r2x4": 2, "r2x8": .5, "f4x16": .5, "t256": .6}),
        (0.22, {"r4x8": 1, "r4x16": .5, "r2x4": 1.5, "r2x8": 1, "r1x4": 2, "f2x16": .4, "f4x16": .3, "a4x24": .4,
                "t256": .6}),
        (0.38, {"r4x8": .5, "r4x16": .6, "r2x4": .5, "r2x8": 1, "r2x16": .4, "r1x4": 3, "r1x8": 1.5, "f1x32": .4,
                "a4x24": .3, "a1x96": .4, "t256": .6}),
        (0.55, {"r4x8": .4, "r4x16": .6, "r2x8": .6, "r2x16": .5, "r1x4": 2.2, "r1x8": 1.6, "r1x16": 1, "r1x32": .5,
                "r1x8k1": .5, "f1x32": .5, "f4x16": .3, "a1x96": .8, "a1x128k1": .3, "a4x24": .3, "t256": .6}),
        (0.80, {"r4x8": .4, "r4x16": .6, "r2x8": .5, "r2x16": .5, "r1x4": 1.6, "r1x8": 1.6, "r1x16": 1, "r1x32": .6,
                "r1x64": .3, "r1x8k1": .4, "f1x32": .5, "f4x16": .3, "a1x96": 1, "a1x128k1": .4, "a4x24": .4,
                "t256": .7})]),
    "context": Stage(1.1, 6e-4, 1e-4, 0.5, [
        (0.00, {"r4x16": .5, "r2x8": .4, "r1x8": .6, "r1x16": .6, "f1x32": 1, "f4x16": .7, "a1x96": 4, "a4x24": 1,
                "t256": 1})]),
}
MEASURED = "r4x4,r4x16,r2x4,r1x4,r1x16,r1x64,f1x32,f4x16,a1x96,a4x24,t256"


def add_common(p):
    p.add_argument("--model", required=True, help="folder in the Hugging Face layout")
    p.add_argument("--held-out", required=True, help="what `gather` wrote of other accounts, to measure with")
    p.add_argument("--lessons", default=MEASURED, help="that are measured (%(default)s)")
    p.add_argument("--batches", type=int, help="of each of them (cuda: 6, cpu: 1)")
    p.add_argument("--positions", type=int, help="of a batch (cuda: 10240, cpu: 740)")
    p.add_argument("--device", help="cuda or cpu; without it cuda where there is one")
    p.add_argument("--workers", type=int, default=max(1, min(15, len(os.sched_getaffinity(0)) - 1)),
                   help="processes that build rows (%(default)s)")
    p.add_argument("--threads", type=int, default=0, help="of PyTorch")
    p.add_argument("--seed", type=int, default=1)


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(dest="command", required=True)
    corpus = commands.add_parser("corpus", help="text of train/text.sh as posts of accounts")
    corpus.add_argument("text", help="folder that train/text.sh wrote")
    corpus.add_argument("output", help="stream of samples, for `occ render --parts description,script`")
    gather = commands.add_parser("gather", help="what the reading head reads of each cell of stores")
    gather.add_argument("--encoder", required=True, help="the file with the reading head")
    gather.add_argument("--every", type=int, default=1, help="so many pages one is taken")
    gather.add_argument("--most", type=int, default=0, help="pages; 0: all")
    gather.add_argument("-o", "--output", required=True, help="file of numpy (.npz)")
    gather.add_argument("stores", nargs="+", metavar="STORE")
    train = commands.add_parser("train", help="a bridge and an adapter")
    add_common(train)
    train.add_argument("--pages", required=True, help="what `gather` wrote of pages to learn from")
    train.add_argument("--stage", required=True, choices=STAGES)
    train.add_argument("--from", dest="start", help="folder of an adapter to go on from")
    train.add_argument("--rank", type=int, default=12, help="of LoRA (%(default)s); with --from that of the folder")
    train.add_argument("--minutes", type=float, help="(reading: 8.5, context: 1.1)")
    train.add_argument("--begin", type=float, help="share of the time that is taken as over (reading: 0, context: 0.5)")
    train.add_argument("--rate", type=float, help="of LoRA (reading: 1e-3, context: 6e-4)")
    train.add_argument("--bridge-rate", type=float, help="of the bridge and marks (reading: 4e-4, context: 1e-4)")
    train.add_argument("-o", "--output", required=True, help="folder of the adapter")
    measure = commands.add_parser("measure", help="how well an adapter reads, and foresees")
    add_common(measure)
    measure.add_argument("start", metavar="FOLDER", help="of the adapter")
    return p.parse_args()


def main():
    options = parse()
    if options.command == "corpus":
        import torch_context_corpus
        return torch_context_corpus.write(options.text, options.output)
    if options.command == "gather":
        import torch_context_pages
        return torch_context_pages.gather(options.encoder, options.stores, options.output, options.every, options.most)
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")  # graphs of many shapes share memory
    import torch
    import torch_context_train as work
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    measured = options.lessons.split(",") if options.lessons else []
    if options.command == "train":
        run = work.Training(options, STAGES[options.stage], measured)
        run.run()
    else:
        run = work.Run(options, [], measured)
        run.held.tell()
    run.workers.close()


if __name__ == "__main__":
    main()
