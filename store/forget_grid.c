/* forget_grid.c - buckets, grids, means: the arithmetic of forget.h. */
#include "store/forget.h"

int forget_bucket(int64_t age, int64_t tau) {
    int bucket = 0;
    /* k is the largest with (2^k - 1) tau <= age; no product that could overflow */
    while (bucket < STORE_BUCKETS - 1 && age / tau >= ((int64_t)1 << (bucket + 1)) - 1) {
        bucket++;
        if (bucket == 62) {
            break;
        }
    }
    return bucket;
}

static int half(int side) {
    return side / 2 + side % 2;
}

void forget_grid(int *rows, int *columns, int bucket) {
    for (; bucket > 0; bucket--) {
        if (*columns >= *rows) {
            *columns = half(*columns);
        } else {
            *rows = half(*rows);
        }
    }
}

/* to = the mean of a and b, or a where there is no b. `to` may be a. */
static void mean(float *to, const float *a, const float *b, int64_t dim) {
    for (int64_t i = 0; i < dim; i++) {
        to[i] = b != NULL ? 0.5f * (a[i] + b[i]) : a[i];
    }
}

void forget_pool(float *tokens, int *rows, int *columns, int64_t dim) {
    int h = *rows, w = *columns;
    forget_grid(rows, columns, 1);
    bool across = *columns < w;
    float *to = tokens;
    for (int y = 0; y < *rows; y++) {
        for (int x = 0; x < *columns; x++, to += dim) {
            int row = across ? y : 2 * y, column = across ? 2 * x : x;
            const float *a = tokens + ((int64_t)row * w + column) * dim;
            bool pair = across ? column + 1 < w : row + 1 < h;
            mean(to, a, pair ? a + (across ? 1 : w) * dim : NULL, dim);
        }
    }
}
