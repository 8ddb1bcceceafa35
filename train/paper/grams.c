/* grams.c - see grams.h. */
#include "train/paper/grams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/array.h"
#include "store/utf8.h"

void grams_close(struct grams *g) {
    free(g->entries);
    free(g->ends);
    *g = (struct grams){0};
}

static bool is_space(uint32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || c == 0x2028 || c == 0x2029;
}

/* Code points with single spaces between words, before and after them; their number. */
static size_t fold(uint32_t *out, const char *text, size_t size) {
    size_t count = 0;
    out[count++] = ' ';
    for (size_t i = 0; i < size;) {
        uint32_t c;
        bool valid;
        i += utf8_decode(text + i, size - i, &c, &valid);
        c = is_space(c) ? ' ' : c;
        if (c != ' ' || out[count - 1] != ' ') {
            out[count++] = c;
        }
    }
    if (out[count - 1] != ' ') {
        out[count++] = ' ';
    }
    return count;
}

static int compare_places(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int add_entry(struct grams *g, uint32_t place, double value, struct error *e) {
    struct grams_entry *entries =
        array_grow(g->entries, &g->capacity, g->count + 1, sizeof *entries, e);
    if (entries == NULL) {
        return ERR_MEMORY;
    }
    g->entries = entries;
    entries[g->count++] = (struct grams_entry){.place = place, .value = (float)value};
    return 0;
}

/* Sorted places to a row, each with the root of how often it came. */
static int add_row(struct grams *g, const uint32_t *places, size_t count, struct error *e) {
    int rc = 0;
    for (size_t i = 0, next; i < count && rc == 0; i = next) {
        for (next = i + 1; next < count && places[next] == places[i];) {
            next++;
        }
        rc = add_entry(g, places[i], sqrt((double)(next - i)), e);
    }
    size_t *ends =
        rc == 0 ? array_grow(g->ends, &g->row_capacity, g->rows + 1, sizeof *ends, e) : NULL;
    if (ends == NULL) {
        return rc < 0 ? rc : ERR_MEMORY;
    }
    g->ends = ends;
    ends[g->rows++] = g->count;
    return 0;
}

int grams_add(struct grams *g, const char *text, size_t size, struct error *e) {
    enum { LENGTHS = GRAMS_MOST - GRAMS_LEAST + 1 };
    if (size > SIZE_MAX / sizeof(uint32_t) / (LENGTHS + 1) - 2) {
        return error_memory(e, NULL);
    }
    uint32_t *points = malloc((size + 2) * (LENGTHS + 1) * sizeof *points);
    if (points == NULL) {
        return error_memory(e, NULL);
    }
    uint32_t *places = points + size + 2;
    const size_t count = fold(points, text, size);
    size_t found = 0;
    for (size_t length = GRAMS_LEAST; length <= GRAMS_MOST; length++) {
        for (size_t i = 0; i + length <= count; i++) {
            const uint64_t hash = XXH3_64bits(points + i, length * sizeof *points);
            places[found++] = (uint32_t)(hash % GRAMS_PLACES);
        }
    }
    qsort(places, found, sizeof *places, compare_places);
    const int rc = add_row(g, places, found, e);
    free(points);
    return rc;
}

const struct grams_entry *grams_row(const struct grams *g, size_t row, size_t *count) {
    const size_t first = row > 0 ? g->ends[row - 1] : 0;
    *count = g->ends[row] - first;
    return g->entries + first;
}

void grams_weights(const struct grams *g, float *weights) {
    memset(weights, 0, GRAMS_PLACES * sizeof *weights);
    for (size_t i = 0; i < g->count; i++) {
        weights[g->entries[i].place] += 1;
    }
    for (size_t i = 0; i < GRAMS_PLACES; i++) {
        weights[i] =
            weights[i] < 2 ? 0 : (float)log((1 + (double)g->rows) / (1 + (double)weights[i]));
    }
}

void grams_weigh(struct grams *g, size_t first, const float *weights) {
    for (size_t row = first; row < g->rows; row++) {
        struct grams_entry *entries = g->entries + (row > 0 ? g->ends[row - 1] : 0);
        struct grams_entry *const end = g->entries + g->ends[row];
        double sum = 0;
        for (struct grams_entry *n = entries; n < end; n++) {
            n->value *= weights[n->place];
            sum += (double)n->value * (double)n->value;
        }
        const float factor = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
        for (struct grams_entry *n = entries; n < end; n++) {
            n->value *= factor;
        }
    }
}

double grams_dot(const struct grams *g, size_t row, const float *vector) {
    size_t count;
    const struct grams_entry *entries = grams_row(g, row, &count);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)entries[i].value * (double)vector[entries[i].place];
    }
    return sum;
}

void grams_accumulate(const struct grams *g, size_t row, float factor, float *vector) {
    size_t count;
    const struct grams_entry *entries = grams_row(g, row, &count);
    for (size_t i = 0; i < count; i++) {
        vector[entries[i].place] += factor * entries[i].value;
    }
}
