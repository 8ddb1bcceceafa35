/* nest.c - see nest.h. */
#include "store/nest.h"

#include <stdbool.h>
#include <string.h>

static int check(int64_t dim, int k, struct error *e) {
    bool divides = k >= 0 && k <= NEST_LEVELS && dim > 0 && dim % ((int64_t)1 << k) == 0;
    return divides ? 0
                   : error_set(e, ERR_USAGE, "tokens of %lld numbers cannot be halved %d times",
                               (long long)dim, k);
}

/* Keeps the first half of each segment of a token: `half` numbers; `to` may be `from`. */
static void keep(float *to, const float *from, int64_t segments, int64_t half) {
    for (int64_t s = 0; s < segments; s++) {
        memmove(to + s * half, from + 2 * s * half, (size_t)half * sizeof *to);
    }
}

int nest_halve(float *tokens, int64_t *count, int64_t dim, int k, struct error *e) {
    int rc = check(dim, k + 1, e);
    if (rc < 0) {
        return rc;
    }
    int64_t segments = (int64_t)1 << k, half = dim >> (k + 1), n = *count;
    for (int64_t i = 0; i < n; i += 2) { /* what is written lies before what is yet to be read */
        float *to = tokens + i / 2 * dim;
        keep(to, tokens + i * dim, segments, half);
        if (i + 1 < n) {
            keep(to + dim / 2, tokens + (i + 1) * dim, segments, half);
        } else {
            memset(to + dim / 2, 0, (size_t)(dim / 2) * sizeof *to);
        }
    }
    *count = nest_count(n, 1);
    return 0;
}

int nest_expand(float *tokens, int64_t cells, int64_t dim, int k, struct error *e) {
    int rc = check(dim, k, e);
    if (rc < 0) {
        return rc;
    }
    int64_t kept = dim >> k, mask = ((int64_t)1 << k) - 1;
    for (int64_t c = cells - 1; c >= 0; c--) { /* from the end: as above */
        float *to = tokens + c * dim;
        memmove(to, tokens + (c >> k) * dim + (c & mask) * kept, (size_t)kept * sizeof *to);
        memset(to + kept, 0, (size_t)(dim - kept) * sizeof *to);
    }
    return 0;
}

int64_t nest_count(int64_t cells, int k) {
    for (; k > 0; k--) {
        cells = cells / 2 + cells % 2;
    }
    return cells;
}

void nest_grid(int *rows, int *columns, int k) {
    for (; k > 0; k--) {
        if (*columns % 2 == 0) {
            *columns /= 2;
        } else if (*rows % 2 == 0) {
            *rows /= 2;
        } else {
            *columns = (int)nest_count((int64_t)*rows * *columns, 1);
            *rows = 1;
        }
    }
}
