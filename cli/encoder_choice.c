/* encoder_choice.c - see encoder_choice.h. */
#include "cli/encoder_choice.h"

#include "cli/data_file.h"

int encoder_choice_find(struct encoder_choice *c, struct error *e) {
    if (c->file != NULL) {
        return 0;
    }
    c->file = c->bundled;
    return data_file_find(c->bundled, sizeof c->bundled, "nano.safetensors", e);
}

int encoder_choice_settle(struct encoder_choice *c, struct error *e) {
    int rc = device_choice_settle(&c->device, e);
    if (rc < 0) {
        return rc;
    }
    rc = encoder_choice_find(c, e);
    return rc < 0 ? error_context(e, "no encoder is named (--model FILE), and the bundled one") : 0;
}
