/* tape_state.h - what the files of the tape share. */
#ifndef OCC_TRAIN_TAPE_STATE_H
#define OCC_TRAIN_TAPE_STATE_H

#include "train/kernels.h"
#include "train/tape.h"

/* A noted operation; the first member of the struct of its own that each operation has. */
struct step {
    struct step *earlier;
    void (*backward)(struct tape *t, struct step *step);
};

struct tape_block;

struct tape {
    const struct backend_ops *ops;
    const struct kernels *kernels;
    struct context *context;
    enum dtype compute;
    struct tape_block *blocks, *current;
    size_t used, peak;
    struct step *last;
    int rc;
    struct error failure;
};

/* Keeps the first failure. */
int tape_fail(struct tape *t, int rc, const struct error *e);
/* A new tensor whose value is not filled; NULL: failed. */
struct tensor *tape_tensor(struct tape *t, int64_t rows, int64_t width, bool wanted);
/* A zeroed step, noted; NULL: failed. */
void *tape_note(struct tape *t, size_t size, void (*backward)(struct tape *, struct step *));
/* Where the gradient of x is added to (zeros at first); NULL: not wanted, or failed. */
float *tape_gradient(struct tape *t, struct tensor *x);
/* The gradient that has arrived at x, or NULL. */
const float *tape_arrived(const struct tensor *x);
/* The value in the type that products read; NULL: failed. */
const void *tape_operand(struct tape *t, struct tensor *x);
/* The same for any numbers; the result lives until the next tape_begin or tape_release. */
const void *tape_convert(struct tape *t, const float *x, size_t count);
/* Scratch memory: what was allocated after the mark is given back. */
struct tape_mark {
    struct tape_block *block;
    size_t used, total;
};
struct tape_mark tape_mark(const struct tape *t);
void tape_release(struct tape *t, struct tape_mark mark);

static inline size_t tensor_count(const struct tensor *x) {
    return (size_t)x->rows * (size_t)x->width;
}

/* multiply of the backend with batch 1; failures are kept. */
void tape_multiply(struct tape *t, float *out, const void *a, bool a_transposed, const void *b,
                   bool b_transposed, int64_t m, int64_t n, int64_t k, bool accumulate);

#endif
