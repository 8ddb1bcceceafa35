/* layout_parts.h - what the files of layout.h share. */
#ifndef OCC_TRAIN_CONTEXT_LAYOUT_PARTS_H
#define OCC_TRAIN_CONTEXT_LAYOUT_PARTS_H

#include "compress/readback.h"
#include "store/buffer.h"
#include "train/context/layout.h"

/* The texts of an account's tokens as text tokens, in their order: those of token i are [first[i],
 * first[i + 1]) of ids, a newline behind each post of a page with the last of them. */
struct layout_text {
    uint32_t *first; /* (tokens + 1) */
    struct token_list ids;
    uint32_t *starts; /* (ids), pooled text alone: bytes of the account's text */
    size_t start_capacity;
    uint32_t *first_fact; /* (tokens + 1); NULL: there are none */
    struct token_list facts;
};

/* A row's target: tokens [first, first + count + 1), of which the last is a label alone. */
struct layout_target {
    uint32_t account, post;
    size_t first;
    int32_t count, targets;
};
struct layout_set {
    struct layout_target *list; /* owned, by account and time */
    size_t count, capacity;
    struct layout_counts counts;
};

struct layout {
    struct layout_options o;
    const struct history *h;
    struct layout_text *texts; /* of each account */
    struct layout_set sets[CORPUS_SETS];
    struct token_list tokens; /* of all targets, with CORPUS_TARGET */
    int32_t begin, newline;   /* begin -1: none */
    int64_t target;           /* most tokens of a target with its prompt */
    struct layout_shape largest;
    int64_t most_cells; /* of that */
    uint64_t hash;
};

/* ---- Texts -------------------------------------------------------------------------------- */

int layout_texts_open(struct layout *l, const volatile sig_atomic_t *cancel, struct error *e);
void layout_texts_close(struct layout *l);
/* Posts that are to be foreseen, in the order of accounts and time. */
int layout_targets_open(struct layout *l, const volatile sig_atomic_t *cancel, struct error *e);

/* ---- What is shown ------------------------------------------------------------------------ */

/* Tokens [first, first + count) of an account, on one page and at one age. */
struct layout_stretch {
    size_t first, count;
    int bucket;
    int64_t made; /* tokens after halving */
    bool marked;  /* its age is named */
    size_t facts; /* text tokens of its facts */
};
struct layout_plan {
    struct layout_stretch *list; /* owned; oldest first */
    size_t count, capacity;
    const struct history_account *account;
    const struct layout_text *text;
    bool style;
    size_t first, text_first, end; /* tokens shown; of these as text from text_first on */
    int64_t budget;                /* positions that CONTEXT_VISUAL takes */
    int64_t positions, shown;      /* of the layout's own kind */
};
/* Of a context of at most `room` positions at the time `now`. */
int layout_plan(const struct layout *l, struct layout_plan *p,
                const struct history_account *account, int64_t now, int64_t room, struct error *e);
static inline int64_t layout_ids(const struct layout_plan *p, size_t first, size_t end) {
    return (int64_t)p->text->first[end] - (int64_t)p->text->first[first];
}

/* ---- Rows --------------------------------------------------------------------------------- */

struct layout_space {
    const struct layout *l;
    struct layout_plan plan;
    struct tokenizer_state *tokenizer;
    struct readback *readback;            /* CONTEXT_READ */
    int32_t *inputs, *labels, *positions; /* (row) */
    int64_t count;
    int32_t offsets[2];
    struct context_visual visual[BRIDGE_AGES];
    struct buffer numbers, loaded; /* floats: of all groups; of a stretch */
    struct buffer begins;          /* bools: of all groups */
    struct context_pool *pools;
    size_t pool_count, pool_capacity;
    struct token_list pooled;
    struct token_list ids; /* what was read; a prompt */
    struct bytes text;
    struct layout_spent spent;
};
/* Appends one position to the row, which has room for it. */
static inline void layout_put(struct layout_space *s, int32_t input) {
    s->inputs[s->count] = input;
    s->labels[s->count++] = -1;
}
/* A row with the planned context of at most `room` positions; then what stands behind it: `count`
 * tokens, with CORPUS_TARGET where they are to be foreseen (labelled: one more follows them). */
int layout_begin(struct layout_space *s, struct context_row *row, int64_t room, struct error *e);
int layout_end(struct layout_space *s, struct context_row *row, const int32_t *tokens, size_t count,
               bool labelled, struct error *e);
/* The planned stretches as the reading head reads them, in s->ids. */
int layout_read_text(struct layout_space *s, struct error *e);
/* The soft tokens of a stretch as pools. */
int layout_put_pools(struct layout_space *s, const struct layout_stretch *t, struct error *e);
/* The numbers of a stretch, in s->loaded: t->made tokens, and room for `cells` of them. */
int layout_load(struct layout_space *s, const struct layout_stretch *t, size_t cells,
                struct error *e);

#endif
