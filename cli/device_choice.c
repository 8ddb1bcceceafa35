/* device_choice.c - see device_choice.h. */
#include "cli/device_choice.h"

#include <string.h>

const char *const COMPUTES[] = {"auto", "f32", "bf16", NULL};

const char *device_choice_name(const struct device_choice *c) {
    return c->device != NULL ? c->device : "auto";
}

int device_choice_settle(struct device_choice *c, struct error *e) {
    const char *device = device_choice_name(c), *compute = COMPUTES[c->compute];
    struct error why;
    int rc = backend_open(&c->backend, device, &why);
    if (rc < 0) {
        bool named = strcmp(device, "auto") != 0;
        return error_set(e, named ? ERR_USAGE : rc, "--device %s: %.400s", device, why.text);
    }
    rc = backend_compute(c->backend, compute, &c->type, e);
    return rc < 0 ? error_context(e, "--compute %s", compute) : 0;
}
