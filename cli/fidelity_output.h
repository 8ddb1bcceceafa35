/* fidelity_output.h - what `occ eval fidelity` prints and writes. */
#ifndef OCC_CLI_FIDELITY_OUTPUT_H
#define OCC_CLI_FIDELITY_OUTPUT_H

#include <jansson.h>

#include "train/fidelity/fidelity.h"

/* One set, in one profile and mode. */
struct fidelity_line {
    const char *profile, *mode, *set, *tokenizer;
    const char *own; /* what the encoder's own operator is called: "merge", "nested" */
    const struct fidelity_result *result;
};
/* For people: the head of a profile's and mode's table, and the lines of a set. */
void fidelity_print_head(const char *profile, const char *mode);
void fidelity_print(const struct fidelity_line *line);
/* One JSON object and a newline. */
int fidelity_print_json(const struct fidelity_line *line, struct error *e);

/* What an encoder's file keeps as occ.fidelity: adds what is read of a profile after k halvings by
 * the encoder's own operator; `root` is an object. */
int fidelity_record(json_t *root, const char *profile, const struct fidelity_result *result,
                    struct error *e);

/* Confidence and accuracy by tenths of the rows; `json`: one object and a newline. */
int fidelity_print_tenths(const struct calibration_tenth tenths[CALIBRATION_TENTHS], bool json,
                          struct error *e);

#endif
