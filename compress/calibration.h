/* calibration.h - from the confidence of a reading head to the accuracy that goes with it.
 *
 * A head that was trained by cross-entropy ranks its rows well, but its confidence is no
 * probability. `occ eval fidelity --calibrate` measures what goes with what; the file of an encoder
 * carries it as metadata:
 *
 *     "occ.calibration": {"confidence": [0.31, 0.84, ...], "accuracy": [0.12, 0.7, ...]}
 *
 * the knots of a line that never falls: of a row read with that mean confidence of its characters,
 * so much of the text is right. Below the first knot and above the last one it is level. */
#ifndef OCC_COMPRESS_CALIBRATION_H
#define OCC_COMPRESS_CALIBRATION_H

#include <jansson.h>

#include "store/error.h"

#define CALIBRATION_METADATA "occ.calibration" /* the key under which safetensors files hold it */
enum { CALIBRATION_KNOTS = 16 };

struct calibration {
    int count; /* 0: none, confidence stays as it is */
    double confidence[CALIBRATION_KNOTS], accuracy[CALIBRATION_KNOTS];
};

/* ERR_FORMAT, which says what is wrong: lists of one length from 2 to CALIBRATION_KNOTS, numbers
 * from 0 to 1, confidence rising, accuracy not falling. */
int calibration_parse(struct calibration *c, const char *text, struct error *e);
/* A new reference; NULL: out of memory. */
json_t *calibration_json(const struct calibration *c);
double calibration_apply(const struct calibration *c, double confidence);

#endif
