/* cpu_backend.h - backends for tests of what is made of operations: that which is everywhere, or
 * the one that is tested. */
#ifndef OCC_TESTS_CPU_BACKEND_H
#define OCC_TESTS_CPU_BACKEND_H

#include <stdlib.h>

#include "compress/device.h"
#include "tests/test.h"

static inline const struct backend *cpu_backend(void) {
    const struct backend *b = NULL;
    if (!CHECK_NUMBER(backend_open(&b, "cpu", NULL), 0)) {
        exit(1);
    }
    return b;
}

#endif
