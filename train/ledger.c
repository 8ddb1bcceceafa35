/* ledger.c - see ledger.h. */
#include "train/ledger.h"

#include <stdio.h>

#include "store/log.h"

const char *const LEDGER_NAMES[LEDGER_COUNT] = {
    [LEDGER_WEIGHTS] = "weights", [LEDGER_GRADIENTS] = "gradients",
    [LEDGER_MOMENTS] = "moments", [LEDGER_ACTIVATIONS] = "activations",
    [LEDGER_SCRATCH] = "scratch", [LEDGER_FROZEN] = "frozen",
    [LEDGER_TEXT] = "text"};

size_t ledger_total(const size_t bytes[LEDGER_COUNT]) {
    size_t sum = 0;
    for (int i = 0; i < LEDGER_COUNT; i++) {
        sum += bytes[i];
    }
    return sum;
}

json_t *ledger_json(const size_t bytes[LEDGER_COUNT]) {
    json_t *root = json_object();
    bool made = root != NULL;
    for (int i = 0; i < LEDGER_COUNT && made; i++) {
        made = json_object_set_new(root, LEDGER_NAMES[i], json_integer((json_int_t)bytes[i])) == 0;
    }
    made = made &&
           json_object_set_new(root, "total", json_integer((json_int_t)ledger_total(bytes))) == 0;
    if (!made) {
        json_decref(root);
        return NULL;
    }
    return root;
}

void ledger_log(const char *title, const size_t bytes[LEDGER_COUNT]) {
    char text[256];
    size_t used = 0;
    for (int i = 0; i < LEDGER_COUNT && used < sizeof text; i++) {
        if (i > LEDGER_SCRATCH && bytes[i] == 0) {
            continue; /* few tasks have these */
        }
        int n = snprintf(text + used, sizeof text - used, "%s%s %.1f", i > 0 ? ", " : "",
                         LEDGER_NAMES[i], (double)bytes[i] * 1e-6);
        used += n > 0 ? (size_t)n : 0;
    }
    log_info("%s %.1f MB of memory: %s", title, (double)ledger_total(bytes) * 1e-6, text);
}
