/* calibrate.h - the confidence of rows beside their accuracy: a table of what was measured, and the
 * line through it that an encoder's file carries (compress/calibration.h). */
#ifndef OCC_TRAIN_FIDELITY_CALIBRATE_H
#define OCC_TRAIN_FIDELITY_CALIBRATE_H

#include <stddef.h>
#include <stdint.h>

#include "compress/calibration.h"

/* A row of a page (of a page in cells: a cell) as it was read. */
struct measured_row {
    float confidence; /* of the reading head, as it is */
    float accuracy;   /* text_accuracy against what stands there */
};
struct measured_rows {
    struct measured_row *items; /* owned */
    size_t count, capacity;
};
int measured_rows_add(struct measured_rows *rows, const struct measured_row *row, struct error *e);
void measured_rows_close(struct measured_rows *rows);

/* Puts the rows in the order of their confidence. */
void measured_rows_sort(struct measured_rows *rows);

/* A tenth of sorted rows, the least sure first: means. `expected`: their confidence by `c`. */
enum { CALIBRATION_TENTHS = 10 };
struct calibration_tenth {
    int64_t rows;
    double confidence, expected, accuracy;
    double whole; /* share of the rows without an error */
};
void calibration_table(struct calibration_tenth tenths[CALIBRATION_TENTHS],
                       const struct measured_rows *sorted, const struct calibration *c);

/* The rising line nearest to sorted rows: accuracies by isotonic regression (neighbours that fall
 * are pooled), of whose steps at most CALIBRATION_KNOTS become knots, those first that the line
 * between the others misses by most. ERR_FORMAT: fewer than CALIBRATION_ROWS rows, or all of one
 * confidence. */
enum { CALIBRATION_ROWS = 200 };
int calibration_fit(struct calibration *c, const struct measured_rows *sorted, struct error *e);

#endif
