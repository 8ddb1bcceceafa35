/* checkpoint.h - the state of a training run in a safetensors file, which any program that reads
 * such files can open. Of each trained parameter NAME:
 *
 *     value.NAME    its weights, in the shape that they are shipped in
 *     m.NAME        first moments, in that shape
 *     v.NAME        second moments, likewise
 *     ema.NAME      the mean of its weights, likewise, with optimizer_options.ema
 *
 * Of a slice, rows FIRST to END - 1 of NAME: m.NAME[FIRST:END] (rows, width), v and ema likewise.
 *
 * All are F32, so that a run goes on bit by bit as if it had not been stopped. Frozen parameters
 * stay in the file that they came from. Metadata: "occ.training" holds the caller's JSON (options,
 * counts, the state of a sampler) with the member "step"; "occ.layout" a hash of the names, shapes
 * and slices.
 *
 * A file appears complete or not at all (store/file.h: temporary name, sync, rename). */
#ifndef OCC_TRAIN_CHECKPOINT_H
#define OCC_TRAIN_CHECKPOINT_H

#include "train/optimizer.h"

/* `state`: an object; "step" is added. */
int checkpoint_save(const char *path, const struct optimizer *o, json_t *state, struct error *e);
/* Fills the optimizer's parameters, moments and step. *state: the caller's reference. 1: loaded; 0:
 * there is no such file. ERR_FORMAT for a file of other parameters, ERR_UNSUPPORTED for one of an
 * earlier version of this program. */
int checkpoint_load(const char *path, struct optimizer *o, json_t **state, struct error *e);

#endif
