/* rows.c - norms, softmax, cosines, and rows in another order. */
#include <assert.h>

#include "train/tape/state.h"

/* ---- Norms ----------------------------------------------------------------------------------- */

struct norm_record {
    struct record record;
    float eps;
};

static void record_norm(struct tape *t, struct node *y, struct node *const inputs[RECORD_INPUTS],
                        float eps,
                        void (*backward)(struct tape *, struct record *, const struct tensor *)) {
    struct norm_record *r = tape_record(t, sizeof *r, backward, y, inputs);
    if (r != NULL) {
        r->eps = eps;
    }
}

static void layer_norm_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    const struct tensor *dx = tape_gradient(t, r->x[0]), *dgamma = tape_gradient(t, r->x[1]);
    const struct tensor *dbeta = tape_gradient(t, r->x[2]);
    CALL(t, layer_norm_backward, dx, dgamma, dbeta, &r->x[0]->value, &r->x[1]->value, dy,
         ((const struct norm_record *)r)->eps);
}

struct node *tape_layer_norm(struct tape *t, struct node *x, struct node *gamma, struct node *beta,
                             float eps) {
    if (!tape_ready(t, x) || gamma == NULL || beta == NULL) {
        return NULL;
    }
    struct node *y = tape_node(t, t->options.storage, x->value.shape, INPUTS(x, gamma, beta));
    if (y == NULL) {
        return NULL;
    }
    CALL(t, layer_norm, &y->value, &x->value, &gamma->value, &beta->value, eps);
    record_norm(t, y, INPUTS(x, gamma, beta), eps, layer_norm_backward);
    return tape_done(t, y);
}

static void rms_norm_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    const struct tensor *dx = tape_gradient(t, r->x[0]), *dgamma = tape_gradient(t, r->x[1]);
    CALL(t, rms_norm_backward, dx, dgamma, &r->x[0]->value, &r->x[1]->value, dy,
         ((const struct norm_record *)r)->eps);
}

struct node *tape_rms_norm(struct tape *t, struct node *x, struct node *gamma, float eps) {
    if (!tape_ready(t, x) || gamma == NULL) {
        return NULL;
    }
    struct node *y = tape_node(t, t->options.storage, x->value.shape, INPUTS(x, gamma));
    if (y == NULL) {
        return NULL;
    }
    CALL(t, rms_norm, &y->value, &x->value, &gamma->value, eps);
    record_norm(t, y, INPUTS(x, gamma), eps, rms_norm_backward);
    return tape_done(t, y);
}

/* ---- Softmax, largest and cosines ------------------------------------------------------------ */

static void softmax_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    const struct tensor *dx = tape_gradient(t, r->x[0]);
    if (dx != NULL) {
        CALL(t, softmax_backward, dx, &r->y->value, dy);
    }
}

struct node *tape_softmax(struct tape *t, struct node *x) {
    struct node *y = tape_ready(t, x) ? tape_node(t, DTYPE_F32, x->value.shape, INPUTS(x)) : NULL;
    if (y == NULL) {
        return NULL;
    }
    CALL(t, softmax, &y->value, &x->value);
    tape_record(t, sizeof(struct record), softmax_backward, y, INPUTS(x));
    return tape_done(t, y);
}

struct places_record {
    struct record record;
    struct tensor index;
};

static void top_k_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct tensor *dx = tape_gradient(t, record->x[0]);
    if (dx != NULL) {
        CALL(t, top_k_backward, dx, dy, &((const struct places_record *)record)->index);
    }
}

struct node *tape_top_k(struct tape *t, struct node *x, int64_t k, struct tensor *index) {
    *index = (struct tensor){.data = NULL};
    if (!tape_ready(t, x)) {
        return NULL;
    }
    const int64_t rows = tensor_rows(&x->value);
    const struct tensor places = tensor_matrix(NULL, DTYPE_I32, NULL, rows, k);
    struct node *y = tape_rows(t, x->value.type, rows, k, INPUTS(x));
    *index = tape_space(t, &places);
    if (!tape_ready(t, y)) {
        return NULL;
    }
    CALL(t, top_k, &y->value, index, &x->value);
    struct places_record *r = tape_record(t, sizeof *r, top_k_backward, y, INPUTS(x));
    if (r != NULL) {
        r->index = *index;
    }
    return tape_done(t, y);
}

static void cosine_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    const struct tensor *da = tape_gradient(t, r->x[0]), *db = tape_gradient(t, r->x[1]);
    CALL(t, cosine_backward, da, db, &r->x[0]->value, &r->x[1]->value, dy);
}

struct node *tape_cosine(struct tape *t, struct node *a, struct node *b) {
    if (!tape_ready(t, a) || b == NULL) {
        return NULL;
    }
    assert(tensor_same_shape(&a->value, &b->value));
    struct node *y = tape_rows(t, DTYPE_F32, 1, tensor_rows(&a->value), INPUTS(a, b));
    if (y == NULL) {
        return NULL;
    }
    CALL(t, cosine, &y->value, &a->value, &b->value);
    tape_record(t, sizeof(struct record), cosine_backward, y, INPUTS(a, b));
    return tape_done(t, y);
}

/* ---- Rows in another order ------------------------------------------------------------------- */

static void gather_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct tensor *dx = tape_gradient(t, record->x[0]);
    if (dx != NULL) {
        CALL(t, scatter_add, dx, dy, &((const struct places_record *)record)->index);
    }
}

struct node *tape_gather(struct tape *t, struct node *x, const struct tensor *index) {
    struct node *y =
        tape_ready(t, x) && index->data != NULL
            ? tape_rows(t, x->value.type, tensor_count(index), tensor_width(&x->value), INPUTS(x))
            : NULL;
    if (y == NULL) {
        return NULL;
    }
    CALL(t, gather, &y->value, &x->value, index);
    struct places_record *r = tape_record(t, sizeof *r, gather_backward, y, INPUTS(x));
    if (r != NULL) {
        r->index = *index;
    }
    return tape_done(t, y);
}

/* ---- One after the other, one beside the other ----------------------------------------------- */

static struct tensor part_of(const struct tensor *y, const struct tensor *a, bool second,
                             bool beside) {
    const int64_t count = beside ? tensor_width(a) : tensor_rows(a);
    const int64_t first = second ? (beside ? tensor_width(y) : tensor_rows(y)) - count : 0;
    return beside ? tensor_column_range(y, first, count) : tensor_row_range(y, first, count);
}

static void parts_backward(struct tape *t, const struct record *r, const struct tensor *dy,
                           bool beside) {
    for (int i = 0; i < 2; i++) {
        const struct tensor *dx = tape_gradient(t, r->x[i]);
        if (dx != NULL) {
            const struct tensor rows = tensor_as_matrix(dx), part = part_of(dy, dx, i == 1, beside);
            CALL(t, accumulate, &rows, &part);
        }
    }
}

static void rows_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    parts_backward(t, r, dy, false);
}

static void columns_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    parts_backward(t, r, dy, true);
}

/* y from its parts a and b; stored as the sum is where one of them is F32. */
static struct node *concat(struct tape *t, struct node *a, struct node *b, bool beside) {
    if (!tape_ready(t, a) || b == NULL) {
        return NULL;
    }
    const int64_t rows = tensor_rows(&a->value), width = tensor_width(&a->value);
    assert(beside ? rows == tensor_rows(&b->value) : width == tensor_width(&b->value));
    const enum dtype type =
        a->value.type == b->value.type ? a->value.type : DTYPE_F32; /* of both, without loss */
    struct node *y = tape_rows(t, type, beside ? rows : rows + tensor_rows(&b->value),
                               beside ? width + tensor_width(&b->value) : width, INPUTS(a, b));
    if (y == NULL) {
        return NULL;
    }
    struct node *const both[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        const struct tensor part = part_of(&y->value, &both[i]->value, i == 1, beside);
        const struct tensor from = tensor_as_matrix(&both[i]->value);
        CALL(t, copy, &part, &from);
    }
    tape_record(t, sizeof(struct record), beside ? columns_backward : rows_backward, y,
                INPUTS(a, b));
    return tape_done(t, y);
}

struct node *tape_concat_rows(struct tape *t, struct node *above, struct node *below) {
    return concat(t, above, below, false);
}

struct node *tape_concat_columns(struct tape *t, struct node *left, struct node *right) {
    return concat(t, left, right, true);
}

/* ---- Grids of other sizes -------------------------------------------------------------------- */

struct resample_record {
    struct record record;
    struct resample_options options;
};

static void resample_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct tensor *dx = tape_gradient(t, record->x[0]);
    if (dx != NULL) {
        CALL(t, resample_backward, dx, dy, &((const struct resample_record *)record)->options);
    }
}

struct node *tape_resample(struct tape *t, struct node *x, const struct resample_options *o) {
    if (!tape_ready(t, x) || (o->rows == o->from_rows && o->columns == o->from_columns)) {
        return tape_done(t, x);
    }
    assert(tensor_rows(&x->value) == o->from_rows * o->from_columns);
    struct node *y =
        tape_rows(t, DTYPE_F32, o->rows * o->columns, tensor_width(&x->value), INPUTS(x));
    if (y == NULL) {
        return NULL;
    }
    CALL(t, resample, &y->value, &x->value, o);
    struct resample_record *r = tape_record(t, sizeof *r, resample_backward, y, INPUTS(x));
    if (r != NULL) {
        r->options = *o;
    }
    return tape_done(t, y);
}
