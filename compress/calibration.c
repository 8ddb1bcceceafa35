/* calibration.c - see calibration.h. */
#include "compress/calibration.h"

#include <stdbool.h>

static int read_knots(double *out, const json_t *list, int count, bool rising, const char *name,
                      struct error *e) {
    for (int i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, (size_t)i);
        double value = json_number_value(item);
        if (!json_is_number(item) || value < 0 || value > 1) {
            return error_set(e, ERR_FORMAT, "a calibration whose %s is not from 0 to 1", name);
        }
        if (i > 0 && (rising ? value <= out[i - 1] : value < out[i - 1])) {
            return error_set(e, ERR_FORMAT, "a calibration whose %s falls or stands still", name);
        }
        out[i] = value;
    }
    return 0;
}

int calibration_parse(struct calibration *c, const char *text, struct error *e) {
    json_t *root = json_loads(text, 0, NULL);
    const json_t *confidence = json_object_get(root, "confidence");
    const json_t *accuracy = json_object_get(root, "accuracy");
    size_t count = json_array_size(confidence);
    int rc = 0;
    *c = (struct calibration){.count = 0};
    if (count < 2 || count > CALIBRATION_KNOTS || json_array_size(accuracy) != count) {
        rc = error_set(e, ERR_FORMAT,
                       "a calibration is {\"confidence\": [...], \"accuracy\": [...]}, of 2 to %d "
                       "numbers each",
                       CALIBRATION_KNOTS);
    }
    if (rc == 0) {
        rc = read_knots(c->confidence, confidence, (int)count, true, "confidence", e);
    }
    if (rc == 0) {
        rc = read_knots(c->accuracy, accuracy, (int)count, false, "accuracy", e);
    }
    c->count = rc == 0 ? (int)count : 0;
    json_decref(root);
    return rc;
}

json_t *calibration_json(const struct calibration *c) {
    json_t *confidence = json_array(), *accuracy = json_array();
    bool whole = true;
    for (int i = 0; i < c->count && whole; i++) {
        whole = json_array_append_new(confidence, json_real(c->confidence[i])) == 0 &&
                json_array_append_new(accuracy, json_real(c->accuracy[i])) == 0;
    }
    json_t *root = json_pack("{s:o, s:o}", "confidence", confidence, "accuracy", accuracy);
    if (!whole) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

double calibration_apply(const struct calibration *c, double confidence) {
    if (c->count == 0) {
        return confidence;
    }
    int i = 1;
    while (i < c->count && c->confidence[i] < confidence) {
        i++;
    }
    if (i == c->count || confidence <= c->confidence[0]) {
        return i == c->count ? c->accuracy[i - 1] : c->accuracy[0];
    }
    double share = (confidence - c->confidence[i - 1]) / (c->confidence[i] - c->confidence[i - 1]);
    return c->accuracy[i - 1] + share * (c->accuracy[i] - c->accuracy[i - 1]);
}
