/* tokenizer.h - text to token ids and back: byte-level BPE as GPT-2, GPT-4 and Llama 3 have it.
 *
 * Two kinds of files are read, told apart by content:
 *   - rank files of OpenAI's tiktoken: a line `BASE64 RANK` for each token. How text is split into
 *     pieces before the merges is not in such a file: see enum tokenizer_split.
 *   - tokenizer.json of Hugging Face: model BPE, merges as "a b" or ["a","b"], ignore_merges;
 *     added tokens; pre-tokenizers Sequence, Split (Isolated, Removed), Digits, ByteLevel (last).
 *
 * Refused with ERR_UNSUPPORTED and the name of what is not supported: other models, byte_fallback,
 * dropout, affixes of subwords, normalizers, other pre-tokenizers and decoders, added tokens of
 * single words, and what a split pattern means to Oniguruma only. Truncation, padding and the
 * post-processor are passed over: no token is put around a text. A rank file without a token for
 * each of the 256 bytes is refused (ERR_FORMAT). In a tokenizer.json bytes may lack one: they
 * become its unk_token or, where it has none, are left out, as tokenizers leaves them out.
 *
 * The ids are those of tiktoken's encode_ordinary, and of tokenizers' encode without special
 * tokens. The pieces are found by PCRE2, which knows the letters of Unicode 14 (PCRE2 10.42) or
 * later: text with characters that are newer than the library may be split in other places.
 *
 * Text that is not UTF-8 is read as Python's `errors="replace"` reads it: each maximal ill-formed
 * part is U+FFFD (see store/utf8.h). This aside, decoding gives the bytes of the text back, except
 * where a tokenizer.json says otherwise (add_prefix_space, Split with Removed, lstrip, rstrip).
 *
 * Time grows as n log n with the text, whatever it is, under the splits of enum tokenizer_split. A
 * pattern of a tokenizer.json takes the time it takes, n * n for `\s+$` on spaces without an end;
 * one that backtracks without end is stopped with ERR_LIMIT.
 *
 * A tokenizer is not changed once it is open: any number of threads may use one, each with a
 * tokenizer_state of its own.
 *
 * train/r50k_base.tiktoken are the ranks of GPT-2, 50,256 of them, from
 * https://github.com/openai/tiktoken (MIT licence, Copyright (c) 2022 OpenAI, Shantanu Jain). */
#ifndef OCC_TRAIN_TOKENIZER_TOKENIZER_H
#define OCC_TRAIN_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/bytes.h"
#include "store/error.h"

/* How a rank file's tokenizer splits text. Special tokens come with it: <|endoftext|> and others.
 * AUTO: by the file's name (r50k_base.tiktoken, p50k_base, cl100k_base, o200k_base, Whisper's
 * multilingual, qwen), else by the number of ranks (50256, 50280, 100256, 199998, 50257, 151643),
 * else ERR_UNSUPPORTED. A tokenizer.json says itself how: there anything but AUTO is ERR_USAGE. */
enum tokenizer_split {
    TOKENIZER_SPLIT_AUTO,
    TOKENIZER_SPLIT_R50K, /* also p50k and Whisper */
    TOKENIZER_SPLIT_CL100K,
    TOKENIZER_SPLIT_O200K,
    TOKENIZER_SPLIT_QWEN, /* of text in NFC, which Qwen makes of it first */
};

enum tokenizer_special {
    TOKENIZER_ORDINARY, /* "<|endoftext|>" in a text is thirteen characters */
    TOKENIZER_ADDED,    /* ... is the token of that name; so are all added tokens */
};

enum {
    TOKENIZER_FILE_LIMIT = 256 << 20, /* bytes of a file, and of a text */
    TOKENIZER_ID_LIMIT = 1 << 22,     /* ids are below this */
    TOKENIZER_TOKEN_LIMIT = 512,      /* bytes of a token */
};

/* Ids, growing; {0} is an empty one. */
struct token_list {
    int32_t *ids; /* owned */
    size_t count, capacity;
};
void token_list_close(struct token_list *l); /* `l` is then empty */
int token_list_append(struct token_list *l, const int32_t *ids, size_t count, struct error *e);

struct tokenizer;       /* opaque; shared by threads */
struct tokenizer_state; /* opaque; a thread's memory: 1 MiB, and what long words need */

/* The name is the file's, without folder, `.tiktoken` and `.json`. */
int tokenizer_open(struct tokenizer **out, const char *path, enum tokenizer_split split,
                   struct error *e);
/* As tokenizer_open, of a file's content; nothing of it is kept. */
int tokenizer_read(struct tokenizer **out, const char *name, const void *data, size_t size,
                   enum tokenizer_split split, struct error *e);
void tokenizer_close(struct tokenizer *t); /* NULL is allowed; after all its states */

const char *tokenizer_name(const struct tokenizer *t);
/* The highest id + 1, added tokens included: the rows of an embedding. */
int32_t tokenizer_size(const struct tokenizer *t);
/* The bytes of a token, which need not be UTF-8; NULL where no token has this id. */
const unsigned char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *size);
/* The id of an added token by its whole text ("<|endoftext|>"), or -1. */
int32_t tokenizer_added(const struct tokenizer *t, const char *text);
/* An added token that is no text, but says something about it ("special": true): what programs
 * leave out of the text that a model writes. */
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);

int tokenizer_state_open(struct tokenizer_state **out, const struct tokenizer *t, struct error *e);
void tokenizer_state_close(struct tokenizer_state *s); /* NULL is allowed */

/* Appends the tokens of a text, which may hold any bytes; on failure `out` is as before. ERR_LIMIT:
 * a text longer than TOKENIZER_FILE_LIMIT, or a pattern of a tokenizer.json as said above. */
int tokenizer_encode(struct tokenizer_state *s, const char *text, size_t size,
                     enum tokenizer_special special, struct token_list *out, struct error *e);
/* How many tokenizer_encode would append. */
int tokenizer_count(struct tokenizer_state *s, const char *text, size_t size,
                    enum tokenizer_special special, size_t *count, struct error *e);

/* Appends the bytes of tokens. ERR_FORMAT, with `out` as before, for an id that no token has. */
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count, struct bytes *out,
                     struct error *e);

#endif
