/* interval.c - see interval.h. */
#include "train/paper/interval.h"

#include <math.h>
#include <stdlib.h>

#include "store/random.h"

enum { DRAWS = 2000, RANK_DRAWS = 500, SEED = 1979 };

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle 95% of `count` values, which are sorted for it. */
static void middle(struct interval *out, double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    const size_t left_out = count / 40;
    out->low = values[left_out];
    out->high = values[count - 1 - left_out];
}

int interval_ratio(struct interval *out, const double *top, const double *bottom, size_t count,
                   struct error *e) {
    *out = INTERVAL_NONE;
    size_t *kept = calloc(count + 1, sizeof *kept), left = 0;
    double *draws = malloc(DRAWS * sizeof *draws), sums[2] = {0};
    if (kept == NULL || draws == NULL) {
        free(kept);
        free(draws);
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (isfinite(top[i]) && isfinite(bottom[i])) {
            kept[left++] = i;
            sums[0] += top[i];
            sums[1] += bottom[i];
        }
    }
    for (size_t draw = 0; draw < DRAWS && left > 0; draw++) {
        uint64_t state = random_stream(SEED, draw);
        double drawn[2] = {0};
        for (size_t i = 0; i < left; i++) {
            const size_t at = kept[random_below(&state, (int64_t)left)];
            drawn[0] += top[at];
            drawn[1] += bottom[at];
        }
        draws[draw] = drawn[0] / drawn[1];
    }
    if (left > 0) {
        out->value = sums[0] / sums[1];
        middle(out, draws, DRAWS);
    }
    free(kept);
    free(draws);
    return 0;
}

int interval_mean(struct interval *out, const double *values, size_t count, struct error *e) {
    double *ones = malloc((count + 1) * sizeof *ones);
    if (ones == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        ones[i] = 1;
    }
    const int rc = interval_ratio(out, values, ones, count, e);
    free(ones);
    return rc;
}

/* ---- Ranks ----------------------------------------------------------------------------------- */

struct ranked {
    double value;
    size_t index;
};

static int compare_ranked(const void *a, const void *b) {
    return compare_doubles(&((const struct ranked *)a)->value, &((const struct ranked *)b)->value);
}

static void make_ranks(double *ranks, struct ranked *list, size_t count) {
    qsort(list, count, sizeof *list, compare_ranked);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && !(list[next].value > list[i].value);) {
            next++;
        }
        for (size_t at = i; at < next; at++) {
            ranks[list[at].index] = (double)(i + next - 1) / 2;
        }
    }
}

/* Of pairs `at[0]`, `at[1]`, ...; Pearson's correlation of their ranks. */
static double correlation(const double *x, const double *y, const size_t *at, size_t count,
                          struct ranked *list, double *ranks) {
    const double *const both[2] = {x, y};
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++) {
            list[i] = (struct ranked){.value = both[side][at[i]], .index = i};
        }
        make_ranks(ranks + (size_t)side * count, list, count);
    }
    const double mean = ((double)count - 1) / 2;
    double xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < count; i++) {
        const double dx = ranks[i] - mean, dy = ranks[count + i] - mean;
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    return xy / sqrt(xx * yy);
}

int interval_ranks(struct interval *out, const double *x, const double *y, size_t count,
                   struct error *e) {
    *out = INTERVAL_NONE;
    size_t *at = calloc(count + 1, sizeof *at);
    struct ranked *list = calloc(count + 1, sizeof *list);
    double *ranks = calloc(2 * count + 1, sizeof *ranks),
           *draws = malloc(RANK_DRAWS * sizeof *draws);
    int rc =
        at != NULL && list != NULL && ranks != NULL && draws != NULL ? 0 : error_memory(e, NULL);
    for (size_t i = 0; i < count && rc == 0; i++) {
        at[i] = i;
    }
    if (rc == 0 && count > 1) {
        out->value = correlation(x, y, at, count, list, ranks);
        for (size_t draw = 0; draw < RANK_DRAWS; draw++) {
            uint64_t state = random_stream(SEED, draw);
            for (size_t i = 0; i < count; i++) {
                at[i] = (size_t)random_below(&state, (int64_t)count);
            }
            draws[draw] = correlation(x, y, at, count, list, ranks);
        }
        middle(out, draws, RANK_DRAWS);
    }
    free(at);
    free(list);
    free(ranks);
    free(draws);
    return rc;
}
