/* device.c - see device.h. */
#include "compress/device.h"

#include <string.h>

extern const struct backend CPU_BACKEND, CUDA_BACKEND;

/* The fastest first. */
static const struct backend *const BACKENDS[] = {&CUDA_BACKEND, &CPU_BACKEND};
enum { BACKEND_COUNT = sizeof BACKENDS / sizeof *BACKENDS };

const char *const BACKEND_NAMES[] = {"auto", "cpu", "cuda", NULL};

int backend_open(const struct backend **out, const char *name, struct error *e) {
    bool any = strcmp(name, "auto") == 0;
    struct error reason; /* of one that is not there: no failure where another is */
    *out = NULL;
    for (int i = 0; i < BACKEND_COUNT; i++) {
        bool named = strcmp(name, BACKENDS[i]->name) == 0;
        if (!any && !named) {
            continue;
        }
        int rc = BACKENDS[i]->probe(&reason);
        if (rc == 0) {
            *out = BACKENDS[i];
            return 0;
        }
        if (named || i == BACKEND_COUNT - 1) {
            return error_set(e, rc, "%s", reason.text);
        }
    }
    return error_set(e, ERR_USAGE, "there is no device '%s': auto, cpu, cuda", name);
}

int backend_compute(const struct backend *b, const char *name, enum dtype *out, struct error *e) {
    bool bf16 = b->has_bf16();
    if (strcmp(name, "bf16") == 0 && !bf16) {
        return error_set(e, ERR_UNSUPPORTED, "device %s has no bf16 products", b->name);
    }
    *out = strcmp(name, "f32") != 0 && bf16 ? DTYPE_BF16 : DTYPE_F32;
    return 0;
}

int device_open(struct device **out, const struct backend *b, enum dtype compute, struct error *e) {
    return b->device_open(out, compute, e);
}

int device_open_team(struct device **out, const struct backend *b, enum dtype compute, int threads,
                     struct error *e) {
    return b->team_open != NULL ? b->team_open(out, compute, threads, e)
                                : b->device_open(out, compute, e);
}

void device_close(struct device *d) {
    if (d != NULL) {
        d->backend->device_close(d);
    }
}
