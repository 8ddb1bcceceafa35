/* tested_device.h - the device that tests of what is made of operations run on: the CPU, or what
 * OCC_TEST_DEVICE names, which must be there (else the test is skipped). OCC_TEST_EXACT: its
 * operations are the CPU's, and so are its results. */
#ifndef OCC_TESTS_TESTED_DEVICE_H
#define OCC_TESTS_TESTED_DEVICE_H

#include <stdlib.h>

#include "compress/device.h"
#include "compress/ops.h"
#include "tests/test.h"

static inline const char *tested_device(void) {
    const char *asked = getenv("OCC_TEST_DEVICE");
    return asked != NULL ? asked : "cpu";
}

static inline const struct backend *tested_backend(void) {
    const struct backend *b = NULL;
    struct error e;
    if (backend_open(&b, tested_device(), &e) < 0) {
        printf("1..0 # SKIP %s\n", e.text);
        exit(77);
    }
    return b;
}

static inline bool tested_is_cpu(void) {
    return strcmp(tested_backend()->name, "cpu") == 0;
}

/* How far results may be from the CPU's, where another device's may be `limit` off. */
static inline double tested_limit(double limit) {
    return tested_is_cpu() || getenv("OCC_TEST_EXACT") != NULL ? 0 : limit;
}

/* Whether its products take no memory but what the CPU's do: for the networks of tests that of
 * others is more than all the rest, and not foreseen. */
static inline bool tested_is_foreseen(void) {
    return !(tested_limit(1) > 0);
}

/* NULL: it lacks BF16. */
static inline struct device *tested_device_open(enum dtype compute) {
    const struct backend *b = tested_backend();
    struct device *d = NULL;
    if (compute != DTYPE_BF16 || b->has_bf16()) {
        CHECK_NUMBER(device_open(&d, b, compute, NULL), 0);
    }
    return d;
}

/* Dense tensors of the device, to the host and back. */
static inline void tested_download(void *to, const struct tensor *x) {
    struct device *d = x->home;
    const struct tensor host = tensor_of(to, x->type, NULL, x->shape);
    CHECK_NUMBER(d->ops->download(d, &host, x, NULL), 0);
}

static inline void tested_upload(const struct tensor *to, const void *from) {
    struct device *d = to->home;
    const struct tensor host = tensor_of((void *)(uintptr_t)from, to->type, NULL, to->shape);
    CHECK_NUMBER(d->ops->upload(d, to, &host, NULL), 0);
}

#endif
