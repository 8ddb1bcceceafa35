/* device_choice.c - see device_choice.h. */
#include "cli/device_choice.h"

const char *const COMPUTES[] = {"auto", "f32", "bf16", NULL};

int device_choice_settle(struct device_choice *c, struct error *e) {
    int rc = backend_open(&c->backend, BACKEND_NAMES[c->device], e);
    if (rc < 0) {
        return error_context(e, "--device %s", BACKEND_NAMES[c->device]);
    }
    rc = backend_compute(c->backend, COMPUTES[c->compute], &c->type, e);
    return rc < 0 ? error_context(e, "--compute %s", COMPUTES[c->compute]) : 0;
}
