/* train_adapters.c - what commands that train adapters have in common: see train_command.h. */
#include <inttypes.h>
#include <string.h>

#include "cli/mix.h"
#include "cli/number.h"
#include "cli/train_command.h"
#include "store/json.h"

static const char *const TARGETS[DECODER_MATRICES + 1] = {"q",    "k",  "v",    "o",
                                                          "gate", "up", "down", NULL};

int train_adapters_check(struct train_arguments *a, struct trainer_options *o, const char *takes,
                         struct error *e) {
    o->time_ms = a->tune.time_ms;
    o->compute = COMPUTES[a->device.compute];
    o->team = a->threads;
    if (a->tune.recompute >= 0) {
        o->tape.recompute = (enum tape_recompute)a->tune.recompute;
    }
    if (a->tune.json && !a->tune.predict) {
        return error_set(e, ERR_USAGE, "--json is how --predict prints");
    }
    if (a->tune.model == NULL) {
        return error_set(e, ERR_USAGE, "no model is named: --model FOLDER");
    }
    if (a->files == 0 && !a->tune.predict) {
        return error_set(e, ERR_USAGE, "%s", takes);
    }
    if (a->tune.predict && a->output == NULL) {
        a->output = ""; /* nothing is written */
    }
    return 0;
}

const char *train_shape_named(const struct train_arguments *a) {
    return a->tune.rank > 0          ? "--rank"
           : a->tune.alpha != NULL   ? "--alpha"
           : a->tune.targets != NULL ? "--targets"
                                     : NULL;
}

int train_lora(const struct train_arguments *a, struct lora_options *o, struct error *e) {
    double shares[DECODER_MATRICES];
    int rc = 0;
    if (a->tune.targets != NULL) {
        rc = mix_parse(shares, TARGETS, "targets", a->tune.targets, e);
        for (int i = 0; i < DECODER_MATRICES && rc == 0; i++) {
            o->matrices[i] = shares[i] > 0;
        }
    }
    o->rank = a->tune.rank > 0 ? a->tune.rank : o->rank;
    o->alpha = 2 * (double)o->rank;
    if (rc == 0 && a->tune.alpha != NULL) {
        rc = number_parse(&o->alpha, "alpha", a->tune.alpha, 0, 1e6, e);
    }
    if (rc == 0 && a->tune.dropout != NULL) {
        rc = number_parse(&o->dropout, "dropout", a->tune.dropout, 0, 0.9, e);
    }
    return rc;
}

/* ---- The forecast ---------------------------------------------------------------------------- */

static bool is_preset(const char *name) {
    for (int i = 0; DECODER_PRESETS[i] != NULL; i++) {
        if (strcmp(name, DECODER_PRESETS[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int append_lines(struct bytes *out, const size_t bytes[LEDGER_COUNT], struct error *e) {
    int rc = 0;
    for (int i = 0; i <= LEDGER_COUNT && rc == 0; i++) {
        const char *name = i < LEDGER_COUNT ? LEDGER_NAMES[i] : "total";
        const size_t count = i < LEDGER_COUNT ? bytes[i] : ledger_total(bytes);
        rc = bytes_printf(out, e, "%-12s %9.1f MB\n", name, (double)count * 1e-6);
    }
    return rc;
}

static int append_json(struct bytes *out, const size_t bytes[LEDGER_COUNT], struct error *e) {
    json_t *root = ledger_json(bytes);
    int rc = root != NULL ? json_append(out, root, e) : error_memory(e, NULL);
    json_decref(root);
    return rc == 0 ? bytes_append(out, "\n", 1, e) : rc;
}

int train_predict(struct train_arguments *a, train_forecast *forecast, struct error *e) {
    const bool preset = is_preset(a->tune.model);
    struct decoder_folder folder = {.path = NULL};
    struct decoder_config config;
    struct ledger ledger;
    struct bytes text;
    int rc = preset ? decoder_preset(&config, a->tune.model, e)
                    : decoder_folder_open(&folder, a->tune.model, e);
    if (rc == 0) {
        config = preset ? config : folder.config;
        rc = forecast(a, &config, preset ? NULL : &folder, &ledger, e);
    }
    bytes_init(&text, 1 << 20);
    if (rc == 0) {
        rc = a->tune.json ? append_json(&text, ledger.predicted, e)
                          : append_lines(&text, ledger.predicted, e);
    }
    if (rc == 0) {
        rc = options_print(bytes_text(&text), e);
    }
    bytes_close(&text);
    decoder_folder_close(&folder);
    return rc;
}
