/* tape_device.h - a tape with a device of its own, for tests. */
#ifndef OCC_TESTS_TAPE_DEVICE_H
#define OCC_TESTS_TAPE_DEVICE_H

#include <stdlib.h>

#include "tests/tested_device.h"
#include "train/tape/tape.h"

static uint64_t random_state = 1;

static inline double random_number(void) { /* -1 to 1 */
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(random_state >> 11) * 0x1p-52 - 1.0;
}

static const char *const LEVELS[] = {"portable", "avx2", "avx512"};
enum { LEVEL_COUNT = sizeof LEVELS / sizeof *LEVELS };

/* `level`: of the instruction set, NULL: the best; `options`: NULL: the defaults. NULL where the
 * processor lacks what is asked for. */
static inline struct tape *open_tape(const char *level, enum dtype compute,
                                     const struct tape_options *options) {
    static const struct tape_options DEFAULTS = {.storage = DTYPE_F32};
    struct tape *t = NULL;
    if (level != NULL) {
        setenv("OCC_CPU", level, 1);
    }
    struct device *d = tested_device_open(compute);
    if (d != NULL) {
        CHECK_NUMBER(tape_open(&t, d, options != NULL ? options : &DEFAULTS, NULL), 0);
    }
    unsetenv("OCC_CPU");
    return t;
}

static inline void close_tape(struct tape *t) {
    struct device *d = t != NULL ? tape_device(t) : NULL;
    tape_close(t);
    device_close(d);
}

/* Any floats of the device, as F32 of the host. */
static inline void download_floats(struct tape *t, float *out, const struct tensor *x) {
    struct device *d = tape_device(t);
    struct tensor dense = tensor_of(NULL, DTYPE_F32, NULL, x->shape);
    const struct tensor host = tensor_of(out, DTYPE_F32, NULL, x->shape);
    int rc = d->ops->alloc(d, &dense, NULL);
    if (rc == 0) {
        rc = d->ops->copy(d, &dense, x, NULL);
    }
    if (rc == 0) {
        rc = d->ops->download(d, &host, &dense, NULL);
    }
    CHECK_NUMBER(rc, 0);
    d->ops->release(d, &dense);
}

#endif
