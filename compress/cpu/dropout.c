/* dropout.c - some elements become zeros, the others larger. */
#include <assert.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

/* A run that ends where the high half of the places changes. */
static size_t run_from(uint64_t place, size_t count) {
    const uint64_t rest = (UINT64_C(1) << 32) - (place & UINT32_MAX);
    return count < rest ? count : (size_t)rest;
}

int cpu_dropout(struct device *d, const struct tensor *out, const struct tensor *x, float share,
                uint64_t seed, int64_t first, struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {x, READ}};
    struct walk w;
    uint64_t place = (uint64_t)first;
    assert(tensor_same_shape(out, x) && share >= 0 && share < 1 && first >= 0);
    int rc = walk_rows(&w, d, operands, 2, e);
    while (rc == 0 && walk_next(&w)) {
        for (size_t done = 0; done < w.count;) {
            const size_t now = run_from(place, w.count - done);
            w.level->dropout(w.data[0] + done, w.data[1] + done, now, place, seed, share);
            place += now;
            done += now;
        }
    }
    return rc;
}
