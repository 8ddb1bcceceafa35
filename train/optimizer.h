/* optimizer.h - AdamW (Loshchilov and Hutter 2019) over parameters.h, and its learning rate. */
#ifndef OCC_TRAIN_OPTIMIZER_H
#define OCC_TRAIN_OPTIMIZER_H

#include "train/kernels.h"
#include "train/parameters.h"

struct optimizer_options {
    double rate;         /* the highest learning rate */
    double decay;        /* weight decay, of matrices */
    double beta1, beta2; /* of the running means of gradients and of their squares */
    double epsilon;
    double clip;            /* largest norm of a gradient; 0: any */
    double average;         /* of the weights' running mean: share of the old; 0: none is kept */
    int64_t steps, warm_up; /* steps in all; of the linear rise. Behind it half a cosine to 0 */
};
#define OPTIMIZER_DEFAULTS                                                                         \
    {                                                                                              \
        .rate = 1e-3, .decay = 0.01, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .clip = 1,      \
        .warm_up = 100                                                                             \
    }

/* Arrays of the parameters' layout. */
struct optimizer {
    struct optimizer_options options;
    const struct kernels *kernels;
    int64_t step;             /* that were taken */
    float *means, *variances; /* of the gradients */
    float *averages;          /* of the weights; NULL without `average` */
};
int optimizer_open(struct optimizer *o, const struct parameters *p,
                   const struct optimizer_options *options, struct error *e);
void optimizer_close(struct optimizer *o);

/* The learning rate of the step that comes next. */
double optimizer_rate(const struct optimizer *o);

/* Numbers [first, end) of the parameters: the next step with gradients times `scale`. What has no
 * gradient at all stays as it is, as if it were not there. Several threads may do parts of their
 * own; one then adds 1 to `step`. */
void optimizer_update(const struct optimizer *o, struct parameters *p, const float *gradients,
                      double scale, size_t first, size_t end);

#endif
