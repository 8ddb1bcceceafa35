/* tensor_spec.h - what whoever lists the tensors of a network says of each: its name and shape in
 * files, what it begins with and how it is trained. Nothing is guessed from a name.
 *
 * config.h and reading.h list; loading, making new files and training read what they need. */
#ifndef OCC_COMPRESS_TENSOR_SPEC_H
#define OCC_COMPRESS_TENSOR_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "store/error.h"

enum { TENSOR_SPEC_RANK = 4, TENSOR_SPEC_NAME = 128 };

enum tensor_kind {
    TENSOR_MATRIX, /* of products: (outputs, inputs), or a convolution (outputs, inputs, ky, kx) */
    TENSOR_TABLE,  /* rows that are added or looked up: (.., width) */
    TENSOR_GAIN,   /* of a norm */
    TENSOR_BIAS
};

struct tensor_spec {
    char name[TENSOR_SPEC_NAME]; /* as in files */
    int rank;
    int64_t shape[TENSOR_SPEC_RANK];
    enum tensor_kind kind;
    int64_t rows;      /* of the matrix that it is in memory: outputs, rows of a table, 1 */
    bool optional;     /* part of published files, but never used */
    float constant;    /* the first values: constant + deviation * normal numbers */
    double deviation;  /* 0: all alike */
    const char *group; /* of the optimizer: a constant text */
    bool trainable;    /* false: has no gradient and no moments */
    bool decays;       /* by weight decay */
    double rate;       /* factor of the learning rate */
    bool shipped;      /* belongs into the file of weights that training makes */
    bool lean;         /* a trained matrix that has no copy in BF16: products read it as it is */
};

/* A spec without a name, trainable and shipped. The sizes after the last are 0. Matrices
 * begin with the variance 1 / inputs and decay; tables with the deviation 0.02; gains with
 * 1, biases with 0. */
struct tensor_spec tensor_spec_of(enum tensor_kind kind, const char *group,
                                  const int64_t shape[TENSOR_SPEC_RANK]);
int64_t tensor_spec_count(const struct tensor_spec *s); /* elements */
int64_t tensor_spec_width(const struct tensor_spec *s); /* of a row: inputs of a matrix */

/* Called by lists for each tensor; a negative return ends the list and is its result. */
typedef int tensor_spec_take(void *context, const struct tensor_spec *spec, struct error *e);

#define TENSOR_SPEC_SHAPE(...) ((const int64_t[TENSOR_SPEC_RANK]){__VA_ARGS__})

#endif
