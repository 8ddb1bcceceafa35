/* style.h - how alike texts are written to those of known writers.
 *
 * Texts are cut into chunks of about 400 characters. A chunk has three views:
 *
 *     grams    runs of 3 to 5 characters (grams.h)
 *     words    how often each of the function words of function_words.h comes, of all words
 *     marks    punctuation and newlines, capitals, digits, emoji: shares of characters or words;
 * the lengths of words and sentences
 *
 * A writer is the mean of their chunks, m the mean of the writers; how alike a chunk x and a writer
 * c are in a view is the cosine of x - m and c - m, and of a text the mean over its chunks, so that
 * it does not depend on the text's length. Words and marks are divided by their deviation over
 * chunks. */
#ifndef OCC_TRAIN_PAPER_STYLE_H
#define OCC_TRAIN_PAPER_STYLE_H

#include <stddef.h>

#include "train/paper/interval.h"

enum style_view { STYLE_GRAMS, STYLE_WORDS, STYLE_MARKS, STYLE_VIEWS, STYLE_ALL = STYLE_VIEWS };
extern const char *const STYLE_VIEW_NAMES[STYLE_VIEWS + 1]; /* of STYLE_ALL, too */

struct style_text {
    size_t writer;
    const char *text; /* UTF-8 */
    size_t size;
};

struct style; /* read-only */
/* ERR_FORMAT: a writer below `writers` has no text. */
int style_open(struct style **out, const struct style_text *texts, size_t count, size_t writers,
               struct error *e);
void style_close(struct style *s); /* NULL is allowed */
/* How alike a text is to each writer: out[STYLE_VIEWS][writers], -1 to 1; all 0 where it has no
 * letters. */
int style_compare(const struct style *s, const char *text, size_t size, double *out,
                  struct error *e);

/* Where texts stand between those of others (0) and of the writer (1). */
struct style_bounds {
    double own[STYLE_VIEWS];     /* of the texts to be measured, to their writer */
    double floor[STYLE_VIEWS];   /* of others' real texts to that writer */
    double ceiling[STYLE_VIEWS]; /* of the writer's own later texts */
};
/* `texts`: those to be measured; `later`: real texts that style_open has not seen. Texts of a
 * writer are taken together; `bounds`: one a writer, all NAN where one of both has none. */
int style_measure(const struct style *s, const struct style_text *texts, size_t count,
                  const struct style_text *later, size_t later_count, struct style_bounds *bounds,
                  struct error *e);
/* sum (own - floor) / sum (ceiling - floor) over writers that have both; of STYLE_ALL the mean of
 * the views. */
int style_share(struct interval *out, const struct style_bounds *bounds, size_t writers, int view,
                struct error *e);

#endif
