"""peer_tiktoken.py - bench-tokenizer's measurement with tiktoken: RANKS TEXT RUNS IDS. The file's name says which
encoding; nothing is fetched."""
import os
import pathlib
import sys
import time

import tiktoken
import tiktoken.load
import tiktoken_ext.openai_public as public

os.environ["TIKTOKEN_CACHE_DIR"] = ""
ranks, text, runs, out = sys.argv[1:]
name = pathlib.Path(ranks).stem
public.load_tiktoken_bpe = lambda *_, **__: tiktoken.load.load_tiktoken_bpe(ranks)
encoding = tiktoken.Encoding(**public.ENCODING_CONSTRUCTORS[name]())
data = pathlib.Path(text).read_bytes()
content = data.decode()
best = float("inf")
ids = []
for _ in range(int(runs)):
    start = time.process_time()
    ids = encoding.encode_ordinary(content)
    best = min(best, time.process_time() - start)
print(f"tiktoken {tiktoken.__version__}: {len(ids)} tokens; {len(data) / best / 1e6:.1f} MB/s")
pathlib.Path(out).write_text("".join(f"{i}\n" for i in ids))
