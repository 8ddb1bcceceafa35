/* runs_apart.h - how far two runs of the trainer are from each other, by their checkpoints. */
#ifndef OCC_TESTS_RUNS_APART_H
#define OCC_TESTS_RUNS_APART_H

#include <math.h>
#include <string.h>

#include "store/safetensors.h"
#include "tests/tested_device.h"
#include "train/trainer.h"

/* Sums of squares over tensors of one kind. */
struct runs_sums {
    double size, off;
};

static inline void runs_add(struct runs_sums *to, const struct safetensor *x,
                            const struct safetensor *y) {
    for (size_t i = 0; i < x->bytes / sizeof(float); i++) {
        float pair[2];
        memcpy(&pair[0], (const char *)x->data + i * sizeof *pair, sizeof *pair);
        memcpy(&pair[1], (const char *)y->data + i * sizeof *pair, sizeof *pair);
        to->size += (double)pair[0] * (double)pair[0];
        to->off += ((double)pair[0] - (double)pair[1]) * ((double)pair[0] - (double)pair[1]);
    }
}

/* Of all weights, of all first moments, ...: |x - y| / |x|, the largest; infinite where the runs
 * have other tensors. */
static inline double runs_distance(const struct safetensors *a, const struct safetensors *b) {
    static const char *const KINDS[] = {"value.", "m.", "v.", "ema."};
    double most = safetensors_count(a) == safetensors_count(b) ? 0 : (double)INFINITY;
    for (size_t kind = 0; kind < sizeof KINDS / sizeof *KINDS; kind++) {
        struct runs_sums sums = {0, 0};
        for (size_t i = 0; i < safetensors_count(a); i++) {
            const struct safetensor *x = safetensors_get(a, i);
            const struct safetensor *y = safetensors_find(b, x->name);
            if (y == NULL || x->bytes != y->bytes) {
                return (double)INFINITY;
            }
            if (strncmp(x->name, KINDS[kind], strlen(KINDS[kind])) == 0) {
                runs_add(&sums, x, y);
            }
        }
        if (!isfinite(sums.off)) {
            return (double)INFINITY;
        }
        most = sums.off > 0 ? fmax(most, sqrt(sums.off / sums.size)) : most;
    }
    return most;
}

static inline double runs_apart(const char *a, const char *b) {
    char x[256], y[256];
    struct safetensors *first = NULL, *second = NULL;
    snprintf(x, sizeof x, "%s/%s", a, TRAINER_CHECKPOINT);
    snprintf(y, sizeof y, "%s/%s", b, TRAINER_CHECKPOINT);
    const bool there =
        safetensors_open(&first, x, NULL) == 0 && safetensors_open(&second, y, NULL) == 0;
    const double distance = there ? runs_distance(first, second) : (double)INFINITY;
    safetensors_close(first);
    safetensors_close(second);
    return distance;
}

/* Of the CPU, and of the tested device. */
static inline void check_runs(const char *cpu, const char *tested, const char *what) {
    enum { USUAL = 100 /* a hundredth: AdamW makes much of gradients that are little */ };
    const double apart = runs_apart(cpu, tested);
    if (!CHECK(apart <= tested_limit(1.0 / USUAL))) {
        printf("# %s: %.3g\n", what, apart);
    }
}

#endif
