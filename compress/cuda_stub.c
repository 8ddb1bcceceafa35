/* cuda_stub.c - stands for the CUDA backend in a build without it, and says so. */
#include "compress/device.h"

extern const struct backend CUDA_BACKENDS[];

static int probe(int number, struct error *e) {
    (void)number;
    return error_set(e, ERR_UNSUPPORTED, "this build has no CUDA backend; --device cpu is there");
}

static bool has_bf16(void) {
    return false;
}

static int none(void) {
    return 0;
}

static int open_none(struct device **out, const struct backend *b, enum dtype compute,
                     struct error *e) {
    (void)compute;
    *out = NULL;
    return probe(b->number, e);
}

static void close_none(struct device *d) {
    (void)d;
}

const struct backend CUDA_BACKENDS[] = {{.name = "cuda",
                                         .numbers = 1,
                                         .probe = probe,
                                         .has_bf16 = has_bf16,
                                         .workers = none,
                                         .batch = none,
                                         .device_open = open_none,
                                         .device_close = close_none}};
