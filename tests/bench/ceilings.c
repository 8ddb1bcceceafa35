/* ceilings.c - see ceilings.h. */
#include "tests/bench/ceilings.h"

#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"
#include "store/clock.h"

void must(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

int numbers_read(long *out, int most, long largest, char *list) {
    char *rest = NULL;
    int count = 0;
    for (char *text = strtok_r(list, ",", &rest); text != NULL; text = strtok_r(NULL, ",", &rest)) {
        const long number = strtol(text, NULL, 10);
        if (number < 1 || number > largest || count == most) {
            return 0;
        }
        out[count++] = number;
    }
    return count;
}

struct ceilings ceilings_or(const struct ceilings *measured, double peak, double bandwidth) {
    const struct ceilings c = {.operations = peak > 0 ? peak * 1e12 : measured->operations,
                               .bytes = bandwidth > 0 ? bandwidth * 1e9 : measured->bytes};
    return c;
}

/* Zeros would let a GPU run at a clock that it does not hold with numbers. */
static float *random_values(int64_t count) {
    float *values = malloc((size_t)count * sizeof *values);
    uint32_t state = 1;
    if (values == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return values;
}

/* x (side, side) and memory for as much, of the device, both in the type of products. */
static double product_rate(struct device *d, int64_t side) {
    enum { WARM = 3, RUNS = 10 };
    struct error e;
    struct packed *w;
    float *values = random_values(side * side);
    struct tensor host = tensor_matrix(values, DTYPE_F32, NULL, side, side);
    struct tensor x = tensor_matrix(NULL, DTYPE_F32, d, side, side), in = x, out = x;
    in.type = out.type = d->compute;
    must(d->ops->alloc(d, &x, &e), &e);
    must(d->ops->alloc(d, &in, &e), &e);
    must(d->ops->alloc(d, &out, &e), &e);
    must(d->ops->pack(d, &w, &host, NULL, &e), &e);
    must(d->ops->upload(d, &x, &host, &e), &e);
    must(d->ops->copy(d, &in, &x, &e), &e);
    double started = 0;
    for (int i = -WARM; i < RUNS; i++) {
        if (i == 0) {
            must(d->ops->synchronize(d, &e), &e);
            started = clock_seconds();
        }
        must(d->ops->linear(d, &out, &in, w, ACTIVATION_NONE, NULL, &e), &e);
    }
    must(d->ops->synchronize(d, &e), &e);
    const double seconds = (clock_seconds() - started) / RUNS;
    d->ops->packed_close(w);
    d->ops->release(d, &x);
    d->ops->release(d, &in);
    d->ops->release(d, &out);
    free(values);
    return 2.0 * (double)side * (double)side * (double)side / seconds;
}

static double copy_rate(struct device *d, int64_t count) {
    enum { WARM = 2, RUNS = 20 };
    struct error e;
    struct tensor from = tensor_vector(NULL, DTYPE_F32, d, count), to = from;
    double started = 0;
    must(d->ops->alloc(d, &from, &e), &e);
    must(d->ops->alloc(d, &to, &e), &e);
    must(d->ops->fill(d, &from, 0.3f, &e), &e);
    for (int i = -WARM; i < RUNS; i++) {
        if (i == 0) {
            must(d->ops->synchronize(d, &e), &e);
            started = clock_seconds();
        }
        must(d->ops->copy(d, &to, &from, &e), &e);
    }
    must(d->ops->synchronize(d, &e), &e);
    const double seconds = (clock_seconds() - started) / RUNS;
    d->ops->release(d, &from);
    d->ops->release(d, &to);
    return 2.0 * (double)count * (double)sizeof(float) / seconds;
}

struct ceilings ceilings_measure(const struct backend *b, enum dtype compute) {
    enum { HOST_SIDE = 2048, SIDE = 8192, HOST_COUNT = 1 << 24, COUNT = 1 << 28 };
    struct error e;
    struct device *d;
    must(device_open(&d, b, compute, &e), &e);
    const struct ceilings c = {.operations = product_rate(d, b->host_memory ? HOST_SIDE : SIDE),
                               .bytes = copy_rate(d, b->host_memory ? HOST_COUNT : COUNT)};
    device_close(d);
    return c;
}
