/* bytes.h - a growable byte buffer with a limit.
 *
 * The limit is given at init, because most of what is collected here comes from hostile input:
 * an append that would pass it fails with ERR_LIMIT and leaves the buffer as it was. `data`
 * always has one zero byte after `size` once anything was appended, so that text can be used
 * as a C string. */
#ifndef OCC_STORE_BYTES_H
#define OCC_STORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "store/error.h"

struct bytes {
    unsigned char *data; /* owned; NULL until the first append */
    size_t size;         /* bytes in use */
    size_t capacity;     /* bytes allocated, the terminating zero included */
    size_t limit;        /* `size` never exceeds this */
};

void bytes_init(struct bytes *b, size_t limit);
void bytes_close(struct bytes *b); /* releases the memory; `b` is then as after bytes_init */
void bytes_clear(struct bytes *b); /* size 0, memory kept */

/* Makes room for `count` further bytes, which the caller may then write at data + size. */
int bytes_reserve(struct bytes *b, size_t count, struct error *e);
int bytes_append(struct bytes *b, const void *data, size_t count, struct error *e);
int bytes_append_text(struct bytes *b, const char *text, struct error *e);
int bytes_printf(struct bytes *b, struct error *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The content as a C string; "" while nothing was appended. Valid until the next change. */
const char *bytes_text(const struct bytes *b);

#endif
