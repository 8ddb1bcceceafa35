/* flow.h - a paragraph as the words and spaces that it is made of, in the order of the text: for
 * rows that may break anywhere. Words are shaped whole, whatever row they end on. */
#ifndef OCC_RENDER_TEXT_FLOW_H
#define OCC_RENDER_TEXT_FLOW_H

#include "render/text/clean.h"
#include "render/text/word.h"

/* A word, or one space. */
struct flow_piece {
    const struct word *word; /* NULL: a space */
    uint32_t start;          /* byte of the paragraph */
    uint8_t level;           /* of UAX #9; odd: from right to left */
    uint8_t paragraph_level;
};

/* Who takes the pieces. */
struct flow_taker {
    void *context;
    /* A negative return ends the paragraph. */
    int (*take)(void *context, const struct flow_piece *piece, struct error *e);
    /* The words that were taken are about to be forgotten: what is still needed of them must be
     * copied. */
    int (*keep)(void *context, struct error *e);
};

struct flow; /* opaque; one thread each */

/* `shaper` stays the caller's and must outlive it. */
int flow_open(struct flow **out, struct shaper *shaper, struct error *e);
void flow_close(struct flow *f); /* NULL is allowed */

/* Gives the pieces of `text` to `taker`, first to last. *level: that of the paragraph, also where
 * it is empty. Other errors: those of shaper_word. */
int flow_run(struct flow *f, const struct clean *text, const struct flow_taker *taker,
             uint8_t *level, struct error *e);

#endif
