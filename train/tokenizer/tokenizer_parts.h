/* tokenizer_parts.h - what the files of the tokenizer share.
 *
 *   text -> added tokens (tokenizer_added.c) -> stages, each of which splits the pieces of the one
 *   before it (tokenizer_split.c, with PCRE2 in tokenizer_pattern.c) -> tokens of a piece
 *   (tokenizer_merge.c) from the tables (tokenizer_vocabulary.c)
 *
 * tokenizer.c has a file read by one of the readers (tokenizer_ranks.c, tokenizer_json.c), which
 * fill the tables and the stages through what stands here (tokenizer_fill.c) and know nothing of
 * it. */
#ifndef OCC_TRAIN_TOKENIZER_TOKENIZER_PARTS_H
#define OCC_TRAIN_TOKENIZER_TOKENIZER_PARTS_H

#include "train/tokenizer/pattern.h"
#include "train/tokenizer/tokenizer.h"

#define NO_TOKEN UINT32_MAX /* as an id and as a rank */

/* ---- tables ---- */

struct token {
    uint32_t offset, size; /* in `text`; size 0: no token has this id */
};

struct token_slot {
    uint32_t tag, id; /* the low half of the hash; NO_TOKEN: free */
};

/* `left` and `right` side by side become `id`; the lowest rank first. */
struct pair {
    uint32_t left, right; /* left NO_TOKEN: free */
    uint32_t rank, id;
};

/* Tokens by id, by their bytes and by the two tokens they are merged from. The hash tables are
 * powers of two, at most half full, and probed in line. */
struct vocabulary {
    struct bytes text;
    struct token *tokens; /* (count), by id */
    size_t count, capacity;
    struct token_slot *slots;
    size_t slot_capacity, slot_count;
    struct pair *pairs;
    size_t pair_capacity, pair_count;
    uint32_t byte_ids[256]; /* NO_TOKEN: the byte has none, and is `unknown` */
    uint32_t unknown;       /* NO_TOKEN: such bytes are left out */
    bool fuses_unknown;     /* several of them in a row are one `unknown` */
};

void vocabulary_init(struct vocabulary *v);
void vocabulary_close(struct vocabulary *v);
/* `found`: by its bytes; a token that is not is only decoded. ERR_FORMAT for an id or bytes that
 * are there already. */
int vocabulary_add(struct vocabulary *v, uint32_t id, const void *data, size_t size, bool found,
                   struct error *e);
/* A pair that is there gets the new rank. */
int vocabulary_add_pair(struct vocabulary *v, const struct pair *pair, struct error *e);
/* Every two tokens that make a third: its id is the rank. */
int vocabulary_pair_ranks(struct vocabulary *v, struct error *e);
/* Fills byte_ids; the first byte without a token, or -1. To be called before any merge. */
int vocabulary_find_bytes(struct vocabulary *v);
uint32_t vocabulary_find(const struct vocabulary *v, const unsigned char *data, size_t size);
const struct pair *vocabulary_pair(const struct vocabulary *v, uint32_t left, uint32_t right);

/* ---- stages and added tokens ---- */

struct split_stage {
    struct pattern *pattern; /* owned; NULL: a space goes in front of text that has none there */
    bool drops_matches, drops_rest;
};

enum { STAGE_LIMIT = 16 };

struct added {
    uint32_t id, offset, size; /* of its text in added_list.text */
    bool left, right;          /* takes the white space on that side with it */
    bool special;              /* is no text, but says something about it */
};

struct added_list {
    struct bytes text;
    struct added *items; /* (count), sorted by text once it is complete */
    size_t count, capacity;
    bool first[256]; /* bytes with which one begins */
};

void added_init(struct added_list *a);
void added_close(struct added_list *a);
int added_append(struct added_list *a, const struct added *item, const char *text, size_t size,
                 struct error *e);
/* Sorts; ERR_FORMAT for a text that is there twice. */
int added_complete(struct added_list *a, struct error *e);
/* The leftmost, then longest added token in text[from, size); its place through start and end, the
 * white space it takes included. */
const struct added *added_find(const struct added_list *a, const unsigned char *text, size_t size,
                               size_t from, size_t *start, size_t *end);

enum { ADDED_EARLY, ADDED_LATE, ADDED_LISTS }; /* those with "normalized": true are found last */

struct tokenizer {
    char *name; /* owned */
    struct vocabulary vocabulary;
    bool whole_pieces; /* a piece that is a token is that token, whatever the merges */
    struct split_stage stages[STAGE_LIMIT];
    size_t stage_count;
    struct added_list added[ADDED_LISTS];
};

/* ---- reading files ---- */

/* The next stage; takes `pattern`, also on failure. */
int tokenizer_add_stage(struct tokenizer *t, const struct split_stage *stage, struct error *e);
/* An added token, of a text that the vocabulary may have already under the same id. */
int tokenizer_add_token(struct tokenizer *t, const struct added *item, bool late, bool known,
                        const char *text, struct error *e);
int tokenizer_read_ranks(struct tokenizer *t, const char *data, size_t size,
                         enum tokenizer_split split, struct error *e);
int tokenizer_read_json(struct tokenizer *t, const char *data, size_t size, struct error *e);

/* ---- encoding ---- */

/* The tokens of short pieces, the last one of each place of the table. English was a fifth slower
 * with entries of 64 bytes, which hold longer pieces. */
enum { CACHE_KEY = 16, CACHE_IDS = 3, CACHE_BITS = 15 };
struct cached {
    uint64_t key[2]; /* the piece, zeros, its length in the last byte */
    uint32_t count;
    uint32_t ids[CACHE_IDS];
};

struct symbol; /* of a piece on its way through the merges */

struct tokenizer_state {
    const struct tokenizer *tokenizer;
    struct matcher *matcher;
    struct cached *cache; /* (1 << CACHE_BITS) */
    struct symbol *symbols;
    size_t symbol_capacity;
    uint64_t *heap;
    struct bytes repaired, prefixed;
    const unsigned char *readable; /* the end of the text in which pieces lie */
    struct token_list *out;
    bool counting; /* only: `out` is emptied after each piece */
    size_t counted;
};

int token_list_reserve(struct token_list *l, size_t count, struct error *e);
/* Splits text by the stages from `index` on, and encodes the pieces. */
int split_text(struct tokenizer_state *s, size_t index, const unsigned char *text, size_t size,
               struct error *e);
/* Appends the tokens of a piece to s->out. */
int piece_encode(struct tokenizer_state *s, const unsigned char *piece, size_t size,
                 struct error *e);

#endif
