/* encoder_choice.c - see encoder_choice.h. */
#include "cli/encoder_choice.h"

#include "cli/data_file.h"

enum device_choice { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA };
const char *const DEVICES[] = {
    [DEVICE_AUTO] = "auto", [DEVICE_CPU] = "cpu", [DEVICE_CUDA] = "cuda", NULL};

enum compute_choice { COMPUTE_AUTO, COMPUTE_F32, COMPUTE_BF16 };
const char *const COMPUTES[] = {
    [COMPUTE_AUTO] = "auto", [COMPUTE_F32] = "f32", [COMPUTE_BF16] = "bf16", NULL};

int encoder_choice_check(const struct encoder_choice *c, struct error *e) {
    return c->device == DEVICE_CUDA
               ? error_set(e, ERR_USAGE, "--device cuda: this build has no CUDA")
               : 0;
}

int encoder_choice_find(struct encoder_choice *c, struct error *e) {
    if (c->file != NULL) {
        return 0;
    }
    c->file = c->bundled;
    return data_file_find(c->bundled, sizeof c->bundled, "nano.safetensors", e);
}

int encoder_choice_settle(struct encoder_choice *c, struct error *e) {
    int rc = encoder_choice_check(c, e);
    if (rc < 0) {
        return rc;
    }
    rc = encoder_choice_find(c, e);
    return rc < 0 ? error_context(e, "no encoder is named (--model FILE), and the bundled one") : 0;
}

const struct backend_ops *encoder_choice_backend(const struct encoder_choice *c) {
    (void)c; /* auto is the processor, until there is another */
    return &BACKEND_CPU;
}

enum dtype encoder_choice_compute(const struct encoder_choice *c) {
    bool bf16 = c->compute == COMPUTE_BF16 ||
                (c->compute == COMPUTE_AUTO && encoder_choice_backend(c)->has_bf16());
    return bf16 ? DTYPE_BF16 : DTYPE_F32;
}
