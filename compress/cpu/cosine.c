/* cosine.c - of the angles between rows. */
#include <assert.h>
#include <math.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

/* A row of zeros has no direction. */
struct angle {
    float cosine, a_length, b_length; /* 0: a row of zeros */
};

static struct angle angle_of(const struct level *level, const float *a, const float *b,
                             size_t width) {
    struct angle g = {.a_length = sqrtf(level->dot(a, a, width)),
                      .b_length = sqrtf(level->dot(b, b, width))};
    if (g.a_length > 0 && g.b_length > 0) {
        g.cosine = level->dot(a, b, width) / g.a_length / g.b_length;
    }
    return g;
}

int cpu_cosine(struct device *d, const struct tensor *out, const struct tensor *a,
               const struct tensor *b, struct error *e) {
    const struct operand operands[] = {{a, READ}, {b, READ}};
    float *cosines = vector_of(out, tensor_rows(a));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 2, e);
    assert(tensor_width(a) == tensor_width(b));
    while (rc == 0 && walk_next(&w)) {
        *cosines++ = angle_of(w.level, w.data[0], w.data[1], w.count).cosine;
    }
    return rc;
}

/* dx += slope (y / (|x| |y|) - cosine x / |x|^2) */
static void turn_row(const struct level *level, float *dx, const float *x, const float *y,
                     float slope, float cosine, float x_length, float y_length, size_t width) {
    if (dx != NULL) {
        level->add_scaled(dx, y, slope / x_length / y_length, width);
        level->add_scaled(dx, x, -slope * cosine / x_length / x_length, width);
    }
}

int cpu_cosine_backward(struct device *d, const struct tensor *da, const struct tensor *db,
                        const struct tensor *a, const struct tensor *b, const struct tensor *dy,
                        struct error *e) {
    const struct operand operands[] = {{a, READ}, {b, READ}, {da, UPDATE}, {db, UPDATE}};
    const float *slope = vector_of(dy, tensor_rows(a));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 4, e);
    for (; rc == 0 && walk_next(&w); slope++) {
        const float *x = w.data[0], *y = w.data[1];
        struct angle g = angle_of(w.level, x, y, w.count);
        if (g.a_length > 0 && g.b_length > 0) {
            turn_row(w.level, w.data[2], x, y, *slope, g.cosine, g.a_length, g.b_length, w.count);
            turn_row(w.level, w.data[3], y, x, *slope, g.cosine, g.b_length, g.a_length, w.count);
        }
    }
    return rc;
}
