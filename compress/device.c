/* device.c - see device.h. */
#include "compress/device.h"

#include <stdlib.h>
#include <string.h>

extern const struct backend CPU_BACKEND, CUDA_BACKENDS[];

/* The fastest first. */
static const struct backend *const BACKENDS[] = {CUDA_BACKENDS, &CPU_BACKEND};
enum { BACKEND_COUNT = sizeof BACKENDS / sizeof *BACKENDS };

const char *const BACKEND_NAMES[] = {"auto", "cpu", "cuda", NULL};

/* The number of a backend's device that `name` means; -1: none. */
static int number_in(const char *name, const struct backend *b) {
    enum { DIGITS = 4 };
    const size_t length = strlen(b->name);
    if (strncmp(name, b->name, length) != 0) {
        return -1;
    }
    const char *number = name + length + 1;
    if (name[length] == '\0') {
        return 0;
    }
    const size_t digits = strspn(number, "0123456789");
    const bool whole = digits > 0 && digits <= DIGITS && number[digits] == '\0';
    return name[length] == ':' && b->numbers > 0 && whole ? (int)strtol(number, NULL, 10) : -1;
}

int backend_open(const struct backend **out, const char *name, struct error *e) {
    bool any = strcmp(name, "auto") == 0;
    struct error reason; /* of one that is not there: no failure where another is */
    *out = NULL;
    for (int i = 0; i < BACKEND_COUNT; i++) {
        int number = any ? 0 : number_in(name, BACKENDS[i]);
        if (number < 0) {
            continue;
        }
        int rc = BACKENDS[i]->probe(number, &reason);
        if (rc == 0) {
            *out = BACKENDS[i] + number;
            return 0;
        }
        if (!any || i == BACKEND_COUNT - 1) {
            return error_set(e, rc, "%s", reason.text);
        }
    }
    return error_set(e, ERR_USAGE, "there is no device '%s': auto, cpu, cuda, cuda:1 and so on",
                     name);
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
    return b->device_open(out, b, compute, e);
}

int device_open_team(struct device **out, const struct backend *b, enum dtype compute, int threads,
                     struct error *e) {
    return b->team_open != NULL ? b->team_open(out, compute, threads, e)
                                : b->device_open(out, b, compute, e);
}

void device_close(struct device *d) {
    if (d != NULL) {
        d->backend->device_close(d);
    }
}
