/* output.h - the text of a sequence as it comes: whole characters of UTF-8, up to a stop text.
 *
 * What may still become a part of a stop text, or the rest of a character, is held back until the
 * next tokens decide it. Bytes that are no UTF-8 become U+FFFD. */
#ifndef OCC_TRAIN_GENERATE_OUTPUT_H
#define OCC_TRAIN_GENERATE_OUTPUT_H

#include <stdbool.h>

#include "store/bytes.h"

struct output {
    const char *const *stops; /* NULL-terminated, none of them empty; NULL: none */
    struct bytes text;        /* what is decided so far */
    struct bytes held;        /* what is not */
};
void output_init(struct output *o, const char *const *stops);
void output_close(struct output *o); /* {0} is allowed */
/* The bytes of a token. *stopped: a stop text has come; the text ends before it, and nothing may
 * follow. */
int output_add(struct output *o, const void *bytes, size_t size, bool *stopped, struct error *e);
/* Nothing follows. */
int output_end(struct output *o, struct error *e);

#endif
