/* clean.h - hostile text becomes one paragraph fit for typesetting, and remembers where it came
 * from.
 *
 * What is kept is kept byte for byte, so that a place in the paragraph leads back to its source.
 * Ill-formed UTF-8 becomes U+FFFD. Tabs become spaces. Left out are control characters, soft
 * hyphens, byte order marks, and what passes CLEAN_MARKS or CLEAN_IGNORABLES. */
#ifndef OCC_RENDER_TEXT_CLEAN_H
#define OCC_RENDER_TEXT_CLEAN_H

#include "render/text/span.h"
#include "store/bytes.h"

/* Bytes [start, next run's start) of the paragraph are bytes [source_start, ...) of the source. */
struct clean_run {
    uint32_t start;
    uint32_t source, source_start;
    uint32_t source_size; /* of a replaced run; the others have their own size there */
    bool replaced;        /* one U+FFFD for source_size ill-formed bytes */
};

/* Bytes [start, end) of the paragraph that are an isolate; see struct span. */
struct clean_isolate {
    uint32_t start, end;
    bool leads;
};

struct clean {
    struct bytes text;
    struct clean_run *runs; /* owned; the first begins at 0 */
    size_t count, capacity;
    struct clean_isolate *isolates; /* owned */
    size_t isolate_count, isolate_capacity;
    uint32_t *glue; /* owned: where spans begin before which no line ends; ascending */
    size_t glue_count, glue_capacity;
    uint32_t isolate; /* number of the one that goes on at the end of the text; 0: none */
    bool exact;       /* set by the caller: a tab's space is a replaced run of its source */
    bool bidi;        /* holds characters that may run from right to left */
    int64_t replaced, dropped;
    int marks, ignorables; /* how many in a row at the end of the text */
};

/* A paragraph is at most this long; the rest becomes the next one. */
enum { CLEAN_LIMIT = 16 << 20 };

/* Marks on one character, and characters without width in a row. */
enum { CLEAN_MARKS = 8, CLEAN_IGNORABLES = 8 };

void clean_init(struct clean *c);
void clean_close(struct clean *c);
void clean_clear(struct clean *c); /* counts included */

/* Appends the part of a span before its first newline (U+000A to U+000D, U+0085, U+2028, U+2029);
 * *used: the bytes consumed, the newline included (CR LF is one); *line_end: whether there was one.
 * ERR_MEMORY. */
int clean_append(struct clean *c, const struct span *span, size_t *used, bool *line_end,
                 struct error *e);

#endif
