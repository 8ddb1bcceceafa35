/* parameters.h - what is trained: named tensors side by side in one array.
 *
 * The arrays of values, of their running means for AdamW and of gradients have the same layout:
 * parameter p lies at p->offset, each begins on 64 bytes. Gradients are the caller's, so that
 * several threads have some of their own. */
#ifndef OCC_TRAIN_PARAMETERS_H
#define OCC_TRAIN_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/config.h"
#include "train/tape.h"

struct parameter {
    struct tensor_spec spec;
    int64_t rows, width; /* as products see it: (outputs, inputs); vectors are (1, n) */
    size_t offset, count;
};

struct parameters; /* opaque */

int parameters_open(struct parameters **out, struct error *e);
void parameters_close(struct parameters *p); /* NULL is allowed */

/* Before parameters_allocate. ERR_FORMAT for a name given twice. */
int parameters_add(struct parameters *p, const struct tensor_spec *spec, struct error *e);
/* Of an encoder: what its file must hold (optional tensors are left out). */
int parameters_add_encoder(struct parameters *p, const struct encoder_config *config,
                           struct error *e);
int parameters_allocate(struct parameters *p, struct error *e);

size_t parameters_count(const struct parameters *p);
const struct parameter *parameters_get(const struct parameters *p, size_t index);
const struct parameter *parameters_find(const struct parameters *p, const char *name); /* or NULL */
size_t parameters_total(const struct parameters *p); /* numbers in each array, gaps included */
float *parameters_values(const struct parameters *p);

/* The values of all parameters from a file; tensors of it that are not parameters are passed over.
 * ERR_FORMAT names what is missing or of another shape. */
int parameters_load(struct parameters *p, const char *path, struct error *e);
/* As parameters_load, but what is missing or of another shape keeps the values that it has; *kept:
 * how many these are. */
int parameters_load_some(struct parameters *p, const char *path, size_t *kept, struct error *e);
/* Writes the parameters for which `keep` holds (NULL: all) from `values`, an array of the same
 * layout, as F32. */
int parameters_save(const struct parameters *p, const char *path, const float *values,
                    bool (*keep)(const struct tensor_spec *spec), const json_t *metadata,
                    struct error *e);

/* Numbers [first, end) of the values in BF16, for products: to be called after each change. */
int parameters_round(struct parameters *p, const struct backend_ops *ops, struct context *context,
                     size_t first, size_t end, struct error *e);

/* A parameter on a tape; its gradient is added to `gradients` at its offset, or not wanted where
 * that is NULL. The name is one that was added. */
struct tensor *parameters_tensor(const struct parameters *p, struct tape *t, float *gradients,
                                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
