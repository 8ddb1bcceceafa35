/* encoder_choice.c - see encoder_choice.h. */
#include "cli/encoder_choice.h"

#include "cli/data_file.h"

enum compute_choice { COMPUTE_AUTO, COMPUTE_F32, COMPUTE_BF16 };
const char *const COMPUTES[] = {
    [COMPUTE_AUTO] = "auto", [COMPUTE_F32] = "f32", [COMPUTE_BF16] = "bf16", NULL};

int encoder_choice_settle(struct encoder_choice *c, struct error *e) {
    int rc = backend_open(&c->backend, BACKEND_NAMES[c->device], e);
    if (rc < 0) {
        error_context(e, "--device %s", BACKEND_NAMES[c->device]);
        return rc;
    }
    rc = backend_compute(c->backend, COMPUTES[c->compute], &c->type, e);
    if (rc < 0) {
        error_context(e, "--compute %s", COMPUTES[c->compute]);
        return rc;
    }
    if (c->file != NULL) {
        return 0;
    }
    c->file = c->bundled;
    rc = data_file_find(c->bundled, sizeof c->bundled, "nano.safetensors", e);
    return rc < 0 ? error_context(e, "no encoder is named (--model FILE), and the bundled one") : 0;
}
