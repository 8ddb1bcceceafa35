/* source.h - where a network on a tape has its parameters from: trained ones (train/parameters.h),
 * or others that are only read. */
#ifndef OCC_TRAIN_TAPE_SOURCE_H
#define OCC_TRAIN_TAPE_SOURCE_H

#include "train/tape/tape.h"

struct tape_source {
    /* The parameter of this name, by tape_parameter; NULL where there is none: the tape then has
     * failed. */
    struct node *(*find)(const void *context, struct tape *t, const char *name);
    const void *context;
};

struct node *tape_named(const struct tape_source *s, struct tape *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* tape_linear with "PREFIXNAME.weight" and "PREFIXNAME.bias". */
struct node *tape_named_linear(const struct tape_source *s, struct tape *t, struct node *x,
                               const char *prefix, const char *name);
struct node *tape_named_layer_norm(const struct tape_source *s, struct tape *t, struct node *x,
                                   const char *prefix, const char *name, float eps);

#endif
