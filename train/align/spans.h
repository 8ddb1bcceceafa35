/* spans.h - rows of spans: runs of an account's visual tokens, and the text that they show, or that
 * follows them. Private to train/align/.
 *
 *     [page, age k, soft tokens] ... [read] -> the text under them, end token
 *     [page, age k, soft tokens] ... [end]  -> the text that follows
 *
 * A row holds as many such sequences as fit. */
#ifndef OCC_TRAIN_ALIGN_SPANS_H
#define OCC_TRAIN_ALIGN_SPANS_H

#include "train/align/material.h"
#include "train/context/row.h"

enum {
    SPAN_FOLLOWING = 96, /* text tokens that follow, at most */
    SPAN_POSITIONS = 8,  /* of a row for each cell that its visual tokens hold, at least */
    SPAN_HALVINGS = 3    /* of tokens, at most: an eighth of their numbers is left */
};

/* What stands before text that follows a span: its tokens; or, to compare, its text, or nothing. */
enum span_before { SPAN_VISUAL, SPAN_TEXT, SPAN_NOTHING };

/* What the spans of a row are like. */
struct span_lesson {
    int64_t expand;          /* soft tokens of a visual one */
    int64_t least, most;     /* visual tokens of a span: powers of two, each as often */
    double continuing;       /* share of the spans whose following text is foreseen, */
    enum span_before before; /* after this */
    bool alike;              /* rows hold the same spans whatever `expand` and `before` are */
    double halved;           /* share of the spans of nested tokens that are halved, once or more */
    int halvings;            /* of the others */
};

struct span_options {
    const struct decoder_folder *model;
    const struct material *material;
    int64_t row; /* tokens of a row, at most */
};

/* A thread's memory, which rows lie in until the next. */
struct span_rows;
int span_rows_open(struct span_rows **out, const struct span_options *o, struct error *e);
void span_rows_close(struct span_rows *s); /* NULL is allowed */

/* A row whose spans follow from `random` alone. Where a span does not fit the row alone, it is made
 * shorter. */
int span_row(struct span_rows *s, enum corpus_set set, const struct span_lesson *lesson,
             uint64_t random, struct context_row *row, struct error *e);

/* Visual tokens of one bucket, and the text tokens under each part of each: `expand` parts, cut by
 * bytes within cells. */
struct span_pairs {
    struct context_visual visual;
    int64_t expand;
    int64_t count;           /* parts that show text: */
    const int32_t *parts;    /* (count): visual token * expand + part */
    struct context_row text; /* a pool for each of them, in the same order */
};
/* Visual tokens that hold up to `cells` cells, or a single one. */
int span_pairs(struct span_rows *s, enum corpus_set set, int64_t expand, int64_t cells,
               double halved, uint64_t random, struct span_pairs *pairs, struct error *e);

/* Visual tokens of one bucket; how many characters each of their cells shows, and where text tokens
 * begin: cells are counted over all visual tokens. None where the tokens were halved in the store.
 */
struct span_start {
    int32_t id, cell, character;
};
struct span_letters {
    struct context_visual visual;
    const int32_t *characters; /* (cells) */
    int64_t cells;
    const struct span_start *starts; /* in the order of the text */
    int64_t count;
};
int span_letters(struct span_rows *s, enum corpus_set set, int64_t cells, double halved,
                 uint64_t random, struct span_letters *out, struct error *e);

#endif
