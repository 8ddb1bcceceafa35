/* readback.h - pages of a store and a reading head: what their tokens still say, whatever was
 * forgotten of them, and how tokens are merged further. */
#ifndef OCC_COMPRESS_READBACK_H
#define OCC_COMPRESS_READBACK_H

#include "compress/reading_text.h"
#include "store/forget.h"

struct readback; /* of one thread */
int readback_open(struct readback **out, const struct reader *r, struct error *e);
void readback_close(struct readback *b); /* NULL is allowed; before the reader */

/* Of rows that are read with less, as the encoder's calibration has it, expect wrong text. */
#define READBACK_SURE 0.85

/* A page as it was read. Confidence is what the encoder's calibration makes of the reading head's:
 * the accuracy to expect. */
struct readback_page {
    const struct reading_text *text; /* valid until the next page is read */
    int64_t characters, unsure;      /* unsure: rows below READBACK_SURE */
    double confidence;               /* mean of the characters'; 0 where there are none */
};
/* Tokens (rows, columns, dim) of a page. */
int readback_tokens(struct readback *b, const float *tokens, const struct reading_page *layout,
                    struct readback_page *page, struct error *e);
/* A record whose tokens are the encoder's (header->dim is reader_dim). A grid that was merged is
 * unmerged, nested tokens are laid out as the page's own, the numbers that are gone zero, means
 * stand in all places that they are the mean of, and what was encoded anew is read as the smaller
 * page that it is. ERR_FORMAT for a grid that its bucket does not explain. */
int readback_record(struct readback *b, const struct token_header *header, const void *payload,
                    struct readback_page *page, struct error *e);
/* The share of a page's text, as the renderer gives it (with a newline after each row; of a page in
 * cells, exactly what it shows), that was read: text_accuracy; -1 where there is none (`text` NULL
 * or empty). */
int readback_compare(const struct readback_page *page, const char *text, size_t size,
                     double *accuracy, struct error *e);

/* Merges pages of bucket 0 and those that were only ever merged; the session's reader has maps. */
struct forget_operator merge_operator(struct reader_session *s);

#endif
