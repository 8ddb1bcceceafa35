/* text_distance.c - see text_distance.h. */
#include "compress/text_distance.h"

#include <stdbool.h>
#include <stdlib.h>

#include "compress/fold.h"
#include "store/utf8.h"

/* Code points of a text, folded; malloc's; NULL: no memory. */
static uint32_t *decode(const char *text, size_t size, int64_t *count) {
    uint32_t *out = malloc((size + 1) * sizeof *out);
    char *folded = malloc(size + 1);
    *count = 0;
    if (out == NULL || folded == NULL) {
        free(out);
        free(folded);
        return NULL;
    }
    size = fold_text(text, size, folded);
    for (size_t at = 0; at < size;) {
        bool valid;
        at += utf8_decode(folded + at, size - at, &out[*count], &valid);
        ++*count;
    }
    free(folded);
    return out;
}

/* Levenshtein's distance where it is at most `band`, else anything above (Ukkonen 1985: only cells
 * less than `band` off the diagonal). line: n + 1 numbers. */
static int64_t banded(const uint32_t *a, int64_t m, const uint32_t *b, int64_t n, int64_t band,
                      int64_t *line) {
    const int64_t far = m + n + 1;
    for (int64_t j = 0; j <= n; j++) {
        line[j] = j <= band ? j : far;
    }
    for (int64_t i = 1; i <= m; i++) {
        int64_t first = i > band ? i - band : 0, last = i + band < n ? i + band : n;
        int64_t corner = first > 0 ? line[first - 1] : 0; /* above and left */
        int64_t left = far;
        if (first == 0) {
            corner = line[0];
            line[0] = left = i;
            first = 1;
        } else {
            line[first - 1] = far;
        }
        for (int64_t j = first; j <= last; j++) {
            int64_t above = j == i + band ? far : line[j];
            int64_t best = corner + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = left + 1 < best ? left + 1 : best;
            corner = line[j];
            line[j] = left = best;
        }
    }
    return line[n];
}

int text_distance(const char *read, size_t read_size, const char *text, size_t size,
                  int64_t *distance, int64_t *length, struct error *e) {
    int64_t m, n;
    uint32_t *a = decode(read, read_size, &m), *b = decode(text, size, &n);
    int64_t *line = malloc(((size_t)size + 1) * sizeof *line);
    int rc = a != NULL && b != NULL && line != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        int64_t most = m > n ? m : n, difference = m > n ? m - n : n - m;
        int64_t band = difference + 16;
        *length = n;
        *distance = banded(a, m, b, n, band < most ? band : most, line);
        while (*distance > band && band < most) {
            band *= 4;
            *distance = banded(a, m, b, n, band < most ? band : most, line);
        }
    }
    free(a);
    free(b);
    free(line);
    return rc;
}

int text_accuracy(const char *read, size_t read_size, const char *text, size_t size,
                  double *accuracy, struct error *e) {
    int64_t distance, length;
    int rc = text_distance(read, read_size, text, size, &distance, &length, e);
    if (rc == 0) {
        double errors = (double)distance / (double)(length > 0 ? length : 1);
        *accuracy = errors < 1 ? 1 - errors : 0;
        *accuracy = length == 0 && distance == 0 ? 1 : *accuracy;
    }
    return rc;
}
