/* checkpoint.h - the state of a training in a safetensors file: "values", "means", "variances" and,
 * where it is kept, "averages", each the whole array, F32, so that a training goes on bit by bit as
 * if it had not been stopped. Metadata "occ.training" holds the JSON of the caller, with the member
 * "step"; "occ.layout" a hash of the parameters' names and shapes.
 *
 * A file appears complete or not at all (store/file.h: temporary name, sync, rename). */
#ifndef OCC_TRAIN_CHECKPOINT_H
#define OCC_TRAIN_CHECKPOINT_H

#include "train/optimizer.h"

/* `state`: an object; "step" is added. */
int checkpoint_save(const char *path, const struct parameters *p, const struct optimizer *o,
                    json_t *state, struct error *e);
/* *state: the caller's reference. 1: loaded; 0: there is no such file. ERR_FORMAT for a file of
 * other parameters. */
int checkpoint_load(const char *path, struct parameters *p, struct optimizer *o, json_t **state,
                    struct error *e);

#endif
