/* gspf.h - gradient-surgical parameter freezing: few rows of a decoder are trained, chosen by the
 * gradients of the first steps.
 *
 * Unit: a block of rows of a block's matrix. Phase A: rows of training data go forward and back, no
 * weight moves; each matrix' gradient is reduced to a few numbers a unit and freed at once:
 *
 *     a = EMA of mean |g|     s = EMA of S g     q = EMA of |S g|^2
 *     score = (a / mean |w|) stability         stability = |s|^2 / q
 *
 * where S g are 16 sums of the unit's numbers with fixed random signs, whose expected |S g|^2 is
 * |g|^2 (Alon, Matias and Szegedy 1996). So stability stands for |EMA of g|^2 / EMA of |g|^2,
 * without a gradient being kept: 1 where it stays as it is, near 0 where it is noise.
 *
 * Phase B: the best units of each matrix, as large a share of every one as the budget has room for:
 * scores of different matrices are on different scales, and by these alone nearly all rows would be
 * those of the first layers (train/README.md). A unit's bytes are those of its weights, gradient
 * and moments; the activations that the lowest chosen layer makes the backward pass keep are paid
 * for, too. Phase C: AdamW on these; a unit whose gradient stays small for some steps is frozen,
 * and every so many steps 1/16 of the frozen ones are looked at again. */
#ifndef OCC_TRAIN_GSPF_GSPF_H
#define OCC_TRAIN_GSPF_GSPF_H

#include <jansson.h>

#include "train/decoder/decoder.h"
#include "train/gspf/mask.h"
#include "train/lora/lora.h"
#include "train/optimizer.h"
#include "train/parameters.h"

struct gspf_options {
    int64_t rows;  /* of a unit */
    double budget; /* share of the decoder's parameters that is trained, at most; 0: any */
    size_t memory; /* bytes that the run takes in all, at most; 0: any */
    double keep;   /* of the EMAs */
    /* A gradient (root mean square) below this share of what it was in the unit's first steps, for
     * `patience` steps in a row, freezes it; 0: never. |w| of what is frozen does not change, so
     * this is the relative gradient |g| / |w|. */
    double freeze;
    int64_t patience; /* also the steps that say what it was at first */
    int64_t probe;    /* steps between looks at frozen units; 0: they stay so */
};
#define GSPF_DEFAULTS                                                                              \
    { .rows = 4, .budget = 0.02, .keep = 0.95, .freeze = 0.1, .patience = 20, .probe = 50 }
/* ERR_USAGE where options make no sense. */
int gspf_check(const struct gspf_options *o, struct error *e);

/* ---- On a tape: frozen matrices with rows that are trained ----------------------------------- */

/* The trained differences from the frozen rows, zeros at first: one tensor a matrix of the mask,
 * "rows.model.layers.3.mlp.up_proj.weight" (chosen rows, inputs), group "gspf"; lean. */
int gspf_list(const struct mask *m, const struct decoder_config *c, tensor_spec_take *take,
              void *context, struct error *e);

/* Outlived by what it points to. */
struct gspf_scores;
struct gspf_source {
    const struct mask *mask;
    const struct decoder *base;
    const struct lora_source *lora; /* of the same base, added too; NULL: none */
    const struct tape_source *source;
    const bool *still;          /* units of the mask that do not learn now; NULL: none */
    struct gspf_scores *scores; /* that are told of the gradients of whole matrices; NULL: none */
};
/* y = x W^T, and x D^T added to the columns of the chosen rows. */
struct decoder_parts gspf_parts(const struct gspf_source *s);

/* ---- Phase A --------------------------------------------------------------------------------- */

/* `lora`: added to the base, NULL: none. `device`: of the base's backend, of this thread; to be
 * there until it is closed. */
int gspf_scores_open(struct gspf_scores **out, const struct gspf_options *o,
                     const struct decoder *base, const struct lora_source *lora,
                     struct device *device, struct error *e);
void gspf_scores_close(struct gspf_scores *s); /* NULL is allowed */
/* The base's parts, whose matrices have gradients: the tape's, which end with the call of the
 * sink. */
struct decoder_parts gspf_probe_parts(struct gspf_scores *s);
/* For tape_set_sink, with the scores as its context; no other parameter on that tape learns. */
tape_sink gspf_scores_sink;
/* After the backward pass of each training row, whose loss is a mean. False: the row was left out,
 * since it has a gradient that is not finite, which would stay in the EMAs for good. */
bool gspf_scores_step(struct gspf_scores *s);

/* ---- Phase B --------------------------------------------------------------------------------- */

/* What memory is paid for: see gspf_options. */
struct gspf_cost {
    size_t fixed;     /* what the run takes without any unit */
    size_t parameter; /* of a unit: value, gradients of all threads, moments; 16 with one thread */
    size_t layer; /* what the backward pass keeps of each layer from the lowest chosen one on; 0: it
                     goes further down anyway */
};
/* The best units of each matrix, by score per byte, from some layer on: from the one from which on
 * they are worth most, by scores beside the mean of their matrix. ERR_USAGE where no unit fits,
 * ERR_FORMAT where none has a score. */
int gspf_choose(struct mask *out, const struct gspf_scores *s, const struct gspf_cost *cost,
                struct error *e);
/* By chance alone, from all layers: the baseline, and what a forecast counts with. Within a budget
 * as much as gspf_choose; within a memory it pays for all layers, and where these cost something it
 * has fewer rows than a choice that leaves the first layers out. */
int gspf_choose_random(struct mask *out, const struct gspf_options *o,
                       const struct decoder_config *c, const struct gspf_cost *cost, uint64_t seed,
                       struct error *e);

/* ---- Phase C --------------------------------------------------------------------------------- */

struct gspf_freeze;
/* `units` of a mask. */
int gspf_freeze_open(struct gspf_freeze **out, const struct gspf_options *o, size_t units,
                     struct error *e);
void gspf_freeze_close(struct gspf_freeze *f); /* NULL is allowed */
/* For gspf_source and gspf_slices; written by the two calls below. */
const bool *gspf_freeze_still(const struct gspf_freeze *f);
/* In task.plan of the step with this number: those that are looked at learn in it. */
void gspf_freeze_plan(struct gspf_freeze *f, int64_t step);
/* In task.watch: who is still in this step, and from now on. */
int gspf_freeze_watch(struct gspf_freeze *f, const struct optimizer *o, struct error *e);
size_t gspf_freeze_count(const struct gspf_freeze *f); /* frozen now */
/* For checkpoints: a new reference, and back. */
json_t *gspf_freeze_state(const struct gspf_freeze *f);
int gspf_freeze_restore(struct gspf_freeze *f, const json_t *state, struct error *e);

/* For task.slices: a slice each unit, and all other trained parameters whole. `still`: of
 * gspf_freeze_still, or NULL. *out: malloc's. */
int gspf_slices(const struct mask *m, const struct parameters *p, const bool *still,
                struct slice **out, size_t *count, struct error *e);

/* ---- The folder ------------------------------------------------------------------------------ */

/* rows.safetensors and mask.txt of an adapter's folder. */
#define GSPF_FILE "rows.safetensors"
#define GSPF_MASK "mask.txt"
/* `read` gives the values of the tensors of gspf_list. */
int gspf_write(const char *folder, const struct mask *m, const struct decoder_config *c,
               const char *comment, parameters_named_reader *read, void *context, struct error *e);

struct gspf_folder {
    char *path; /* owned */
    struct mask mask;
    struct safetensors *tensors;
};
/* Whether a folder has rows. */
bool gspf_folder_is(const char *folder);
/* ERR_FORMAT names the file and what is wrong: another base, another mask than that of the rows. */
int gspf_folder_open(struct gspf_folder *f, const char *folder, const struct decoder_config *c,
                     struct error *e);
void gspf_folder_close(struct gspf_folder *f); /* {0} is allowed */
/* The values of a tensor of gspf_list. */
int gspf_folder_floats(const struct gspf_folder *f, const char *name, float *values,
                       struct error *e);
/* Adds the rows to the values of a decoder's tensor `name`, where it has some. */
int gspf_folder_add(const struct gspf_folder *f, const struct decoder_config *c, const char *name,
                    float *values, struct error *e);

/* Frozen, to generate with; base, lora (NULL: none) and device outlive it. */
struct gspf;
int gspf_open(struct gspf **out, const char *folder, const struct decoder *base,
              const struct lora_source *lora, struct device *device, struct error *e);
void gspf_close(struct gspf *g); /* NULL is allowed */
struct decoder_parts gspf_frozen_parts(const struct gspf *g);

#endif
