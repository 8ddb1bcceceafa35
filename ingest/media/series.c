/* series.c - see series.h. */
#include "ingest/media/series.h"

#include <assert.h>
#include <stdlib.h>

int series_open(struct series *s, int limit, int width, struct error *e) {
    assert(limit > 0 && limit % 2 == 0 && width > 0);
    *s = (struct series){.width = width, .limit = limit, .merged = 1};
    s->values = calloc((size_t)limit + 1, (size_t)width * sizeof *s->values);
    if (s->values == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for %d measurements", limit);
    }
    s->sum = s->values + (size_t)limit * (size_t)width;
    return 0;
}

void series_close(struct series *s) {
    free(s->values);
    *s = (struct series){0};
}

static void halve(struct series *s) {
    size_t width = (size_t)s->width;
    s->count /= 2;
    s->merged *= 2;
    for (size_t i = 0; i < (size_t)s->count; i++) {
        for (size_t k = 0; k < width; k++) {
            float pair = s->values[2 * i * width + k] + s->values[(2 * i + 1) * width + k];
            s->values[i * width + k] = pair / 2;
        }
    }
}

static void complete(struct series *s) {
    float *entry = s->values + (size_t)s->count * (size_t)s->width;
    for (int k = 0; k < s->width; k++) {
        entry[k] = s->sum[k] / (float)s->pending;
        s->sum[k] = 0;
    }
    s->pending = 0;
    s->count++;
}

void series_add(struct series *s, const float *row) {
    for (int k = 0; k < s->width; k++) {
        s->sum[k] += row[k];
    }
    s->pending++;
    if (s->pending == s->merged && s->count == s->limit) {
        halve(s); /* the entry in progress goes on: it is now half done */
    }
    if (s->pending == s->merged) {
        complete(s);
    }
}

void series_finish(struct series *s) {
    if (s->pending > 0) {
        if (s->count == s->limit) {
            halve(s);
        }
        complete(s);
    }
}
