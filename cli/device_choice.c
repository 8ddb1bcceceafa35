/* device_choice.c - see device_choice.h. */
#include "cli/device_choice.h"

const char *const COMPUTES[] = {"auto", "f32", "bf16", NULL};

int device_choice_settle(struct device_choice *c, struct error *e) {
    const char *device = BACKEND_NAMES[c->device], *compute = COMPUTES[c->compute];
    struct error why;
    if (backend_open(&c->backend, device, &why) < 0) {
        return error_set(e, ERR_USAGE, "--device %s: %.400s", device, why.text);
    }
    if (backend_compute(c->backend, compute, &c->type, &why) < 0) {
        return error_set(e, ERR_USAGE, "--compute %s: %.400s", compute, why.text);
    }
    return 0;
}
