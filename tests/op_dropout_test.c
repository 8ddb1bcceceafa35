/* op_dropout_test.c - what is dropped depends on the seed and the place alone, and is as much as
 * was asked for. */
#define _DEFAULT_SOURCE /* setenv */
#include "compress/dropout.h"
#include "tests/ops.h"

enum { SEED = 77 };
#define SHARE 0.25f

static void check(struct device *d, const struct op_case *c) {
    /* Also across the place where its low half begins again. */
    static const int64_t FIRST[] = {0, 41, ((int64_t)1 << 32) - 5};
    for (int k = 0; k < 3; k++) {
        struct array *x = array_normal(d, c, 1), *out = array_normal(d, c, 1);
        double *want = array_numbers(out);
        for (int64_t i = 0; i < c->rows * c->width; i++) {
            bool kept = dropout_keeps(SEED, (uint64_t)(FIRST[k] + i), SHARE);
            want[i] = kept ? x->values[i] / (1 - (double)SHARE) : 0;
        }
        CHECK_NUMBER(d->ops->dropout(d, &out->t, &x->t, SHARE, SEED, FIRST[k], NULL), 0);
        array_near(out, want, 1e-7);
        CHECK_NUMBER(d->ops->dropout(d, &x->t, &x->t, SHARE, SEED, FIRST[k], NULL), 0);
        array_near(x, want, 1e-7);
    }
}

static void elements_are_dropped_by_seed_and_place(void) {
    each_case(check);
}

static double share_of(uint64_t seed, uint64_t other, float share, int count) {
    int both = 0;
    for (uint64_t i = 0; i < (uint64_t)count; i++) {
        both += !dropout_keeps(seed, i, share) && !dropout_keeps(other, i, share);
    }
    return both / (double)count;
}

/* Within five standard deviations; seeds that follow one another are independent, and so are
 * neighbours. */
static void shares_are_those_asked_for(void) {
    enum { COUNT = 1 << 20 };
    static const float SHARES[] = {0.0f, 0.05f, 0.5f, 0.9f};
    for (int k = 0; k < 4; k++) {
        double p = (double)SHARES[k];
        for (uint64_t seed = 0; seed < 3; seed++) {
            CHECK_NEAR(share_of(seed, seed, SHARES[k], COUNT), p, 5 * sqrt(p * (1 - p) / COUNT));
            double both = p * p;
            CHECK_NEAR(share_of(seed, seed + 1, SHARES[k], COUNT), both,
                       5 * sqrt(both * (1 - both) / COUNT));
        }
    }
    int both = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        both += !dropout_keeps(SEED, i, 0.5f) && !dropout_keeps(SEED, i + 1, 0.5f);
    }
    CHECK_NEAR(both / (double)COUNT, 0.25, 5 * sqrt(0.25 * 0.75 / COUNT));
}

int main(void) {
    RUN(elements_are_dropped_by_seed_and_place);
    RUN(shares_are_those_asked_for);
    return test_finish();
}
