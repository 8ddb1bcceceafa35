/* prose.h - endless text for benches and read-back: paragraphs, always the same for the same seed.
 *
 * From a file with one paragraph a line, in an order that differs from pass to pass; one word in
 * PROSE_FRESH (of those without letters beyond ASCII) is replaced by a random string, so that
 * names, numbers and slips of the pen never end, as in what people write. Without a file: random
 * words of letters and digits, where no cache helps and no reader can guess. */
#ifndef OCC_TESTS_PROSE_H
#define OCC_TESTS_PROSE_H

#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

enum { PROSE_FRESH = 40, PROSE_NEVER = 0 };

struct prose; /* opaque; one thread each */

/* `path` NULL: random words. `fresh`: one word in how many is replaced; PROSE_NEVER: none. */
int prose_open(struct prose **out, const char *path, int fresh, uint64_t seed, struct error *e);
void prose_close(struct prose *p); /* NULL is allowed */

/* The next paragraph, without a newline; valid until the next call. */
int prose_next(struct prose *p, const char **text, size_t *size, struct error *e);

#endif
