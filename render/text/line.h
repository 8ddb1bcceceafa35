/* line.h - a paragraph becomes lines of a width: greedy, as browsers and Pango break.
 *
 * Bidirectional text follows UAX #9 (ICU): levels are resolved for the paragraph, and the items of
 * each line put into visual order. What fits no line is broken between grapheme clusters. */
#ifndef OCC_RENDER_TEXT_LINE_H
#define OCC_RENDER_TEXT_LINE_H

#include "render/text/clean.h"
#include "render/text/word.h"

/* A word, a piece of one, or spaces. */
struct line_item {
    const struct word *word;             /* NULL: spaces */
    uint32_t start, end;                 /* bytes of the paragraph */
    uint16_t cluster_start, cluster_end; /* of the word */
    int32_t x;                           /* 26.6 from the beginning of the line, left edge */
    int32_t advance;                     /* 26.6 */
    uint8_t level;                       /* of UAX #9; odd: from right to left */
    bool may_break;                      /* a line may end before it */
};

struct line {
    const struct line_item *items; /* logical order; no spaces at either end */
    size_t count;                  /* > 0 */
    int32_t advance;               /* 26.6 */
    bool rtl;                      /* the paragraph runs from right to left */
};

struct line_breaker; /* opaque; one thread each */

/* `shaper` stays the caller's and must outlive it. */
int line_breaker_open(struct line_breaker **out, struct shaper *shaper, struct error *e);
void line_breaker_close(struct line_breaker *l); /* NULL is allowed */

/* Gives the lines of `text` to `take`, first to last; a line is valid during the call. A negative
 * return of `take` ends it. `width`: 26.6. A paragraph of spaces gives no line. Other errors: those
 * of shaper_word. */
int line_breaker_run(struct line_breaker *l, const struct clean *text, int32_t width,
                     int (*take)(void *context, const struct line *line, struct error *e),
                     void *context, struct error *e);

/* To be called by `take`: the width of the lines that follow, 26.6. */
void line_breaker_set_width(struct line_breaker *l, int32_t width);

#endif
