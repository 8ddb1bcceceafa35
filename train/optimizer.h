/* optimizer.h - AdamW (Loshchilov and Hutter 2019) over slices of parameters.
 *
 * Of a slice's weights w with gradients g (summed over threads, times `scale`), in step t:
 *
 *     m = beta1 m + (1 - beta1) g                     first moment
 *     v = beta2 v + (1 - beta2) g^2                   second moment
 *     w = w - rate decay w - rate factor (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *     ema = keep ema + (1 - keep) w                   keep = min(ema share, t / (t + 9))
 *
 * `rate` is that of the step (schedule.h), `factor` the product of the parameter's (tensor_spec.h)
 * and its group's, `decay` the group's share of the option where the parameter decays. A slice that
 * is not active stays as it is, moments and all, as if the step were not there.
 *
 * Slices are cut into pieces of a few thousand numbers. A thread takes pieces of its own, sums the
 * gradients of all threads there and takes their squares while they are in the cache; after that it
 * updates and clears them likewise. The result does not depend on who takes which piece. */
#ifndef OCC_TRAIN_OPTIMIZER_H
#define OCC_TRAIN_OPTIMIZER_H

#include "train/parameters.h"

struct optimizer_group {
    const char *name;   /* tensor_spec's group */
    double rate, decay; /* factors of the learning rate and of the weight decay */
};
enum { OPTIMIZER_GROUPS = 8 };

struct optimizer_options {
    double decay; /* weight decay */
    double beta1, beta2, epsilon;
    double clip;                                     /* largest norm of a gradient; 0: any */
    double ema;                                      /* share of the old; 0: no mean is kept */
    struct optimizer_group groups[OPTIMIZER_GROUPS]; /* name NULL: the end; others: 1, 1 */
};
#define OPTIMIZER_DEFAULTS                                                                         \
    { .decay = 0.01, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .clip = 1 }

/* Rows of a parameter that are trained. */
struct slice {
    size_t parameter; /* index */
    int64_t first_row, rows;
    struct tensor first_moment, second_moment; /* (rows, width), F32 */
    struct tensor ema;                         /* of the weights; data NULL without */
    double rate, decay;                        /* factor; decay */
    /* Says between the phases of a step that it stays as it is; NULL: it never does. Before the
     * gradients are learned: it has none. Once they are reduced: they are cleared, and that is all.
     */
    const bool *still;
    bool active; /* has a gradient, and takes part in the next update unless it is still */
};

/* Numbers of a slice that one thread takes at a time. */
struct piece {
    size_t slice;
    int64_t first_row, rows; /* of the slice */
};

struct optimizer {
    struct optimizer_options options;
    struct parameters *parameters;
    int64_t step; /* that were taken */
    struct slice *slices;
    size_t slice_count;
    struct piece *pieces;
    size_t piece_count;
    struct tensor squares; /* of the gradients of each piece, F32 (pieces) */
};

/* `chosen`: slices of which parameter, first_row, rows and still count, in order of the first two,
 * none twice;
 * NULL: all trainable parameters, whole. Memory is that of the parameters' device. */
int optimizer_open(struct optimizer *o, struct parameters *p,
                   const struct optimizer_options *options, const struct slice *chosen,
                   size_t count, struct error *e);
void optimizer_close(struct optimizer *o);
/* Of moments and means; `chosen` as above, also before anything is allocated. */
size_t optimizer_bytes(const struct parameters *p, const struct optimizer_options *options,
                       const struct slice *chosen, size_t count);

/* Those slices become active that are not still, and whose parameters have a gradient in one of the
 * lists. */
void optimizer_activate(struct optimizer *o, const struct gradients *const lists[], size_t count);

/* The pieces of thread `i` of `threads`: [*first, *end), of about as many numbers as
 * any other's. */
void optimizer_share(const struct optimizer *o, size_t i, size_t threads, size_t *first,
                     size_t *end);

/* On `device`, for active pieces: lists[0] += the others, and their squares. */
int optimizer_reduce(struct optimizer *o, struct device *device,
                     const struct gradients *const lists[], size_t count, size_t first, size_t end,
                     struct error *e);
/* The squares of the gradients of each slice, once all pieces are reduced. */
int optimizer_slice_squares(const struct optimizer *o, double *sums, struct error *e);
/* The norm of all gradients, but of slices that are still. */
int optimizer_norm(const struct optimizer *o, double *norm, struct error *e);
/* On `device`: the step with gradients lists[0] times `scale`; 0: none. Clears the gradients of all
 * lists. Once all threads are there, one adds 1 to `step`. */
int optimizer_update(struct optimizer *o, struct device *device,
                     const struct gradients *const lists[], size_t count, double rate, double scale,
                     size_t first, size_t end, struct error *e);

/* The values of a parameter that are shipped: the mean of its weights with ema, else
 * its weights. */
int optimizer_read(const struct optimizer *o, size_t parameter, float *values, struct error *e);
/* The same by name, for writers of files: `context` is the optimizer, which is only read. */
parameters_named_reader optimizer_read_named;

#endif
