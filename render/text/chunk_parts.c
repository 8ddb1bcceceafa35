/* chunk_parts.c - see chunk_parts.h. */
#include "render/text/chunk_parts.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/utf8.h"

void chunk_parts_close(struct chunk_parts *p) {
    free(p->items);
    *p = (struct chunk_parts){0};
}

void chunk_parts_clear(struct chunk_parts *p) {
    p->count = p->next = 0;
    p->start = p->end = 0;
}

static int add_part(struct chunk_parts *p, size_t end, bool may_break, struct error *e) {
    struct chunk_part *items = array_grow(p->items, &p->capacity, p->count + 1, sizeof *items, e);
    if (items == NULL) {
        return ERR_MEMORY;
    }
    p->items = items;
    p->items[p->count++] = (struct chunk_part){.end = (uint32_t)end, .may_break = may_break};
    return 0;
}

/* Where the level of byte `start` ends, `end` at most. */
static size_t level_end(const uint8_t *levels, size_t start, size_t end) {
    size_t at = levels != NULL ? start + 1 : end;
    while (at < end && levels[at] == levels[start]) {
        at++;
    }
    return at;
}

/* The last boundary of clusters that a word may have; a cluster that is longer is cut at a
 * character. */
static int cut_word(struct breaker *b, const char *text, size_t size, size_t *cut,
                    struct error *e) {
    size_t window = utf8_floor(text, 2 * WORD_BYTES < size ? 2 * WORD_BYTES : size), best = 0;
    const uint32_t *at;
    size_t count;
    int rc = breaker_clusters(b, text, window, &at, &count, e);
    for (size_t i = 0; rc == 0 && i < count && at[i] <= WORD_BYTES; i++) {
        best = at[i];
    }
    *cut = best > 0 ? best : utf8_floor(text, WORD_BYTES);
    return rc;
}

/* Adds [start, end), in which no line may end. */
static int add_parts(struct chunk_parts *p, struct breaker *b, const char *text,
                     const uint8_t *levels, size_t start, size_t end, bool may_break,
                     struct error *e) {
    size_t same = start; /* up to here the level is that of `start` */
    int rc = 0;
    while (start < end && rc == 0) {
        same = same > start ? same : level_end(levels, start, end);
        size_t size = same - start;
        if (size > WORD_BYTES) {
            rc = cut_word(b, text + start, same - start, &size, e);
        }
        if (rc == 0) {
            rc = add_part(p, start + size, may_break, e);
        }
        may_break = false;
        start += size;
    }
    return rc;
}

int chunk_parts_cut(struct chunk_parts *p, struct breaker *b, const char *text,
                    const uint8_t *levels, size_t start, size_t size, bool may_break,
                    struct error *e) {
    const uint32_t *found;
    size_t count;
    int rc = breaker_lines(b, text + start, size, &found, &count, e);
    uint32_t *breaks = rc == 0 ? malloc((count + 1) * sizeof *breaks) : NULL;
    if (breaks == NULL) {
        return rc < 0 ? rc : error_memory(e, NULL);
    }
    memcpy(breaks, found, count * sizeof *breaks); /* the breaker is asked again below */
    chunk_parts_clear(p);
    p->start = (uint32_t)start;
    p->end = (uint32_t)(start + size);
    size_t from = start;
    for (size_t i = 0; i <= count && rc == 0; i++) {
        size_t to = i < count ? start + breaks[i] : start + size;
        rc = add_parts(p, b, text, levels, from, to, i == 0 ? may_break : true, e);
        from = to;
    }
    free(breaks);
    return rc;
}

int chunk_word(struct breaker *b, const char *text, const uint8_t *levels, size_t start,
               size_t chunk_end, size_t *end, struct error *e) {
    size_t window = utf8_floor(text + start, chunk_end - start < 2 * WORD_BYTES ? chunk_end - start
                                                                                : 2 * WORD_BYTES);
    size_t size = level_end(levels, start, start + window) - start;
    int rc = size > WORD_BYTES ? cut_word(b, text + start, size, &size, e) : 0;
    *end = start + size;
    return rc;
}

bool chunk_parts_return(struct chunk_parts *p, size_t at) {
    if (at < p->start || at >= p->end) {
        return false;
    }
    while (p->next > 0 && p->items[p->next - 1].end > at) {
        p->next--;
    }
    return true;
}
