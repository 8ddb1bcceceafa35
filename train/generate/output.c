/* output.c - see output.h. */
#include "train/generate/output.h"

#include <stdint.h>
#include <string.h>

#include "store/utf8.h"

enum { TEXT_LIMIT = 1 << 30 };

void output_init(struct output *o, const char *const *stops) {
    *o = (struct output){.stops = stops};
    bytes_init(&o->text, TEXT_LIMIT);
    bytes_init(&o->held, TEXT_LIMIT);
}

void output_close(struct output *o) {
    bytes_close(&o->text);
    bytes_close(&o->held);
}

/* Decides the first `size` bytes of what is held. */
static int decide(struct output *o, size_t size, struct error *e) {
    size_t replaced = 0;
    int rc = utf8_repair(&o->text, bytes_text(&o->held), size, &replaced, e);
    if (rc == 0 && size > 0) {
        memmove(o->held.data, o->held.data + size, o->held.size - size + 1); /* its zero, too */
        o->held.size -= size;
    }
    return rc;
}

/* Whether a stop text is at `at` of the held bytes, or, where not `whole`, may become one there. */
static bool is_stop(const struct output *o, size_t at, bool whole) {
    const size_t left = o->held.size - at;
    for (size_t i = 0; o->stops[i] != NULL; i++) {
        const size_t size = strlen(o->stops[i]);
        if ((size <= left) == whole &&
            memcmp(o->held.data + at, o->stops[i], size < left ? size : left) == 0) {
            return true;
        }
    }
    return false;
}

/* The first place of the held bytes with a stop text, or where one may come; their end: none. */
static size_t find_stop(const struct output *o, bool whole) {
    size_t at = o->stops != NULL ? 0 : o->held.size;
    while (at < o->held.size && !is_stop(o, at, whole)) {
        at++;
    }
    return at;
}

int output_add(struct output *o, const void *bytes, size_t size, bool *stopped, struct error *e) {
    int rc = bytes_append(&o->held, bytes, size, e);
    *stopped = false;
    if (rc < 0) {
        return rc;
    }
    size_t end = find_stop(o, true);
    *stopped = end < o->held.size;
    if (*stopped) {
        rc = decide(o, end, e);
        bytes_clear(&o->held);
        return rc;
    }
    end = find_stop(o, false);
    return decide(o, utf8_floor(bytes_text(&o->held), end), e);
}

int output_end(struct output *o, struct error *e) {
    return decide(o, o->held.size, e);
}
